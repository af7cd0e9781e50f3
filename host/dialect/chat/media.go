package chat

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/sdk"
)

// encoded looks at an image, a sound or a file: the inside of a string, whose place is here.
// before is the number of bytes before the data, -1 if there are no data. by is the edit
// that gives it the form that every provider reads, if it has another:
// data:image/jpeg;base64, and then data that are nothing but base64, or for a sound only
// the data.
//
// A data: URL is RFC 2397's: its scheme, type and "base64" in any case, with parameters or
// without a type, and what is not base64 in the escapes of URLs. The first bytes of an
// image tell its type, because providers refuse an image that is declared as another type.
func encoded(here body.Place, b []byte, at body.Span) (before int, by *body.Edit) {
	inside := at.Of(b)
	head, length, ok := readDataHead(inside)
	if !ok {
		kind := ""
		if here != atAudioData {
			kind = kindOf(inside) // bare base64, as some clients send it
		}
		switch {
		case kind == "" && here == atURL:
			return -1, nil // a link
		case kind == "":
			return 0, nil
		}
		if !isBare(inside) {
			return 0, &body.Edit{Span: at, By: append(dataHead(kind), bare(inside, true)...)}
		}
		return 0, &body.Edit{Span: body.Span{From: at.From, To: at.From}, By: dataHead(kind)}
	}
	rest := inside[length:]
	if !head.base64 || !isBare(rest) {
		rest = bare(rest, head.base64)
		if here == atAudioData {
			return 0, &body.Edit{Span: at, By: rest}
		}
		return 0, &body.Edit{Span: at, By: append(dataHead(head.kindOr(rest)), rest...)}
	}
	want := []byte(nil)
	if here != atAudioData {
		want = dataHead(head.kindOr(rest))
	}
	if bytes.Equal(inside[:length], want) {
		return length, nil
	}
	return length, &body.Edit{Span: body.Span{From: at.From, To: at.From + length}, By: want}
}

// dataHead writes what stands before the data.
func dataHead(kind string) []byte {
	return append(inside("data:"+kind), ";base64,"...)
}

// head is what a data: URL says before its data.
type head struct {
	kind   string // the media type, in lower case, without parameters; "" if it names none
	base64 bool
}

// longestHead is how many bytes a head may have. If it has more, the string is no data:
// URL.
const longestHead = 1024

// readDataHead reads the beginning of the inside of a JSON string that holds a
// data: URL, and gives its length, comma included.
func readDataHead(inside []byte) (h head, length int, ok bool) {
	const scheme = "data:"
	if len(inside) < len(scheme) || !strings.EqualFold(string(inside[:len(scheme)]), scheme) {
		return h, 0, false
	}
	comma := bytes.IndexByte(inside[:min(len(inside), longestHead)], ',')
	if comma < 0 {
		return h, 0, false
	}
	text := string(percentDecoded(sdk.AppendUnquote(nil, inside[len(scheme):comma])))
	kind, parameters, _ := strings.Cut(text, ";")
	for p := range strings.SplitSeq(parameters, ";") {
		h.base64 = strings.EqualFold(strings.TrimSpace(p), "base64")
	}
	h.kind = strings.ToLower(strings.TrimSpace(kind))
	return h, comma + 1, true
}

// kindOr returns the media type of data in base64: what its first bytes tell, or else what
// the head says.
func (h head) kindOr(data []byte) string {
	if kind := kindOf(data); kind != "" {
		return kind
	}
	switch h.kind {
	case "":
		return "text/plain" // RFC 2397, section 2
	case "image/jpg", "image/pjpeg":
		return "image/jpeg" // https://www.iana.org/assignments/media-types has no other
	case "image/x-png":
		return "image/png"
	}
	return h.kind
}

// kindOf tells the media type of data in base64 by its first bytes; "" if they are
// of none of the formats that providers look at.
func kindOf(data []byte) string {
	const most = 32 // characters that are enough
	first := bytes.ReplaceAll(data[:min(len(data), 2*most)], []byte(`\/`), []byte("/"))
	first = first[:min(len(first), most)/4*4]
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(first)))
	n, _ := base64.StdEncoding.Decode(raw, first) // the rest may be cut
	raw = raw[:n]
	switch {
	case bytes.HasPrefix(raw, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	case bytes.HasPrefix(raw, []byte("\xff\xd8\xff")):
		return "image/jpeg"
	case bytes.HasPrefix(raw, []byte("GIF87a")), bytes.HasPrefix(raw, []byte("GIF89a")):
		return "image/gif"
	case len(raw) >= 12 && string(raw[:4]) == "RIFF" && string(raw[8:12]) == "WEBP":
		return "image/webp"
	case bytes.HasPrefix(raw, []byte("%PDF-")):
		return "application/pdf"
	}
	return ""
}

// isBare reports whether the inside of a JSON string is as base64 goes upstream:
// without the escapes of URLs and without white space. A slash may be escaped.
func isBare(data []byte) bool {
	if bytes.IndexByte(data, '%') >= 0 || bytes.IndexByte(data, ' ') >= 0 {
		return false
	}
	for {
		i := bytes.IndexByte(data, '\\')
		if i < 0 {
			return true
		}
		if data[i+1] != '/' {
			return false
		}
		data = data[i+2:]
	}
}

// bare returns the data of a data: URL as base64.
func bare(data []byte, isBase64 bool) []byte {
	data = percentDecoded(sdk.AppendUnquote(nil, data))
	if !isBase64 {
		return base64.StdEncoding.AppendEncode(nil, data)
	}
	// Characters that base64 doesn't have mean nothing: RFC 2045, section 6.8.
	out := data[:0]
	for _, c := range data {
		if '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || strings.IndexByte("+/-_=", c) >= 0 {
			out = append(out, c)
		}
	}
	return out
}

// percentDecoded decodes the escapes of a URL, in place. A % that begins none
// stands for itself.
func percentDecoded(b []byte) []byte {
	out := b[:0]
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '%' && i+2 < len(b) {
			high, low := unhex(b[i+1]), unhex(b[i+2])
			if high >= 0 && low >= 0 {
				c = byte(high<<4 | low)
				i += 2
			}
		}
		out = append(out, c)
	}
	return out
}

// unhex returns the value of a hexadecimal digit, else -1.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
