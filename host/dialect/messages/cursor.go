package messages

import (
	"bytes"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/sdk"
)

// value is one JSON value as it stands in the client's body, without white space around
// it. It is nil if a field is absent or null.
type value []byte

func (v value) isString() bool { return len(v) > 0 && v[0] == '"' }
func (v value) isObject() bool { return len(v) > 0 && v[0] == '{' }
func (v value) isArray() bool  { return len(v) > 0 && v[0] == '[' }
func (v value) isTrue() bool   { return len(v) > 0 && v[0] == 't' }
func (v value) isBool() bool   { return len(v) > 0 && (v[0] == 't' || v[0] == 'f') }

// inside returns what stands between the quotes of a string; nil of anything else.
func (v value) inside() []byte {
	if !v.isString() {
		return nil
	}
	return v[1 : len(v)-1]
}

// text returns the text of a string; "" of anything else.
func (v value) text() string { return string(unquoted(v.inside())) }

// word is text without a copy, for a comparison.
func (v value) word() []byte { return unquoted(v.inside()) }

// isEmpty reports whether a value holds nothing: an empty string, array or object.
func (v value) isEmpty() bool {
	switch {
	case len(v) == 0 || v.isString() && len(v) == 2:
		return true
	case v.isArray() || v.isObject():
		return len(bytes.TrimSpace(v[1:len(v)-1])) == 0
	}
	return false
}

// unquoted returns the text that the inside of a string stands for.
func unquoted(inside []byte) []byte {
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	return sdk.AppendUnquote(nil, inside)
}

// cursor walks over JSON that was checked before. It reads every byte once and calls
// nothing recursively: what isn't entered is skipped.
//
//	c := cursor{b: object}
//	for c.enter(); c.next(); {
//		switch string(c.key()) {
//		case "type":
//			kind = c.value()
//		default:
//			c.value()
//		}
//	}
//
// The value that next has found must be taken with value, or entered and walked to its
// end, before next is called again.
type cursor struct {
	b []byte
	i int
}

// enter goes into the object or array at which the cursor stands.
func (c *cursor) enter() { c.i++ }

// next goes to the next field or element. At the end it goes behind the bracket and
// returns false.
func (c *cursor) next() bool {
	c.space()
	switch c.b[c.i] {
	case ',':
		c.i++
		c.space()
	case ']', '}':
		c.i++
		return false
	}
	return true
}

// key returns the name of a field and goes to its value.
func (c *cursor) key() []byte {
	from := c.i + 1
	c.string()
	key := c.b[from : c.i-1]
	c.space()
	c.i++ // the colon
	c.space()
	return unquoted(key)
}

// value returns the value at which the cursor stands and goes behind it; nil for null.
func (c *cursor) value() value {
	from := c.i
	c.skip()
	if c.b[from] == 'n' {
		return nil
	}
	return value(c.b[from:c.i:c.i])
}

// at returns the first byte of the value at which the cursor stands.
func (c *cursor) at() byte { return c.b[c.i] }

func (c *cursor) space() {
	for c.i < len(c.b) && c.b[c.i] <= ' ' {
		c.i++
	}
}

// string goes behind the string at which the cursor stands.
func (c *cursor) string() { c.i = body.StringEnd(c.b, c.i+1) }

// skip goes behind the value at which the cursor stands.
func (c *cursor) skip() { c.i = body.ValueEnd(c.b, c.i) }
