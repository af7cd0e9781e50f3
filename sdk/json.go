package sdk

import (
	"math/bits"
	"strconv"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON is one raw JSON value, perhaps with white space around it. An empty one
// is an absent value: every method then answers as for a missing field.
//
// Nothing here decodes into Go values: the iterators Object and Array walk over
// the bytes, check the syntax of everything they pass and hand out slices of
// them. They allocate nothing, except for keys that hold escapes. What they
// hand out aliases the value and lives as long as its bytes do.
//
// The grammar is RFC 8259's with two additions: values nest at most 512 deep,
// and invalid UTF-8 within strings is accepted; methods that decode replace
// each such byte by U+FFFD, as encoding/json does.
type JSON []byte

// maxDepth is how many objects and arrays may enclose each other.
const maxDepth = 512

// Kind is the type of a JSON value.
type Kind uint8

// The kinds of JSON. KindAbsent is also that of bytes that begin no value.
const (
	KindAbsent Kind = iota
	KindNull
	KindBool
	KindNumber
	KindString
	KindArray
	KindObject
)

// Kind tells the type of the value by its first byte; the rest is not checked.
func (v JSON) Kind() Kind {
	switch c := peek(v, space(v, 0)); c {
	case 'n':
		return KindNull
	case 't', 'f':
		return KindBool
	case '"':
		return KindString
	case '[':
		return KindArray
	case '{':
		return KindObject
	default:
		if c == '-' || isDigit(c) {
			return KindNumber
		}
		return KindAbsent
	}
}

// Valid checks the whole value. The error is a *SyntaxError; an absent value is
// one, too.
func (v JSON) Valid() error {
	i, f := skip(v, space(v, 0), 0)
	if f == 0 {
		i = space(v, i)
		f = ending(v, i)
	}
	return syntaxError(i, f)
}

// maxEmpty is how deep Empty looks.
const maxEmpty = 8

// Empty reports whether the value says no more than its absence: null, false, 0,
// "", and arrays and objects of nothing else. So does a field for errors beside an
// answer that is none.
func (v JSON) Empty() bool { return v.empty(maxEmpty) }

func (v JSON) empty(depth int) bool {
	switch b := v.trim(); v.Kind() {
	case KindAbsent:
		return len(b) == 0
	case KindNull, KindBool:
		return b[0] != 't'
	case KindNumber:
		n, ok := v.Float()
		return ok && n == 0
	case KindString:
		return len(b) == 2
	case KindArray:
		it := Array(v)
		for it.Next() {
			if depth == 0 || !it.Value().empty(depth-1) {
				return false
			}
		}
		return it.Err() == nil
	}
	it := Object(v)
	for it.Next() {
		if depth == 0 || !it.Value().empty(depth-1) {
			return false
		}
	}
	return it.Err() == nil
}

// Bool gives the value of true and false; ok is false for anything else.
func (v JSON) Bool() (value, ok bool) {
	switch string(v.trim()) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// Int gives the value of a number that is an integer of 64 bits, however it is
// written: 100, 1e2 and 100.0 are the same. ok is false for anything else.
func (v JSON) Int() (value int64, ok bool) {
	b := v.trim()
	if end, f := scanNumber(b, 0); f != 0 || end != len(b) {
		return 0, false
	}
	negative := b[0] == '-'
	if negative {
		b = b[1:]
	}
	// The number is digits × 10^exponent; zeros that end the digits so far are
	// only counted, so that they cannot overflow.
	var digits uint64
	var zeros, exponent int
	fraction := false
	for i, c := range b {
		switch {
		case c == '.':
			fraction = true
			continue
		case c == 'e' || c == 'E':
			exponent += scanExponent(b[i+1:])
		case c == '0':
			zeros++
		default:
			for range zeros {
				if digits == 0 {
					break
				}
				if digits, ok = timesTen(digits, 0); !ok {
					return 0, false
				}
			}
			zeros = 0
			if digits, ok = timesTen(digits, uint64(c-'0')); !ok {
				return 0, false
			}
		}
		if c == 'e' || c == 'E' {
			break
		}
		if fraction {
			exponent--
		}
	}
	if digits == 0 {
		return 0, true
	}
	exponent += zeros
	if exponent < 0 {
		return 0, false
	}
	for range exponent {
		if digits, ok = timesTen(digits, 0); !ok {
			return 0, false
		}
	}
	switch {
	case negative && digits <= 1<<63:
		return -int64(digits), true
	case !negative && digits < 1<<63:
		return int64(digits), true
	}
	return 0, false // for callers that take what is no number for none
}

func timesTen(n, digit uint64) (product uint64, ok bool) {
	hi, lo := bits.Mul64(n, 10)
	sum, carry := bits.Add64(lo, digit, 0)
	return sum, hi == 0 && carry == 0
}

// scanExponent reads what follows the e of a checked number and stops counting
// far beyond any exponent that matters.
func scanExponent(b []byte) int {
	n := 0
	for _, c := range b {
		if isDigit(c) && n < 1<<30 {
			n = n*10 + int(c-'0')
		}
	}
	if b[0] == '-' {
		return -n
	}
	return n
}

// Float gives the value of a number; ok is false for anything else and for a
// number beyond the range of float64.
func (v JSON) Float() (value float64, ok bool) {
	b := v.trim()
	if end, f := scanNumber(b, 0); f != 0 || end != len(b) {
		return 0, false
	}
	value, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return 0, false // instead of an infinity, which JSON cannot pass on
	}
	return value, true
}

// Str gives the value of a string, decoded; ok is false for anything else.
func (v JSON) Str() (value string, ok bool) {
	inside, escaped, ok := v.literal()
	if !ok {
		return "", false
	}
	if !escaped && utf8.Valid(inside) {
		return string(inside), true
	}
	return string(AppendUnquote(make([]byte, 0, len(inside)), inside)), true
}

// AppendStr appends the value of a string to dst, decoded; ok is false for
// anything else, and dst is unchanged then.
func (v JSON) AppendStr(dst []byte) (out []byte, ok bool) {
	inside, _, ok := v.literal()
	if !ok {
		return dst, false
	}
	return AppendUnquote(dst, inside), true
}

// RawStr gives what stands between the quotes of a string, undecoded; ok is
// false for anything else.
func (v JSON) RawStr() (inside []byte, ok bool) {
	inside, _, ok = v.literal()
	return inside, ok
}

// Get gives the value of a key of a small object: the first, if there are
// several. It is absent if the object has no such key, if v is no object, and
// if the syntax is broken before the end of the value looked for. To read more
// than two keys, Object is the better way.
func (v JSON) Get(key string) JSON {
	for it := Object(v); it.Next(); {
		if string(it.Key()) == key {
			return it.Value()
		}
	}
	return nil
}

func (v JSON) trim() []byte {
	v = v[space(v, 0):]
	for len(v) > 0 && isSpace(v[len(v)-1]) {
		v = v[:len(v)-1]
	}
	return v
}

// literal gives the inside of a value that is exactly one string.
func (v JSON) literal() (inside []byte, escaped, ok bool) {
	b := v.trim()
	if len(b) < 2 || b[0] != '"' {
		return nil, false, false
	}
	end, escaped, f := scanString(b, 1)
	if f != 0 || end != len(b) {
		return nil, false, false
	}
	return b[1 : end-1], escaped, true
}

// ObjectIter walks over the fields of an object. Object makes one.
type ObjectIter struct {
	cursor
	key []byte
}

// Object walks over the fields of an object, in order:
//
//	it := sdk.Object(body)
//	for it.Next() {
//		switch string(it.Key()) {
//		case "done":
//			done, _ = it.Value().Bool()
//		}
//	}
//	if err := it.Err(); err != nil { … }
//
// Absent and null have no fields; anything but an object is an error of Err.
func Object(v JSON) ObjectIter {
	var it ObjectIter
	it.open(v, '{', faultObject)
	return it
}

// Next goes to the next field, whose key and value are then known to be well
// formed. It reports false at the end and at the first error.
func (it *ObjectIter) Next() bool {
	if !it.next('}', faultObjectSeparator) {
		return false
	}
	b, start := it.b, it.i+1
	if peek(b, it.i) != '"' {
		return it.fail(it.i, faultKey)
	}
	end, escaped, f := scanString(b, start)
	if f != 0 {
		return it.fail(end, f)
	}
	it.key = b[start : end-1]
	if escaped {
		it.key = AppendUnquote(make([]byte, 0, len(it.key)), it.key)
	}
	i := space(b, end)
	if peek(b, i) != ':' {
		return it.fail(i, faultColon)
	}
	return it.take(space(b, i+1))
}

// Key is the current field's key, decoded if it holds escapes and else as it
// stands, invalid UTF-8 included. switch string(it.Key()) does not allocate.
func (it *ObjectIter) Key() []byte { return it.key }

// ArrayIter walks over the elements of an array. Array makes one.
type ArrayIter struct{ cursor }

// Array walks over the elements of an array as Object does over an object's
// fields. Absent and null have none; anything but an array is an error of Err.
func Array(v JSON) ArrayIter {
	var it ArrayIter
	it.open(v, '[', faultArray)
	return it
}

// Next goes to the next element, which is then known to be well formed. It
// reports false at the end and at the first error.
func (it *ArrayIter) Next() bool {
	return it.next(']', faultArraySeparator) && it.take(it.i)
}

// cursor is what both iterators have in common.
type cursor struct {
	b     []byte
	value JSON
	i     int // next byte to read; where the fault is, if there is one
	at    position
	fault fault
}

type position uint8

const (
	first  position = iota // behind the opening bracket
	within                 // behind a value
	done
)

func (c *cursor) open(v []byte, bracket byte, f fault) {
	i := space(v, 0)
	c.b, c.i = v, i+1
	if peek(v, i) == bracket {
		return
	}
	c.at, c.i = done, i
	if i == len(v) {
		return
	}
	if v[i] != 'n' {
		c.fault = f
		return
	}
	if c.i, c.fault = scanLiteral(v, i, "null"); c.fault == 0 {
		c.end()
	}
}

// next goes to where the next field or element begins.
func (c *cursor) next(bracket byte, f fault) bool {
	if c.at == done {
		return false
	}
	b, i := c.b, space(c.b, c.i)
	switch {
	case peek(b, i) == bracket:
		c.i = i + 1
		c.end()
		return false
	case c.at == first:
		c.at = within
	case peek(b, i) == ',':
		i = space(b, i+1)
	default:
		return c.fail(i, f)
	}
	c.i = i
	return true
}

// take makes the value at i the current one.
func (c *cursor) take(i int) bool {
	end, f := skip(c.b, i, 1)
	if f != 0 {
		return c.fail(end, f)
	}
	c.value = c.b[i:end]
	c.i = end
	return true
}

// end checks that only white space is left.
func (c *cursor) end() {
	c.value, c.at = nil, done
	c.i = space(c.b, c.i)
	c.fault = ending(c.b, c.i)
}

func (c *cursor) fail(i int, f fault) bool {
	c.value, c.at = nil, done
	c.i, c.fault = i, f
	return false
}

// Value is the current field's or element's value.
func (c *cursor) Value() JSON { return c.value }

// Err is nil, or the *SyntaxError that ended the walk. Check it when Next has
// reported false: a walk left early knows nothing of the bytes beyond.
func (c *cursor) Err() error {
	if c.fault != 0 && c.i >= len(c.b) {
		return syntaxError(c.i, faultEnd)
	}
	return syntaxError(c.i, c.fault)
}

// SyntaxError says where and why bytes are not the JSON they should be.
type SyntaxError struct {
	Offset  int    // of the byte at fault, from the start of the value looked at
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

// fault is what is wrong with some JSON; 0 is nothing.
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

// ending is the fault of a value that should end at i.
func ending(b []byte, i int) fault {
	if i < len(b) {
		return faultTrailing
	}
	return 0
}

// peek gives the byte at i, or 0 behind the end: like any other control
// character, 0 is an error wherever peek is asked.
func peek(b []byte, i int) byte {
	if uint(i) < uint(len(b)) {
		return b[i]
	}
	return 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

func isDigit(c byte) bool { return c-'0' <= 9 }

// space skips white space from i on.
func space(b []byte, i int) int {
	for uint(i) < uint(len(b)) && b[i] <= ' ' && isSpace(b[i]) {
		i++
	}
	return i
}

// skip passes the value at i, which depth objects and arrays enclose, and gives
// where it ends, or where the fault is.
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

// skipNested is skip for objects and arrays. It keeps a bit for each one that is
// open instead of calling itself: foreign bytes must not decide how deep the
// stack grows.
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

// skipKey passes a key and its colon and gives where the value begins.
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

// scanNumber passes a number as RFC 8259 has it.
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

// scanString passes the rest of a string whose opening quote is before i and
// gives where it ends, behind the closing quote.
//
// It looks at 8 bytes at a time. In stop, the highest bit of a byte is set where
// the byte is a quote, a backslash or a control character; the borrow of a
// subtraction can set bits too many, but only above the first right one.
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

// AppendUnquote appends the text that the inside of a JSON string literal (see
// JSON.RawStr) stands for. Lone surrogates and invalid UTF-8 become U+FFFD. If
// inside is malformed, a backslash that begins no escape stands for itself.
func AppendUnquote(dst, inside []byte) []byte {
	from := 0 // what is before is appended
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

// TrimSpaceEnd gives the inside of a JSON string literal without the white space
// that its text ends in, as Unicode has it, escaped or not.
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

// lastEscape gives the character of the escape that b ends in, and the escape's
// length; 0 if it ends in none.
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

// codeUnit gives the value of the \uXXXX that b begins with, or -1.
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
