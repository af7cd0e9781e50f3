package sdk

import (
	"math/bits"
	"strconv"
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

// Bool returns the value of true and false; ok is false for anything else.
func (v JSON) Bool() (value, ok bool) {
	switch string(v.trim()) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// Int returns the value of a number that is an integer of 64 bits, however it is
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

// Float returns the value of a number; ok is false for anything else and for a
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

// Str returns the value of a string, decoded; ok is false for anything else.
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

// RawStr returns what stands between the quotes of a string, undecoded; ok is
// false for anything else.
func (v JSON) RawStr() (inside []byte, ok bool) {
	inside, _, ok = v.literal()
	return inside, ok
}

// Get returns the value of a key of a small object: the first, if there are
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

// literal returns the inside of a value that is exactly one string.
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
