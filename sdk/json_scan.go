package sdk

import (
	"math/bits"
	"strconv"
)

// SyntaxError says where and why bytes are not JSON.
type SyntaxError struct {
	Offset  int    // of the wrong byte, from the start of the value
	Message string // what is wrong there
}

func (e *SyntaxError) Error() string {
	return "invalid JSON at byte " + strconv.Itoa(e.Offset) + ": " + e.Message
}

func syntaxError(offset int, f fault) error {
	if f == 0 {
		return nil
	}
	return &SyntaxError{Offset: offset, Message: faultTexts[f]}
}

// fault says what is wrong with some JSON; 0: nothing.
type fault uint8

const (
	faultEnd fault = iota + 1
	faultValue
	faultLiteral
	faultNumber
	faultControl
	faultEscape
	faultKey
	faultColon
	faultObjectSeparator
	faultArraySeparator
	faultDepth
	faultTrailing
	faultObject
	faultArray
)

var faultTexts = [...]string{
	faultEnd:             "it ends too early",
	faultValue:           "expected a value",
	faultLiteral:         "expected true, false or null",
	faultNumber:          "malformed number",
	faultControl:         "control character in a string",
	faultEscape:          "malformed escape in a string",
	faultKey:             "expected a key in quotes",
	faultColon:           "expected a colon after the key",
	faultObjectSeparator: "expected a comma or the end of the object",
	faultArraySeparator:  "expected a comma or the end of the array",
	faultDepth:           "nested more than 512 deep",
	faultTrailing:        "something follows the value",
	faultObject:          "expected an object",
	faultArray:           "expected an array",
}

// ending returns a fault unless the bytes end at i, where a value has ended.
func ending(b []byte, i int) fault {
	if i < len(b) {
		return faultTrailing
	}
	return 0
}

// peek returns the byte at i, or 0 after the end. Wherever peek is used, 0 is an error like any
// other control character.
func peek(b []byte, i int) byte {
	if uint(i) < uint(len(b)) {
		return b[i]
	}
	return 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

func isDigit(c byte) bool { return c-'0' <= 9 }

// space skips white space from i on, and returns the index after it.
func space(b []byte, i int) int {
	for uint(i) < uint(len(b)) && b[i] <= ' ' && isSpace(b[i]) {
		i++
	}
	return i
}

// skip passes the value at i, which is inside depth objects and arrays. It returns where the
// value ends, or where the fault is.
func skip(b []byte, i, depth int) (int, fault) {
	switch c := peek(b, i); c {
	case '"':
		end, _, f := scanString(b, i+1)
		return end, f
	case '{', '[':
		return skipNested(b, i, depth)
	case 't':
		return scanLiteral(b, i, "true")
	case 'f':
		return scanLiteral(b, i, "false")
	case 'n':
		return scanLiteral(b, i, "null")
	default:
		if c == '-' || isDigit(c) {
			return scanNumber(b, i)
		}
		if i >= len(b) {
			return i, faultEnd
		}
		return i, faultValue
	}
}

// skipNested is skip for objects and arrays. It keeps a bit for each one that is open, and does
// not call itself: foreign bytes must not decide how deep the stack grows.
func skipNested(b []byte, i, depth int) (int, fault) {
	var objects [maxDepth / 64]uint64
	var f fault
	open := 0
	for {
		// A value begins at i.
		switch c := peek(b, i); c {
		case '{', '[':
			if depth+open >= maxDepth {
				return i, faultDepth
			}
			word, bit := open/64, uint64(1)<<(open%64)
			open++
			i = space(b, i+1)
			if c == '{' {
				objects[word] |= bit
				if peek(b, i) != '}' {
					if i, f = skipKey(b, i); f != 0 {
						return i, f
					}
					continue
				}
			} else {
				objects[word] &^= bit
				if peek(b, i) != ']' {
					continue
				}
			}
		default:
			if i, f = skip(b, i, 0); f != 0 {
				return i, f
			}
			i = space(b, i)
		}
		// A value ended before i, or the bracket at i closes an empty one.
		for {
			isObject := objects[(open-1)/64]>>((open-1)%64)&1 != 0
			switch c := peek(b, i); {
			case c == '}' && isObject, c == ']' && !isObject:
				i++
				if open--; open == 0 {
					return i, 0
				}
				i = space(b, i)
				continue
			case c != ',':
				return i, separatorFault(b, i, isObject)
			}
			i = space(b, i+1)
			if isObject {
				if i, f = skipKey(b, i); f != 0 {
					return i, f
				}
			}
			break
		}
	}
}

func separatorFault(b []byte, i int, isObject bool) fault {
	switch {
	case i >= len(b):
		return faultEnd
	case isObject:
		return faultObjectSeparator
	}
	return faultArraySeparator
}

// skipKey passes a key and its colon, and returns where the value begins.
func skipKey(b []byte, i int) (int, fault) {
	if peek(b, i) != '"' {
		if i >= len(b) {
			return i, faultEnd
		}
		return i, faultKey
	}
	i, _, f := scanString(b, i+1)
	if f != 0 {
		return i, f
	}
	i = space(b, i)
	if peek(b, i) != ':' {
		if i >= len(b) {
			return i, faultEnd
		}
		return i, faultColon
	}
	return space(b, i+1), 0
}

// scanKey reads the key of a field at i, and its colon. It returns the key, decoded if it has
// escapes, and where the value begins, or where the fault is.
func scanKey(b []byte, i int) (key []byte, value int, f fault) {
	if peek(b, i) != '"' {
		return nil, i, faultKey
	}
	end, escaped, f := scanString(b, i+1)
	if f != 0 {
		return nil, end, f
	}
	key = b[i+1 : end-1]
	if escaped {
		key = AppendUnquote(make([]byte, 0, len(key)), key)
	}
	if i = space(b, end); peek(b, i) != ':' {
		return nil, i, faultColon
	}
	return key, space(b, i+1), 0
}

func scanLiteral(b []byte, i int, word string) (int, fault) {
	if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
		return i + len(word), 0
	}
	for j := range len(word) {
		if i+j >= len(b) {
			return i + j, faultEnd
		}
		if b[i+j] != word[j] {
			break
		}
	}
	return i, faultLiteral
}

