package facts

import (
	"bytes"
	"strings"
)

// escaped marks the bytes that may not stand in a JSON string literal as they are.
var escaped = func() (t [256]bool) {
	for c := range ' ' {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

// appendInside appends s as the inside of a JSON string literal. s is UTF-8.
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

// AppendString appends s as a JSON string literal, with U+FFFD for what is not
// UTF-8.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = appendInside(dst, strings.ToValidUTF8(s, "\uFFFD"))
	return append(dst, '"')
}

// AppendTo appends a text as the inside of a JSON string literal; one that is such an
// inside already is copied as it is.
func (t Text) AppendTo(dst []byte) []byte {
	if t.Raw {
		return append(dst, t.Data...)
	}
	return appendInside(dst, t.Data)
}

// appendJSON appends a JSON value on one line. Line ends can only stand between
// the tokens of a value, and there they would end the event of a stream.
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

// AppendElements appends the elements of a JSON array, without its brackets, to
// those that dst ends with: after a comma unless dst is empty or ends with the
// bracket that opens the array.
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
