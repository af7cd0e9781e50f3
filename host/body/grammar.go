package body

// Place is where in a request a value stands. A dialect numbers its own places from
// First on.
type Place uint8

// The places that every dialect has.
const (
	Elsewhere Place = iota // of no interest
	Top                    // the object itself
	Model                  // its field "model"
	First
)

// Grammar is what a dialect says about its requests. It must not change once it is in
// use.
type Grammar struct {
	// Needs names the field that a request is useless without, for the error about an
	// empty body.
	Needs string

	// Known reports whether a name, folded, is one of a top-level field that the gateway
	// or an adapter reads. A field whose name only folds to a known one is refused.
	Known func(folded []byte) bool

	// Places says where each place is, by its number. It may be nil.
	Places []Node

	// Folds says that a name is that of the field which it folds to, as some servers read it. The
	// names of fields are folded, then. Otherwise, names are compared byte by byte.
	Folds bool

	marks []uint64 // of the names of the fields at each place; nil before Indexed
}

// Indexed returns the grammar with an index of the names of its fields, so that those which are
// not among them are known faster.
func (g Grammar) Indexed() Grammar {
	g.marks = make([]uint64, len(g.Places))
	for p := range g.Places {
		for _, f := range g.Places[p].Fields {
			g.marks[p] |= markOf(f.Name)
		}
	}
	return g
}

// Node says which places are inside of one.
type Node struct {
	Fields  []Field // if the value is an object
	Other   Place   // its fields that are not among them
	Element Place   // if it is an array
}

// Field is a field of an object and the place of its value.
type Field struct {
	Name  string
	Place Place
}

// Reader takes what a scan finds at the places of a grammar, in the order in which it
// stands in the body.
type Reader interface {
	// Begin and End are called when an object or an array begins, with the place of its
	// first bracket, and when it has ended, with what follows the last.
	Begin(at Place, i int)
	End(at Place, i int)

	// Value is called when a value has ended that is no container, or an empty one, or a
	// field of the top level. value is all of it, the quotes of a string included; key is
	// where the name of the last field of a place began. It returns the part of a string
	// that goes by reference; the zero Span if none does.
	Value(at Place, body []byte, value Span, key int) (long Span)
}

// field returns the place of a field of the object at p.
func (g *Grammar) field(p Place, key []byte) Place {
	if int(p) >= len(g.Places) {
		return Elsewhere
	}
	node := &g.Places[p]
	if len(node.Fields) == 0 {
		return node.Other
	}
	place, ok := g.named(p, key)
	if !ok && g.Folds && !isFolded(key) {
		place, ok = g.named(p, Fold(key))
	}
	if !ok {
		return node.Other
	}
	return place
}

// named returns the place of the field of the object at p that has exactly that name.
func (g *Grammar) named(p Place, key []byte) (_ Place, ok bool) {
	if int(p) < len(g.marks) && g.marks[p]&markOf(key) == 0 {
		return Elsewhere, false
	}
	fields := g.Places[p].Fields
	for i := range fields {
		if string(key) == fields[i].Name {
			return fields[i].Place, true
		}
	}
	return Elsewhere, false
}

// element returns the place of the elements of the array at p.
func (g *Grammar) element(p Place) Place {
	if int(p) >= len(g.Places) {
		return Elsewhere
	}
	return g.Places[p].Element
}