// scanNumber passes a number of RFC 8259's form.
func scanNumber(b []byte, i int) (int, fault) {
	if peek(b, i) == '-' {
		i++
	}
	if peek(b, i) == '0' {
		i++
	} else if j := digits(b, i); j > i {
		i = j
	} else {
		return i, numberFault(b, i)
	}
	if peek(b, i) == '.' {
		j := digits(b, i+1)
		if j == i+1 {
			return j, numberFault(b, j)
		}
		i = j
	}
	if c := peek(b, i); c == 'e' || c == 'E' {
		i++
		if c := peek(b, i); c == '+' || c == '-' {
			i++
		}
		j := digits(b, i)
		if j == i {
			return j, numberFault(b, j)
		}
		i = j
	}
	return i, 0
}

func digits(b []byte, i int) int {
	for uint(i) < uint(len(b)) && isDigit(b[i]) {
		i++
	}
	return i
}

func numberFault(b []byte, i int) fault {
	if i >= len(b) {
		return faultEnd
	}
	return faultNumber
}

// scanString passes the rest of a string whose opening quote is before i, and returns the index
// after the closing quote.
//
// It reads 8 bytes at a time. In stop, the highest bit of each byte says that the byte is a
// quote, a backslash or a control character. The borrow of a subtraction can set too many bits,
// but only above the first right one.
func scanString(b []byte, i int) (end int, escaped bool, f fault) {
	const (
		low  = 0x0101010101010101
		high = 0x8080808080808080
	)
	for {
		for i+8 <= len(b) {
			p := b[i : i+8 : i+8]
			w := uint64(p[0]) | uint64(p[1])<<8 | uint64(p[2])<<16 | uint64(p[3])<<24 |
				uint64(p[4])<<32 | uint64(p[5])<<40 | uint64(p[6])<<48 | uint64(p[7])<<56
			quote, backslash := w^low*'"', w^low*'\\'
			stop := high & ((quote-low)&^quote | (backslash-low)&^backslash | (w-low*' ')&^w)
			if stop != 0 {
				i += bits.TrailingZeros64(stop) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			return len(b), escaped, faultEnd
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, escaped, 0
		case c == '\\':
			escaped = true
			if i, f = scanEscape(b, i); f != 0 {
				return i, escaped, f
			}
		case c < ' ':
			return i, escaped, faultControl
		default:
			i++ // one of the last seven bytes
		}
	}
}

// scanEscape passes the escape that begins at i.
func scanEscape(b []byte, i int) (int, fault) {
	switch peek(b, i+1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, 0
	case 'u':
		for j := i + 2; j < i+6; j++ {
			if j >= len(b) {
				return j, faultEnd
			}
			if hexDigit(b[j]) < 0 {
				return j, faultEscape
			}
		}
		return i + 6, 0
	}
	if i+1 >= len(b) {
		return i + 1, faultEnd
	}
	return i + 1, faultEscape
}

func hexDigit(c byte) rune {
	switch {
	case isDigit(c):
		return rune(c - '0')
	case c|0x20-'a' < 6:
		return rune(c|0x20-'a') + 10
	}
	return -1
}
