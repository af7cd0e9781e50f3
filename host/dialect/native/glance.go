package native

import (
	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/quoted"
)

// glance is what one pass over the data of an event finds.
type glance struct {
	kind  []byte           // its type, between the quotes; nil: it has none
	wrote [len(texts)]int  // which of its tokens texts lead to, counted from 1; 0: none
	outer field            // of the top level, whose value is being read
	inner field            // of the object in it
	token [maxTokens]token // strings and numbers that are values, in order
	n     int              // of them; more than maxTokens: the others are unknown
	seen  [2]uint16        // a bit for each field that was in the top level, and is in that object
}

// field is a name that the gateway looks for in an event.
type field uint8

const (
	another field = iota
	typ
	delta
	item
	text
	partialJSON
	thinking
	encrypted
)

func fieldOf(name []byte) field {
	switch string(name) {
	case "type":
		return typ
	case "delta":
		return delta
	case "item":
		return item
	case "text":
		return text
	case "partial_json":
		return partialJSON
	case "thinking":
		return thinking
	case "encrypted_content":
		return encrypted
	}
	return another
}

// deepest is how deep glanceAt looks.
const deepest = 32

// glanceAt reads the data of an event as providers write it: an object in UTF-8 without white
// space between its tokens, and not deep. ok is false of everything else, JSON or not. What it
// accepts is one line.
func glanceAt(b []byte) (g glance, ok bool) {
	var objects uint32 // a bit for each container that is open, the outermost the lowest: it is an object
	depth, i := 0, 0
	if at(b, 0) != '{' {
		return g, false
	}
	for {
		switch c := at(b, i); c {
		case '"':
			end, escaped, ok := stringEnd(b, i+1)
			if !ok {
				return g, false
			}
			g.found(depth, b[i+1:end-1], escaped)
			g.add(i+1, end-1, false)
			i = end
		case '{', '[':
			if depth == deepest {
				return g, false
			}
			bit := uint32(1) << depth
			if objects &^= bit; c == '{' {
				objects |= bit
			}
			depth++
			i++
			if at(b, i) == c+2 { // the closing one
				break
			}
			if c == '{' {
				if i, ok = g.key(b, i, depth); !ok {
					return g, false
				}
			}
			continue
		default:
			from := i
			if i, ok = body.Scalar(b, i); !ok {
				return g, false
			}
			if c == '-' || c-'0' <= 9 {
				g.add(from, i, true)
			}
		}
		more := false
		for !more && depth > 0 {
			inObject := objects>>(depth-1)&1 == 1
			switch c := at(b, i); {
			case c == ',' && inObject:
				if i, ok = g.key(b, i+1, depth); !ok {
					return g, false
				}
				more = true
			case c == ',':
				i++
				more = true
			case c == '}' && inObject, c == ']' && !inObject:
				i++
				depth--
			default:
				return g, false
			}
		}
		if !more {
			return g, i == len(b)
		}
	}
}

// key reads a key and its colon, and returns where the value begins.
func (g *glance) key(b []byte, i, depth int) (int, bool) {
	if at(b, i) != '"' {
		return i, false
	}
	end, escaped, ok := stringEnd(b, i+1)
	if !ok || escaped || at(b, end) != ':' {
		return i, false
	}
	switch depth {
	case 1:
		g.outer, g.inner, g.seen[1] = g.first(0, b[i+1:end-1]), another, 0
	case 2:
		g.inner = g.first(1, b[i+1:end-1])
	}
	return end + 1, true
}

// stringEnd returns what follows the closing quote of a string whose text begins at i, which is
// mostly short.
func stringEnd(b []byte, i int) (end int, escaped, ok bool) {
	if end = quoted.ShortEnd(b, i); end > 0 {
		return end, false, true
	}
	end, t, ok := quoted.End(b, i)
	return end, t.Escaped, ok
}

// first returns which field a name is, or another if that field was there before.
func (g *glance) first(level int, name []byte) field {
	f := fieldOf(name)
	bit := uint16(1) << f
	if g.seen[level]&bit != 0 {
		return another
	}
	g.seen[level] |= bit
	return f
}

// found notes a string, without its quotes.
func (g *glance) found(depth int, inside []byte, escaped bool) {
	n := -1
	switch { // by the order of texts
	case depth == 1 && g.outer == typ && !escaped:
		g.kind = inside
	case depth == 1 && g.outer == delta:
		n = 0
	case depth == 2 && g.outer == delta && g.inner == text:
		n = 1
	case depth == 2 && g.outer == delta && g.inner == partialJSON:
		n = 2
	case depth == 2 && g.outer == delta && g.inner == thinking:
		n = 3
	case depth == 2 && g.outer == item && g.inner == encrypted:
		n = 4
	}
	if n >= 0 {
		g.wrote[n] = g.n + 1
	}
}

// add notes a value.
func (g *glance) add(from, to int, number bool) {
	if g.n < maxTokens {
		g.token[g.n] = token{from: from, to: to, number: number}
	}
	g.n++
}

// written returns the number of the token that has what the model wrote; below 0: none has.
func (g *glance) written() int {
	for _, n := range g.wrote {
		if n > 0 {
			return n - 1
		}
	}
	return -1
}

// at returns the byte at i, or 0 behind the end.
func at(b []byte, i int) byte {
	if uint(i) < uint(len(b)) {
		return b[i]
	}
	return 0
}
