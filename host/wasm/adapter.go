package wasm

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/sdk/abi"
)

// AdapterOptions configures Engine.Adapter.
type AdapterOptions struct {
	Options  []byte     // the provider's options, JSON; default {}
	MaxIdle  int        // how many idle instances are kept; default 1
	LogLevel slog.Level // the lowest level of the guest's log that is written; default slog.LevelInfo (the zero value)
	Limits   Limits
	Fresh    bool          // each request gets instances of its own, see ForRequest
	Later    bool          // a module whose code is in the cache, because it was loaded before, is loaded when somebody first waits for the adapter; until then it counts as ready and takes no memory
	Share    *memory.Share // the provider's share, in which the memory of instances is counted; default: it is not counted
}

// Adapter is a module with one provider's options. It is loaded once, and each call
// runs in an instance of its pool. Its methods are safe for concurrent use.
type Adapter struct {
	*loader
	*runner
	*pool
	fresh bool // each request has a pool of its own
}

// Adapter returns an adapter at once and begins to load its module in the background.
// name is the provider's name, for the log. The caller must close the adapter.
func (e *Engine) Adapter(name string, module []byte, opts AdapterOptions) *Adapter {
	return e.Open(name, modfile.ModuleOf(module), opts)
}

// Open is Adapter for a module that is read when it is loaded.
func (e *Engine) Open(name string, m modfile.Module, opts AdapterOptions) *Adapter {
	if len(opts.Options) == 0 {
		opts.Options = []byte("{}")
	}
	limits := opts.Limits.withDefaults()
	log := logger{log: e.opts.Logger.With("provider", name), level: opts.LogLevel, rate: &rate{limit: limits.LogLines}}
	a := &Adapter{
		loader: &loader{engine: e, name: name, module: m, ready: make(chan struct{}), refs: 1},
		runner: &runner{
			slots: e.slots, wait: e.opts.CallWait, limits: &limits, log: log,
			tenant: &tenant{}, pause: &breaker{}, pace: &pace{}, eventsBroke: new(atomic.Int32),
		},
		pool: &pool{
			options: opts.Options, limits: &limits, share: opts.Share, logs: log, maxIdle: max(opts.MaxIdle, 1), live: new(atomic.Int32),
		},
		fresh: opts.Fresh,
	}
	a.loader.begin = sync.OnceFunc(func() { e.enqueue(a) })
	if opts.Later && m.Found && e.cache.knows(m.Digest) {
		a.cached = &m.Manifest
	} else {
		a.begin()
	}
	return a
}

// Fuel returns the most that one call may have.
func (a *Adapter) Fuel() int64 { return a.runner.limits.Fuel }

// Close frees the instances and gives back the compiled module. No call may be running,
// and none may follow. An adapter that is still being loaded is freed when that has ended.
func (a *Adapter) Close() { a.release() }

// ForRequest returns the adapter for the calls of one request, and a function that
// must be called at the request's end. It is the adapter itself, or with
// AdapterOptions.Fresh one whose instances serve only that request.
func (a *Adapter) ForRequest() (mine *Adapter, end func()) {
	if !a.fresh {
		return a, func() {}
	}
	mine = &Adapter{loader: a.loader, runner: a.runner, pool: a.pool.emptyCopy()}
	return mine, mine.pool.close
}

// release gives up one reference, the owner's or the loader's. The last one frees the
// adapter.
func (a *Adapter) release() {
	if a.loader.unref() {
		a.pool.close()
		a.engine.forget(a)
	}
}

// Request runs kai_request on the body of a client's request, in which the model is the
// upstream's. options are the options of the model.
func (a *Adapter) Request(ctx context.Context, op abi.Op, stream bool, options, body []byte, out *Batch) (failed bool, err error) {
	flags := uint64(0)
	if stream {
		flags = abi.FlagStream
	}
	return a.call(ctx, &invocation{
		in: inRequest, op: op, sections: [3][]byte{options, body},
		params: [5]uint64{uint64(op), flags, uint64(len(options)), uint64(len(body))},
	}, out)
}

// Response runs kai_response on an answer that the upstream sent whole.
func (a *Adapter) Response(ctx context.Context, op abi.Op, status int, state, head, body []byte, out *Batch) (failed bool, err error) {
	return a.call(ctx, &invocation{
		in: inResponse, op: op, sections: [3][]byte{state, head, body},
		params: [5]uint64{uint64(op), uint64(status), uint64(len(state)), uint64(len(head)), uint64(len(body))},
	}, out)
}

// Event runs kai_event on one event of a streamed answer. flags are abi.FlagEnd and
// abi.FlagDone.
func (a *Adapter) Event(ctx context.Context, op abi.Op, flags int, state, name, data []byte, out *Batch) (failed bool, err error) {
	return a.call(ctx, &invocation{
		in: inEvent, op: op, sections: [3][]byte{state, name, data},
		params: [5]uint64{uint64(op), uint64(flags), uint64(len(state)), uint64(len(name)), uint64(len(data))},
	}, out)
}

// call runs an invocation in the adapter's pool and fills out, see runner.call.
func (a *Adapter) call(ctx context.Context, i *invocation, out *Batch) (failed bool, err error) {
	if a.err != nil {
		out.Reset()
		return false, a.err
	}
	return a.runner.call(ctx, a.pool, i, out)
}
