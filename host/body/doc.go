// Package body reads the body of a client's request, whatever its API: it checks that it
// is JSON that every reader understands in the same way, notes the few things that are
// needed, and replaces bytes in it.
//
// A body is never decoded and encoded again. What Kai does not know passes unchanged, and
// long content goes by reference. What stands where is up to the dialect, which says so
// with a [Grammar].
//
// Errors are *fault.Error. They say where the request is wrong and what would be right,
// and never repeat content. The package does no I/O.
package body

import (
	"bytes"
	"slices"

	"github.com/kai-gateway/kai/sdk"
)

// Doc is a body that was scanned. Scan makes it and Mend completes it; after that it never
// changes and is safe for concurrent use.
type Doc struct {
	bytes    []byte
	edits    []Edit
	abridged *abridged // nil if nothing is edited and no content is long

	fields  Span     // what is between the braces of the top level
	model   Span     // the value of "model"; zero if there is none
	long    []Span   // content that goes by reference, without quotes, in order
	foreign [][]byte // names of fields that the grammar doesn't know, folded
}

// Extend puts b in the place of the body that was scanned, which is the beginning of b: b
// goes on where that body had its last two brackets.
//
//   - long: what goes by reference in the rest, in order
func (d *Doc) Extend(b []byte, long []Span) {
	d.bytes, d.fields.To = b, len(b)-1
	d.long = append(d.long, long...)
}

// Mend makes the edits, whose order it may change. It must be called once after Scan, even
// without edits. It returns the edited body with a token in place of each long content. The
// caller must not change it.
func (d *Doc) Mend(edits []Edit) []byte {
	d.edits = edits
	if len(d.long) == 0 && len(d.edits) == 0 {
		return d.bytes
	}
	d.abridged = abridge(d)
	return d.abridged.body
}

// Without returns the same body without some fields. The range of each begins with the
// field's name. The fields may be those of any object.
func (d *Doc) Without(fields ...Span) Doc {
	left := *d
	edits := slices.Clone(d.edits)
	for _, field := range fields {
		edits = append(edits, Edit{Span: WithComma(d.bytes, field)})
	}
	left.Mend(edits)
	return left
}

// Whole returns the body that was scanned, without edits. It must not be changed.
func (d *Doc) Whole() []byte { return d.bytes }

// Model returns the value of "model" as it stands in the body; nothing if there is none.
func (d *Doc) Model() []byte { return d.model.Of(d.bytes) }

// ModelAt returns where that value begins.
func (d *Doc) ModelAt() int { return d.model.From }

// Has returns the first of names that a field has and that the grammar doesn't know; "" if
// there is none. The case of letters doesn't matter, because upstreams may ignore it.
func (d *Doc) Has(names []string) string {
	for _, foreign := range d.foreign {
		for _, name := range names {
			if string(foreign) == string(Fold([]byte(name))) {
				return name
			}
		}
	}
	return ""
}

// Size returns how many bytes the Doc keeps besides the body: at most about twice the
// body's length.
func (d *Doc) Size() int64 {
	size := d.edited()
	if d.abridged != nil {
		size += len(d.abridged.body)
	}
	return int64(size)
}

// edited returns how many bytes the edits have.
func (d *Doc) edited() (size int) {
	for _, e := range d.edits {
		size += len(e.By)
	}
	return size
}

// Len returns about how many bytes Body allocates or, with plain false, Short.
func (d *Doc) Len(plain bool) int64 {
	switch {
	case !plain && d.abridged != nil:
		return int64(len(d.abridged.body))
	case len(d.edits) > 0:
		return int64(2 * (len(d.bytes) + d.edited()))
	}
	return int64(len(d.bytes))
}

// Body returns the whole body with upstreamModel as its model, which becomes the first
// field if there is none. The caller must not modify it.
func (d *Doc) Body(upstreamModel string) []byte {
	if len(d.edits) > 0 {
		e := d.apply(d.edits)
		return withModel(e.body, e.fields, e.model, upstreamModel)
	}
	return withModel(d.bytes, d.fields.From, d.model, upstreamModel)
}

// Short is Body with a token in place of each long content, whose bytes refs has. Without
// long content refs is nil, which is valid.
func (d *Doc) Short(upstreamModel string) (body []byte, refs *Refs) {
	if d.abridged == nil {
		return d.Body(upstreamModel), nil
	}
	a := d.abridged
	body = withModel(a.body, a.fields, a.model, upstreamModel)
	if len(d.long) == 0 {
		return body, nil
	}
	return body, newRefs(a, d.bytes, d.long)
}

// withModel returns the object in body with a model: instead of the value at old,
// or, if there is none, in front of the fields.
func withModel(body []byte, fields int, old Span, model string) []byte {
	out := make([]byte, 0, len(body)+len(model)+len(`"model":"",`))
	if old == (Span{}) {
		out = append(out, body[:fields]...)
		out = append(out, `"model":`...)
		out = sdk.AppendQuote(out, model)
		if rest := bytes.TrimLeft(body[fields:], " \n\r\t"); len(rest) > 0 && rest[0] != '}' {
			out = append(out, ',')
		}
		return append(out, body[fields:]...)
	}
	out = append(out, body[:old.From]...)
	out = sdk.AppendQuote(out, model)
	return append(out, body[old.To:]...)
}
