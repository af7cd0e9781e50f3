package wasm

import (
	"context"
	"log/slog"

	"github.com/kai-gateway/kai/host/memory"
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

// Adapter is a module with one provider's options: loaded once, called in the
// instances of a pool. Its methods are safe for concurrent use.
type Adapter struct {
	*loader
	*runner
	*pool
	fresh bool // each request has a pool of its own
}

// Adapter begins to load module in the background and returns at once. name is
// the provider's, for the log. Close it when it is used no more.
func (e *Engine) Adapter(name string, module []byte, opts AdapterOptions) *Adapter {
	if len(opts.Options) == 0 {
		opts.Options = []byte("{}")
	}
	limits := opts.Limits.withDefaults()
	log := logger{log: e.opts.Logger.With("provider", name), level: opts.LogLevel, rate: &rate{limit: limits.LogLines}}
	a := &Adapter{
		loader: &loader{engine: e, name: name, module: module, ready: make(chan struct{}), holds: 2},
		runner: &runner{
			slots: e.slots, wait: e.opts.CallWait, limits: &limits, log: log,
			tenant: &tenant{}, pause: &breaker{}, pace: &pace{},
		},
		pool: &pool{
			options: opts.Options, limits: &limits, share: opts.Share, logs: log, most: max(opts.Kept, 1),
		},
		fresh: opts.Fresh,
	}
	e.enqueue(a)
	return a
}

// Close frees the instances and gives up the compiled module. No call may run
// or follow. An adapter that still loads is freed when it has.
func (a *Adapter) Close() { a.release() }

// ForRequest gives the adapter for the calls of one request, and a function that
// must be called at its end: the adapter itself, or with AdapterOptions.Fresh
// one whose instances serve that request only.
func (a *Adapter) ForRequest() (mine *Adapter, end func()) {
	if !a.fresh {
		return a, func() {}
	}
	mine = &Adapter{loader: a.loader, runner: a.runner, pool: a.pool.another()}
	return mine, mine.pool.close
}

// release gives up one hold, the owner's or the loader's.
func (a *Adapter) release() {
	if a.loader.letGo() {
		a.pool.close()
		a.engine.forget(a)
	}
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

// call runs an invocation in the adapter's pool and fills out, see runner.call.
func (a *Adapter) call(ctx context.Context, i invocation, out *Batch) (failed bool, err error) {
	if a.err != nil {
		out.Reset()
		return false, a.err
	}
	return a.runner.call(ctx, a.pool, i, out)
}
