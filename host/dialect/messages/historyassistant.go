package messages

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// assistant writes a message of the assistant. The cursor stands at its content. Its texts
// are joined, and thoughts and calls stand beside them.
func (t *translation) assistant(c *cursor, place at) error {
	t.beginMessage(place, `{"role":"assistant","content":`)
	t.begin(`\n`)
	t.thoughts.begin()
	t.calls = t.calls[:0]
	if c.at() == '"' {
		t.text(c.value().inside(), nil)
	} else if err := t.each(c, place, t.saidBlock); err != nil {
		return err
	}
	if len(t.calls) > 0 {
		t.end(`null`)
	} else {
		t.end(`""`)
	}
	t.out = t.thoughts.appendTo(t.out)
	if len(t.calls) > 0 {
		t.raw(`,"tool_calls":[`)
		t.out = append(t.out, t.calls...)
		t.raw(`]`)
	}
	t.raw(`}`)
	return nil
}

// saidBlock takes a block of the assistant's. Images have no place there.
func (t *translation) saidBlock(b *block, place at) error {
	switch string(b.kind) {
	case "text", "search_result":
		return t.part(b, place, textsOnly)
	case "document":
		if b.source.isObject() {
			return t.part(b, place, textsOnly)
		}
	case "thinking", "redacted_thinking":
		return t.thoughts.add(b, place)
	case "tool_use":
		return t.call(b, place)
	default:
		t.foreign(b)
	}
	return nil
}

// call writes a call of a tool to those of its message. The arguments are the text of the
// input, as it came.
func (t *translation) call(b *block, place at) error {
	if !b.id.isString() {
		return place.refuse(".id", "must be a string")
	}
	if len(b.name.inside()) == 0 {
		return place.refuse(".name", "must be a string that is not empty")
	}
	t.origins.calls = append(t.origins.calls, originOf(place))
	id := b.id.text()
	t.ids[id] = struct{}{}
	t.load(b.name)

	out := t.calls
	if len(out) > 0 {
		out = append(out, ',')
	}
	out = append(append(out, `{"id":`...), b.id...)
	out = append(out, `,"type":"function","function":{"name":`...)
	out, _ = t.appendName(out, b.name)
	out = append(out, `,"arguments":`...)
	if b.input == nil {
		out = append(out, `"{}"`...)
	} else {
		out = appendQuoted(out, b.input)
	}
	out = append(out, '}')
	out = appendFields(out, t.thoughts.ofCalls[id])
	if b.cache.isObject() {
		t.found.native = true
		if t.form.Native {
			out = append(append(out, `,"cache_control":`...), b.cache...)
		}
	}
	t.calls = append(out, '}')
	return nil
}

// appendFields appends the fields of an object behind others.
func appendFields(dst, object []byte) []byte {
	if len(object) <= len("{}") {
		return dst
	}
	dst = append(dst, ',')
	return append(dst, object[1:len(object)-1]...)
}

// appendQuoted appends the text of some JSON as a JSON string. Of control characters it
// holds nothing but white space. It looks at 8 bytes at a time, as body.Scan does.
func appendQuoted(dst, json []byte) []byte {
	const (
		low  = 0x0101010101010101
		high = 0x8080808080808080
	)
	dst = append(slices.Grow(dst, len(json)+len(json)/8+2), '"')
	from := 0
	for i := 0; i < len(json); i++ {
		for i+8 <= len(json) {
			w := binary.LittleEndian.Uint64(json[i:])
			quote, backslash := w^low*'"', w^low*'\\'
			if stop := high & ((quote-low)&^quote | (backslash-low)&^backslash | (w-low*' ')&^w); stop != 0 {
				i += bits.TrailingZeros64(stop) / 8
				break
			}
			i += 8
		}
		if i == len(json) {
			break
		}
		c := json[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue // one of the last seven
		}
		dst = append(dst, json[from:i]...)
		from = i + 1
		switch c {
		case '\n':
			c = 'n'
		case '\r':
			c = 'r'
		case '\t':
			c = 't'
		}
		dst = append(dst, '\\', c)
	}
	return append(append(dst, json[from:]...), '"')
}
