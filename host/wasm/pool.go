package wasm

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kai-gateway/kai/host/memory"
)

// pool makes instances of a version and keeps some of them from one call to the next.
// Any instance can serve any call.
type pool struct {
	version *version // set before the first instance is made
	options []byte   // the provider's
	limits  *Limits
	share   *memory.Share // counts the memory of instances; nil: it is not counted
	logs    logger        // of the guests
	maxIdle int           // how many idle instances are kept

	instantiated atomic.Int32  // how many instances were made for calls
	live         *atomic.Int32 // how many instances exist, those of copies included

	mu     sync.Mutex
	closed bool
	idle   []*instance // the one used last is at the end
	unused int         // how many instances at the start of idle were not needed since the last trim
}

// emptyCopy returns a pool without instances that makes the same ones, and keeps one
// of them.
func (p *pool) emptyCopy() *pool {
	return &pool{version: p.version, options: p.options, limits: p.limits, share: p.share, logs: p.logs, maxIdle: 1, live: p.live}
}

// instantiate makes an instance and gives it its options. The first one is made even
// if it takes more memory than there is: an adapter that was loaded must be able to
// run.
func (p *pool) instantiate(c caller, first bool) (*instance, error) {
	grant := p.share.Guest()
	grant.Force(first)
	defer grant.Force(false)
	in, err := p.version.instantiate(c, p.logs, p.limits, grant)
	if err != nil {
		return nil, err
	}
	if err := in.configure(c, p.options); err != nil {
		in.close()
		return nil, err
	}
	in.counted = p.live
	in.counted.Add(1)
	return in, nil
}

// Instances returns how many instances exist.
func (p *pool) Instances() int { return int(p.live.Load()) }

// add puts the instance that loading has made into the pool, however large it is.
func (p *pool) add(in *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, in)
}

// take lends an idle instance, or makes one. With fresh it always makes one.
func (p *pool) take(c caller, fresh bool) (*instance, error) {
	if !fresh {
		if in := p.takeIdle(); in != nil {
			return in, nil
		}
	}
	p.instantiated.Add(1)
	in, err := p.instantiate(c, false)
	if full, ok := errors.AsType[*memory.Error](err); ok {
		return nil, fmt.Errorf("%w: %w", ErrNoMemory, full)
	}
	return in, err
}

// takeIdle lends an idle instance, or returns nil if there is none.
func (p *pool) takeIdle() (in *instance) {
	p.mu.Lock()
	if n := len(p.idle) - 1; n >= 0 {
		p.unused = min(p.unused, n)
		in = p.idle[n]
		p.idle[n] = nil // otherwise the array would hold an instance that breaks
		p.idle = p.idle[:n]
	}
	p.mu.Unlock()
	return in
}

// trim closes the idle instances that nobody needed since the last trim. It leaves one
// for the next call.
func (p *pool) trim() {
	p.mu.Lock()
	extra := max(0, min(p.unused, len(p.idle)-1))
	unneeded := slices.Clone(p.idle[:extra])
	p.idle = slices.Delete(p.idle, 0, extra)
	p.unused = len(p.idle)
	p.mu.Unlock()
	for _, in := range unneeded {
		in.close()
	}
}

// reclaim closes all idle instances, because their memory is needed.
func (p *pool) reclaim() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.unused = nil, 0
	p.mu.Unlock()
	for _, in := range idle {
		in.close()
	}
}

// give takes an instance back. It closes the instance if its memory or its stack has
// grown too large, or if enough instances are idle.
func (p *pool) give(in *instance) {
	if int64(in.memory.Size()) <= p.limits.KeptMemory && in.stackSize() <= keptStack {
		p.mu.Lock()
		if len(p.idle) < p.maxIdle && !p.closed {
			p.idle = append(p.idle, in)
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
	}
	in.close()
}

// close closes the idle instances, and from then on those that are given back.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, in := range idle {
		in.close()
	}
}
