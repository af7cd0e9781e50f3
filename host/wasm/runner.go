package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/tetratelabs/wazero/api"
)

// runner makes the calls of an adapter, within its limits. It makes none while the
// adapter is paused because it broke on one input after the other.
type runner struct {
	slots  *slots
	wait   time.Duration // how long a call waits for a slot
	tenant *tenant
	limits *Limits
	log    logger
	pause  *breaker
	pace   *pace

	eventsBroke *atomic.Int32 // how many calls of kai_events broke in a row
}

// Paused returns the time that is left of a pause; 0: there is none.
func (r *runner) Paused() (left time.Duration) {
	if !r.pause.failing.Load() {
		return 0 // reading the clock would cost more than everything else here
	}
	return r.pause.paused(time.Now())
}

// invocation is one call to make.
type invocation struct {
	in       export
	op       abi.Op
	sections [3][]byte
	params   [5]uint64
	frames   *Frames // of kai_events: its second section
}

func (i *invocation) size() int {
	return len(i.sections[0]) + len(i.sections[1]) + len(i.sections[2])
}

// call runs an invocation and fills out. A call that trapped is repeated once on a
// fresh instance; no upstream notices that.
//
//   - failed: the guest returned 1. Its last emission says why, if it is an ERROR.
//   - err: a *CallError if the guest broke; a *PausedError for a request during a
//     pause; ErrBusy; ErrNoMemory; a *memory.Error for a call that would have needed
//     more memory than there is; or the context's cause
func (r *runner) call(ctx context.Context, p *pool, i *invocation, out *Batch) (failed bool, err error) {
	if n := i.size(); n > r.limits.Input {
		out.Reset()
		return false, &CallError{Kind: TooLarge, Err: fmt.Errorf("%d bytes; at most %d are given to an adapter", n, r.limits.Input)}
	}
	if i.in == inRequest { // answers that began before the pause may come to their end
		if left := r.Paused(); left > 0 {
			out.Reset()
			return false, &PausedError{left}
		}
	}
	c := r.caller(ctx, out)
	if failed, err = r.once(c, p, i, out, false); err != nil {
		if broke, ok := errors.AsType[*CallError](err); ok && broke.Kind == Trap {
			r.report(ctx, broke)
			failed, err = r.once(c, p, i, out, true)
		}
	}
	c.seat.leave()
	if err == nil {
		if out.Calls.Fuel += out.Cost.Fuel; failed {
			out.Calls.Failed++
		} else {
			out.Calls.OK++
		}
		if i.in != inRequest || r.pause.failing.Load() && finished(out) {
			r.pause.worked()
		}
		return failed, nil
	}
	if broke, ok := errors.AsType[*CallError](err); ok {
		out.Calls.Broken++
		switch broke.Kind {
		case OutOfFuel, OutOfTime, OutOfMemory:
			broke.Large = i.size() >= largeInput
		}
		if !broke.Large {
			if d := r.pause.broke(i, time.Now()); d > 0 {
				r.log.log.Warn("adapter paused: it broke on different inputs in a row", "pause", d.String())
			}
		}
		r.report(ctx, broke)
	}
	out.Reset()
	return failed, err
}

// caller returns the caller for a call that fills out. After the call, its seat must be left.
func (r *runner) caller(ctx context.Context, out *Batch) caller {
	seat := &out.seat
	seat.slots, seat.tenant, seat.wait = r.slots, r.tenant, r.wait
	return caller{ctx: ctx, seat: seat, pace: r.pace}
}

// shortInput is below how many bytes of input a call may begin without a slot. Most
// events of a stream are such calls, and waiting for a slot was a quarter of what a
// chunk of a burst cost.
const shortInput = 16 << 10

// largeInput is the size in bytes from which on the input may be the reason why a call ran out
// of fuel, time or memory. The fuel for the input is then more than a fifth of all fuel. An
// adapter that breaks on everything breaks on less input, too.
const largeInput = 256 << 10

// finished reports whether a call said that a choice is finished.
func finished(out *Batch) bool {
	for _, e := range out.Emissions {
		if e.Kind == abi.Finish {
			return true
		}
	}
	return false
}

// report logs a call that broke. What the guest wrote to its standard error may contain
// a prompt, so that is logged only if both the gateway's log and the guest's are at debug.
func (r *runner) report(ctx context.Context, e *CallError) {
	r.log.log.LogAttrs(ctx, slog.LevelError, "adapter call failed", slog.String("err", e.Error()))
	if e.Stderr != "" && r.log.level <= slog.LevelDebug {
		r.log.log.LogAttrs(ctx, slog.LevelDebug, "adapter standard error", slog.String("text", cutQuoted(e.Stderr, maxLogLine)))
	}
}

// once runs an invocation on a borrowed instance, which fresh demands to be new. Then
// it gives the instance back, or closes it if the call broke. A call with a short input
// that finds an idle instance begins without a slot. The number of idle instances
// bounds how many calls do.
func (r *runner) once(c caller, p *pool, i *invocation, out *Batch, fresh bool) (failed bool, err error) {
	var in *instance
	if !fresh && i.size() < shortInput {
		in = p.takeIdle()
	}
	if in == nil {
		if err := c.seat.take(c.ctx); err != nil {
			return false, err
		}
		if in, err = p.take(c, fresh); err != nil {
			return false, err
		}
	}
	fn := in.event
	switch i.in {
	case inRequest:
		fn = in.request
	case inResponse:
		fn = in.response
	case inEvents:
		fn = in.events
	}
	in.collect.begin(out, i.in, i.op, 4*i.size()+r.limits.Output)
	in.collect.state = r.limits.State
	if i.frames != nil {
		in.collect.frames, in.collect.before, in.collect.extra = i.sections[1], len(i.sections[0]), r.limits.Output
		in.collect.nextFrame()
	}
	status, err := in.call(c, fn, i, i.fuel(r.limits))
	if err == nil && status == abi.StatusOK {
		err = in.collect.checkFrames()
	}
	in.collect.batch = nil
	if err == nil && status > abi.StatusFailed {
		err = &CallError{Kind: Trap, Err: fmt.Errorf("returned status %d", api.DecodeI32(uint64(status))), Stderr: string(in.stderr)}
	}
	if err != nil {
		in.close()
		return false, err
	}
	p.give(in)
	return status == abi.StatusFailed, nil
}
