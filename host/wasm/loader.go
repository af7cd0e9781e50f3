package wasm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kai-gateway/kai/host/wasm/modfile"
)

// loader is what an adapter is made of: its module, and the version that becomes of
// it. Several adapters may share one that has ended.
type loader struct {
	engine *Engine
	name   string // the provider's
	module []byte // until it is loaded

	ready   chan struct{} // closed when loading has ended
	version *version      // set before ready is closed, if err is nil
	err     error

	mu    sync.Mutex
	holds int // the owner's and the loader's
}

// letGo gives up one hold and reports whether it was the last.
func (l *loader) letGo() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds--
	return l.holds == 0
}

// load compiles the module, replays the transcript in it, and makes a first
// instance, so that a module that can't run is found before a request meets it.
func (a *Adapter) load() {
	begin := time.Now()
	// Calls of others are bounded, so a slot comes however busy they are.
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
		in.close() // it has shown that there can be others
	} else {
		a.pool.begin(in)
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
	a.release() // the loader's hold, so that who saw ready has the last one
	close(a.ready)
}

// Status tells without waiting whether the adapter can be called: ready and nil,
// or not ready and nil while it loads, or the error that loading ended with.
func (l *loader) Status() (ready bool, err error) {
	select {
	case <-l.ready:
		return l.err == nil, l.err
	default:
		return false, nil
	}
}

// Wait waits for at most d until loading has ended. The error is ErrNotReady,
// the context's cause, or what loading ended with.
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

// Manifest gives what the module says about itself. Only for a ready adapter.
func (l *loader) Manifest() modfile.Manifest { return l.version.manifest }
