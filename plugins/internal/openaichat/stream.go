package openaichat

import "github.com/kai-gateway/kai/sdk"

// State is what is remembered between the events of a stream. It is small and flat, as the
// SDK demands.
type State struct {
	Extra uint64 // fingerprint of the unknown top-level fields that were last passed on
	Last  lastCall
	Text  pattern

	Effort bool // for adapters: the client asked for an effort

	// For the adapter openai: of a stream of pictures, how many are wanted, how many came, and the tokens of these.
	// Of what is ranked, how many are wanted; 0: all; how many there are; and whether the server has a form of its
	// own for that.
	Wanted, Came int64
	In, Out      int64
	Ranks        bool
}

// lastCall is the tool call that the last part belonged to. The number of a call is the
// upstream's index plus Shift.
type lastCall struct {
	At       uint32 // choice<<16 | the upstream's index, plus 1; 0: there was no call
	Shift    uint32 // how many calls began at an index that another call had
	ID, Name uint64 // fingerprints; 0: unknown
	Begun    bool   // a part of its arguments has come
}

func (d *Dialect) event(e *sdk.Event, s *State, out *sdk.Out) error {
	if e.Done || e.End {
		return nil
	}
	if string(e.Name) == "error" { // Groq: https://github.com/groq/groq-python/blob/main/src/groq/_streaming.py
		return d.Failure(nil, e.Data)
	}
	var (
		one   [1]choice // on the stack, as most chunks have one
		space [256]byte
	)
	a := answer{choices: one[:0]}
	extra, err := a.read(d, e.Data, parts, space[:0])
	if err != nil {
		return err
	}
	if a.usage != nil {
		d.emitUsage(a.usage, out)
	}
	if err := a.failed(d, nil, false); err != nil {
		return err
	}
	s.emitExtra(extra, out)
	s.Text = pattern{}
	for i := range a.choices {
		if err := d.emitDelta(s, e.Data, &a.choices[i], out); err != nil {
			return err
		}
	}
	if len(a.choices) > 1 || a.usage != nil {
		s.Text = pattern{}
	}
	return nil
}

// emitExtra states top-level fields if they differ from those before. provider and
// system_fingerprint come with every chunk and never change, and a chunk with only text costs
// the gateway a fraction of any other.
func (s *State) emitExtra(extra []byte, out *sdk.Out) {
	if len(extra) == 0 {
		return
	}
	seen := fingerprint(extra)
	if seen == s.Extra {
		return
	}
	s.Extra = seen
	out.ChunkExtra(append(append([]byte(nil), extra...), '}')) // a copy, so that extra stays on the stack
}

// emitDelta states the new content of a choice.
func (d *Dialect) emitDelta(s *State, chunk sdk.JSON, c *choice, out *sdk.Out) error {
	if c.usage != nil {
		d.emitUsage(c.usage, out)
	}
	if err := d.failed(c, nil); err != nil {
		return err
	}
	m := &c.message
	if c.isPlain() && m.isPlain() {
		s.Text.remember(chunk, m.content, c.index)
	}
	if err := m.emit(c.index, out); err != nil {
		return err
	}
	if err := s.emitCalls(c.index, m.calls, out); err != nil {
		return err
	}
	c.emitEnd(out)
	if reason := c.reason(); reason != "" {
		out.Finish(c.index, reason)
	}
	return nil
}

func (s *State) emitCalls(choice int, calls []toolCall, out *sdk.Out) error {
	for position := range calls {
		call := &calls[position]
		if call.index < 0 {
			call.index = s.Last.unstated(choice, position, textOf(call.name) != 0)
		}
		n := s.number(choice, call)
		if n > maxItem {
			return errMalformed
		}
		call.emit(choice, n, out)
	}
	return nil
}

// unstated returns the index of a part that doesn't state one, from its position in the chunk.
// A part with a name begins a call after all calls before. An earlier chunk may have had
// several of them: Google's OpenAI layer sends calls whole, and without an index.
func (l *lastCall) unstated(choice, position int, named bool) int {
	if at := int(l.At) - 1; named && at>>16 == choice {
		return max(position, at&maxItem)
	}
	return position
}

// number returns the number of the call that a part belongs to. It is the part's index, plus
// the number of calls that began at an index already in use, as some weak servers do it. A part
// begins such a call
//
//   - if it has a name and another id;
//   - if it has another name, and arguments have come or calls have no index;
//   - if it has a name, and calls have neither index nor id: then each comes whole.
//
// Another name before any arguments is a piece of the name, which the gateway joins. An id that
// comes later changes nothing, because some servers make a new one for each part.
func (s *State) number(choice int, c *toolCall) int {
	at := uint32(choice)<<16 | uint32(c.index)
	id, name := textOf(c.id), textOf(c.name)
	last := &s.Last
	switch {
	case last.At != at+1:
		last.At, last.ID, last.Name, last.Begun = at+1, id, name, false
	case name != 0 && (differ(last.ID, id) || differ(last.Name, name) && (last.Begun || !c.counted)),
		name != 0 && last.Name != 0 && id == 0 && !c.counted:
		last.Shift++
		last.ID, last.Name, last.Begun = id, name, false
	default:
		if last.ID == 0 {
			last.ID = id
		}
		if name != 0 {
			last.Name = name
		}
	}
	last.Begun = last.Begun || c.hasArguments()
	return c.index + int(last.Shift)
}

// differ reports whether two fingerprints are known and not the same.
func differ(a, b uint64) bool { return a != 0 && b != 0 && a != b }

// textOf returns the fingerprint of a string, or 0 if it is empty or absent.
func textOf(v sdk.JSON) uint64 {
	if inside, _ := v.Inside(); len(inside) > 0 {
		return fingerprint(inside)
	}
	return 0
}

// fingerprint returns a hash that tells texts of one stream apart. It is never 0. It reads
// eight bytes at a time, because one of the texts comes with every chunk.
func fingerprint(b []byte) uint64 {
	const prime = 0x9e3779b97f4a7c15 // odd, from the golden ratio
	h := uint64(len(b))
	for ; len(b) >= 16; b = b[16:] {
		h = (h ^ word(b)) * prime
		h ^= h >> 29
		h = (h ^ word(b[8:])) * prime
		h ^= h >> 29
	}
	if len(b) >= 8 {
		h = (h ^ word(b)) * prime
		h ^= h >> 29
		b = b[8:]
	}
	for _, c := range b {
		h = (h ^ uint64(c)) * prime
		h ^= h >> 29
	}
	return h | 1
}

// word reads eight bytes. The compiler makes one load of it.
func word(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}
