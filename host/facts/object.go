package facts

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk/abi"
)

const maxFields = 64 // fields of one object

// KeepBetween is the size in bytes of the largest buffer that is kept from one event to
// the next.
const KeepBetween = 4 << 10

// Object is a JSON object that is merged from several. Its fields keep the order in
// which they first came. The zero value is empty.
type Object struct{ fields []field }

// field is a field of an object: a value, or an object that is merged in turn.
type field struct {
	key   []byte // inside of a string literal, see canonical
	value []byte // JSON on one line; unused if nest isn't nil
	nest  *Object
}

// Empty reports whether there are no fields.
func (o *Object) Empty() bool { return len(o.fields) == 0 }

// Reset empties the object and keeps small buffers.
func (o *Object) Reset() {
	for i := range o.fields {
		f := &o.fields[i]
		f.nest = nil
		if cap(f.value) > KeepBetween {
			f.value = nil
		}
	}
	o.fields = o.fields[:0]
}

// find returns the field of a key, which has no escapes; nil if there is none.
func (o *Object) find(key string) *field {
	for i := range o.fields {
		if string(o.fields[i].key) == key {
			return &o.fields[i]
		}
	}
	return nil
}

// field returns the field of a key, and adds it without a value if there is none. value is
// the value that it will probably get. The memory for both is taken from room. It returns
// nil if there would be too many fields.
func (o *Object) field(key, value []byte, room *room) *field {
	for i := range o.fields {
		if bytes.Equal(o.fields[i].key, key) {
			return &o.fields[i]
		}
	}
	n := len(o.fields)
	if n == maxFields {
		return nil
	}
	o.fields = slices.Grow(o.fields, 1)[:n+1]
	f := &o.fields[n]
	if f.key == nil {
		f.key, f.value = room.take(len(key)), room.take(len(value))
	}
	f.key, f.value, f.nest = append(f.key[:0], key...), f.value[:0], nil
	return f
}

// prepare makes room for the fields of the first object that has any, in two pieces of
// memory. A large object gets no room, because one small field would keep all of it. An
// object may have more colons than fields, so there is never more room than for fields of
// the usual length.
func (o *Object) prepare(raw []byte, room *room) {
	if o.fields == nil && len(raw) <= 1<<10 {
		o.fields = make([]field, 0, min(bytes.Count(raw, colon), maxFields, 1+len(raw)/usualField))
		*room = make([]byte, len(raw))
	}
}

// usualField is about how many bytes a field of a usage or of an extra has.
const usualField = 16

var colon = []byte(":")

// room is memory for the keys and values of an object, while it is merged.
type room []byte

// take returns an empty slice with room for n bytes, or nil if there is not enough room
// left.
func (r *room) take(n int) []byte {
	if n > len(*r) {
		return nil
	}
	taken := (*r)[:0:n]
	*r = (*r)[n:]
	return taken
}

// set sets the field's value. In an array, it removes the white space after the first
// bracket and before the last, so that others can be joined to it.
func (f *field) set(value []byte) {
	f.nest = nil
	if value[0] == '[' {
		f.value = append(AppendElements(append(f.value[:0], '['), value), ']')
		return
	}
	f.value = appendJSON(f.value[:0], value)
}

// isOneOf reports whether a key is among keys.
func isOneOf(keys []string, key []byte) bool {
	for _, k := range keys {
		if string(key) == k {
			return true
		}
	}
	return false
}

// Merge adds the fields of raw, a JSON object in a fact of that kind, except the reserved
// ones. Arrays are joined, null replaces nothing, and of other values the last one counts.
// The error is for more than 64 fields.
func (o *Object) Merge(kind abi.Kind, raw []byte, reserved []string) *fault.Error {
	var room room
	for m := newMembers(raw); m.next(); {
		if isOneOf(reserved, m.key) {
			continue
		}
		o.prepare(raw, &room)
		f := o.field(m.key, m.value, &room)
		switch {
		case f == nil:
			return tooManyError(kind.String())
		case len(f.value) == 0:
			f.set(m.value)
		case m.value[0] == 'n':
		case m.value[0] == '[' && f.value[0] == '[':
			f.value = append(AppendElements(f.value[:len(f.value)-1], m.value), ']')
		default:
			f.set(m.value)
		}
	}
	return nil
}

