package host

import (
	"time"

	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/sse"
	"github.com/kai-gateway/kai/sdk/abi"
)

// answer is what becomes of an attempt's emissions. Nothing of it reaches the client
// before commit, so that an attempt can be given up and another one made.
type answer interface {
	apply([]abi.Emission) error
	commit() bool   // what was applied belongs to the client from now on; false: not before the end
	flush() error   // nothing more will come soon
	endMark()       // the upstream said that its answer is complete
	complete() bool // the answer is a success, however the upstream ended
	end() error     // nothing more comes; what is missing is an error
	usage() facts.Usage
}

// Whether an answer is complete is noted when a call's emissions were taken: a
// call that finishes an answer and then breaks the protocol completes nothing.

// wholeAnswer becomes one JSON object.
type wholeAnswer struct {
	whole *chat.Whole
	ended bool
	body  []byte // after end
}

func (a *wholeAnswer) apply(ems []abi.Emission) error {
	if err := a.whole.Apply(ems); err != nil {
		return err
	}
	a.ended = a.whole.Complete()
	return nil
}

func (a *wholeAnswer) commit() bool       { return false }
func (a *wholeAnswer) flush() error       { return nil }
func (a *wholeAnswer) endMark()           { a.whole.EndMark() }
func (a *wholeAnswer) complete() bool     { return a.ended }
func (a *wholeAnswer) usage() facts.Usage { return a.whole.Usage() }

func (a *wholeAnswer) end() (err error) {
	a.body, err = a.whole.End()
	return err
}

// chunkedAnswer becomes server-sent events.
type chunkedAnswer struct {
	chunks    *chat.Chunks
	client    *sse.Writer
	buf       []byte // events that the client hasn't got
	committed bool
	ended     bool
	now       func() time.Time
	first     time.Time // when the first events went out
}

// maxUnflushed is how much of a burst is gathered before it goes out.
const maxUnflushed = 32 << 10

func (a *chunkedAnswer) apply(ems []abi.Emission) (err error) {
	if a.buf, err = a.chunks.Apply(a.buf, ems); err != nil {
		return err
	}
	a.ended = a.chunks.Complete()
	if len(a.buf) > maxUnflushed {
		return a.flush()
	}
	return nil
}

func (a *chunkedAnswer) commit() bool {
	a.committed = true
	return true
}

func (a *chunkedAnswer) flush() error {
	if len(a.buf) == 0 || !a.committed {
		return nil
	}
	if a.first.IsZero() {
		a.first = a.now()
	}
	err := a.client.Write(a.buf)
	if a.buf = a.buf[:0]; cap(a.buf) > maxUnflushed {
		a.buf = nil // a burst's buffer isn't kept for the slow rest of a stream
		a.chunks.Flushed()
	}
	return err
}

func (a *chunkedAnswer) endMark()           { a.chunks.EndMark() }
func (a *chunkedAnswer) complete() bool     { return a.ended }
func (a *chunkedAnswer) usage() facts.Usage { return a.chunks.Usage() }

func (a *chunkedAnswer) end() (err error) {
	if a.buf, err = a.chunks.End(a.buf); err != nil {
		return err
	}
	a.committed = true
	return a.flush()
}
