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
// Any of them serves any call.
type pool struct {
	version *version // set before the first instance is made
	options []byte   // the provider's
	limits  *Limits
	share   *memory.Share // which instances are counted in; nil: they are not
	logs    logger        // of the guests
	most    int           // idle instances

	made atomic.Int32 // instances that calls needed

	mu     sync.Mutex
	closed bool
	idle   []*instance // the last one used lately
	unused int         // how many of idle, from the first, nobody needed since the last trim
}

// another makes an empty pool of the same instances, which keeps one.
func (p *pool) another() *pool {
	return &pool{version: p.version, options: p.options, limits: p.limits, share: p.share, logs: p.logs, most: 1}
}

// instantiate makes an instance and gives it its options. The first one of a version
// is made whatever memory there is: an adapter that is loaded is one that can run.
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
	return in, nil
}

// begin keeps the instance that loading has made, however large it is.
func (p *pool) begin(in *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, in)
}

// take lends an instance.
func (p *pool) take(c caller, fresh bool) (*instance, error) {
	if !fresh {
		if in := p.takeIdle(); in != nil {
			return in, nil
		}
	}
	p.made.Add(1)
	in, err := p.instantiate(c, false)
	if full, ok := errors.AsType[*memory.Error](err); ok {
		return nil, fmt.Errorf("%w: %w", ErrNoMemory, full)
	}
	return in, err
}

// takeIdle lends an instance that is there, nil if there is none.
func (p *pool) takeIdle() *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	p.unused = min(p.unused, n-1)
	in := p.idle[n-1]
	p.idle[n-1] = nil // or one that breaks would be held by the array
	p.idle = p.idle[:n-1]
	return in
}

// trim closes the idle instances that nobody needed since it was called last. One
// stays, for the next call.
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

// reclaim closes the idle instances, whose memory somebody needs at once.
func (p *pool) reclaim() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.unused = nil, 0
	p.mu.Unlock()
	for _, in := range idle {
		in.close()
	}
}

// give takes an instance back, unless it or its stack grew too large or enough are
// idle.
func (p *pool) give(in *instance) {
	if int64(in.memory.Size()) <= p.limits.Kept && in.stackSize() <= keptStack {
		p.mu.Lock()
		if len(p.idle) < p.most && !p.closed {
			p.idle = append(p.idle, in)
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
	}
	in.close()
}

// close closes the idle instances and keeps none from here on.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, in := range idle {
		in.close()
	}
}
