package observe

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/record"
)

// Names are what a configuration allows as labels.
type Names struct {
	Aliases   []string
	Targets   []Target // by the ID of the route's target; several may be equal
	Providers []string
	Keys      []string // of the clients' keys; nil: they have no series

	Conventions Conventions // by which attempts are counted besides
}

// View counts the requests of one configuration. It has looked up all series beforehand, so
// that counting a request only adds to numbers. It is safe for concurrent use.
type View struct {
	m         *Metrics
	aliases   map[string]*aliasSeries
	targets   []*targetSeries // by ID
	providers map[string]*providerSeries
	keys      map[string]*keySeries
	other     *keySeries // of keys without a series of their own; nil: there are none

	conventions Conventions
}

// View returns the view of a configuration. The caller must close it. A series lives as long
// as a view has its labels.
func (m *Metrics) View(n Names) *View {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := &View{m: m, conventions: n.Conventions, aliases: map[string]*aliasSeries{}, providers: map[string]*providerSeries{}, keys: map[string]*keySeries{}}
	for _, name := range n.Aliases {
		v.aliases[name] = m.aliases.hold(name, func() *aliasSeries { return newAliasSeries(m, name) })
	}
	for _, t := range n.Targets {
		v.targets = append(v.targets, m.targets.hold(t, func() *targetSeries { return newTargetSeries(m, t) }))
	}
	for _, name := range n.Providers {
		v.providers[name] = m.plugins.hold(name, func() *providerSeries { return newProviderSeries(m, name) })
	}
	for i, name := range n.Keys {
		if i == maxKeys {
			v.other = m.keys.hold(Other, func() *keySeries { return newKeySeries(m, Other) })
			break
		}
		v.keys[name] = m.keys.hold(name, func() *keySeries { return newKeySeries(m, name) })
	}
	return v
}

// Close gives up the series, and deletes those that no other view has. Nothing may be counted
// by the view any more.
func (v *View) Close() {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	for name := range v.aliases {
		if s := v.m.aliases.release(name); s != nil {
			s.remove()
		}
	}
	for _, t := range v.targets {
		if s := v.m.targets.release(t.target); s != nil {
			s.remove()
		}
	}
	for name := range v.providers {
		if s := v.m.plugins.release(name); s != nil {
			s.remove()
		}
	}
	for name := range v.keys {
		if s := v.m.keys.release(name); s != nil {
			s.remove()
		}
	}
	if v.other != nil {
		if s := v.m.keys.release(Other); s != nil {
			s.remove()
		}
	}
}

// Begin counts a request that has come to an alias. End must follow, with a record that
// has the Alias.
func (v *View) Begin(alias string) {
	if s := v.aliases[alias]; s != nil {
		s.flying().Inc()
	}
}

// End counts a request that is over.
func (v *View) End(r *record.Request) {
	if r.Class != "" && len(r.Attempts) == 0 && r.Status != fault.StatusGone {
		v.m.refusals.WithLabelValues(r.Class, record.KnownCode(r.Code)).Inc()
	}
	if !r.ForModel {
		return
	}
	s := v.aliases[r.Alias]
	if s == nil {
		s = v.m.unknown
	} else {
		s.flying().Dec()
	}
	use := cacheUse(r.Cache)
	s.request(r.Status, use).Inc()
	s.duration(r.Stream).Observe(r.Duration.Seconds())
	if use > 0 {
		s.cached(use).Inc()
	}
	if r.FirstContent > 0 {
		s.firstToken().Observe(r.FirstContent.Seconds())
	}
	used := int64(0)
	for i := range r.Attempts {
		used += v.attempt(r, &r.Attempts[i])
	}
	key := v.keys[r.Key]
	if key == nil {
		key = v.other
	}
	if key != nil && r.Key != "" {
		key.add(used)
	}
}

// attempt counts an attempt, and returns how many tokens it used.
func (v *View) attempt(r *record.Request, a *record.Attempt) int64 {
	if a.Target < 0 || a.Target >= len(v.targets) {
		return 0
	}
	s := v.targets[a.Target]
	s.attempt(a.Class).Inc()
	s.duration().Observe(a.Duration.Seconds())
	if v.conventions.Names != "" {
		v.m.genAI.observe(&v.conventions, s, r, a)
	}
	if a.Cooled {
		s.cooldown(a.Class).Inc()
	}
	u := a.Usage
	for kind, n := range u.ByType() {
		s.add(kind, n)
	}
	if u.Estimated {
		s.estimate().Inc()
	}
	s.spend(a.Cost.Nano)
	if a.Uncertain {
		v.m.uncertain.Inc()
	}
	if p := v.providers[a.Provider]; p != nil {
		p.count(&p.ok, "ok", a.Calls.OK)
		p.count(&p.failed, "failed", a.Calls.Failed)
		p.count(&p.broken, "broken", a.Calls.Broken)
		if a.Calls.Fuel > 0 {
			p.fuel.get(func() prometheus.Counter { return v.m.fuel.WithLabelValues(p.name) }).Add(float64(a.Calls.Fuel))
		}
	}
	return u.Input + u.Output
}
