package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/host/stream"
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
	if answer, err := c.gateways.answer(c.ctx, c.transcript); err != nil {
		c.result.fail("client response", "%v", err)
	} else {
		c.taken(answer)
		if c.kit.update {
			c.rewrite(answer.text)
		} else {
			c.compare(answer.text)
		}
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
	chunks := stream.NewChunks(stream.Info{})
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
	o.complete = o.err == nil
	var mistake *fault.Error
	// The code of an ERROR is the adapter's own choice; the engine's is not.
	if errors.As(o.err, &mistake) && mistake.Kind == fault.Adapter && o.broken == nil && !o.Failed {
		o.broken = errors.New(mistake.Text)
	}
	return o
}

// silent reports whether an answer says nothing, as one does whose upstream states
// the reason of its end first.
func (o outcome) silent() bool {
	for _, call := range o.Calls {
		for _, e := range call {
			switch e.Kind {
			case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.ToolArgs:
				return false
			}
		}
	}
	return true
}

var errCut = errors.New("the upstream's answer broke off")

// compare holds what the adapter did, and what a client gets of it, against what
// the transcript expects.
func (c *check) compare(answer []byte) {
	const hint = " (\"kai plugin test --update\" writes it)"
	for _, d := range c.transcript.Compare(c.recorded.Replay) {
		name := "upstream request"
		if d.Section == transcript.SectionEmissions {
			name = "emissions"
		}
		if d.Want == nil || d.Got == nil {
			c.result.fail(name, "%s%s\n%s%s", d, hint, d.Want, d.Got)
		} else {
			c.result.fail(name, "%s", diff(d.Want, d.Got))
		}
	}
	if expected := c.transcript.Get(transcript.SectionAnswer); expected != nil && !bytes.Equal(expected, answer) {
		c.result.fail("client response", "%s", diff(expected, answer))
	}
}

// rewrite puts what the adapter did, and what a client gets of it, into the
// transcript.
func (c *check) rewrite(answer []byte) {
	text := expecting(c.transcript.Transcript, c.recorded.Requests, c.recorded.Emissions(), answer).Format()
	if bytes.Equal(text, c.transcript.text) {
		return
	}
	if err := os.WriteFile(c.transcript.file, text, 0o644); err != nil {
		c.result.fail("update", "%v", err)
		return
	}
	c.result.Updated = true
}

// expecting gives the transcript with new expectations, each where a reader looks
// for it: requests before their answers, what becomes of them behind.
func expecting(t *transcript.Transcript, requests [][]byte, emissions, answer []byte) *transcript.Transcript {
	out := &transcript.Transcript{Comment: t.Comment}
	add := func(name string, data []byte) {
		out.Sections = append(out.Sections, transcript.Section{Name: name, Data: data})
	}
	kept := slices.DeleteFunc(slices.Clone(t.Sections), func(s transcript.Section) bool {
		return s.Name == transcript.SectionRequest || s.Name == transcript.SectionEmissions || s.Name == transcript.SectionAnswer
	})
	last := -1 // of what comes before the results
	for i, s := range kept {
		if s.Name == transcript.SectionResponse || s.Name == transcript.SectionClient {
			last = i
		}
	}
	for i, s := range kept {
		if s.Name == transcript.SectionResponse && len(requests) > 0 {
			add(transcript.SectionRequest, requests[0])
			requests = requests[1:]
		}
		out.Sections = append(out.Sections, s)
		if i != last {
			continue
		}
		for _, r := range requests { // whose answers the transcript doesn't have
			add(transcript.SectionRequest, r)
		}
		add(transcript.SectionEmissions, emissions)
		add(transcript.SectionAnswer, answer)
	}
	return out
}

// nothingLost looks for content behind its choice's FINISH, where there was
// content before: a stream that breaks between would be a success that lacks the
// rest.
func (c *check) nothingLost() {
	var spoke, finished [abi.MaxChoices]bool
	for i, call := range c.recorded.Calls {
		for _, e := range call {
			switch e.Kind {
			case abi.Finish:
				finished[e.Choice()] = spoke[e.Choice()]
			case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.ToolArgs:
				if finished[e.Choice()] && len(e.Data) > 0 {
					c.result.fail("nothing comes after FINISH", "in call %d there is more of what was finished before; state FINISH when the upstream says that it is the end: %s", i+1, transcript.FormatEmission(e))
					return
				}
				spoke[e.Choice()] = spoke[e.Choice()] || len(e.Data) > 0
			}
		}
	}
}

// agree replays the transcript on an instance that did nothing before: what it
// emits must be, byte for byte, what the one that did all of the above emits.
func (c *check) agree() {
	const name = "two instances agree"
	fresh, err := c.kit.guest(c.ctx, c.guest.options)
	if err != nil {
		c.result.fail(name, "%v", err)
		return
	}
	defer fresh.close()
	old, got := c.replay(c.guest, c.transcript), c.replay(fresh, c.transcript)
	c.result.Calls += fresh.calls
	if old.broken != nil || got.broken != nil {
		c.result.fail(name, "%v", errors.Join(old.broken, got.broken))
		return
	}
	for i := range max(len(got.Calls), len(old.Calls)) {
		if i >= len(got.Calls) || i >= len(old.Calls) || !slices.EqualFunc(got.Calls[i], old.Calls[i], sameEmission) {
			c.result.fail(name, "call %d of an instance that was used before differs from that of a new one; an adapter may keep nothing and depend on no chance:\n%s",
				i+1, diff(plainCall(old.Calls, i), plainCall(got.Calls, i)))
			return
		}
	}
}

func sameEmission(a, b abi.Emission) bool {
	return a.Kind == b.Kind && a.Raw == b.Raw && a.At == b.At && bytes.Equal(a.Data, b.Data)
}

// plainCall writes a call's emissions, also those that transcripts don't show.
func plainCall(calls [][]abi.Emission, i int) []byte {
	var b bytes.Buffer
	if i < len(calls) {
		for _, e := range calls[i] {
			fmt.Fprintf(&b, "%s %d.%d %q\n", e.Kind, e.Choice(), e.Item(), e.Data)
		}
	}
	return b.Bytes()
}