// mergeLeaves adds the fields of a JSON object leaf by leaf. It reports false if there are too
// many, and then adds no more.
func (o *Object) mergeLeaves(raw []byte, depth int) bool {
	var room room
	for m := newMembers(raw); m.next(); {
		if !o.mergeLeaf(&m, raw, depth, &room) {
			return false
		}
	}
	return true
}

// mergeLeaf adds a field of the JSON object raw: null replaces nothing, and otherwise the last
// value counts. Objects are merged in turn down to depth; deeper ones are leaves. Numbers in
// quotes become numbers. It reports false if there are too many fields. room is what is left for
// fields of raw.
func (o *Object) mergeLeaf(m *members, raw []byte, depth int, room *room) bool {
	o.prepare(raw, room)
	f := o.field(m.key, m.value, room)
	switch {
	case f == nil:
		return false
	case m.value[0] == '{' && depth > 1:
		if f.nest == nil {
			f.nest = &Object{}
		}
		return f.nest.mergeLeaves(m.value, depth-1)
	case m.value[0] == 'n' && (f.nest != nil || len(f.value) > 0):
	default:
		f.set(unquoted(m.value))
	}
	return true
}

// AppendTo appends the fields, each after a comma.
func (o *Object) AppendTo(dst []byte) []byte {
	for i := range o.fields {
		dst = append(dst, ',')
		dst = o.fields[i].appendTo(dst)
	}
	return dst
}

func (f *field) appendTo(dst []byte) []byte {
	dst = append(dst, '"')
	dst = append(dst, f.key...)
	dst = append(dst, `":`...)
	if f.nest == nil {
		return append(dst, f.value...)
	}
	dst = append(dst, '{')
	for i := range f.nest.fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = f.nest.fields[i].appendTo(dst)
	}
	return append(dst, '}')
}

// members iterates over the fields of a JSON object that is known to be valid. On
// anything else it ends early.
type members struct {
	rest  []byte
	key   []byte // inside of a string literal, see canonical
	value []byte // never empty
}

func newMembers(object []byte) members {
	object = behind(object, 0)
	if len(object) == 0 || object[0] != '{' {
		return members{}
	}
	return members{rest: object[1:]}
}

// next goes to the next field and reports whether there is one.
func (m *members) next() bool {
	b := behind(m.rest, ',')
	n := stringEnd(b)
	if n == 0 {
		return false
	}
	m.key = canonical(b[1 : n-1])
	b = behind(b[n:], ':')
	n = valueEnd(b)
	if n == 0 {
		return false
	}
	m.value, m.rest = b[:n], b[n:]
	return true
}

// behind returns b without the white space and the separators at its beginning.
func behind(b []byte, separator byte) []byte {
	for len(b) > 0 {
		switch c := b[0]; {
		case c == ' ', c == '\t', c == '\r', c == '\n', c == separator && c != 0:
			b = b[1:]
		default:
			return b
		}
	}
	return b
}

// stringEnd returns the length of the string literal at the start of b, 0 if there is
// none.
func stringEnd(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return 0
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// valueEnd returns the length of the JSON value at the start of b, 0 if there is none.
func valueEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			n := stringEnd(b[i:])
			if n == 0 {
				return 0
			}
			if depth == 0 {
				return i + n
			}
			i += n - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return 0
}

// canonical returns a key escaped in one way only, so that keys can be compared as bytes:
// "\u0069d" and "id" are the same key.
func canonical(key []byte) []byte {
	if bytes.IndexByte(key, '\\') < 0 {
		return key
	}
	var s string
	if json.Unmarshal(slices.Concat([]byte{'"'}, key, []byte{'"'}), &s) != nil {
		return key
	}
	return appendInside(nil, s)
}
