package conform

import (
	"context"
	"errors"

	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// check is the test of one transcript.
type check struct {
	ctx        context.Context
	kit        *kit
	guest      *guest
	gateways   *gateways
	transcript *fixture
	result     *Result

	recorded outcome // of the transcript as it is
}

// outcome is what an adapter made of a transcript and what a client would get.
type outcome struct {
	*transcript.Replay
	complete bool  // the answer is a success
	err      error // else why not
	broken   error // a call that broke
}

func (c *check) run() {
	calls := c.guest.calls
	c.guest.cost = wasm.Cost{}
	defer func() {
		c.result.Calls += c.guest.calls - calls
		c.result.Cost = c.guest.cost
	}()
	c.recorded = c.replay(c.guest, c.transcript)
	if c.recorded.broken != nil {
		c.result.fail("the transcript is replayed", "%v", c.recorded.broken)
		return
	}
	c.answered()
	if c.transcript.Op() != abi.Chat {
		// Its clients ask in the words of their APIs, and not in the adapter's.
		c.expect(nil)
	} else if answer, err := c.gateways.answer(c.ctx, c.transcript); err != nil {
		c.result.fail("client response", "%v", err)
	} else {
		c.taken(answer)
		c.expect(answer.text)
	}
	c.nothingLost()
	c.varied()
	c.agree()
}

// replay lets a guest take a transcript and the stream engine what it emits.
func (c *check) replay(g *guest, t *fixture) outcome {
	g.broken = nil
	r, err := t.Run(g)
	o := outcome{Replay: r, broken: g.broken}
	if r == nil { // the transcript itself is at fault
		o.Replay, o.broken = &transcript.Replay{}, err
	}
	// An error that is not the guest's is the host's own, of an answer that
	// can't be cut into frames.
	o.err = err
	if t.Op() != abi.Chat {
		o.result()
	} else {
		o.chat()
	}
	o.complete = o.err == nil
	var mistake *fault.Error
	// The code of an ERROR is the adapter's own choice; the engine's is not.
	if errors.As(o.err, &mistake) && mistake.Kind == fault.Adapter && o.broken == nil && !o.Failed {
		o.broken = errors.New(mistake.Text)
	}
	return o
}

// chat lets the stream engine take what was emitted.
func (o *outcome) chat() {
	chunks := chat.NewChunks(chat.Info{})
	for _, ems := range o.Calls {
		if _, failed := chunks.Apply(nil, ems); failed != nil && o.err == nil {
			o.err = failed
			break
		}
	}
	if o.EndMark {
		chunks.EndMark()
	}
	switch {
	case chunks.Complete():
		_, o.err = chunks.End(nil)
	case o.err == nil && !o.Cut:
		_, o.err = chunks.End(nil)
	case o.err == nil:
		o.err = errCut
	}
}

// result takes what was emitted for an operation other than chat.
func (o *outcome) result() {
	r := facts.NewResult(facts.Options{})
	for _, ems := range o.Calls {
		if failed := r.Apply(ems); failed != nil && o.err == nil {
			o.err = failed
			return
		}
	}
	if o.err == nil || r.Complete() {
		_, o.err = r.End()
	}
}

// silent reports whether an answer says nothing, as one does whose upstream states
// the reason of its end first.
func (o outcome) silent() bool {
	for _, call := range o.Calls {
		for _, e := range call {
			switch e.Kind {
			case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.ToolArgs, abi.Result:
				return false
			}
		}
	}
	return true
}

var errCut = errors.New("the upstream's answer broke off")
