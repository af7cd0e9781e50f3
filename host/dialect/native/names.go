package native

import (
	"bytes"
	"slices"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/sdk"
)

// Reading reads the events of one answer, or a whole one: it notes the ids that they tell, and
// replaces the upstream's name of the model by the alias. Everything else stays as it came.
type Reading struct {
	Form *Form
	Info dialect.Info

	stated string // the model that the answer said it is from
}

// found is what one event has in it.
type found struct {
	reading *Reading
	names   []modelName
	kinds   []string // the types of the item that is being read: one, as providers write them
	files   []string // ids that stand in it
}

// modelName is a name of a model.
type modelName struct {
	at   body.Span
	name string
	own  bool // the answer is from that model, as it says itself
}

// AppendEvent is Append for an event. plain says that it is written as providers write events, so
// that its keys have no escapes. Most such events name nothing.
func (r *Reading) AppendEvent(dst, data []byte, plain bool) []byte {
	if plain && !r.Form.names(data) {
		return append(dst, data...)
	}
	return r.Append(dst, data)
}

// names reports whether there may be an id or a model in an event.
func (f *Form) names(data []byte) bool {
	return !f.keyed || slices.ContainsFunc(f.naming, func(key []byte) bool { return bytes.Contains(data, key) })
}

// Append appends an event, or a whole answer, which is JSON.
func (r *Reading) Append(dst, data []byte) []byte {
	f := found{reading: r}
	body.Visit(data, &r.Form.Grammar, func(at body.Place, v sdk.JSON) {
		if role := r.Form.Roles[at]; role != Passed {
			text, _ := v.Str()
			from := cap(data) - cap(v)
			f.value(role, text, body.Span{From: from, To: from + len(v)})
		}
	}, f.end)
	from := 0
	for _, m := range f.names {
		if m.own || r.isUpstreams(m.name) {
			dst = facts.AppendString(append(dst, data[from:m.at.From]...), r.Info.Model)
			from = m.at.To
		}
	}
	return append(dst, data[from:]...)
}

func (f *found) value(role Role, text string, at body.Span) {
	switch role {
	case ID:
		f.reading.noteID(text)
	case ItemType:
		f.kinds = append(f.kinds, text)
	case ItemID:
		f.files = append(f.files, text)
	case Own, Model:
		f.names = append(f.names, modelName{at, text, role == Own})
		if role == Own {
			f.reading.stated = text
		}
	}
}

// end ends an item: the ids in it count if the provider makes such items.
func (f *found) end(at body.Place) {
	if f.reading.Form.Roles[at] != Item {
		return
	}
	for _, kind := range f.kinds {
		if f.reading.Form.Makes(kind) {
			for _, id := range f.files {
				f.reading.noteID(id)
			}
		}
	}
	f.kinds, f.files = f.kinds[:0], f.files[:0]
}

func (r *Reading) noteID(id string) {
	if id != "" && r.Info.NoteID != nil {
		r.Info.NoteID(id)
	}
}

// isUpstreams reports whether a name is the upstream's of the model that answers.
func (r *Reading) isUpstreams(name string) bool {
	return name != "" && (name == r.stated || r.Info.Upstream != nil && name == r.Info.Upstream())
}

// namesModel reports whether there may be the name of a model in an event.
func namesModel(data []byte) bool { return bytes.Contains(data, modelKey) }

var modelKey = []byte(`"model"`)
