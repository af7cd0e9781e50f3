package wasm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kai-gateway/kai/host/wasm/modfile"
)

// loader makes a version of an adapter's module. When it has done so, several adapters
// may share it (see Adapter.ForRequest).
type loader struct {
	engine *Engine
	name   string            // the provider's
	module modfile.Module    // what can be known before it is loaded; without Read once it was
	begin  func()            // puts it into the queue, once
	cached *modfile.Manifest // of a module that may be loaded later, because its code is in the cache

	ready   chan struct{} // closed when loading has ended
	version *version      // set before ready is closed, unless err is
	err     error         // why loading failed; set before ready is closed

	mu   sync.Mutex
	refs int // the owner has one, and one is held from begin until the adapter was loaded
}

// ref takes one more reference.
func (l *loader) ref() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refs++
}

// unref gives up one reference and reports whether it was the last.
func (l *loader) unref() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refs--
	return l.refs == 0
}

// load compiles the module, replays the transcript in it, and makes a first
// instance. So a module that can't run is found before a request needs it.
func (a *Adapter) load() {
	begin := time.Now()
	// All other calls are bounded, so a slot becomes free in the end.
	seat := seat{slots: a.engine.slots, tenant: a.tenant, wait: time.Hour}
	c := caller{ctx: context.Background(), seat: &seat, pace: a.pace}
	v, err := a.engine.acquire(a.loader.module, a.runner.limits, c)
	if err != nil {
		a.loaded(nil, err)
		return
	}
	if carried := v.transcript.Load(); carried != nil {
		if err := a.replay(v, carried); err != nil {
			a.engine.modules.release(v)
			a.loaded(nil, &modfile.LoadError{Err: err})
			return
		}
		v.transcript.Store(nil)
	}
	a.pool.version = v
	var in *instance
	if err = seat.take(c.ctx); err == nil {
		in, err = a.pool.instantiate(c, true)
		seat.leave()
	}
	if err != nil {
		a.engine.modules.release(v)
		a.loaded(nil, &modfile.LoadError{Err: err})
		return
	}
	if a.fresh {
		in.close() // it has shown that instances can be made
	} else {
		a.pool.add(in)
	}
	a.engine.opts.Logger.Info("adapter ready", "provider", a.name, "plugin", v.manifest.Name,
		"version", v.manifest.Version, "sha256", fmt.Sprintf("%x", v.digest[:6]), "duration_ms", time.Since(begin).Milliseconds())
	a.engine.cache.remember(v.digest)
	a.loaded(v, nil)
}

func (a *Adapter) loaded(v *version, err error) {
	if err != nil && !errors.Is(err, errClosed) {
		a.engine.opts.Logger.Error("adapter failed to load", "provider", a.name, "err", err)
	}
	a.loader.version, a.err, a.loader.module.Read = v, err, nil
	// This comes before ready is closed, so that whoever has waited for ready has the last
	// reference, and frees the adapter by closing it.
	a.release()
	close(a.ready)
}

// Status reports without waiting whether the adapter can be called after Wait, at once or
// nearly so. While the adapter is being loaded for the first time, ready is false and err
// is nil. If loading failed, err says why.
func (l *loader) Status() (ready bool, err error) {
	select {
	case <-l.ready:
		return l.err == nil, l.err
	default:
		return l.cached != nil, nil
	}
}

// Wait waits until loading has ended, for at most d, and begins it if nobody has. The error
// is ErrNotReady, the context's cause, or the reason why loading failed.
func (l *loader) Wait(ctx context.Context, d time.Duration) error {
	l.begin()
	select {
	case <-l.ready:
		return l.err
	default:
	}
	select {
	case <-l.ready:
		return l.err
	case <-time.After(d):
		return ErrNotReady
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Manifest returns what the module says about itself. The adapter must be ready.
func (l *loader) Manifest() modfile.Manifest {
	if l.cached != nil {
		return *l.cached
	}
	return l.version.manifest
}
