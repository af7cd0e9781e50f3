package body

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/kai-gateway/kai/host/quoted"
	"github.com/kai-gateway/kai/sdk"
)

const (
	maxDepth  = 512     // objects and arrays that may enclose each other
	maxFields = 1024    // fields of the top level: far more than any API has
	maxName   = 4 << 10 // bytes of the name of such a field, as it stands in the body
)

// Span is a range of bytes, without the one at To.
type Span struct{ From, To int }

// Of returns the bytes of the range.
func (s Span) Of(b []byte) []byte { return b[s.From:s.To] }

func (s Span) shift(by int) Span { return Span{s.From + by, s.To + by} }

// container is an object or array that has not ended yet.
type container struct {
	place Place
	last  byte // its closing bracket
}

// usualDepth is how deep nearly all bodies nest. Up to that depth, containers need no
// memory of their own.
const usualDepth = 32

// scanner reads a body once, from start to end, without recursion: a client must not
// decide how deep the stack grows.
type scanner struct {
	b       []byte
	doc     *Doc
	grammar *Grammar
	reader  Reader
	sound   bool // strings need no check
	keys    keySet

	depth int                   // containers that are open
	in    container             // the innermost of them
	usual [usualDepth]container // those around it, from an empty one on
	deep  []container           // and the rest of them

	here     Place // of the value that comes next
	keyAt    int   // where the name of the last field of a place began
	valueAt  int   // where the last container of the top level began
	topKeyAt int   // and its name
}

// Scan checks that body is one JSON object in UTF-8, nested at most 512 deep. No two
// top-level fields may have the same name, and none may have one that differs from a known
// name only in a way that some server overlooks. An escape of half a character becomes
// one of U+FFFD, in body itself. On the way it notes what is needed to put another model in
// and to take long content out, and tells r what it finds at the places of g; r may be nil
// if there are none. The Doc keeps body, which must not change from then on.
//
// Of two fields with the same name, the gateway, the adapter and the upstream could each
// read a different one, so a client could name a different model to each.
//
//   - error: a *fault.Error. The Doc is useless then.
func (d *Doc) Scan(body []byte, g *Grammar, r Reader) error {
	return d.scan(&scanner{b: body, doc: d, grammar: g, reader: r, here: Top})
}

// Rescan is Scan for a body that was put together out of strings that Scan has accepted.
// It checks everything else.
func (d *Doc) Rescan(body []byte, g *Grammar, r Reader) error {
	return d.scan(&scanner{b: body, doc: d, grammar: g, reader: r, here: Top, sound: true})
}

func (d *Doc) scan(s *scanner) error {
	*d = Doc{bytes: s.b}
	i := s.space(0)
	if s.at(i) != '{' {
		return s.notAnObject(i)
	}
	return s.object(i)
}

// object reads the body, whose first brace is at i.
func (s *scanner) object(i int) error {
	b, nodes := s.b, s.grammar.nodes
	for {
		// A value begins at i. Of a container with something in it, only the beginning is read:
		// then its first value begins at next.
		var next int
		var err error
		switch c := at(b, i); c {
		case '"':
			if next = quoted.ShortEnd(b, i+1); next == 0 {
				if next, _, err = s.string(i + 1); err != nil {
					return err
				}
			}
			if nodes[s.here].interest&Strings != 0 {
				s.note(s.here, Span{i, next}, s.keyAt)
			}
		case '{', '[':
			var begun bool
			if next, begun, err = s.begin(i, c); err != nil {
				return err
			}
			if i = next; begun {
				continue
			}
		default:
			var ok bool
			if next, ok = Scalar(b, i); !ok {
				return s.noScalar(i, next)
			}
			if nodes[s.here].interest&Others != 0 {
				s.note(s.here, Span{i, next}, s.keyAt)
			}
		}
		if at(b, next) == ',' && s.in.last == '}' { // as most values end
			i, err = s.key(s.space(next + 1))
		} else {
			i, err = s.behind(next)
		}
		if err != nil || s.depth == 0 {
			return err
		}
	}
}

// begin reads the beginning of a container, whose bracket c is at i. If there is something in it,
// its first value begins at next.
func (s *scanner) begin(i int, c byte) (next int, begun bool, err error) {
	depth := s.depth
	if depth == maxDepth {
		return i, false, s.fail(i, "nested more than "+strconv.Itoa(maxDepth)+" deep; flatten the request")
	}
	here, from, last := s.here, i, c+2 // '}' or ']'
	if depth == 1 {
		s.valueAt, s.topKeyAt = i, s.keyAt
	}
	interest := s.grammar.nodes[here].interest
	if interest&Bounds != 0 {
		s.reader.Begin(here, i)
	}
	s.push(container{here, last})
	i = s.space(i + 1)
	if s.at(i) == last {
		if depth == 0 {
			s.doc.fields = Span{i, i}
		}
		if depth > 1 && interest&Others != 0 {
			s.note(here, Span{from, i + 1}, s.keyAt)
		}
		i, err = s.close(i)
		return i, false, err
	}
	if c == '[' {
		s.here = s.grammar.element(here)
		return i, true, nil
	}
	if depth == 0 {
		s.doc.fields.From = i
	}
	i, err = s.key(i)
	return i, true, err
}

