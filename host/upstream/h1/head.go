package h1

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// Limits of what a server sends besides bodies.
const (
	maxHead          = 256 << 10 // bytes of all heads of an answer
	maxFields        = 1000      // lines of a head
	maxInformational = 64        // heads with a status of 1xx before the answer's own
	maxTrailers      = 16 << 10  // bytes
	maxChunk         = 1 << 40   // bytes of one chunk
)

// ErrHeadTooLong says that the head of an answer is longer than the limits allow.
var ErrHeadTooLong = errors.New("the head of the answer is too long")

// FormatError says that what a server sent is not HTTP/1.1, or could be read in two ways.
// Its text repeats nothing of it.
type FormatError struct {
	what string

	// strict says that others accept this: it is refused because it can be read in two
	// ways, or because no server that is sound sends it.
	strict bool
}

func (e *FormatError) Error() string { return e.what }

func malformed(what string) error { return &FormatError{what, false} }
func refused(what string) error   { return &FormatError{what, true} }

// framing says how the end of a body is found.
type framing int

const (
	nothingFollows framing = iota // there is no body
	counted                       // by its length
	chunked                       // by an empty chunk
	untilClose                    // by the connection's end
)

// head is the head of an answer.
type head struct {
	status  int
	header  http.Header
	framing framing
	length  int64 // of the body; -1: unknown
	close   bool  // the connection can't serve another request
}

// cut makes an error of io.EOF: something was expected.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readHead reads the head of an answer. It passes over those before, which are only
// informational. It reads no byte behind the head.
func (k *conn) readHead() (head, error) {
	room := maxHead
	for range maxInformational + 1 {
		text, err := k.readHeadText(&room)
		if err != nil {
			return head{}, err
		}
		h, err := parseHead(text)
		if err != nil || h.status >= 200 || h.status == http.StatusSwitchingProtocols {
			return h, err
		}
	}
	return head{}, refused("too many informational answers")
}

// readHeadText reads a head up to the empty line behind it, and returns it without that. It
// subtracts its length from the room.
func (k *conn) readHeadText(room *int) (string, error) {
	text, begin := k.scratch[:0], 0
	defer func() { k.reuse(text) }()
	for {
		part, err := k.in.ReadSlice('\n')
		if *room -= len(part); *room < 0 {
			return "", ErrHeadTooLong
		}
		text = append(text, part...)
		if err == bufio.ErrBufferFull {
			continue // the line goes on
		}
		if err != nil {
			return "", cut(err)
		}
		if line := text[begin:]; len(line) == 1 || len(line) == 2 && line[0] == '\r' {
			return string(text[:begin]), nil
		}
		begin = len(text)
	}
}

// parseHead parses a head, each line with its end, without the empty line behind it.
func parseHead(text string) (head, error) {
	line, rest := cutLine(text)
	h, isOld, err := parseStatus(line)
	if err != nil {
		return head{}, err
	}
	lines := strings.Count(rest, "\n")
	if lines > maxFields {
		return head{}, ErrHeadTooLong
	}
	h.header = make(http.Header, lines)
	values := make([]string, 0, lines) // one piece of memory for all
	for rest != "" {
		line, rest = cutLine(rest)
		name, value, err := parseField(line)
		if err != nil {
			return head{}, err
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		if list := h.header[name]; list != nil {
			h.header[name] = append(list, value)
			continue
		}
		values = append(values, value)
		h.header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if err := h.frame(isOld); err != nil {
		return head{}, err
	}
	return h, nil
}

// cutLine returns the first line of text without its end. A line feed alone is an end, too
// (RFC 9112, 2.2).
func cutLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}

// parseStatus parses a status line such as "HTTP/1.1 200 OK". isOld says that it is of
// HTTP/1.0.
func parseStatus(line string) (h head, isOld bool, err error) {
	version, ok := strings.CutPrefix(line, "HTTP/1.")
	if !ok || len(version) < 5 || !isDigit(version[0]) || version[1] != ' ' {
		if strings.HasPrefix(line, "HTTP/") {
			return head{}, false, refused("not a status line of HTTP/1.0 or HTTP/1.1")
		}
		return head{}, false, malformed("not a status line")
	}
	code, reason := version[2:5], version[5:]
	for i := range len(code) {
		if !isDigit(code[i]) {
			return head{}, false, refused("the status is not a number")
		}
		h.status = 10*h.status + int(code[i]-'0')
	}
	switch {
	case reason != "" && reason[0] != ' ':
		return head{}, false, malformed("the status is too long")
	case h.status < 100:
		return head{}, false, refused("the status is too small")
	case !IsValue(reason):
		return head{}, false, refused("the status line has a control character")
	}
	return h, version[0] == '0', nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// parseField parses a header line.
func parseField(line string) (name, value string, err error) {
	if line != "" && (line[0] == ' ' || line[0] == '\t') {
		return "", "", refused("a header line is folded")
	}
	name, value, ok := strings.Cut(line, ":")
	switch {
	case !ok:
		return "", "", malformed("a header line without a colon")
	case !IsToken(name) && IsToken(strings.ReplaceAll(name, " ", "")):
		return "", "", refused("a header's name with a space")
	case !IsToken(name):
		return "", "", malformed("a header's name with a character that none has")
	case !IsValue(value):
		return "", "", malformed("a header with a control character")
	}
	return name, strings.Trim(value, " \t"), nil
}

// frame finds out how the body ends, and whether the connection goes on behind it
// (RFC 9112, 6.3 and 9.3).
func (h *head) frame(isOld bool) error {
	h.length = -1
	lengths, codings := h.header["Content-Length"], h.header["Transfer-Encoding"]
	switch {
	case len(lengths) > 1:
		return refused("more than one length")
	case len(codings) > 0 && isOld:
		return refused("a transfer encoding in HTTP/1.0")
	case len(codings) > 1 || len(codings) == 1 && !strings.EqualFold(codings[0], "chunked"):
		return malformed("a transfer encoding other than chunked")
	case len(lengths) > 0 && len(codings) > 0:
		return refused("a length beside a transfer encoding")
	}
	if len(lengths) == 1 {
		n, err := strconv.ParseUint(lengths[0], 10, 63)
		if err != nil {
			return malformed("a length that is not a number")
		}
		h.length = int64(n)
	}
	h.close = hasToken(h.header["Connection"], "close") || isOld && !hasToken(h.header["Connection"], "keep-alive")
	switch {
	case h.status == http.StatusNotModified:
		h.framing, h.length = nothingFollows, 0
	case h.status < 200 || h.status == http.StatusNoContent:
		// A server that says more of a body may send one.
		h.close = h.close || h.status == http.StatusSwitchingProtocols || h.length > 0 || len(codings) > 0
		h.framing, h.length = nothingFollows, 0
	case len(codings) > 0:
		h.framing = chunked
	case h.length == 0:
		h.framing = nothingFollows
	case h.length > 0:
		h.framing = counted
	default:
		h.framing, h.close = untilClose, true
	}
	return nil
}

// hasToken reports whether one of the lists, which are separated by commas, has a token.
func hasToken(lists []string, token string) bool {
	for _, list := range lists {
		for item := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.Trim(item, " \t"), token) {
				return true
			}
		}
	}
	return false
}
