package wasm

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// Call makes the call that in describes, by Request, Response or Event. Transcripts are
// replayed with it.
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

// Limits for all calls of a transcript together.
const (
	transcriptFuel      = fuelStart
	transcriptOutput    = 4 << 20 // bytes emitted
	transcriptInstances = 4       // one that traps is replaced, and each may burn fuelStart before its first call
)

// replay compares what a version does with a transcript. Its instances have the
// transcript's options and a's limits.
func (a *Adapter) replay(v *version, t *transcript.Transcript) error {
	limits := *a.runner.limits
	limits.KeptMemory = limits.Memory // otherwise each call may need a new instance
	calls := *a.runner
	calls.pause = &breaker{}
	replayed := &Adapter{
		loader: &loader{version: v},
		runner: &calls,
		// Without a share, so that loading is not refused because of running requests.
		pool: &pool{version: v, options: t.Options(), limits: &limits, logs: a.log, maxIdle: 1, live: new(atomic.Int32)},
	}
	defer replayed.pool.close()
	r, err := t.Run(&replayer{adapter: replayed})
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

// replayer makes the calls of one transcript, and adds up what they take.
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
	case r.adapter.instantiated.Load() > transcriptInstances:
		return nil, fmt.Errorf("its calls break more than %d instances", transcriptInstances-1)
	}
	return emitted, nil
}
