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
	name   string // the provider's
	module []byte // nil once it was loaded

	ready   chan struct{} // closed when loading has ended
	version *version      // set before ready is closed, unless err is
	err     error         // why loading failed; set before ready is closed

	mu   sync.Mutex
	refs int // the owner has one, and one is held while the adapter is being loaded
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
	v, err := a.engine.acquire(a.module, a.runner.limits, c)
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
	a.pool.version = v
	var in *instance
	if err = seat.take(c.ctx); err == nil {
		in, err = a.pool.instantiate(c, true)
		seat.leave()
	}
	if err != nil {
		a.engine.release(v)
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
	a.loaded(v, nil)
}

func (a *Adapter) loaded(v *version, err error) {
	if err != nil && !errors.Is(err, errClosed) {
		a.engine.opts.Logger.Error("adapter failed to load", "provider", a.name, "err", err)
	}
	a.loader.version, a.err, a.module = v, err, nil
	// This comes before ready is closed, so that whoever has waited for ready has the last
	// reference, and frees the adapter by closing it.
	a.release()
	close(a.ready)
}

// Status reports without waiting whether the adapter can be called. While the adapter
// is being loaded, ready is false and err is nil. If loading failed, err says why.
func (l *loader) Status() (ready bool, err error) {
	select {
	case <-l.ready:
		return l.err == nil, l.err
	default:
		return false, nil
	}
}

// Wait waits until loading has ended, for at most d. The error is ErrNotReady, the
// context's cause, or the reason why loading failed.
func (l *loader) Wait(ctx context.Context, d time.Duration) error {
	select {
	case <-l.ready:
		return l.err
	default:
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.ready:
		return l.err
	case <-timer.C:
		return ErrNotReady
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Manifest returns what the module says about itself. The adapter must be ready.
func (l *loader) Manifest() modfile.Manifest { return l.version.manifest }
