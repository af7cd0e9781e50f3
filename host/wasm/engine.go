// Package wasm runs adapters: WebAssembly modules of a few pure functions,
// sandboxed in wazero.
//
// An Engine holds what all adapters share: the bound on running guest calls,
// the cache of compiled code and the modules compiled lately. An Adapter is one
// module with one provider's options. Its calls are stateless: an instance is
// lent for one call, so any instance serves any event of any stream, a guest
// that traps costs exactly that call, and an instance can be thrown away at any
// moment.
//
// A guest can't hang the process (every loop and function burns fuel), can't
// take more memory than its limit, and reaches nothing but the two imports of
// the ABI. What it emits is checked before anyone else sees it.
package wasm

import (
	"crypto/sha256"
	"log/slog"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/kai-gateway/kai/host/memory"
)

// Options configures New. The zero value is ready for production use, without a
// cache on disk.
type Options struct {
	Logger   *slog.Logger  // default: discard
	CacheDir string        // keeps compiled code from one start to the next, 256 MiB of it, if nobody else can write there; "": nothing is kept
	Calls    int           // guest calls of more than half a millisecond that run at once; default max(1, GOMAXPROCS-1)
	CallWait time.Duration // how long a call waits for its turn; default 30 s
	Versions int           // modules kept compiled after their last use; default 4
	Idle     time.Duration // after which an instance that nobody needed is closed, unless it is its adapter's only one; default 1 min
}

// Engine runs adapters. Its methods are safe for concurrent use.
type Engine struct {
	opts  Options
	slots *slots
	cache *codeCache

	done    chan struct{} // closed by Close
	running sync.WaitGroup

	mu       sync.Mutex
	adapters map[*Adapter]struct{} // not closed yet
	wake     *sync.Cond            // queue or closed changed
	queue    []*Adapter            // to be loaded, in order
	untidy   bool                  // something was compiled since the last tidy
	closed   bool
	live     map[[sha256.Size]byte]*version // in use
	kept     *simplelru.LRU[[sha256.Size]byte, *version]
}

// New starts an engine. Close it when every Adapter is closed.
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
	if opts.Versions <= 0 {
		opts.Versions = 4
	}
	if opts.Idle <= 0 {
		opts.Idle = time.Minute
	}
	e := &Engine{
		opts: opts, slots: newSlots(opts.Calls), cache: newCodeCache(opts.CacheDir, opts.Logger), done: make(chan struct{}),
		adapters: map[*Adapter]struct{}{}, live: map[[sha256.Size]byte]*version{},
	}
	e.wake = sync.NewCond(&e.mu)
	e.kept, _ = simplelru.NewLRU(opts.Versions, func(_ [sha256.Size]byte, v *version) {
		if v.refs == 0 {
			v.close()
		}
	})
	e.running.Go(e.load)
	e.running.Go(e.trim)
	return e
}

// Close ends loading, waits for a compilation that runs, and frees the compiled
// modules nobody uses. Adapters still in use stay usable until they are closed.
func (e *Engine) Close() {
	e.mu.Lock()
	if !e.closed {
		e.closed = true
		close(e.done)
	}
	e.wake.Broadcast()
	e.mu.Unlock()
	e.running.Wait()

	e.mu.Lock()
	defer e.mu.Unlock()
	e.kept.Purge()
}

// load compiles adapters one after the other, in the order they were asked for.
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

// trim closes instances that a busier time has left, again and again.
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

// Reclaim closes the idle instances that are counted in a share, or with nil all that
// are idle. It is for memory.Options.
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

// tidy cleans up after compiling, when nothing is left to load. A module leaves
// several times its size in garbage, which a gateway that waits for its first
// request would keep for minutes, and a file in the cache.
func (e *Engine) tidy() {
	e.mu.Lock()
	due := e.untidy && len(e.queue) == 0
	e.untidy = e.untidy && !due
	e.mu.Unlock()
	if !due {
		return
	}
	debug.FreeOSMemory()
	e.cache.trim(cacheSize, cacheAge, time.Now())
}

// enqueue takes a new adapter in and has it loaded in the background.
func (e *Engine) enqueue(a *Adapter) {
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

// forget gives back what an adapter has that nobody will use again.
func (e *Engine) forget(a *Adapter) {
	e.mu.Lock()
	delete(e.adapters, a)
	e.mu.Unlock()
	if v := a.loader.version; v != nil {
		e.release(v)
	}
}

// acquire gives the compiled form of module, from memory if it was used lately.
// limits are those of the adapter that it is for, and c is who runs what of it has to
// run.
func (e *Engine) acquire(module []byte, limits *Limits, c caller) (*version, error) {
	digest := sha256.Sum256(module)
	e.mu.Lock()
	v := e.live[digest]
	if v == nil {
		v, _ = e.kept.Peek(digest)
	}
	if v != nil {
		v.refs++ // before Remove, whose callback closes what nobody uses
		e.kept.Remove(digest)
		e.live[digest] = v
		e.mu.Unlock()
		return v, nil
	}
	e.mu.Unlock()

	// Only the loader compiles, so nobody compiles the same module meanwhile.
	v, err := compile(module, e.cache, limits, c)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	v.digest, v.refs = digest, 1
	e.untidy = true
	e.live[digest] = v
	return v, nil
}

// release gives a version back. The last one lately used stay compiled.
func (e *Engine) release(v *version) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if v.refs--; v.refs > 0 {
		return
	}
	delete(e.live, v.digest)
	if e.closed {
		v.close()
		return
	}
	e.kept.Add(v.digest, v)
}
