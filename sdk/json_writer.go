package sdk

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// AppendQuote appends s to dst as a JSON string, with quotes. It escapes only what JSON
// demands. Invalid UTF-8 becomes U+FFFD.
func AppendQuote(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0 // everything before was appended
	for i := plain(s, 0); i < len(s); i = plain(s, i) {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[from:i]...)
				dst = utf8.AppendRune(dst, r)
				from = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// plain skips ASCII that stands in a JSON string as it is, from i on, eight bytes at a time as
// scanString does.
func plain(s string, i int) int {
	const (
		low  = 0x0101010101010101
		high = 0x8080808080808080
	)
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		quote, backslash := w^low*'"', w^low*'\\'
		if stop := high & (w | (quote - low) | (backslash - low) | (w - low*' ')); stop != 0 {
			break
		}
	}
	for i < len(s) && s[i] >= ' ' && s[i] < utf8.RuneSelf && s[i] != '"' && s[i] != '\\' {
		i++
	}
	return i
}

// Writer writes JSON into one buffer. It writes the commas itself. The zero value is ready to
// use.
//
//	var w sdk.Writer
//	w.Object()
//	w.Key("model").String("granite4:tiny-h")
//	w.Key("stream").Bool(true)
//	w.Key("messages").Array()
//	…
//	w.End()
//	w.End()
//	body := w.Bytes()
//
// Its caller must write a key before each value of an object, and one value in all; Writer does
// not check that. It panics at 64 open objects and arrays, or at an End without a beginning:
// adapters build requests of a fixed depth, and write foreign JSON with Raw.
type Writer struct {
	buf     []byte
	objects uint64 // bit n: the nth open bracket is an object's
	open    int
	comma   bool // a value was written before
}

// Reset begins anew and appends to dst, which may be nil.
func (w *Writer) Reset(dst []byte) { *w = Writer{buf: dst} }

// Bytes returns what was written: the Writer's own buffer.
func (w *Writer) Bytes() []byte { return w.buf }

// Object begins an object.
func (w *Writer) Object() { w.begin('{', 1) }

// Array begins an array.
func (w *Writer) Array() { w.begin('[', 0) }

// End ends the innermost object or array that is open.
func (w *Writer) End() {
	w.open--
	if w.open < 0 {
		panic("sdk: Writer.End without a beginning")
	}
	bracket := byte(']')
	if w.objects>>w.open&1 != 0 {
		bracket = '}'
	}
	w.buf = append(w.buf, bracket)
	w.comma = true
}

// Key writes a key, and returns the Writer. The key's value must be written next.
func (w *Writer) Key(key string) *Writer {
	w.separate()
	w.buf = append(AppendQuote(w.buf, key), ':')
	w.comma = false
	return w
}

// String writes a string, quoted and escaped.
func (w *Writer) String(s string) {
	w.separate()
	w.buf = AppendQuote(w.buf, s)
}

// RawString writes a string whose inside is given (see JSON.RawStr).
func (w *Writer) RawString(inside []byte) {
	w.separate()
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, inside...)
	w.buf = append(w.buf, '"')
}

// Raw writes a value as it is. An absent value becomes null.
func (w *Writer) Raw(v JSON) {
	if len(v) == 0 {
		w.Null()
		return
	}
	w.separate()
	w.buf = append(w.buf, v...)
}

// Int writes an integer.
func (w *Writer) Int(n int64) {
	w.separate()
	w.buf = strconv.AppendInt(w.buf, n, 10)
}

// Float writes a number in its shortest form. Infinities and NaN, which JSON doesn't have,
// become null.
func (w *Writer) Float(f float64) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		w.Null()
		return
	}
	w.separate()
	w.buf = strconv.AppendFloat(w.buf, f, 'g', -1, 64)
}

// Bool writes true or false.
func (w *Writer) Bool(b bool) {
	w.separate()
	w.buf = strconv.AppendBool(w.buf, b)
}

// Null writes null.
func (w *Writer) Null() {
	w.separate()
	w.buf = append(w.buf, "null"...)
}

func (w *Writer) begin(bracket byte, object uint64) {
	if w.open == 64 {
		panic("sdk: Writer nests more than 64 deep")
	}
	w.separate()
	w.buf = append(w.buf, bracket)
	w.objects = w.objects&^(1<<w.open) | object<<w.open
	w.open++
	w.comma = false
}

// separate writes the comma before a key or value that needs one.
func (w *Writer) separate() {
	if w.comma {
		w.buf = append(w.buf, ',')
	}
	w.comma = true
}
