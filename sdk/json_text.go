package sdk

import (
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// AppendUnquote decodes the inside of a JSON string (see JSON.RawStr) and appends the text.
// Lone surrogates and invalid UTF-8 become U+FFFD. If inside is malformed, a backslash that
// begins no escape stands for itself.
func AppendUnquote(dst, inside []byte) []byte {
	from := 0 // everything before was appended
	for i := 0; i < len(inside); {
		c := inside[i]
		if c < utf8.RuneSelf && c != '\\' {
			i++
			continue
		}
		if c != '\\' {
			r, size := utf8.DecodeRune(inside[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, inside[from:i]...)
				dst = utf8.AppendRune(dst, r)
				from = i + 1
			}
			i += size
			continue
		}
		end, f := scanEscape(inside, i)
		if f != 0 {
			i++
			continue
		}
		dst = append(dst, inside[from:i]...)
		if inside[i+1] != 'u' {
			dst = append(dst, unescape(inside[i+1]))
		} else {
			r := codeUnit(inside[i:])
			if utf16.IsSurrogate(r) {
				r = utf16.DecodeRune(r, codeUnit(inside[end:]))
				if r != utf8.RuneError {
					end += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		}
		i, from = end, end
	}
	return append(dst, inside[from:]...)
}

// TrimSpaceEnd returns the inside of a JSON string without the white space at the end of its
// text. White space is that of Unicode, and may be escaped.
func TrimSpaceEnd(inside []byte) []byte {
	for {
		r, size := utf8.DecodeLastRune(inside)
		if c, length := lastEscape(inside); length > 0 {
			r, size = c, length
		}
		if size == 0 || !unicode.IsSpace(r) {
			return inside
		}
		inside = inside[:len(inside)-size]
	}
}

// lastEscape returns the character of the escape at the end of b, and the length of the escape,
// which is 0 if there is none.
func lastEscape(b []byte) (r rune, length int) {
	switch n := len(b); {
	case escapeAt(b, n-2) && b[n-1] != 'u':
		return rune(unescape(b[n-1])), 2
	case escapeAt(b, n-6) && b[n-5] == 'u':
		return codeUnit(b[n-6:]), 6
	}
	return 0, 0
}

// escapeAt reports whether an escape begins at i: at a backslash that is not
// itself escaped.
func escapeAt(b []byte, i int) bool {
	n := 0
	for ; i >= 0 && b[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}

// codeUnit returns the value of the \uXXXX that b begins with, or -1.
func codeUnit(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[2:6] {
		d := hexDigit(c)
		if d < 0 {
			return -1
		}
		r = r<<4 | d
	}
	return r
}

func unescape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}
