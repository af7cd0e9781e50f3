package body

import (
	"bytes"
	"fmt"
	"strconv"

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
	place    Place
	isObject bool
}

// scanner reads a body once, from start to end, without recursion: a client must not
// decide how deep the stack grows.
type scanner struct {
	b       []byte
	doc     *Doc
	grammar *Grammar
	reader  Reader
	sound   bool // strings need no check
	keys    keySet
	depth   int
	open    [maxDepth]container

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
// The gateway, the adapter and the upstream could each read another one of two fields
// with the same name, so a client could name a different model to each.
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
	for {
		next, begun, err := s.value(i)
		if err != nil {
			return err
		}
		if i = next; begun {
			continue
		}
		if i, err = s.behind(i); err != nil || s.depth == 0 {
			return err
		}
	}
}

// value reads the value that begins at i. Of a container with something in it, it reads
// only the beginning: then its first value begins at next.
func (s *scanner) value(i int) (next int, begun bool, err error) {
	switch c := s.at(i); c {
	case '"':
		next, _, err = s.string(i + 1)
	case '{', '[':
		return s.begin(i, c)
	default:
		next, err = s.scalar(i)
	}
	if err == nil && s.here > Top {
		s.note(s.here, Span{i, next}, s.keyAt)
	}
	return next, false, err
}

// begin reads the beginning of a container, whose bracket c is at i.
func (s *scanner) begin(i int, c byte) (next int, begun bool, err error) {
	if s.depth == maxDepth {
		return i, false, s.fail(i, "nested more than "+strconv.Itoa(maxDepth)+" deep; flatten the request")
	}
	here, from := s.here, i
	if s.depth == 1 {
		s.valueAt, s.topKeyAt = i, s.keyAt
	}
	if here > Model {
		s.reader.Begin(here, i)
	}
	s.open[s.depth] = container{here, c == '{'}
	s.depth++
	i = s.space(i + 1)
	if s.at(i) == c+2 { // the closing one: '}' or ']'
		if s.depth == 1 {
			s.doc.fields = Span{i, i}
		}
		if s.depth > 2 && here > Top {
			s.note(here, Span{from, i + 1}, s.keyAt)
		}
		i, err = s.close(i)
		return i, false, err
	}
	if c == '[' {
		s.here = s.grammar.element(here)
		return i, true, nil
	}
	if s.depth == 1 {
		s.doc.fields.From = i
	}
	i, err = s.key(i)
	return i, true, err
}

// behind goes on where a value ended before i: to the next one, or behind the containers
// that it is the last value of.
func (s *scanner) behind(i int) (next int, err error) {
	for s.depth > 0 {
		i = s.space(i)
		in := s.open[s.depth-1]
		switch c := s.at(i); {
		case c == ',' && in.isObject:
			return s.key(s.space(i + 1))
		case c == ',':
			s.here = s.grammar.element(in.place)
			return s.space(i + 1), nil
		case in.isObject && c != '}':
			return i, s.fail(i, "expected ',' or '}' behind a value")
		case !in.isObject && c != ']':
			return i, s.fail(i, "expected ',' or ']' behind a value")
		}
		if i, err = s.close(i); err != nil {
			return i, err
		}
	}
	return i, nil
}

// close ends the innermost container, whose last bracket is at i, and gives
// what follows. Behind the outermost nothing may.
func (s *scanner) close(i int) (int, error) {
	s.depth--
	end := i + 1
	if place := s.open[s.depth].place; place > Model {
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
		if place := s.open[1].place; place > Top {
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

// key reads a key and its colon and gives where the value begins.
func (s *scanner) key(i int) (int, error) {
	if s.at(i) != '"' {
		return i, s.fail(i, "expected a key in double quotes")
	}
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
	if s.depth == 1 {
		if err := s.name(i, key); err != nil {
			return i, err
		}
	}
	s.here = s.grammar.field(s.open[s.depth-1].place, key)
	if s.here != Elsewhere {
		s.keyAt = i
	}
	i = s.space(end)
	if s.at(i) != ':' {
		return i, s.fail(i, "expected ':' behind a key")
	}
	return s.space(i + 1), nil
}

// name takes the name of a top-level field, which begins at i.
func (s *scanner) name(i int, key []byte) error {
	folded := Fold(key)
	ours := s.grammar.Known(folded)
	switch {
	case ours && string(folded) != string(key):
		return s.wrongName(i, key, fmt.Sprintf("some servers read this field as %s: send it as %[1]s or leave it out", folded))
	case s.keys.has(folded):
		return s.wrongName(i, key, "a second field of the same name at the top level, whatever the case of its letters: send each field once")
	case s.keys.n > maxFields:
		return s.fail(i, "more than "+strconv.Itoa(maxFields)+" fields at the top level")
	case !ours:
		s.doc.foreign = append(s.doc.foreign, folded)
	}
	return nil
}
