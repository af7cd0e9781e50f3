package responses

import (
	"strconv"
	"sync"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"

	"github.com/kai-gateway/kai/sdk/abi"
)

// stream is a streamed answer, whichever attempts it takes. What its events have in common
// is the number of the next one. The request's goroutine renders events, and a timer's
// goroutine renders keep-alives, so the numbers have one owner at a time: an attempt, from
// its first event on until all of its events were sent, or else whoever holds mu.
type stream struct {
	*response
	events *events // of the last attempt; nil: none began

	mu    sync.Mutex
	busy  bool // an attempt owns what follows: guarded by mu for everybody else
	seq   int  // the number of the next event
	begun bool // the first two events were rendered

	translated bool     // the last attempt is a translated one: guarded by mu
	passing    *passing // it is one that does; nil: it isn't: guarded by mu
}

// newStream returns a stream of which nothing was sent.
func newStream(a requestInfo, i dialect.Info) dialect.Stream {
	return &stream{response: newResponse(a, i)}
}

// Begin returns the answer of a new attempt. The one before it must not have appended
// anything.
func (s *stream) Begin() dialect.Answer {
	if s.events != nil {
		s.events.release()
	}
	s.mu.Lock()
	s.translated, s.passing = true, nil
	s.mu.Unlock()
	s.events = &events{answer: newAnswer(s.response), stream: s}
	s.events.answer.events = s.events
	return s.events
}

// KeepAlive appends what is sent in silence. Some clients take only events for a sign of
// life, so it is one: the response in progress, without what may be large in it. If events
// are about to be sent anyway, it appends nothing. Where a provider's events may pass, it
// appends a comment before the first of them, because only the provider can begin its
// response.
func (s *stream) KeepAlive(dst []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.busy:
		return dst
	case s.passing != nil && s.passing.shown:
		return s.passing.keepAlive(dst)
	case !s.begun && !s.translated && s.info.NoteID != nil:
		return append(dst, ": waiting\n\n"...) // the provider may begin the response itself
	case !s.begun:
		return s.appendBegin(dst)
	}
	return s.appendResponse(dst, "response.in_progress", object{short: true})
}

// appendBegin appends the first two events, unless they were rendered before.
func (s *stream) appendBegin(dst []byte) []byte {
	if s.begun {
		return dst
	}
	s.begun = true
	dst = s.appendResponse(dst, "response.created", object{})
	return s.appendResponse(dst, "response.in_progress", object{})
}

// appendResponse appends an event about the whole response.
func (s *stream) appendResponse(dst []byte, name string, o object) []byte {
	dst = s.appendHead(dst, name)
	dst = append(dst, `,"response":`...)
	dst, _ = s.appendObject(dst, o)
	return append(dst, "}\n\n"...)
}

// appendHead appends an event up to its number.
func (s *stream) appendHead(dst []byte, name string) []byte {
	dst = append(dst, "event: "...)
	dst = append(dst, name...)
	dst = append(dst, "\ndata: {\"type\":\""...)
	dst = append(dst, name...)
	dst = append(dst, `","sequence_number":`...)
	dst = strconv.AppendInt(dst, int64(s.seq), 10)
	s.seq++
	return dst
}

// events is the answer of one attempt as events.
//
// The first events are appended together with the first event that shows something of the
// answer. A text gets one event, and so does each piece of a call's arguments, unless the
// calls of the tool are no functions: those are shown when they are whole.
type events struct {
	answer
	stream  *stream
	dst     []byte // the events, while they are rendered
	claimed bool   // this attempt owns the stream's numbers
	over    bool   // the last event was rendered, so it owns them for good
	written int    // bytes counted for the array of the events
	direct  bool   // a single TEXT needs nothing but its event

	template template
}

// Apply appends the events for the emissions of one adapter call.
//
//   - error: a *fault.Error: the adapter's ERROR, a breach of the protocol, an answer
//     that is too large, or too little memory. Then nothing was appended.
func (e *events) Apply(dst []byte, ems []abi.Emission) ([]byte, error) {
	if m := facts.Alone(ems); m != nil && e.direct && isShortText(m) {
		e.facts.AddStated(len(m.Data))
		return e.appendText(dst, facts.Text{Raw: m.Raw, Data: m.Data})
	}
	e.direct = false
	done := e.facts.Complete()
	deltas, err := e.facts.Apply(ems)
	if err != nil {
		return dst, err
	}
	return e.render(dst, func() int { return e.applied(deltas) }, func() error {
		return e.takeAll(deltas, done)
	})
}

