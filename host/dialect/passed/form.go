package passed

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/fault"
)

// Bounds of a form. The content of a file is bounded only by the limit of the whole body.
const (
	maxParts     = 64
	maxPartHead  = 4 << 10  // bytes of the headers of a part
	maxFieldName = 64       // bytes
	maxFileName  = 255      // bytes
	maxMediaType = 100      // bytes of a file's content type
	longField    = 64 << 10 // bytes of a field; adapters get only the length of a longer one
)

// part is a field of a form, or a file.
type part struct {
	name      string // letters, digits and -_.[]
	file      bool
	fileName  string // of a file: without a path, and with nothing in it that needs escaping
	mediaType string // of a file
	content   body.Span
}

// isLong reports whether adapters get only the length of a field, and not its content.
func (p *part) isLong() bool { return !p.file && p.content.To-p.content.From > longField }

// parseForm reads the body of a request of type multipart/form-data, whose boundary is not
// empty. It takes what browsers, SDKs and curl write, and refuses everything that two readers
// could understand differently. It keeps nothing but the names, and copies no content.
func parseForm(b []byte, boundary string) ([]part, *fault.Error) {
	delimiter := "\r\n--" + boundary
	if !bytes.HasPrefix(b, []byte(delimiter[2:])) {
		return nil, badForm("must begin with its boundary")
	}
	var parts []part
	for i := len(delimiter) - 2; ; {
		if bytes.HasPrefix(b[i:], []byte("--")) {
			if len(bytes.TrimLeft(b[i+2:], " \t\r\n")) > 0 {
				return nil, badForm("something follows its end")
			}
			return parts, nil
		}
		i = skipSpace(b, i)
		if !bytes.HasPrefix(b[i:], []byte("\r\n")) {
			return nil, badForm("a boundary must end its line")
		}
		if len(parts) == maxParts {
			return nil, badForm(fmt.Sprintf("more than %d parts", maxParts))
		}
		p, at, err := parsePartHead(b, i)
		if err != nil {
			return nil, err
		}
		end := endOfPart(b, at, delimiter)
		if end < 0 {
			return nil, badForm("a part has no end")
		}
		p.content = body.Span{From: at, To: end}
		parts = append(parts, p)
		i = end + len(delimiter)
	}
}

// endOfPart returns where the content that begins at from ends; -1 if it doesn't. What only
// begins like the boundary is content.
func endOfPart(b []byte, from int, delimiter string) int {
	for i := from; ; {
		n := bytes.Index(b[i:], []byte(delimiter))
		if n < 0 {
			return -1
		}
		i += n
		after := i + len(delimiter)
		if rest := b[after:]; bytes.HasPrefix(rest, []byte("--")) || bytes.HasPrefix(b[skipSpace(b, after):], []byte("\r\n")) {
			return i
		}
		i = after
	}
}

// skipSpace skips spaces and tabs.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}

// parsePartHead reads the headers of a part. Its lines begin with the line end at from, and
// its content begins at at.
func parsePartHead(b []byte, from int) (p part, at int, err *fault.Error) {
	head := b[from:min(len(b), from+maxPartHead)]
	n := bytes.Index(head, []byte("\r\n\r\n"))
	if n < 0 {
		return p, 0, badForm(fmt.Sprintf("the headers of a part have no end within %d KiB", maxPartHead>>10))
	}
	seen := map[string]bool{}
	for line := range strings.SplitSeq(string(head[:n]), "\r\n") {
		if line == "" {
			continue // in front of the first one
		}
		name, value, ok := strings.Cut(line, ":")
		name = strings.ToLower(name)
		if !ok || !isPlain(line) || seen[name] || name == "" || strings.TrimSpace(name) != name {
			return p, 0, badForm("a header of a part is malformed")
		}
		seen[name] = true
		value = strings.TrimSpace(value)
		switch name {
		case "content-disposition":
			if err := p.readDisposition(value); err != nil {
				return p, 0, err
			}
		case "content-type":
			p.mediaType = value
		case "content-transfer-encoding":
			if !strings.EqualFold(value, "binary") && !strings.EqualFold(value, "8bit") && !strings.EqualFold(value, "7bit") {
				return p, 0, badForm("a part is encoded; send it as it is")
			}
		}
	}
	if p.name == "" {
		return p, 0, badForm("a part has no name")
	}
	if !isMediaType(p.mediaType) {
		p.mediaType = "application/octet-stream"
	}
	return p, from + n + len("\r\n\r\n"), nil
}

// readDisposition reads the value of Content-Disposition.
func (p *part) readDisposition(value string) *fault.Error {
	kind, rest, _ := strings.Cut(value, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "form-data") {
		return badForm("a part must be form-data")
	}
	seen := map[string]string{}
	for rest = strings.TrimSpace(rest); rest != ""; {
		key, after, ok := strings.Cut(rest, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		v, after, whole := parameter(after)
		if _, twice := seen[key]; !ok || twice || !whole || key == "" {
			return badForm("the Content-Disposition of a part is malformed")
		}
		seen[key] = v
		rest = after
	}
	p.name = seen["name"]
	if !isFieldName(p.name) {
		return badForm(fmt.Sprintf("the name of a part must have 1 to %d letters, digits and -_.[]", maxFieldName))
	}
	name, file := seen["filename"]
	if extended, ok := seen["filename*"]; ok {
		file = true
		if charset, rest, ok := strings.Cut(extended, "'"); ok && strings.EqualFold(charset, "utf-8") {
			_, encoded, _ := strings.Cut(rest, "'")
			if decoded, err := url.PathUnescape(encoded); err == nil {
				name = decoded
			}
		}
	}
	if p.file = file; file {
		p.fileName = cleanFileName(name)
	}
	return nil
}

// parameter reads a value, quoted or not, with what follows it up to the next parameter. In
// quotes, a backslash escapes only a quote or another backslash.
func parameter(s string) (value, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ";")
		return strings.TrimSpace(value), strings.TrimSpace(rest), !strings.ContainsAny(value, "\"")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			rest = strings.TrimSpace(s[i+1:])
			after, follows := strings.CutPrefix(rest, ";")
			return b.String(), strings.TrimSpace(after), follows || rest == ""
		case c == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// isPlain reports whether a line is UTF-8 without control characters.
func isPlain(line string) bool {
	return utf8.ValidString(line) && strings.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) < 0
}

func isFieldName(s string) bool {
	return s != "" && len(s) <= maxFieldName && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.[]") == ""
}

// isMediaType reports whether s is a media type, with parameters or not, that can be sent on.
func isMediaType(s string) bool {
	kind, rest, ok := strings.Cut(s, "/")
	return ok && kind != "" && rest != "" && len(s) <= maxMediaType && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' && r != ' ' || r >= 0x7f || r == '"' }) < 0
}

// cleanFileName returns what follows the last slash of a file's name, bounded, with
// underscores for what would need escaping. Servers tell a file's format by the end of its
// name.
func cleanFileName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if r == '"' || r == '%' || r == ';' || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	for len(name) > maxFileName {
		_, size := utf8.DecodeRuneInString(name)
		name = name[size:]
	}
	if name == "" {
		return "file"
	}
	return name
}

func badForm(what string) *fault.Error {
	return &fault.Error{Kind: fault.Invalid, Text: "The request is not a form that can be read: " + what + "."}
}
