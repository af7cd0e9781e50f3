package body

import (
	"unicode/utf16"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/quoted"
)

// Scalar reads a number or a literal, and returns the index after it. If ok is false, end
// is where something else was expected.
func Scalar(b []byte, i int) (end int, ok bool) {
	switch at(b, i) {
	case 't':
		return word(b, i, "true")
	case 'f':
		return word(b, i, "false")
	case 'n':
		return word(b, i, "null")
	case '-':
		i++
	}
	if at(b, i) == '0' {
		i++
	} else if i, ok = digits(b, i); !ok {
		return i, false
	}
	if at(b, i) == '.' {
		if i, ok = digits(b, i+1); !ok {
			return i, false
		}
	}
	if c := at(b, i); c == 'e' || c == 'E' {
		i++
		if c := at(b, i); c == '+' || c == '-' {
			i++
		}
		return digits(b, i)
	}
	return i, true
}

func word(b []byte, i int, w string) (end int, ok bool) {
	if end = i + len(w); end <= len(b) && string(b[i:end]) == w {
		return end, true
	}
	return i, false
}

func digits(b []byte, i int) (end int, ok bool) {
	for end = i; isDigit(at(b, end)); end++ {
	}
	return end, end > i
}

// at returns the byte at i, or 0 after the end. No caller accepts a 0 there.
func at(b []byte, i int) byte {
	if uint(i) < uint(len(b)) {
		return b[i]
	}
	return 0
}

// noScalar returns the error for what stands from i to end in place of a scalar.
func (s *scanner) noScalar(i, end int) error {
	switch c := s.at(i); {
	case c == 't', c == 'f', c == 'n':
		return s.fail(i, "expected a value; words other than true, false and null need quotes")
	case c == '-' || isDigit(c):
		return s.fail(end, "expected a digit")
	}
	return s.fail(i, "expected a value")
}

// string reads the rest of a string whose opening quote is before i, and returns the index
// after the closing one. Most strings are short and plain, so that is tried first.
func (s *scanner) string(i int) (end int, escaped bool, err error) {
	if s.sound {
		if end = StringEnd(s.b, i); end == 0 {
			return len(s.b), false, s.fail(len(s.b), `expected '"' at the end of a string`)
		}
		return end, false, nil
	}
	from, beyond := i, false
	for {
		stop, t := quoted.Stop(s.b, i)
		i, beyond, escaped = stop, beyond || t.Beyond, escaped || t.Escaped
		switch c := s.at(i); {
		case c == '"':
			if beyond && !quoted.Valid(s.b[from:i]) {
				return i, escaped, s.notUTF8(Span{from, i})
			}
			return i + 1, escaped, nil
		case c == '\\':
			escaped = true
			if i, err = s.escape(i); err != nil {
				return i, escaped, err
			}
		case i >= len(s.b):
			return i, escaped, s.fail(i, `expected '"' at the end of a string`)
		default:
			return i, escaped, s.fail(i, `a control character in a string; write \n for a line end, \u00XX for others`)
		}
	}
}

// escape reads the escape of a code unit whose backslash is at i.
func (s *scanner) escape(i int) (end int, err error) {
	if s.at(i+1) == 'u' {
		for j := i + 2; j < i+6; j++ {
			if c := s.at(j); !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
				return j, s.fail(j, `expected four hexadecimal digits behind \u`)
			}
		}
		if r := codeUnit(s.b[i:]); utf16.IsSurrogate(r) {
			if utf16.DecodeRune(r, codeUnit(s.b[i+6:])) != utf8.RuneError {
				return i + 12, nil
			}
			copy(s.b[i+2:], "fffd") // half a character: no provider takes it
		}
		return i + 6, nil
	}
	return i, s.fail(i, `a backslash that begins no escape of JSON; write \\ for itself`)
}

// codeUnit returns the value of the \uXXXX that b begins with, else -1.
func codeUnit(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	r := 0
	for _, c := range b[2:6] {
		digit := unhex(c)
		if digit < 0 {
			return -1
		}
		r = r<<4 | digit
	}
	return rune(r)
}

func (s *scanner) at(i int) byte { return at(s.b, i) }

// space skips white space from i on.
func (s *scanner) space(i int) int {
	for uint(i) < uint(len(s.b)) && s.b[i] <= ' ' {
		switch s.b[i] {
		case ' ', '\n', '\r', '\t':
			i++
		default:
			return i
		}
	}
	return i
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// unhex returns the value of a hexadecimal digit, else -1.
func unhex(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
