package host

import (
	"sync"
	"time"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/sse"
	"github.com/kai-gateway/kai/sdk/abi"
)

// answer turns an attempt's emissions into what the client gets. Nothing of it reaches
// the client before commit, so that the attempt can be discarded and another one made.
// Its methods are called by the request's goroutine only.
type answer interface {
	received(name, data []byte, whole bool) // what the upstream sent, before its emissions are applied
	lines(lines []byte)                     // lines that came with what the upstream sends next, for clients of an answer that passes
	part(inputs int) error                  // what follows answers so many more of the request's inputs
	apply([]abi.Emission) error
	commit() bool                                            // allow sending to the client; false: nothing is sent before the end
	pass(contentType string, piece []byte, flush bool) error // send bytes as they are; they are the whole answer
	flush() error                                            // send what there is, if that is allowed
	EndMark()                                                // the upstream said that its answer is complete
	complete() bool                                          // the answer succeeds even if the upstream's connection breaks now
	end() error                                              // nothing more comes; the error says what is missing
	Usage() facts.Usage
	firstSent() time.Time // when the client got the first content of an answer that comes in parts; zero: not yet
}

// An answer is noted as complete only after all emissions of a call were applied: a call
// that finishes the answer and then breaks the protocol completes nothing.

// showReceived shows what the upstream sent to an answer that passes it on.
func showReceived(a dialect.Answer, name, data []byte, whole bool) {
	if p, ok := a.(dialect.Passing); ok {
		p.Receive(name, data, whole)
	}
}

// showLines shows such an answer the lines that come with what the upstream sends next.
func showLines(a dialect.Answer, lines []byte) {
	if p, ok := a.(dialect.Passing); ok {
		p.Lines(lines)
	}
}

// wholeAnswer becomes one JSON object, or bytes that pass as they come.
type wholeAnswer struct {
	dialect.Answer
	http   *api.Exchange
	now    func() time.Time
	passed bool      // bytes were sent, and the answer has begun
	first  time.Time // when the first of them were sent
	ended  bool
	body   []byte // after end
}

func (a *wholeAnswer) apply(ems []abi.Emission) error {
	if _, err := a.Apply(nil, ems); err != nil {
		return err
	}
	a.ended = a.Complete()
	return nil
}

func (a *wholeAnswer) part(inputs int) error {
	_, err := beginPart(a.Answer, nil, inputs)
	a.ended = false
	return err
}

// beginPart begins a part of an answer that may have several.
func beginPart(a dialect.Answer, dst []byte, inputs int) ([]byte, error) {
	if parted, ok := a.(dialect.Parted); ok {
		return parted.Part(dst, inputs)
	}
	return dst, nil
}

func (a *wholeAnswer) pass(contentType string, piece []byte, flush bool) error {
	if !a.passed {
		a.passed, a.first = true, a.now()
		a.http.Begin(contentType)
	}
	if err := a.http.Send(piece, flush); err != nil {
		return &fault.Error{Kind: fault.Gone, Cause: err, Text: "The client did not take its answer."}
	}
	return nil
}

func (a *wholeAnswer) received(name, data []byte, whole bool) {
	showReceived(a.Answer, name, data, whole)
}

func (a *wholeAnswer) lines([]byte) {}

func (a *wholeAnswer) commit() bool   { return false }
func (a *wholeAnswer) flush() error   { return nil }
func (a *wholeAnswer) complete() bool { return a.ended }

func (a *wholeAnswer) firstSent() time.Time { return a.first }

func (a *wholeAnswer) end() (err error) {
	if a.passed {
		return nil
	}
	a.body, err = a.End(nil)
	return err
}

// streamedAnswer becomes server-sent events.
type streamedAnswer struct {
	dialect.Answer
	client    *sse.Writer
	buf       []byte  // events that were not sent yet
	room      *[]byte // of buf, from eventRooms; nil: there are none
	committed bool
	ended     bool
	now       func() time.Time
	first     time.Time // when the first events were sent
}

// eventRooms has the room for events until they are sent. A stream that waits for more holds
// none.
var eventRooms = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// lend makes sure that there is room for events.
func (a *streamedAnswer) lend() {
	if a.room == nil {
		a.room = eventRooms.Get().(*[]byte)
		a.buf = *a.room
	}
}

// giveBack gives the room back once everything in it was sent. It reports whether that was a
// burst, whose room is too large to keep.
func (a *streamedAnswer) giveBack() (burst bool) {
	if burst = cap(a.buf) > maxUnflushed; !burst && a.room != nil {
		*a.room = a.buf[:0]
		eventRooms.Put(a.room)
	}
	a.buf, a.room = nil, nil
	return burst
}

// maxUnflushed is how many bytes of a burst are collected before they are sent.
const maxUnflushed = 32 << 10

func (a *streamedAnswer) apply(ems []abi.Emission) (err error) {
	a.lend()
	if a.buf, err = a.Apply(a.buf, ems); err != nil {
		return err
	}
	a.ended = a.Complete()
	if len(a.buf) > maxUnflushed {
		return a.flush()
	}
	return nil
}

func (a *streamedAnswer) pass(string, []byte, bool) error {
	return &fault.Error{Kind: fault.Upstream, Code: "upstream_error", Text: "The provider answered without events, which were asked for."}
}

func (a *streamedAnswer) received(name, data []byte, whole bool) {
	showReceived(a.Answer, name, data, whole)
}

func (a *streamedAnswer) lines(lines []byte) { showLines(a.Answer, lines) }

func (a *streamedAnswer) part(inputs int) (err error) {
	a.ended = false
	a.lend()
	if a.buf, err = beginPart(a.Answer, a.buf, inputs); err != nil {
		return err
	}
	return a.flush()
}

func (a *streamedAnswer) commit() bool {
	a.committed = true
	return true
}

func (a *streamedAnswer) flush() error {
	if !a.committed {
		return nil
	}
	if len(a.buf) == 0 {
		a.giveBack()
		return nil
	}
	if a.first.IsZero() {
		a.first = a.now()
	}
	if err := a.client.Write(a.buf); err != nil {
		a.buf, a.room = nil, nil // a write to a stream of HTTP/2 that was reset may still read it
		return err
	}
	a.Sent(a.giveBack())
	return nil
}

func (a *streamedAnswer) complete() bool { return a.ended }

func (a *streamedAnswer) firstSent() time.Time { return a.first }

func (a *streamedAnswer) end() (err error) {
	a.lend()
	if a.buf, err = a.End(a.buf); err != nil {
		return err
	}
	a.committed = true
	return a.flush()
}