// push makes a container the innermost one.
func (s *scanner) push(c container) {
	if s.depth < usualDepth {
		s.usual[s.depth] = s.in
	} else {
		s.deep = append(s.deep, s.in)
	}
	s.depth++
	s.in = c
}

// pop leaves the innermost container.
func (s *scanner) pop() {
	if s.depth--; s.depth < usualDepth {
		s.in = s.usual[s.depth]
		return
	}
	last := len(s.deep) - 1
	s.in, s.deep = s.deep[last], s.deep[:last]
}

// behind goes on after a value that ended before i: to the next value, or past the
// containers whose last value it was.
func (s *scanner) behind(i int) (next int, err error) {
	for s.depth > 0 {
		i = s.space(i)
		in := s.in
		switch c := s.at(i); {
		case c == ',' && in.last == '}':
			return s.key(s.space(i + 1))
		case c == ',':
			s.here = s.grammar.element(in.place)
			return s.space(i + 1), nil
		case c != in.last:
			return i, s.fail(i, "expected ',' or '"+string(in.last)+"' behind a value")
		}
		if i, err = s.close(i); err != nil {
			return i, err
		}
	}
	return i, nil
}

// close ends the innermost container, whose closing bracket is at i, and returns the
// index after it. Nothing may follow the outermost one.
func (s *scanner) close(i int) (int, error) {
	end, place := i+1, s.in.place
	s.pop()
	interest := s.grammar.nodes[place].interest
	if interest&Bounds != 0 {
		s.reader.End(place, end)
	}
	switch s.depth {
	case 0:
		s.doc.fields.To = i
		if i = s.space(end); i < len(s.b) {
			return i, s.fail(i, "something follows the object; send one object")
		}
		return i, nil
	case 1:
		if interest&Others != 0 {
			s.note(place, Span{s.valueAt, end}, s.topKeyAt)
		}
	}
	return end, nil
}

// note takes a value at a place of interest.
func (s *scanner) note(at Place, value Span, key int) {
	if at == Model {
		s.doc.model = value
		return
	}
	if long := s.reader.Value(at, s.b, value, key); long != (Span{}) {
		s.doc.long = append(s.doc.long, long)
	}
}

// key reads a key and its colon, and returns where the value begins.
func (s *scanner) key(i int) (int, error) {
	b := s.b
	if at(b, i) != '"' {
		return i, s.fail(i, "expected a key in double quotes")
	}
	end := quoted.ShortEnd(b, i+1)
	if end == 0 {
		var err error
		if end, err = s.longKey(i); err != nil {
			return end, err
		}
	} else if n := &s.grammar.nodes[s.in.place].names; len(n.slots) == 1 && s.depth > 1 {
		s.here = n.slots[0].place
	} else {
		// This is what field does for most keys, without another call. ShortEnd has looked
		// at 8 bytes.
		size := end - i - 2
		head, tail := load(b, i+1), uint64(0)
		if size >= 8 {
			tail = load(b, end-9)
		} else {
			head &= below(size)
		}
		found := n.guess(head, tail, size)
		if size > 16 || !found.is(head, tail, size) || s.depth == 1 && (found.known == 0 || s.keys.n >= maxFields || s.keys.hasKnown(found.known)) {
			if err := s.field(i, b[i+1:end-1]); err != nil {
				return i, err
			}
		} else {
			s.here = found.place
		}
	}
	if s.here != Elsewhere {
		s.keyAt = i
	}
	if i = s.space(end); at(b, i) != ':' {
		return i, s.fail(i, "expected ':' behind a key")
	}
	return s.space(i + 1), nil
}

// longKey reads a key that is long or has escapes, and returns where it ends.
func (s *scanner) longKey(i int) (end int, err error) {
	end, escaped, err := s.string(i + 1)
	if err != nil {
		return end, err
	}
	key := s.b[i+1 : end-1]
	if s.depth == 1 && len(key) > maxName {
		return i, badBody(s.position(i) + ": a name of more than " + strconv.Itoa(maxName) + " bytes at the top level")
	}
	if escaped || s.sound && bytes.IndexByte(key, '\\') >= 0 {
		key = sdk.AppendUnquote(nil, key)
	}
	return end, s.field(i, key)
}

// field takes the name of a field, which begins at i, and finds the place of its value.
func (s *scanner) field(i int, key []byte) error {
	if s.depth > 1 {
		s.here = s.grammar.field(s.in.place, key)
		return nil
	}
	top := &s.grammar.nodes[Top].names
	found, second := top.find(key, 0, len(key)), false
	if found.known != 0 {
		second = s.keys.hasKnown(found.known)
	} else {
		folded := Fold(key)
		if string(folded) != string(key) {
			other := top.find(folded, 0, len(folded))
			if other.known != 0 {
				return s.wrongName(i, key, fmt.Sprintf("some servers read this field as %s: send it as %[1]s or leave it out", folded))
			}
			if s.grammar.Folds && !top.has(found) {
				found = other
			}
		}
		if second = s.keys.has(s.doc.foreign, folded); !second {
			s.doc.foreign = append(s.doc.foreign, folded)
		}
	}
	switch {
	case second:
		return s.wrongName(i, key, "a second field of the same name at the top level, whatever the case of its letters: send each field once")
	case s.keys.n > maxFields:
		return s.fail(i, "more than "+strconv.Itoa(maxFields)+" fields at the top level")
	}
	s.here = found.place
	return nil
}
