package sdk

import (
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// JSON is one raw JSON value, perhaps with white space around it. If it is empty, the value is
// absent, and every method answers as for a missing field.
//
// Nothing here decodes into Go values. A Reader and the iterators Object and Array walk over the
// bytes, check the syntax of everything they pass, and return slices of the bytes. They allocate
// nothing, except for keys with escapes. What they return is valid as long as the bytes are.
//
// The grammar is that of RFC 8259, with two changes. Values nest at most 512 deep. Invalid
// UTF-8 in strings is accepted; methods that decode replace each such byte by U+FFFD, as
// encoding/json does.
type JSON []byte

// maxDepth is how many objects and arrays may be inside one another.
const maxDepth = 512

// Kind is the type of a JSON value.
type Kind uint8

// The kinds of JSON. KindAbsent is also the kind of bytes that begin no value.
const (
	KindAbsent Kind = iota
	KindNull
	KindBool
	KindNumber
	KindString
	KindArray
	KindObject
)

// Kind returns the type of the value, by its first byte. It doesn't check the rest.
func (v JSON) Kind() Kind {
	return kindOf(peek(v, space(v, 0)))
}

// kindOf returns the kind of a value that begins with c.
func kindOf(c byte) Kind {
	switch c {
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
	}
	if c == '-' || isDigit(c) {
		return KindNumber
	}
	return KindAbsent
}

// Valid checks the whole value. The error is a *SyntaxError. An absent value is not valid.
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

// Empty reports whether the value means the same as its absence: it is null, false, 0, "", or
// an array or object of such values. Some servers send an empty error with a good answer.
func (v JSON) Empty() bool { return len(v) == 0 || v.empty(maxEmpty) }

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

// Bool returns the value of true or false. ok is false for anything else.
func (v JSON) Bool() (value, ok bool) {
	switch string(v.trim()) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// Int returns the value of a number that is an integer of 64 bits. It may be written in any
// form: 100, 1e2 and 100.0 are the same. ok is false for anything else.
func (v JSON) Int() (value int64, ok bool) {
	if value, ok = plainInt(v); ok || len(v) == 0 { // of a field that is missing, mostly
		return value, ok
	}
	b := v.trim()
	if end, f := scanNumber(b, 0); f != 0 || end != len(b) {
		return 0, false
	}
	negative := b[0] == '-'
	if negative {
		b = b[1:]
	}
	// The number is digits × 10^exponent. Zeros at the end of the digits so far are only
	// counted, so that they cannot overflow.
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
	return 0, false // out of range
}

// plainInt is Int for a few digits alone, as nearly all numbers are written.
func plainInt(b []byte) (value int64, ok bool) {
	const most = 18 // digits that fit into 64 bits, whatever they are
	if len(b) == 0 || len(b) > most || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		value = value*10 + int64(c-'0')
	}
	return value, true
}

func timesTen(n, digit uint64) (product uint64, ok bool) {
	hi, lo := bits.Mul64(n, 10)
	sum, carry := bits.Add64(lo, digit, 0)
	return sum, hi == 0 && carry == 0
}

// scanExponent reads the exponent after the e of a number that was checked. It stops counting
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

// Float returns the value of a number. ok is false for anything else, and for a number that is
// out of the range of float64.
func (v JSON) Float() (value float64, ok bool) {
	b := v.trim()
	if end, f := scanNumber(b, 0); f != 0 || end != len(b) {
		return 0, false
	}
	value, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return 0, false // an infinity, which can't be written as JSON
	}
	return value, true
}

// Str returns the value of a string, decoded. ok is false for anything else.
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

// AppendStr appends the value of a string to dst, decoded. For anything else ok is false and
// dst is unchanged.
func (v JSON) AppendStr(dst []byte) (out []byte, ok bool) {
	inside, _, ok := v.literal()
	if !ok {
		return dst, false
	}
	return AppendUnquote(dst, inside), true
}

// RawStr returns what is between the quotes of a string, undecoded. ok is false for anything
// else.
func (v JSON) RawStr() (inside []byte, ok bool) {
	inside, _, ok = v.literal()
	return inside, ok
}

// Inside is RawStr for a value that a Reader or an iterator has returned, which has checked it.
// So Inside only looks at the first byte.
func (v JSON) Inside() (inside []byte, ok bool) {
	if len(v) >= 2 && v[0] == '"' {
		return v[1 : len(v)-1], true
	}
	return nil, false
}

// Get returns the value of a key of an object. If the key is there several times, the first
// counts. The result is absent if there is no such key, if v is not an object, or if the syntax
// is broken before the end of the value. To read more than two keys, use Object.
func (v JSON) Get(key string) JSON {
	if len(v) >= largeValue && !mayHave(v, key) {
		return nil
	}
	// It has no iterator. In the sandbox, making one takes as long as reading a field.
	i := space(v, 0)
	if peek(v, i) != '{' {
		return nil
	}
	for {
		name, start, f := scanKey(v, space(v, i+1))
		if f != 0 {
			return nil
		}
		end, f := skip(v, start, 1)
		if f != 0 {
			return nil
		}
		if string(name) == key {
			return v[start:end]
		}
		if i = space(v, end); peek(v, i) != ',' {
			return nil
		}
	}
}

// largeValue is from how many bytes on Get first looks whether the key is there at all, which
// takes a third of the time of walking over a value.
const largeValue = 512

// mayHave reports whether a key may be somewhere in v. It looks for an underscore in the key,
// which is rare elsewhere, and for code units, as which any character can be written. Of a key
// without an underscore, or with characters that have other escapes, it knows nothing.
func mayHave(v []byte, key string) bool {
	const (
		low  = 0x0101010101010101
		high = 0x8080808080808080
	)
	at := -1
	for i := range len(key) {
		switch c := key[i]; {
		case c == '_':
			at = i
		case c < ' ' || c == '"' || c == '\\' || c == '/' || c >= 0x7f:
			return true
		}
	}
	if at < 0 {
		return true
	}
	for i := 0; i < len(v); i++ {
		if i+8 <= len(v) {
			p := v[i : i+8 : i+8]
			w := uint64(p[0]) | uint64(p[1])<<8 | uint64(p[2])<<16 | uint64(p[3])<<24 |
				uint64(p[4])<<32 | uint64(p[5])<<40 | uint64(p[6])<<48 | uint64(p[7])<<56
			underscore, backslash := w^low*'_', w^low*'\\'
			stop := high & ((underscore-low)&^underscore | (backslash-low)&^backslash)
			if stop == 0 {
				i += 7
				continue
			}
			i += bits.TrailingZeros64(stop) / 8
		}
		switch from := i - at; {
		case v[i] == '\\':
			if i++; peek(v, i) == 'u' {
				return true
			}
		case v[i] == '_' && from >= 0 && len(v)-from >= len(key) && string(v[from:from+len(key)]) == key:
			return true
		}
	}
	return false
}

func (v JSON) trim() []byte {
	v = v[space(v, 0):]
	for len(v) > 0 && isSpace(v[len(v)-1]) {
		v = v[:len(v)-1]
	}
	return v
}

// literal returns the inside of a value that is one string.
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
