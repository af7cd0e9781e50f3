package body

import "slices"

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

// places is how many there can be.
const places = 1 << 8

// Grammar is what a dialect says about its requests. It must not change once it is in
// use, and only what Indexed returns can be used.
type Grammar struct {
	// Needs names the field that a request is useless without, for the error about an
	// empty body.
	Needs string

	// Known are the names, folded, of the top-level fields that the gateway or an adapter
	// reads, at most 255. A field whose name only folds to one of them is refused.
	Known []string

	// Places says where each place is, by its number. It may be nil.
	Places []Node

	// Folds says that a name counts as the name of the field which it folds to, because
	// some servers read it so. The names in Fields must be folded then. Otherwise names are
	// compared byte by byte.
	Folds bool

	nodes *[places]node // nil before Indexed
}

// Node says which places are inside of one.
type Node struct {
	Fields  []Field // if the value is an object; of two with one name the first counts
	Other   Place   // its fields that are not among them
	Element Place   // if it is an array

	// Only is what the Reader is told of values at this place. Default: everything. A place
	// without a node tells everything, too.
	Only Interest
}

// Interest is what a Reader is told of the values at a place.
type Interest uint8

const (
	Strings Interest = 1 << iota // by Value
	Others                       // by Value, too: values that are no strings
	Bounds                       // by Begin and End
)

// Field is a field of an object and the place of its value.
type Field struct {
	Name  string
	Place Place
}

// Reader is told what a scan finds at the places of a grammar, in the order in which it
// stands in the body.
type Reader interface {
	// Begin and End are called when an object or an array begins, with the index of its
	// first bracket, and when it has ended, with the index after its last one.
	Begin(at Place, i int)
	End(at Place, i int)

	// Value is called for a value that has ended, if it is no container, or an empty one,
	// or a field of the top level. value is all of it, including the quotes of a string.
	// key is where the name of the last field of a place began. The result is the part of a
	// string that goes by reference; the zero Span if none does.
	Value(at Place, body []byte, value Span, key int) (long Span)
}

// node is a Node, ready to be looked at.
type node struct {
	names    names // of Fields; those at the top are the known ones, too
	element  Place
	interest Interest
}

// Indexed returns the grammar with an index of all names, so that it can be used. It panics if
// there are too many known names, or if one isn't folded.
func (g Grammar) Indexed() Grammar {
	g.nodes = new([places]node)
	none := newNames(nil, nil, Elsewhere)
	for p := range g.nodes {
		n := &g.nodes[p]
		if n.interest, n.names = Strings|Others|Bounds, none; p >= len(g.Places) {
			continue
		}
		from := g.Places[p]
		if n.element = from.Element; from.Only != 0 {
			n.interest = from.Only
		}
		n.names = newNames(from.Fields, nil, from.Other)
	}
	g.nodes[Elsewhere].interest, g.nodes[Top].interest, g.nodes[Model].interest = 0, 0, Strings|Others
	if len(g.Known) >= places || slices.ContainsFunc(g.Known, func(name string) bool { return !isFolded([]byte(name)) }) {
		panic("body: a grammar knows more than 255 names, or one that isn't folded")
	}
	var top Node
	if len(g.Places) > int(Top) {
		top = g.Places[Top]
	}
	g.nodes[Top].names = newNames(top.Fields, g.Known, top.Other)
	return g
}

// field returns the place of a field of the object at p.
func (g *Grammar) field(p Place, key []byte) Place {
	n := &g.nodes[p].names
	found := n.find(key, 0, len(key))
	if g.Folds && !n.has(found) && len(n.slots) > 1 && !isFolded(key) {
		key = Fold(key)
		found = n.find(key, 0, len(key))
	}
	return found.place
}

// element returns the place of the elements of the array at p.
func (g *Grammar) element(p Place) Place { return g.nodes[p].element }
