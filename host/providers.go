package host

import (
	"crypto/sha256"
	"slices"
	"sync"

	"github.com/kai-gateway/kai/config"
)

// providers are those of all generations. If a reload changes nothing about a provider, it
// stays the same one with all that it has: its compiled adapter and warm instances, its
// pause, what is known of its upstream, and the idle connections to it. The zero value is
// ready, and safe for concurrent use.
type providers struct {
	mu  sync.Mutex
	all []*provider // with a hold
}

// identity is what makes a provider the same one after a reload.
type identity struct {
	config  config.Provider
	digest  [sha256.Size]byte // of its module
	workers int               // instances kept while idle
}

func identityOf(c config.Provider, workers int, digest [sha256.Size]byte) identity {
	if c.Limits.Instances > 0 {
		workers = c.Limits.Instances
	}
	return identity{config: c, digest: digest, workers: workers}
}

func (i identity) same(other identity) bool {
	return i.digest == other.digest && i.workers == other.workers && i.config.Same(other.config)
}

// hold returns the provider of that identity, which the caller must release. If there is none
// that can be used, begin makes it: an adapter that failed to load is tried again, and a
// provider that was retired keeps no connections.
func (ps *providers) hold(id identity, begin func() *provider) *provider {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	at := slices.IndexFunc(ps.all, func(p *provider) bool {
		_, broken := p.adapter.Status()
		return broken == nil && !p.retired.Load() && p.identity.same(id)
	})
	if at >= 0 {
		ps.all[at].refs++
		return ps.all[at]
	}
	p := begin()
	p.refs = 1
	ps.all = append(ps.all, p)
	return p
}

// release undoes hold. A provider that nobody holds is closed.
func (ps *providers) release(p *provider) {
	ps.mu.Lock()
	p.refs--
	last := p.refs == 0
	if last {
		ps.all = slices.DeleteFunc(ps.all, func(other *provider) bool { return other == p })
	}
	ps.mu.Unlock()
	if last {
		p.close()
	}
}
