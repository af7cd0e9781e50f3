package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/sdk/abi"
)

// AdapterOptions configures Engine.Adapter.
type AdapterOptions struct {
	Options  []byte     // the provider's options, JSON; default {}
	Kept     int        // instances kept while idle; default 1
	LogLevel slog.Level // what of the guest's log is written; default slog.LevelInfo (the zero value)
	Limits   Limits
	Fresh    bool          // each request gets instances of its own, see ForRequest
	Share    *memory.Share // the provider's, which instances are counted in; default: they are not
}

// Adapter is a module with one provider's options. Its methods are safe for
// concurrent use.
type Adapter struct {
	engine *Engine
	name   string
	module []byte
	opts   AdapterOptions
	log    logger
	tenant *tenant
	pause  *breaker

	pace *pace

	ready   chan struct{} // closed when loading has ended
	version *version      // set before ready is closed, if err is nil
	err     error

	made atomic.Int32 // instances that calls needed

	mu     sync.Mutex
	holds  int         // the owner's and the loader's
	idle   []*instance // the last one used lately
	unused int         // how many of idle, from the first, nobody needed since the last trim
}

// Adapter begins to load module in the background and returns at once. name is
// the provider's, for the log. Close it when it is used no more.
func (e *Engine) Adapter(name string, module []byte, opts AdapterOptions) *Adapter {
	if len(opts.Options) == 0 {
		opts.Options = []byte("{}")
	}
	opts.Kept = max(opts.Kept, 1)
	a := &Adapter{
		engine: e, name: name, module: module, opts: opts, holds: 2, ready: make(chan struct{}),
		tenant: &tenant{}, pause: &breaker{}, pace: &pace{},
	}
	a.opts.Limits = opts.Limits.withDefaults()
	a.log = logger{
		log: e.opts.Logger.With("provider", name), level: opts.LogLevel, rate: &rate{limit: a.opts.Limits.LogLines},
	}
	e.enqueue(a)
	return a
}

// load compiles the module, replays the transcript in it, and makes a first
// instance, so that a module that can't run is found before a request meets it.
func (a *Adapter) load() {
	begin := time.Now()
	// Calls of others are bounded, so a slot comes however busy they are.
	seat := seat{slots: a.engine.slots, tenant: a.tenant, wait: time.Hour}
	c := caller{ctx: context.Background(), seat: &seat, pace: a.pace}
	v, err := a.engine.acquire(a.module, &a.opts.Limits, c)
	if err != nil {
		a.loaded(nil, err)
		return
	}
	if v.transcript != nil {
		if err := a.replay(v, v.transcript); err != nil {
			a.engine.release(v)
			a.loaded(nil, &modfile.LoadError{Err: err})
			return
		}
		v.transcript = nil
	}
	var in *instance
	if err = seat.take(c.ctx); err == nil {
		in, err = a.instantiate(c, v, true)
		seat.leave()
	}
	if err != nil {
		a.engine.release(v)
		a.loaded(nil, &modfile.LoadError{Err: err})
		return
	}
	if a.opts.Fresh {
		in.close() // it has shown that there can be others
	} else {
		a.mu.Lock()
		a.idle = append(a.idle, in)
		a.mu.Unlock()
	}
	a.engine.opts.Logger.Info("adapter ready", "provider", a.name, "plugin", v.manifest.Name,
		"version", v.manifest.Version, "sha256", fmt.Sprintf("%x", v.digest[:6]), "duration_ms", time.Since(begin).Milliseconds())
	a.loaded(v, nil)
}

func (a *Adapter) loaded(v *version, err error) {
	if err != nil && !errors.Is(err, errClosed) {
		a.engine.opts.Logger.Error("adapter failed to load", "provider", a.name, "err", err)
	}
	a.version, a.err, a.module = v, err, nil
	a.release() // the loader's hold, so that who saw ready has the last one
	close(a.ready)
}

