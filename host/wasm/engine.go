// Package wasm runs adapters: WebAssembly modules of a few pure functions,
// sandboxed in wazero.
//
// An Engine has what all adapters share: the limit of guest calls that run at once, the
// cache of compiled code, and the modules that were used last. An Adapter is one module
// with one provider's options. Its calls are stateless: an instance is lent for one
// call. So any instance can serve any event of any stream, a guest that traps costs
// exactly that call, and an instance can be thrown away between any two calls.
//
// A guest can't hang the process, since every loop and function burns fuel. It can't
// take more memory than its limit, and reaches nothing but the three imports of the ABI.
// What it emits is checked before anyone else sees it.
package wasm

import (
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/wasm/modfile"
)

// Options configures New. The zero value is ready for production use, without a
// cache on disk.
type Options struct {
	Logger   *slog.Logger  // default: discard
	CacheDir string        // where compiled code is kept from one start to the next, up to 256 MiB; not used if others can write there; "": nothing is kept
	Calls    int           // how many guest calls of more than half a millisecond run at once; default max(1, GOMAXPROCS-1)
	CallWait time.Duration // how long a call waits for a slot; default 30 s
	Modules  *Modules      // compiled modules in memory, which may be shared with other engines; default: the engine's own, of which 4 stay compiled after their last use
	Idle     time.Duration // an instance that nobody needed for so long is closed, unless it is its adapter's only one; default 1 min
}

// Engine runs adapters. Its methods are safe for concurrent use.
type Engine struct {
	opts    Options
	slots   *slots
	cache   *codeCache
	modules *Modules

	done    chan struct{} // closed by Close
	running sync.WaitGroup

	mu       sync.Mutex
	adapters map[*Adapter]struct{} // those not closed yet
	wake     *sync.Cond            // signalled when queue or closed changes
	queue    []*Adapter            // adapters to be loaded, in order
	untidy   bool                  // a module was compiled since the last tidy
	closed   bool
}

// New starts an engine. Close it after every Adapter was closed.
func New(opts Options) *Engine {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Calls <= 0 {
		opts.Calls = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if opts.CallWait <= 0 {
		opts.CallWait = 30 * time.Second
	}
	if opts.Idle <= 0 {
		opts.Idle = time.Minute
	}
	e := &Engine{
		opts: opts, slots: newSlots(opts.Calls), cache: newCodeCache(opts.CacheDir, opts.Logger), modules: opts.Modules,
		done: make(chan struct{}), adapters: map[*Adapter]struct{}{},
	}
	if e.modules == nil {
		e.modules = NewModules(0)
	}
	e.wake = sync.NewCond(&e.mu)
	e.running.Go(e.load)
	e.running.Go(e.trim)
	return e
}

// Close ends the loading of adapters, after the one that is being compiled, and frees
// the compiled modules that nobody uses, unless they are shared. Adapters can still be used
// until they are closed.
func (e *Engine) Close() {
	e.mu.Lock()
	if !e.closed {
		e.closed = true
		close(e.done)
	}
	e.wake.Broadcast()
	e.mu.Unlock()
	e.running.Wait()
	if e.opts.Modules == nil {
		e.modules.Close()
	}
}

// load loads adapters one after the other, in the order of the queue, until Close.
func (e *Engine) load() {
	for {
		e.mu.Lock()
		for len(e.queue) == 0 && !e.closed {
			e.wake.Wait()
		}
		if e.closed {
			queue := e.queue
			e.queue = nil
			e.mu.Unlock()
			for _, a := range queue {
				a.loaded(nil, errClosed)
			}
			return
		}
		a := e.queue[0]
		e.queue = e.queue[1:]
		e.mu.Unlock()
		a.load()
		e.tidy()
	}
}

// trim regularly closes instances that were needed in a busier time, until Close.
func (e *Engine) trim() {
	tick := time.NewTicker(e.opts.Idle)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-e.done:
			return
		}
		e.mu.Lock()
		adapters := slices.Collect(maps.Keys(e.adapters))
		e.mu.Unlock()
		for _, a := range adapters {
			a.trim()
		}
	}
}

// Reclaim closes the idle instances that are counted in a share, or all idle instances
// if s is nil. It is for memory.Options.
func (e *Engine) Reclaim(s *memory.Share) {
	e.mu.Lock()
	adapters := slices.Collect(maps.Keys(e.adapters))
	e.mu.Unlock()
	for _, a := range adapters {
		if s == nil || a.share == s {
			a.reclaim()
		}
	}
}

// tidy cleans up after compiling, when nothing is left to load. Compiling a module
// leaves several times its size in garbage, which a gateway that waits for its first
// request would keep for minutes. It also leaves a file in the cache.
func (e *Engine) tidy() {
	e.mu.Lock()
	due := e.untidy && len(e.queue) == 0
	e.untidy = e.untidy && !due
	e.mu.Unlock()
	if !due {
		return
	}
	memory.GiveBack()
	e.cache.trim(cacheSize, cacheAge, time.Now())
}

// enqueue adds an adapter, which is loaded in the background.
func (e *Engine) enqueue(a *Adapter) {
	a.ref()
	e.mu.Lock()
	closed := e.closed
	e.adapters[a] = struct{}{}
	if !closed {
		e.queue = append(e.queue, a)
		e.wake.Broadcast()
	}
	e.mu.Unlock()
	if closed {
		a.loaded(nil, errClosed)
	}
}

// forget removes an adapter that was closed, and gives back its version.
func (e *Engine) forget(a *Adapter) {
	e.mu.Lock()
	delete(e.adapters, a)
	e.mu.Unlock()
	if v := a.loader.version; v != nil {
		e.modules.release(v)
	}
}

// acquire returns the version of a module. It reads and compiles the module if that is not
// in memory. If the module has to run for that, it runs for c, within limits, which are
// those of its adapter.
func (e *Engine) acquire(m modfile.Module, limits *Limits, c caller) (*version, error) {
	if v := e.modules.find(m.Digest); v != nil {
		return v, nil
	}
	v, err := compile(m, e.cache, limits, c)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.untidy = true
	e.mu.Unlock()
	return e.modules.add(v), nil
}
