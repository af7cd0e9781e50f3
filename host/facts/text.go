package facts

import (
	"bytes"
	"strings"
)

// escaped marks the bytes that must be escaped in a JSON string literal.
var escaped = func() (t [256]bool) {
	for c := range ' ' {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

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
	dst = appendInside(dst, strings.ToValidUTF8(s, "\uFFFD"))
	return append(dst, '"')
}

// AppendTo appends the text as the inside of a JSON string literal.
func (t Text) AppendTo(dst []byte) []byte {
	if t.Raw {
		return append(dst, t.Data...)
	}
	return appendInside(dst, t.Data)
}

// Size returns how many bytes AppendTo appends at most.
func (t Text) Size() int {
	if t.Raw {
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
