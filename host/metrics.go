package host

import (
	"net/http"
	"slices"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/observe"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/wasm"
)

// Metrics serves the gateway's metrics in Prometheus' text format, to whoever asks. They
// name aliases, providers, models and, where the configuration says so, keys.
func (h *Host) Metrics() http.Handler { return h.metrics.Handler() }

// labels are the names of a configuration that metrics may use.
//
//   - conventions: the names by which attempts are also counted; "": none
func labels(c *config.Config, routes []route.Alias, conventions string) observe.Names {
	var n observe.Names
	for _, a := range routes {
		n.Aliases = append(n.Aliases, a.Name)
		for _, e := range a.Entries {
			if e.Alias == "" { // as Host.aliases numbers them
				n.Targets = append(n.Targets, observe.Target{Provider: e.Target.Provider, Model: e.Target.Model})
			}
		}
	}
	for _, p := range c.Providers {
		n.Providers = append(n.Providers, p.Name)
	}
	if conventions != "" {
		n.Conventions = observe.Conventions{Names: conventions, Systems: systemsOf(c)}
	}
	if c.Admin.KeyMetrics {
		for _, k := range c.Auth.Keys {
			n.Keys = append(n.Keys, k.Name)
		}
	}
	return n
}

// state is the part of the metrics that is looked up at each scrape.
func (h *Host) state() observe.State {
	g := h.acquire()
	defer g.release()
	now := g.now()
	s := observe.State{
		Generation: h.taken.Load(), Refused: h.refused.Load() != nil, Refusals: h.refusals.Load(), AuditDropped: h.audit.Dropped(), TracesDropped: h.tracer.Dropped(), Instances: map[string]int{},
	}
	if h.shared != nil {
		up := h.shared.Up()
		s.Shared = &up
	}
	if h.opts.LogDropped != nil {
		s.LogDropped = h.opts.LogDropped()
	}
	for _, p := range g.order {
		if a, ok := p.adapter.(*wasm.Adapter); ok {
			s.Instances[p.name] = a.Instances()
		}
	}
	if g.caching != nil {
		entries, bytes := h.cache.Held()
		s.Cache = &observe.CacheState{Entries: int64(entries), Bytes: bytes}
	}
	if g.config.Admin.KeyMetrics {
		s.Budgets = g.budgets()
	}
	g.routes.Each(func(p *route.Plan) {
		for i := range p.Targets {
			t := &p.Targets[i]
			state := route.Closed
			for _, c := range append(cellsOf(t), t.Health().Others()...) {
				state = max(state, c.State(now))
			}
			s.Targets = append(s.Targets, observe.TargetState{Target: observe.Target{Provider: t.Provider, Model: t.Model}, State: int(state)})
		}
	})
	return s
}

// budgets are the budgets of keys and groups, in the configuration's order.
func (g *generation) budgets() []observe.BudgetState {
	if g.limits == nil {
		return nil
	}
	all := slices.DeleteFunc(g.limits.first(g.config, g.config.Auth.Keys), func(b *limit.Bucket) bool { return b.Unit != limit.Money })
	states := make([]observe.BudgetState, len(all))
	used := make([]int64, 0, len(all))
	for some := range slices.Chunk(all, 1000) { // so that no request waits for long
		used = append(used, g.host.limits.Used(some)...)
	}
	for i, b := range all {
		states[i] = observe.BudgetState{Owner: ownerWords[b.Owner] + " " + b.Name, Period: periodWords[b.Period], Used: 1}
		if b.Limit > 0 {
			states[i].Used = float64(used[i]) / float64(b.Limit)
		}
	}
	return states
}

// cellsOf returns the cells that say how a target answers. A model that clients choose has
// none of its own.
func cellsOf(t *route.Target) []*route.Cell {
	provider, model := t.Health().Cells()
	if model == nil {
		return []*route.Cell{provider}
	}
	return []*route.Cell{provider, model}
}
