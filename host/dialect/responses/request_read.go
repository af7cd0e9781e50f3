package responses

import (
	"slices"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

// The places of a request that Kai looks at while its body is checked, so that nothing
// long is passed twice.
const (
	atField     = body.First + iota // a field of the top level
	atInput                         // input
	atItem                          // input[]
	atItemField                     // a field of an item; they are numbered from here on
)

// itemFieldNames are the fields of items that Kai reads, in the order of their numbers.
var itemFieldNames = [...]string{
	"type", "id", "role", "content", "call_id", "name", "namespace", "arguments", "input", "output", "summary",
	"encrypted_content", "tools", "action", "operation", "execution", "status",
}

// grammar is the form of a request.
var grammar = newGrammar()

func newGrammar() body.Grammar {
	top := []body.Field{{Name: "model", Place: body.Model}, {Name: "input", Place: atInput}}
	known := slices.Concat(ownFields, sameFields)
	for _, name := range known {
		if name != "model" && name != "input" {
			top = append(top, body.Field{Name: name, Place: atField})
		}
	}
	var ofItem []body.Field
	for i, name := range itemFieldNames {
		ofItem = append(ofItem, body.Field{Name: name, Place: atItemField + body.Place(i)})
	}
	return body.Grammar{Needs: "input", Known: known, Places: []body.Node{
		body.Top: {Fields: top}, atInput: {Element: atItem}, atItem: {Fields: ofItem},
	}}.Indexed()
}

// reading is what is noted of a request while its body is checked.
type reading struct {
	body   []byte
	fields fields
	items  []item
	spans  []fieldSpan  // of the fields of all items, in order
	err    *fault.Error // for the first item that isn't one
	from   int          // where the last object or array of interest began
}

// fieldSpan is where in the body the value of an item's field stands.
type fieldSpan struct {
	field    uint8  // its number
	from, to uint32 // bodies have at most 1 GiB
}

// read checks a body and notes what is in it. The error is a *fault.Error.
func (r *reading) read(b []byte) error {
	r.body, r.fields = b, fields{}
	r.items, r.spans = make([]item, 0, 16+len(b)/1024), make([]fieldSpan, 0, 64+len(b)/128)
	var doc body.Doc
	if err := doc.Scan(b, &grammar, r); err != nil {
		return err
	}
	if model := sdk.JSON(doc.Model()); len(model) > 0 && model.Kind() != sdk.KindNull {
		r.fields["model"] = model
	}
	return nil
}

// Begin notes where an item begins, or a field of it.
func (r *reading) Begin(at body.Place, i int) {
	r.from = i
	if at == atItem {
		r.items = append(r.items, item{at: int32(len(r.items)), raw: r.body[i:], first: int32(len(r.spans))})
	}
}

// End notes where an item ends, or a field of it.
func (r *reading) End(at body.Place, i int) {
	switch {
	case at >= atItemField:
		r.keep(at, body.Span{From: r.from, To: i})
	case at == atItem:
		it := &r.items[len(r.items)-1]
		from := len(r.body) - len(it.raw)
		it.raw, it.last = r.body[from:i], int32(len(r.spans))
		f := it.read(r)
		r.refuse(it.classify(&f))
	}
}

// Value notes a field of the top level, and of an item, unless it is null.
func (r *reading) Value(at body.Place, b []byte, value body.Span, key int) (long body.Span) {
	first := b[value.From]
	isContainer := first == '{' || first == '['
	switch {
	case at == atItem && !isContainer:
		it := item{at: int32(len(r.items))}
		r.items = append(r.items, it)
		r.refuse(it.notAnItem())
	case at == atItem || first == 'n':
	case at == atInput:
		r.fields["input"] = value.Of(b)
	case at == atField:
		r.fields[string(nameAt(b, key))] = value.Of(b)
	case !isContainer:
		r.keep(at, value)
	}
	return body.Span{}
}

// nameAt returns the name of a field, decoded, whose quote is at i.
func nameAt(b []byte, i int) []byte {
	i++
	end := i
	for b[end] != '"' {
		if b[end] == '\\' {
			end++
		}
		end++
	}
	return sdk.AppendUnquote(nil, b[i:end])
}

func (r *reading) keep(at body.Place, value body.Span) {
	r.spans = append(r.spans, fieldSpan{uint8(at - atItemField), uint32(value.From), uint32(value.To)})
}

// refuse notes the first error of an item.
func (r *reading) refuse(err *fault.Error) {
	if r.err == nil {
		r.err = err
	}
}
