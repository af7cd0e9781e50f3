package completions

import (
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"
)

// stream is the client's view of a streamed answer.
type stream struct {
	dialect.OpenAIEvents
	info    dialect.Info
	options *options
}

func (s stream) Begin() dialect.Answer { return newAnswer(s.info, s.options, true) }

// show appends the events for what was stated since the last call: for each choice, one with
// its text, and one with the reason for its end.
func (a *answer) show(dst []byte) ([]byte, error) {
	dst, err := a.room(dst)
	if err != nil {
		return dst, err
	}
	rest := a.extra.Held()
	for i := range a.choices {
		ch := &a.choices[i]
		if len(ch.text) > 0 || !ch.tokens.empty() {
			dst = a.appendChunk(dst, ch, "")
		}
		if ch.finish != "" && !ch.finishSent {
			ch.finishSent = true
			dst = a.appendChunk(dst, ch, ch.finish)
		}
		rest += ch.extra.Held()
	}
	a.facts.Rendered(rest, a.size)
	return dst, nil
}

// appendChunk appends an event with what is new in a choice, and forgets that.
func (a *answer) appendChunk(dst []byte, ch *choice, finish string) []byte {
	dst = a.appendChoice(append(dst, a.head...), ch, finish)
	dst = append(dst, ']')
	if a.options.usage {
		dst = append(dst, `,"usage":null`...)
	}
	dst = a.extra.AppendTo(dst)
	ch.text = emptied(ch.text)
	ch.tokens.forget()
	ch.extra.Reset()
	a.extra.Reset()
	return append(dst, "}\n\n"...)
}

func emptied(b []byte) []byte {
	if cap(b) > facts.KeepBetween {
		return nil
	}
	return b[:0]
}

// room makes room in dst for the events of what was stated, and counts it, if they are large.
func (a *answer) room(dst []byte) ([]byte, error) {
	if a.facts.Stated() < facts.Often {
		return dst, nil
	}
	n := a.size() + (len(a.choices)+1)*facts.ChoiceBytes
	if n < facts.Often || n <= cap(dst)-len(dst) {
		return dst, nil
	}
	size := len(dst) + n
	if err := a.facts.Hold(size); err != nil {
		return dst, err
	}
	grown := append(make([]byte, 0, size), dst...)
	a.Sent(true)
	a.written = size
	return grown, nil
}

// Sent notes that the events have reached the client; dropped: that their array is no
// longer used.
func (a *answer) Sent(dropped bool) {
	if dropped {
		a.facts.Drop(a.written)
		a.written = 0
	}
}
