package facts

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// escaped marks the bytes that must be escaped in a JSON string literal.
var escaped = func() (t [256]bool) {
	for c := range ' ' {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

// isPlain reports whether nothing in p must be escaped in a JSON string literal. Most texts are
// a few bytes of that kind, so it looks at eight, or four, of them at a time.
func isPlain(p []byte) bool {
	n := len(p)
	switch {
	case n >= 8:
		for i := 0; i < n-8; i += 8 {
			if anyEscaped(binary.LittleEndian.Uint64(p[i:])) {
				return false
			}
		}
		return !anyEscaped(binary.LittleEndian.Uint64(p[n-8:]))
	case n >= 4:
		first, last := binary.LittleEndian.Uint32(p), binary.LittleEndian.Uint32(p[n-4:])
		return !anyEscaped(uint64(first) | uint64(last)<<32)
	}
	for _, c := range p {
		if escaped[c] {
			return false
		}
	}
	return true
}

// anyEscaped reports whether one of the eight bytes in w must be escaped. The subtraction
// borrows from the byte above if a byte is 0, or less than a space. That only adds to what
// was found already.
func anyEscaped(w uint64) bool {
	const low, high = 0x0101010101010101, 0x8080808080808080
	quote, backslash := w^low*'"', w^low*'\\'
	return high&((quote-low)&^quote|(backslash-low)&^backslash|(w-low*' ')&^w) != 0
}

// appendInside appends s, which must be UTF-8, as the inside of a JSON string literal.
func appendInside[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	start := 0
	for i := range len(s) {
		c := s[i]
		if !escaped[c] {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, s[start:]...)
}

// AppendString appends s as a JSON string literal. What is not UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	if utf8.ValidString(s) && isPlain([]byte(s)) {
		dst = append(dst, s...)
	} else {
		dst = appendInside(dst, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return append(dst, '"')
}

// AppendTo appends the text as the inside of a JSON string literal.
func (t Text) AppendTo(dst []byte) []byte {
	if t.Raw {
		return append(dst, t.Data...)
	}
	return appendText(dst, t.Data)
}

// appendText appends UTF-8 as the inside of a JSON string literal.
func appendText(dst, p []byte) []byte {
	if isPlain(p) {
		return append(dst, p...)
	}
	return appendInside(dst, p)
}

// Size returns how many bytes AppendTo appends at most.
func (t Text) Size() int {
	if t.Raw || isPlain(t.Data) {
		return len(t.Data)
	}
	return len(t.Data) + escapes(t.Data)
}

// appendJSON appends a JSON value on one line. In JSON, line ends can only stand between
// tokens; in a stream they would end the event.
func appendJSON(dst, value []byte) []byte {
	if bytes.IndexByte(value, '\n') < 0 && bytes.IndexByte(value, '\r') < 0 {
		return append(dst, value...)
	}
	for _, c := range value {
		if c != '\n' && c != '\r' {
			dst = append(dst, c)
		}
	}
	return dst
}

// AppendElements appends the elements of a JSON array, without its brackets. A comma
// comes first unless dst is empty or ends with the opening bracket.
func AppendElements(dst, array []byte) []byte {
	array = bytes.TrimSpace(array)
	if len(array) < 2 || array[0] != '[' {
		return dst
	}
	array = bytes.TrimSpace(array[1 : len(array)-1])
	if len(array) == 0 {
		return dst
	}
	if len(dst) > 0 && dst[len(dst)-1] != '[' {
		dst = append(dst, ',')
	}
	return appendJSON(dst, array)
}
