package host

import (
	"context"
	"slices"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
)

// maxPace is how long the WAITs of an answer without upstream may take together.
const maxPace = time.Hour

// applyPaced applies an answer that needed no upstream. It came from one call, but a
// client that asked for a stream should see it in pieces, at the pace that the
// adapter's WAITs set.
func (a *attempt) applyPaced(ctx context.Context) error {
	a.finalStep = true
	if slices.ContainsFunc(a.batch.Emissions, func(m abi.Emission) bool { return m.Kind == abi.Error }) {
		return a.apply(a.batch.Emissions) // only the error counts
	}
	left := maxPace
	for i, m := range a.batch.Emissions {
		if m.Kind == abi.Wait {
			d := min(left, time.Duration(m.At)*time.Millisecond)
			left -= d
			if err := a.pause(ctx, d); err != nil {
				return err
			}
			continue
		}
		if err := a.apply(a.batch.Emissions[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// pause sends the client what there is of the answer, and waits for d.
func (a *attempt) pause(ctx context.Context, d time.Duration) error {
	a.releaseRequest()
	if err := a.answer.flush(); err != nil {
		return err
	}
	return a.call.sleep(ctx, d)
}
