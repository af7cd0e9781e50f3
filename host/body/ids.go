package body

import (
	"slices"

	"github.com/kai-gateway/kai/sdk"
)

// IDs collects the ids by which a request, or an answer, names what a provider keeps for its
// account, such as files, containers and responses: each once, in the order in which they
// stand there. The zero value has none, and is ready to use.
type IDs struct {
	all  []string
	seen map[string]bool // those in all, once they are many
}

// maxIDs is how many ids are looked at. If a request has more, "" is added. That id is
// nobody's, so the request is refused like one that names what another caller has.
const maxIDs = 4096

// Add adds an id; "" is none.
func (s *IDs) Add(id string) {
	switch {
	case id == "" || len(s.all) > maxIDs || s.has(id):
		return
	case len(s.all) == maxIDs:
		id = ""
	}
	if s.seen != nil {
		s.seen[id] = true
	}
	s.all = append(s.all, id)
}

// has reports whether an id was added. A few are compared one by one, which needs no
// memory.
func (s *IDs) has(id string) bool {
	const few = 16
	if s.seen == nil && len(s.all) < few {
		return slices.Contains(s.all, id)
	}
	if s.seen == nil {
		s.seen = make(map[string]bool, 2*few)
		for _, other := range s.all {
			s.seen[other] = true
		}
	}
	return s.seen[id]
}

// AddValue adds a JSON string. Any other value is no id.
func (s *IDs) AddValue(v sdk.JSON) {
	if id, ok := v.Str(); ok {
		s.Add(id)
	}
}

// All returns what was added.
func (s *IDs) All() []string { return s.all }

// Size returns about how many bytes they take.
func (s *IDs) Size() (n int64) {
	for _, id := range s.all {
		n += int64(len(id) + idBytes)
	}
	return n
}

const idBytes = 16 // what is kept of an id besides its text

// FieldsOfIDs returns the fields that name what a provider keeps, whatever object they are
// in. Their names are folded, for grammars that fold names.
//
//   - kept: the place of an id, of several, or of an object that has one as its "id"
func FieldsOfIDs(kept Place) (all []Field) {
	for _, name := range []string{
		"file_id", "file_ids", "container", "container_id", "skill_id", "vector_store_id", "vector_store_ids", "previous_response_id",
		"knowledge_id",                    // https://docs.bigmodel.cn/api-reference
		"cached_content", "cachedcontent", // https://ai.google.dev/gemini-api/docs/openai
	} {
		all = append(all, Field{Name: name, Place: kept})
	}
	return all
}

// The places whose nodes NodesOfIDs returns, counted from its first one.
const (
	AnyPlace Place = iota // whatever it is, there may be ids in it, and links
	WithID                // an id, several, or an object that has one
)

// NodesOfIDs returns the nodes of two places, AnyPlace and WithID. With these, a grammar
// finds ids in values of which it knows nothing else. first is where they will be in the
// grammar's Places. The Reader is told of strings only.
func NodesOfIDs(first Place) []Node {
	fields := FieldsOfIDs(first + WithID)
	return []Node{
		AnyPlace: {Fields: fields, Other: first + AnyPlace, Element: first + AnyPlace, Only: Strings},
		WithID:   {Fields: append([]Field{{Name: "id", Place: first + WithID}}, fields...), Other: first + AnyPlace, Element: first + WithID, Only: Strings},
	}
}

// Note adds a value if it is an id, or a link to what a provider keeps. at says at which of
// the places of NodesOfIDs it stands, from 0.
func (s *IDs) Note(at Place, v sdk.JSON) {
	if at == WithID {
		s.AddValue(v)
	} else {
		s.AddLink(v)
	}
}

// anything is the grammar of a value of which nothing is known.
var anything = Grammar{Places: append([]Node{Top: {Fields: FieldsOfIDs(First + WithID), Other: First, Element: First}, Model: {}}, NodesOfIDs(First)...), Folds: true}.Indexed()

// AddAll adds the ids and the links that stand anywhere in a value, in JSON that Scan has
// accepted.
func (s *IDs) AddAll(v sdk.JSON) {
	Visit(v, &anything, func(at Place, v sdk.JSON) { s.Note(at-First, v) }, nil)
}
