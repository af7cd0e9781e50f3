package native

import (
	"bytes"
	"cmp"
	"fmt"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Passage decides what becomes of the events of an answer that passes. It is used for one
// answer only.
type Passage interface {
	// Event appends the data of an event, which is JSON. It changes nothing but what is the
	// gateway's. plain says that the event is written as providers write events. A plain event
	// that the adapter calls content does not come here, and passes unchanged, unless Watches
	// reports true or it may have the name of a model in it.
	Event(dst, name, data []byte, plain bool) []byte

	// Watches reports whether Event has to see content, too.
	Watches(name []byte) bool

	// NeedsNames reports whether clients tell events apart by nothing but their names. Then
	// an event that came without a name gets its type as its name.
	NeedsNames() bool

	// End appends the events that the upstream did not get to, if the answer was complete
	// without them.
	End(dst []byte) []byte

	// Whole appends a whole answer, an object, as Event does.
	Whole(dst, data []byte) []byte
}

// Answer is a [dialect.Passing]: it gives the client what the upstream sent, as far as the
// adapter passes it on. Only one goroutine may use it at a time.
type Answer struct {
	facts   *facts.Answer
	passage Passage
	stream  bool // the client gets a stream

	shape      shape  // of the last event
	name, data []byte // what came last; valid until the adapter's call was applied
	whole      bool   // it is a whole answer
	lines      []byte // those that come with it, besides its name and its data
	body       []byte // the whole answer, once it passed
	passed     int    // events that passed
	held       int    // bytes counted for events that were not sent yet
	max        int    // how many these may be; 0: maxHeld
	received   bool   // all events are made of what was received already, so max is no bound
}

// NewWhole makes a whole answer.
func NewWhole(i dialect.Info, p Passage) *Answer { return newAnswer(i, p, false) }

// NewStream makes the streamed answer of one attempt.
func NewStream(i dialect.Info, p Passage) *Answer { return newAnswer(i, p, true) }

func newAnswer(i dialect.Info, p Passage, stream bool) *Answer {
	return &Answer{facts: facts.New(facts.Options{Memory: i.Memory, MaxHeld: i.MaxHeld}), passage: p, stream: stream, max: i.MaxHeld}
}

// Receive notes what the upstream sent, for the next Apply: an event, or a whole answer.
func (a *Answer) Receive(name, data []byte, whole bool) { a.name, a.data, a.whole = name, data, whole }

// ReceivedAll notes that nothing of the answer is still to come from the upstream: all events that
// follow are made of what came as a whole. So it waits for nothing, and of its size only the
// provider's share of memory is a bound, as of whole answers.
func (a *Answer) ReceivedAll() { a.received = true }

// Lines notes the lines id and retry of the event that comes next.
func (a *Answer) Lines(lines []byte) { a.lines = append(a.lines[:0], lines...) }

// Apply adds the emissions of one adapter call, and appends the event that passes.
//
//   - error: a *fault.Error: the adapter's ERROR, a breach of the protocol, an event that
//     is no JSON, or too little memory. Then nothing was appended. What the adapter states of
//     an event that is no JSON doesn't count.
func (a *Answer) Apply(dst []byte, ems []abi.Emission) ([]byte, error) {
	passes, content := false, false
	for i := range ems {
		passes = passes || ems[i].Kind == abi.Pass
		content = content || ems[i].Kind == abi.Pass && ems[i].At == abi.PassContent
	}
	var event seen
	plain := false
	if passes {
		if event, plain = a.shape.read(a.data); !plain && sdk.JSON(a.data).Valid() != nil {
			return dst, upstreamError("The provider sent an event that is no JSON.")
		}
		if len(ems) == 1 && a.stream && !a.whole && a.facts.Plain(0) {
			return a.pass(dst, &event, plain, content)
		}
	}
	deltas, err := a.facts.Apply(ems)
	if err != nil {
		return dst, err
	}
	for i := range deltas {
		if deltas[i].Kind == abi.Pass {
			if dst, err = a.pass(dst, &event, plain, content); err != nil {
				return dst, err
			}
		}
	}
	a.facts.Rendered(0, func() int { return 0 }) // what passes was counted when it was kept
	return dst, nil
}

// pass appends what came last, or keeps it if that is the whole answer. event is what is seen of it,
// if it is plain: written as providers write events.
func (a *Answer) pass(dst []byte, event *seen, plain, content bool) ([]byte, error) {
	data := a.data
	switch {
	case a.whole && a.stream:
		return dst, upstreamError("The provider sent a whole answer instead of a stream.")
	case !a.whole && !a.stream:
		return dst, upstreamError("The provider sent a stream instead of a whole answer.")
	}
	// Events before the first content wait for as long as a client is patient, so each of
	// them is counted. Later ones are sent soon, and are counted only if they are large.
	if n := len(data) + len(a.name) + len(a.lines) + eventBytes; a.whole || n > large || !a.facts.Plain(0) {
		if bound := cmp.Or(a.max, maxHeld); a.held+n > bound && !a.received {
			return dst, upstreamError(fmt.Sprintf("The provider's answer is larger than the %d MiB of it that Kai keeps before its client gets any of it. Ask for less at a time.", bound>>20))
		}
		if err := a.facts.Hold(n); err != nil {
			return dst, err
		}
		a.held += n
	}
	if !plain && !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	if a.whole {
		a.body = oneLine(a.passage.Whole(make([]byte, 0, len(data)+eventBytes), data), 0)
		return dst, nil
	}
	a.passed++
	name := a.name
	switch {
	case len(name) > 0:
	case plain && event.kind != nil:
		name = event.kind
	default:
		name = Type(data)
	}
	switch {
	case content && plain && event.said >= 0:
		a.facts.AddStated(event.said)
	case content:
		a.facts.AddStated(textIn(name, data))
	}
	if len(a.lines) > 0 {
		dst = append(dst, a.lines...)
		a.lines = a.lines[:0]
	}
	if a.name == nil && !a.passage.NeedsNames() {
		dst = append(dst, "data: "...)
	} else {
		dst = append(append(dst, "event: "...), name...)
		dst = append(dst, "\ndata: "...)
	}
	from := len(dst)
	if content && plain && !event.named && !a.passage.Watches(name) {
		dst = append(dst, data...)
	} else {
		dst = a.passage.Event(dst, name, data, plain)
	}
	if !plain {
		dst = oneLine(dst, from)
	}
	return append(dst, "\n\n"...), nil
}

const (
	eventBytes = 128      // about what an event, or another model in it, takes besides its data
	envelope   = 96       // about what the data of an event has besides the text in it
	large      = 4 << 10  // bytes of an event that is counted, however soon it is sent
	maxHeld    = 64 << 20 // bytes of events that may wait for the first content
)

// texts are the fields in which an event has what the model wrote: OpenAI's, and then
// Anthropic's.
var texts = [...][]string{{"delta"}, {"delta", "text"}, {"delta", "partial_json"}, {"delta", "thinking"}, {"item", "encrypted_content"}}

// textIn returns how many bytes an event adds to what the model wrote. Events that say that
// a part is done add nothing: they repeat it.
func textIn(name, data []byte) int {
	for _, names := range texts {
		if from, to := find(data, names); to > 0 {
			return to - from - len(`""`)
		}
	}
	return unknownText(name, data)
}

// unknownText is textIn for an event that has no text in the usual places.
func unknownText(name, data []byte) int {
	if bytes.HasSuffix(name, []byte(".done")) {
		return 0
	}
	return max(len(data)-envelope, 0)
}

// oneLine replaces line ends in what b has from a place on. In JSON they stand between tokens
// only, and in an event they would end the line.
func oneLine(b []byte, from int) []byte {
	if bytes.IndexByte(b[from:], '\n') < 0 && bytes.IndexByte(b[from:], '\r') < 0 {
		return b
	}
	for i := from; i < len(b); i++ {
		if b[i] == '\n' || b[i] == '\r' {
			b[i] = ' '
		}
	}
	return b
}

func upstreamError(text string) *fault.Error {
	return &fault.Error{Kind: fault.Upstream, Code: "upstream_error", Text: text}
}

// Passed is how many events have passed.
func (a *Answer) Passed() int { return a.passed }

// EndMark notes that the upstream said that its answer is complete.
func (a *Answer) EndMark() { a.facts.EndMark() }

// Complete reports whether the answer is a success if nothing more comes, even if the
// upstream's connection broke.
func (a *Answer) Complete() bool { return a.facts.Complete() && (a.stream || a.body != nil) }

// End ends the answer. It appends the whole answer, or what the end of a stream lacks.
//
//   - error: a *fault.Error for an answer that is not complete; then nothing was appended
func (a *Answer) End(dst []byte) ([]byte, error) {
	if _, err := a.facts.End(); err != nil {
		return dst, err
	}
	if a.stream {
		return a.passage.End(dst), nil
	}
	if a.body == nil {
		return dst, upstreamError("The provider sent no answer.")
	}
	return append(dst, a.body...), nil
}

// Sent notes that the events have reached the client.
func (a *Answer) Sent(bool) {
	a.facts.Drop(a.held)
	a.held = 0
}

// Usage returns what the answer cost so far, complete or not.
func (a *Answer) Usage() facts.Usage { return a.facts.Usage() }
