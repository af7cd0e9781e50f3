package wasm

import (
	"context"
	"errors"
	"fmt"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// Call is Request, Response or Event, as in describes it: so transcripts are
// replayed.
func (a *Adapter) Call(ctx context.Context, in sdk.Input, out *Batch) (failed bool, err error) {
	switch {
	case in.Request != nil:
		return a.Request(ctx, in.Request.Op, in.Request.Stream, in.Request.Options, in.Request.Body, out)
	case in.Response != nil:
		return a.Response(ctx, in.Response.Op, in.Response.Status, in.State, in.Response.Head, in.Response.Body, out)
	}
	flags := 0
	if in.Event.End {
		flags |= abi.FlagEnd
	}
	if in.Event.Done {
		flags |= abi.FlagDone
	}
	return a.Event(ctx, in.Event.Op, flags, in.State, in.Event.Name, in.Event.Data, out)
}

// What all calls of a transcript may take together.
const (
	transcriptFuel      = fuelStart
	transcriptOutput    = 4 << 20 // bytes emitted
	transcriptInstances = 4       // for each may burn fuelStart before a call, and one that traps is replaced
)

// replay holds what a version does against a transcript. The instance it takes
// has the transcript's options and a's limits.
func (a *Adapter) replay(v *version, t *transcript.Transcript) error {
	limits := *a.runner.limits
	limits.Kept = limits.Memory // or each call may need an instance
	calls := *a.runner
	calls.pause = &breaker{}
	own := &Adapter{
		loader: &loader{version: v},
		runner: &calls,
		// Without a share: what runs before a request can isn't refused for those that run.
		pool: &pool{version: v, options: t.Options(), limits: &limits, logs: a.log, most: 1},
	}
	defer own.pool.close()
	r, err := t.Run(&replayer{adapter: own})
	if err == nil {
		if all := t.Compare(r); len(all) > 0 {
			err = errors.New(all[0].String())
		}
	}
	if err != nil {
		return fmt.Errorf("it doesn't do what the transcript in it says: %w", err)
	}
	return nil
}

// replayer makes the calls of one transcript.
type replayer struct {
	adapter *Adapter
	batch   Batch
	fuel    int64
	output  int
}

// Call implements transcript.Caller.
func (r *replayer) Call(in sdk.Input) ([]abi.Emission, error) {
	_, err := r.adapter.Call(context.Background(), in, &r.batch)
	emitted := r.batch.Clone()
	r.fuel += r.batch.Cost.Fuel
	for _, e := range emitted {
		r.output += emissionBytes + len(e.Data)
	}
	switch {
	case err != nil:
		return nil, err
	case r.fuel > transcriptFuel:
		return nil, fmt.Errorf("its calls take more than %d fuel together", int64(transcriptFuel))
	case r.output > transcriptOutput:
		return nil, fmt.Errorf("its calls emit more than %d MiB together", transcriptOutput>>20)
	case r.adapter.made.Load() > transcriptInstances:
		return nil, fmt.Errorf("its calls break more than %d instances", transcriptInstances-1)
	}
	return emitted, nil
}
