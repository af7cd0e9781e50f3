package conform

import (
	"cmp"
	"context"
	"errors"
	"slices"

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

	recorded outcome // the outcome of the unchanged transcript
}

// outcome is what an adapter made of a transcript, and what a client would get.
type outcome struct {
	*transcript.Replay
	complete bool  // the answer is a success
	err      error // why it isn't one
	torn     error // why the rest of the upstream's answer is missing; nil: nothing is
	broken   error // how a call broke
}

// run makes all checks of the transcript.
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
	c.checkAnswered()
	switch c.transcript.Op() {
	case abi.Chat:
		c.checkDialects()
	case abi.Completions:
		c.checkCompletions()
	}
	c.checkViews()
	c.checkFinish()
	c.checkJoined()
	c.vary()
	c.compareInstances()
}

// replay replays a transcript with a guest, and gives what it emits to the stream engine.
func (c *check) replay(g *guest, t *fixture) outcome {
	g.broken = nil
	r, err := t.Run(g)
	o := outcome{Replay: r, broken: g.broken}
	if r == nil { // the transcript itself is wrong
		o.Replay, o.broken = &transcript.Replay{}, err
	}
	// If the error is not the guest's, it is the host's: the answer can't be cut into
	// frames.
	o.torn = err
	if o.torn == nil && o.Cut {
		o.torn = errCut
	}
	switch op := t.Op(); {
	case op == abi.Chat, op == abi.Completions:
		o.err = o.feed(chat.NewChunks(chat.Info{}))
	case op.Native(), op.Streams() && o.passesEvents():
		o.err = o.feed(newPassing())
	default:
		o.err = o.result()
	}
	o.complete = o.err == nil
	var mistake *fault.Error
	// An adapter may choose any code for its ERROR. But if the engine blames the adapter,
	// the adapter broke a rule.
	if errors.As(o.err, &mistake) && mistake.Kind == fault.Adapter && o.broken == nil && !o.Failed {
		o.broken = errors.New(mistake.Text)
	}
	return o
}

// passesEvents reports whether the answer came in events, which the adapter passed on.
func (o *outcome) passesEvents() bool {
	return slices.ContainsFunc(o.Calls, func(ems []abi.Emission) bool {
		return slices.ContainsFunc(ems, func(e abi.Emission) bool { return e.Kind == abi.Pass })
	})
}

// result applies what was emitted for an operation other than chat. The error is why the
// answer is no success.
func (o *outcome) result() error {
	if o.Passed {
		return o.torn
	}
	r := facts.NewResult(facts.Options{})
	for _, ems := range o.Calls {
		if err := r.Apply(ems); err != nil {
			return cmp.Or(o.torn, err)
		}
	}
	if o.torn != nil && !r.Complete() {
		return o.torn
	}
	_, err := r.End()
	return err
}

// silent reports whether an answer has no content yet. An upstream may say why its answer ends
// before it sends any.
func (o outcome) silent() bool {
	for _, call := range o.Calls {
		for _, e := range call {
			switch e.Kind {
			case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.ToolArgs, abi.Result:
				return false
			case abi.Pass:
				if e.At == abi.PassContent {
					return false
				}
			}
		}
	}
	return true
}

var errCut = errors.New("the upstream's answer broke off")