// isShortText reports whether an emission is a text that needs no care.
func isShortText(m *abi.Emission) bool {
	return m.Kind == abi.Text && m.At == 0 && len(m.Data) > 0 && len(m.Data) < facts.Often && !facts.HasHalf(m)
}

// appendText appends the event for a text that continues the open message.
func (e *events) appendText(dst []byte, text facts.Text) ([]byte, error) {
	if !e.claimed {
		e.claim()
	}
	it, t, start := e.open, &e.template, len(dst)
	if t.it == it && t.number == e.stream.seq && t.event[t.last] != '9' {
		t.event[t.last]++
		t.number++
	} else {
		t.set(it, e.stream.seq)
	}
	dst = append(dst, t.event...)
	at := len(dst)
	dst = text.AppendTo(dst)
	if inside := dst[at:]; len(inside) <= cap(it.text)-len(it.text) {
		it.text = append(it.text, inside...)
	} else if err := e.keep(&it.text, inside); err != nil {
		e.err = err
		return dst[:start], err
	}
	e.stream.seq++
	return append(dst, textDeltaTail...), nil
}

// template is the event of a text, up to that text. Often one text follows another, and
// then the number is counted up where it stands.
type template struct {
	it     *outputItem
	event  []byte
	last   int // where the last digit of the number is
	number int // that follows the one in the event
}

// set makes the event with a number.
func (t *template) set(it *outputItem, number int) {
	t.event = append(t.event[:0], textDeltaHead...)
	t.event = strconv.AppendInt(t.event, int64(number), 10)
	t.last = len(t.event) - 1
	t.event = append(t.event, it.delta...)
	t.it, t.number = it, number+1
}

// End ends the answer: it appends what its items lack, and the last event. The response
// is remembered if it was asked for.
func (e *events) End(dst []byte) ([]byte, error) {
	return e.render(dst, e.ended, func() error {
		if err := e.end(); err != nil {
			return err
		}
		e.begin()
		o := e.final()
		e.dst = e.stream.appendHead(e.dst, "response."+o.status)
		e.dst = append(e.dst, `,"response":`...)
		from := len(e.dst)
		var spans [][2]int
		e.dst, spans = e.appendObject(e.dst, o)
		e.remember(e.dst, from, len(e.dst), spans)
		e.dst = append(e.dst, "}\n\n"...)
		e.over = true
		return nil
	})
}

// Sent notes that the events have reached the client. dropped says that their array is no
// longer used.
func (e *events) Sent(dropped bool) {
	e.release()
	if dropped {
		e.facts.Drop(e.written)
		e.written = 0
	}
}

// claim makes this attempt the owner of the stream's numbers.
func (e *events) claim() {
	if e.claimed {
		return
	}
	e.claimed = true
	e.stream.mu.Lock()
	e.stream.busy = true
	e.stream.mu.Unlock()
}

// release undoes claim.
func (e *events) release() {
	if !e.claimed || e.over {
		return
	}
	e.claimed = false
	e.stream.mu.Lock()
	e.stream.busy = false
	e.stream.mu.Unlock()
}

// render appends to dst what take renders, which is at most about size bytes. After an
// error nothing is appended, and no number is used.
func (e *events) render(dst []byte, size func() int, take func() error) ([]byte, error) {
	unsent := e.claimed
	e.claim()
	dst, err := e.room(dst, size())
	start, seq, begun := len(dst), e.stream.seq, e.stream.begun
	if err == nil {
		e.dst = dst
		err = take()
		dst, e.dst = e.dst, nil
	}
	if err != nil {
		if e.err == nil {
			e.err = err
		}
		dst, e.stream.seq, e.stream.begun = dst[:start], seq, begun
	}
	if len(dst) == start && !unsent {
		e.release()
	}
	e.direct = err == nil && e.open != nil && e.open.kind == textItem && len(e.logprobs) == 0 && e.facts.Plain(0)
	return dst, err
}

// room makes room in dst for size more bytes, and counts it, if they are many.
func (e *events) room(dst []byte, size int) ([]byte, error) {
	if size < facts.Often || size <= cap(dst)-len(dst) {
		return dst, nil
	}
	size += len(dst)
	if err := e.facts.Hold(size); err != nil {
		return dst, err
	}
	grown := append(make([]byte, 0, size), dst...)
	e.facts.Drop(e.written)
	e.written = size
	return grown, nil
}
