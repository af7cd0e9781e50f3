package body

import (
	"bytes"
	"cmp"
	"slices"
)

// Edit replaces a range of a body's bytes by others.
type Edit struct {
	Span
	By []byte
}

// WithComma returns the range of a field with the comma that goes with it.
func WithComma(body []byte, field Span) Span {
	isSpace := func(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }
	end := field.To
	for isSpace(body[end]) {
		end++
	}
	if body[end] == ',' {
		return Span{field.From, end + 1}
	}
	start := field.From - 1
	for isSpace(body[start]) {
		start--
	}
	if body[start] == ',' {
		return Span{start, field.To}
	}
	return field
}

// withoutComma returns b without a comma at its end.
func withoutComma(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimRight(b, " \n\r\t"), []byte(","))
}

// edited is a body after its edits.
type edited struct {
	body   []byte
	fields int  // where the first field begins
	model  Span // the value of "model"; zero if there is none
}

// apply returns a copy of the body with the edits, which it sorts. Those of one place
// keep their order.
func (d *Doc) apply(edits []Edit) edited {
	slices.SortStableFunc(edits, func(a, b Edit) int { return cmp.Compare(a.From, b.From) })
	size := len(d.bytes)
	for _, e := range edits {
		size += len(e.By) - (e.To - e.From)
	}
	out := make([]byte, 0, max(size, 0))
	var model Span
	done := 0 // bytes of the body that are in out
	for _, e := range edits {
		if e.From < done {
			if e.To > done { // the last field, whose comma went with the one before it
				out = withoutComma(out)
				done = e.To
			}
			continue
		}
		if d.model.From >= done && d.model.From < e.From {
			model = d.model.shift(len(out) - done)
		}
		out = append(append(out, d.bytes[done:e.From]...), e.By...)
		done = e.To
	}
	if d.model.From >= done {
		model = d.model.shift(len(out) - done)
	}
	if d.model == (Span{}) {
		model = Span{}
	}
	return edited{append(out, d.bytes[done:]...), d.fields.From, model}
}
