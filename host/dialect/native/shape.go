package native

// shape is the form of the last event. Most events of a stream differ from the one before in a
// few values, such as a text and a number, so what is the same need not be read again.
type shape struct {
	text    []byte // the event's data
	token   [maxTokens]token
	n       int    // of tokens
	kind    []byte // as a glance has it, in text
	written int    // which token has what the model wrote; below 0: none
	named   bool   // there may be the name of a model
}

// token is a value between its quotes, or a number.
type token struct {
	from, to int
	number   bool
	varies   bool // from one event to the next
}

const (
	maxTokens = 12
	maxShape  = 1 << 10 // bytes of an event whose shape is kept
)

// seen is what is known of the data of an event that is written as providers write it.
type seen struct {
	kind  []byte // its type; nil: it has none that can be named. Valid until the next read
	said  int    // how many bytes the model wrote; below 0: it doesn't say where
	named bool   // there may be the name of a model
}

// read reads the data of an event. ok is false of everything that glanceAt doesn't accept.
func (s *shape) read(b []byte) (e seen, ok bool) {
	if e, ok = s.match(b); ok {
		return e, true
	}
	g, ok := glanceAt(b)
	if !ok {
		return seen{}, false
	}
	e = seen{kind: g.kind, said: -1, named: namesModel(b)}
	if n := g.written(); n >= 0 && n < maxTokens {
		e.said = g.token[n].to - g.token[n].from
	}
	s.update(b, &g)
	s.named = e.named
	return e, true
}

// match reads an event that has the shape of the last one, and differs from it only in what
// varies.
func (s *shape) match(b []byte) (e seen, ok bool) {
	if len(s.text) == 0 {
		return e, false
	}
	e = seen{kind: s.kind, said: -1, named: s.named}
	if s.written >= 0 {
		e.said = s.token[s.written].to - s.token[s.written].from
	}
	i, from := 0, 0
	for n := range s.token[:s.n] {
		t := &s.token[n]
		if !t.varies {
			continue
		}
		if i, ok = skipSame(b, i, s.text[from:t.from]); !ok {
			return e, false
		}
		end := 0
		if t.number {
			end, ok = natural(b, i)
		} else if end, _, ok = stringEnd(b, i); ok {
			end--
		}
		if !ok {
			return e, false
		}
		if n == s.written {
			e.said = end - i
		}
		i, from = end, t.to
	}
	i, ok = skipSame(b, i, s.text[from:])
	return e, ok && i == len(b)
}

// skipSame skips the bytes of same, if b has them at i.
func skipSame(b []byte, i int, same []byte) (end int, ok bool) {
	end = i + len(same)
	return end, end <= len(b) && string(b[i:end]) == string(same)
}

// natural reads a number that is only digits, and returns the index after it.
func natural(b []byte, i int) (end int, ok bool) {
	for end = i; at(b, end)-'0' <= 9; end++ {
	}
	return end, end > i && (b[i] != '0' || end == i+1)
}

// update makes the shape that of an event. If everything else is as in the last one, the
// values that differ vary, and those that varied before still do.
func (s *shape) update(b []byte, g *glance) {
	if len(b) > maxShape || g.n > maxTokens {
		s.text = s.text[:0]
		return
	}
	from, before := 0, 0
	same := len(s.text) > 0 && g.n == s.n && string(g.kind) == string(s.kind)
	for n := 0; same && n < g.n; n++ {
		t, old := &g.token[n], &s.token[n]
		same = t.number == old.number && string(b[from:t.from]) == string(s.text[before:old.from])
		t.varies = old.varies || string(b[t.from:t.to]) != string(s.text[old.from:old.to])
		from, before = t.to, old.to
	}
	if same = same && string(b[from:]) == string(s.text[before:]); !same {
		for n := range g.token {
			g.token[n].varies = false
		}
	}
	s.text = append(s.text[:0], b...)
	s.token, s.n, s.written = g.token, g.n, g.written()
	s.kind = nil
	if g.kind != nil {
		at := cap(b) - cap(g.kind)
		s.kind = s.text[at : at+len(g.kind)]
	}
}
