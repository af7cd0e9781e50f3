package conform

import (
	"math/rand/v2"
	"slices"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// joinedCheck is the name of the check of kai_events.
const joinedCheck = "several events in one call are taken as one by one"

// checkJoined replays the transcript with events in common calls, as they come out of one
// read: as many as possible, and cut at random. Whatever the cuts, the same must be stated.
// An adapter without kai_events has nothing to check.
func (c *check) checkJoined() {
	if !c.guest.adapter.TakesEvents() {
		return
	}
	for seed := range uint64(4) {
		j := &joiner{guest: c.guest}
		if seed > 0 { // the first takes all
			j.random = rand.New(rand.NewPCG(seed, seed))
		}
		c.result.Variations++
		r, err := c.transcript.Run(j)
		switch {
		case err == nil && j.pointless:
			c.result.fail(joinedCheck, "kai_events comes to nothing for events that kai_event takes%s", c.kit.log.words("it logged: "))
			return
		case err != nil && c.recorded.torn == nil:
			c.result.fail(joinedCheck, "%v", err)
			return
		case r == nil:
			continue
		}
		for i := range max(len(r.Calls), len(c.recorded.Calls)) {
			want, got := withoutStates(c.recorded.Calls, i), withoutStates(r.Calls, i)
			if !slices.EqualFunc(want, got, sameEmission) {
				c.result.fail(joinedCheck, "call %d differs:\n%s", i+1, diff(plainCall([][]abi.Emission{want}, 0), plainCall([][]abi.Emission{got}, 0)))
				return
			}
		}
	}
}

// withoutStates returns the emissions of a call but for STATE, of which several events have
// one together.
func withoutStates(calls [][]abi.Emission, i int) []abi.Emission {
	if i >= len(calls) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(calls[i]), func(e abi.Emission) bool { return e.Kind == abi.State })
}

// joiner is a guest that gets several events in one call.
type joiner struct {
	*guest
	random *rand.Rand // how many at once; nil: as many as possible
	frames wasm.Frames

	singly    int  // how many events are still to be given one by one, because kai_events came to nothing
	pointless bool // kai_events came to nothing, and one by one its events were fine
}

var _ transcript.Joiner = (*joiner)(nil)

// Join implements transcript.Joiner.
func (j *joiner) Join() int {
	if j.random == nil {
		return abi.MaxFrames
	}
	return 1 + j.random.IntN(abi.MaxFrames)
}

// CallEvents implements transcript.Joiner.
func (j *joiner) CallEvents(op abi.Op, state []byte, events [][]byte) ([][]abi.Emission, bool) {
	j.frames.Reset()
	for _, data := range events {
		if !j.frames.Add(data) {
			return nil, false // they are too long together
		}
	}
	j.kit.log.reset()
	if !j.adapter.Events(j.ctx, op, state, &j.frames, &j.batch) {
		j.singly = len(events)
		return nil, false
	}
	j.calls++
	out := &wasm.Batch{Emissions: j.batch.Clone()}
	var all [][]abi.Emission
	for _, ems := range out.EachFrame(&j.frames) {
		all = append(all, ems)
	}
	return all, true
}

// Call implements transcript.Caller.
func (j *joiner) Call(in sdk.Input) ([]abi.Emission, error) {
	ems, err := j.guest.Call(in)
	if j.singly > 0 {
		j.singly--
		// What ends the answer may have been the reason, and what follows is given to nobody.
		ends := err != nil || slices.ContainsFunc(ems, func(e abi.Emission) bool { return e.Kind == abi.Error || e.Kind == abi.End })
		switch {
		case ends:
			j.singly = 0
		case j.singly == 0:
			j.pointless = true
		}
	}
	return ems, err
}