// instantiate makes an instance and gives it its options. The first one of a version
// is made whatever memory there is: an adapter that is loaded is one that can run.
func (a *Adapter) instantiate(c caller, v *version, first bool) (*instance, error) {
	grant := a.opts.Share.Guest()
	grant.Force(first)
	defer grant.Force(false)
	in, err := v.instantiate(c, a.log, &a.opts.Limits, grant)
	if err != nil {
		return nil, err
	}
	if err := in.configure(c, a.opts.Options); err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

// Status tells without waiting whether the adapter can be called: ready and nil,
// or not ready and nil while it loads, or the error that loading ended with.
func (a *Adapter) Status() (ready bool, err error) {
	select {
	case <-a.ready:
		return a.err == nil, a.err
	default:
		return false, nil
	}
}

// Wait waits for at most d until loading has ended. The error is ErrNotReady,
// the context's cause, or what loading ended with.
func (a *Adapter) Wait(ctx context.Context, d time.Duration) error {
	select {
	case <-a.ready:
		return a.err
	default:
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-a.ready:
		return a.err
	case <-timer.C:
		return ErrNotReady
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Manifest gives what the module says about itself. Only for a ready adapter.
func (a *Adapter) Manifest() modfile.Manifest { return a.version.manifest }

// Paused gives the time that is left of a pause, 0 if there is none.
func (a *Adapter) Paused() (left time.Duration) {
	if !a.pause.failing.Load() {
		return 0 // without a look at the clock, which costs more than the rest
	}
	return a.pause.paused(time.Now())
}

// Close frees the instances and gives up the compiled module. No call may run
// or follow. An adapter that still loads is freed when it has.
func (a *Adapter) Close() { a.release() }

// ForRequest gives the adapter for the calls of one request, and a function that
// must be called at its end: the adapter itself, or with AdapterOptions.Fresh
// one whose instances serve that request only.
func (a *Adapter) ForRequest() (mine *Adapter, end func()) {
	if !a.opts.Fresh {
		return a, func() {}
	}
	mine = &Adapter{
		engine: a.engine, name: a.name, opts: a.opts, log: a.log, holds: 1,
		ready: a.ready, version: a.version, tenant: a.tenant, pause: a.pause, pace: a.pace,
	}
	mine.opts.Kept = 1
	return mine, mine.drop
}

// drop closes the idle instances and keeps none from here on.
func (a *Adapter) drop() {
	a.mu.Lock()
	idle := a.idle
	a.idle, a.holds = nil, 0
	a.mu.Unlock()
	for _, in := range idle {
		in.close()
	}
}

// release gives up one hold, the owner's or the loader's.
func (a *Adapter) release() {
	a.mu.Lock()
	a.holds--
	last := a.holds == 0
	a.mu.Unlock()
	if !last {
		return
	}
	a.drop()
	a.engine.forget(a)
}

// Request runs kai_request on a client's body, which names the upstream's model.
// options are the model's.
func (a *Adapter) Request(ctx context.Context, op abi.Op, stream bool, options, body []byte, out *Batch) (failed bool, err error) {
	flags := uint64(0)
	if stream {
		flags = abi.FlagStream
	}
	return a.call(ctx, invocation{
		in: inRequest, op: op, sections: [3][]byte{options, body},
		params: [5]uint64{uint64(op), flags, uint64(len(options)), uint64(len(body))},
	}, out)
}

// Response runs kai_response on a whole answer of the upstream.
func (a *Adapter) Response(ctx context.Context, op abi.Op, status int, state, head, body []byte, out *Batch) (failed bool, err error) {
	return a.call(ctx, invocation{
		in: inResponse, op: op, sections: [3][]byte{state, head, body},
		params: [5]uint64{uint64(op), uint64(status), uint64(len(state)), uint64(len(head)), uint64(len(body))},
	}, out)
}

// Event runs kai_event on one event of a streamed answer. flags are those of
// package abi.
func (a *Adapter) Event(ctx context.Context, op abi.Op, flags int, state, name, data []byte, out *Batch) (failed bool, err error) {
	return a.call(ctx, invocation{
		in: inEvent, op: op, sections: [3][]byte{state, name, data},
		params: [5]uint64{uint64(op), uint64(flags), uint64(len(state)), uint64(len(name)), uint64(len(data))},
	}, out)
}

// invocation is one call to make.
type invocation struct {
	in       export
	op       abi.Op
	sections [3][]byte
	params   [5]uint64
}

func (i *invocation) size() int {
	return len(i.sections[0]) + len(i.sections[1]) + len(i.sections[2])
}

// call runs an invocation and fills out. failed means that the guest returned 1:
// its emissions end in ERROR, or it didn't say. err is a *CallError when the
// guest broke, a *PausedError for a request during a pause, ErrBusy, ErrNoMemory, a
// *memory.Error for a call that would have needed more than is left, or the context's
// cause. A trap is repeated once on a fresh instance, which no upstream
// notices.
func (a *Adapter) call(ctx context.Context, i invocation, out *Batch) (failed bool, err error) {
	out.Reset()
	if a.err != nil {
		return false, a.err
	}
	if n := i.size(); n > a.opts.Limits.Input {
		return false, &CallError{Kind: TooLarge, Err: fmt.Errorf("%d bytes; at most %d are given to an adapter", n, a.opts.Limits.Input)}
	}
	if i.in == inRequest { // what began before the pause may come to its end
		if left := a.Paused(); left > 0 {
			return false, &PausedError{left}
		}
	}
	seat := seat{slots: a.engine.slots, tenant: a.tenant, wait: a.engine.opts.CallWait}
	c := caller{ctx: ctx, seat: &seat, pace: a.pace}
	failed, err = a.once(c, &i, out, false)
	if broke, ok := errors.AsType[*CallError](err); ok && broke.Kind == Trap {
		a.report(ctx, broke)
		failed, err = a.once(c, &i, out, true)
	}
	seat.leave()
	if err == nil {
		if i.in != inRequest || a.pause.failing.Load() && finished(out) {
			a.pause.worked()
		}
		return failed, nil
	}
	if broke, ok := errors.AsType[*CallError](err); ok {
		switch broke.Kind {
		case OutOfFuel, OutOfTime, OutOfMemory:
			broke.Large = i.size() >= largeInput
		}
		if !broke.Large {
			if d := a.pause.broke(&i, time.Now()); d > 0 {
				a.log.log.Warn("adapter paused: it broke on different inputs in a row", "pause", d.String())
			}
		}
		a.report(ctx, broke)
	}
	out.Reset()
	return failed, err
}

// shortInput is how much a call may be given that begins without a slot. Most of a
// stream's events are such calls, and waiting for a slot was a quarter of what a
// chunk of a burst cost.
const shortInput = 16 << 10

// largeInput is how much a call has to be given for that to be why it ran out of fuel,
// time or memory. The fuel for the input alone is a fifth of all then, and one that
// breaks on whatever it is given breaks on less.
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

// report logs a broken call. The guest's own words may hold a prompt.
func (a *Adapter) report(ctx context.Context, e *CallError) {
	a.log.log.LogAttrs(ctx, slog.LevelError, "adapter call failed", slog.String("err", e.Error()))
	if e.Stderr != "" {
		a.log.log.LogAttrs(ctx, slog.LevelDebug, "adapter standard error", slog.String("text", cutQuoted(e.Stderr, maxLogLine)))
	}
}

// once runs an invocation, on a fresh instance or on one that may be used, and gives
// the instance back, or closes it. One that is short and finds an idle instance
// begins without a slot: that bounds how many do.
func (a *Adapter) once(c caller, i *invocation, out *Batch, fresh bool) (failed bool, err error) {
	var in *instance
	if !fresh && i.size() < shortInput {
		in = a.takeIdle()
	}
	if in == nil {
		if err := c.seat.take(c.ctx); err != nil {
			return false, err
		}
		if in, err = a.take(c, fresh); err != nil {
			return false, err
		}
	}
	fn := in.event
	switch i.in {
	case inRequest:
		fn = in.request
	case inResponse:
		fn = in.response
	}
	in.collect.begin(out, i.in, i.op, 4*i.size()+a.opts.Limits.Output)
	in.collect.state = a.opts.Limits.State
	status, err := in.call(c, fn, i.sections, i.params, a.opts.Limits.fuel(i.size()))
	in.collect.batch = nil
	if err == nil && status > abi.StatusFailed {
		err = &CallError{Kind: Trap, Err: fmt.Errorf("returned status %d", api.DecodeI32(uint64(status))), Stderr: string(in.stderr)}
	}
	if err != nil {
		in.close()
		return false, err
	}
	a.give(in)
	return status == abi.StatusFailed, nil
}

// take lends an instance.
func (a *Adapter) take(c caller, fresh bool) (*instance, error) {
	if !fresh {
		if in := a.takeIdle(); in != nil {
			return in, nil
		}
	}
	a.made.Add(1)
	in, err := a.instantiate(c, a.version, false)
	if full, ok := errors.AsType[*memory.Error](err); ok {
		return nil, fmt.Errorf("%w: %w", ErrNoMemory, full)
	}
	return in, err
}

// takeIdle lends an instance that is there, nil if there is none.
func (a *Adapter) takeIdle() *instance {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.idle)
	if n == 0 {
		return nil
	}
	a.unused = min(a.unused, n-1)
	in := a.idle[n-1]
	a.idle[n-1] = nil // or one that breaks would be held by the array
	a.idle = a.idle[:n-1]
	return in
}

// trim closes the idle instances that nobody needed since it was called last. One
// stays, for the next call.
func (a *Adapter) trim() {
	a.mu.Lock()
	extra := max(0, min(a.unused, len(a.idle)-1))
	unneeded := slices.Clone(a.idle[:extra])
	a.idle = slices.Delete(a.idle, 0, extra)
	a.unused = len(a.idle)
	a.mu.Unlock()
	for _, in := range unneeded {
		in.close()
	}
}

// reclaim closes the idle instances, whose memory somebody needs at once.
func (a *Adapter) reclaim() {
	a.mu.Lock()
	idle := a.idle
	a.idle, a.unused = nil, 0
	a.mu.Unlock()
	for _, in := range idle {
		in.close()
	}
}

// give takes an instance back, unless it or its stack grew too large or enough are
// idle.
func (a *Adapter) give(in *instance) {
	if int64(in.memory.Size()) <= a.opts.Limits.Kept && in.stackSize() <= keptStack {
		a.mu.Lock()
		if len(a.idle) < a.opts.Kept && a.holds > 0 {
			a.idle = append(a.idle, in)
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
	}
	in.close()
}
