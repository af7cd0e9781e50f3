package long

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// find returns the long strings of a body, in order. It recognizes strings by their quotes
// and knows nothing else of JSON. What it finds in a body that isn't JSON does no harm: it
// is only taken out if it could be the inside of a string.
func find(body []byte) (spans []span) {
	for i := 0; len(spans) < maxTaken; {
		quote := bytes.IndexByte(body[i:], '"')
		if quote < 0 {
			break
		}
		s := span{from: i + quote + 1}
		if s.to = closingQuote(body, s.from); s.to < 0 {
			break
		}
		i = s.to + 1
		if s.to-s.from <= minString || isKey(body[i:]) {
			continue
		}
		s.from += dataURL(body[s.from:s.to])
		if s.to-s.from > minString && insideString(body[s.from:s.to]) {
			spans = append(spans, s)
		}
	}
	return spans
}

// closingQuote returns the index of the quote that ends the string which begins at from,
// or -1 if there is none.
func closingQuote(body []byte, from int) int {
	for i := from; ; i++ {
		quote := bytes.IndexByte(body[i:], '"')
		if quote < 0 {
			return -1
		}
		i += quote
		escaped := false
		for j := i - 1; j >= from && body[j] == '\\'; j-- {
			escaped = !escaped
		}
		if !escaped {
			return i
		}
	}
}

// isKey reports whether a colon follows a string, so that the string is a key.
func isKey(rest []byte) bool {
	for _, c := range rest {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return c == ':'
	}
	return false
}

// dataURL returns the length of a prefix such as "data:image/png;base64," of a string; 0:
// it has none.
func dataURL(s []byte) int {
	const mark = ";base64,"
	if !bytes.HasPrefix(s, []byte("data:")) {
		return 0
	}
	if i := bytes.Index(s[:min(len(s), 256)], []byte(mark)); i >= 0 {
		return i + len(mark)
	}
	return 0
}

// insideString reports whether s can be the inside of a JSON string: it is UTF-8 with
// well-formed escapes and without control characters. Halves of characters become U+FFFD,
// in s itself.
func insideString(s []byte) bool {
	const (
		low  = 0x0101010101010101
		high = 0x8080808080808080
	)
	var seen uint64
	for i := 0; i < len(s); {
		if i+8 <= len(s) {
			w := binary.LittleEndian.Uint64(s[i:])
			backslash := w ^ low*'\\'
			if stop := high & ((backslash-low)&^backslash | (w-low*' ')&^w); stop == 0 {
				seen |= w
				i += 8
				continue
			}
		}
		c := s[i]
		seen |= uint64(c)
		switch {
		case c < ' ' || c == '"':
			return false
		case c != '\\':
			i++
		case i+1 == len(s):
			return false
		case s[i+1] != 'u':
			if bytes.IndexByte([]byte(`"\/bfnrt`), s[i+1]) < 0 {
				return false
			}
			i += 2
		default:
			first := codeUnit(s[i:])
			if first < 0 {
				return false
			}
			if first >= 0xd800 && first < 0xe000 {
				if second := codeUnit(s[i+6:]); first < 0xdc00 && second >= 0xdc00 && second < 0xe000 {
					i += 6
				} else {
					copy(s[i+2:], "fffd")
				}
			}
			i += 6
		}
	}
	return seen&high == 0 || utf8.Valid(s)
}

// codeUnit returns the value of the escape \uXXXX that s begins with, or -1 if s begins
// with something else.
func codeUnit(s []byte) int {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	n := 0
	for _, c := range s[2:6] {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | int(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			n = n<<4 | int(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return n
}
