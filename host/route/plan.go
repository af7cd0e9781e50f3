package route

import (
	"math"
	"slices"
	"strings"
	"time"
)

// Plan is what may answer a request for an alias. It never changes, and is safe for
// concurrent use.
type Plan struct {
	Alias    string   // as configured
	Name     string   // what the client asked for: Alias, unless that ends in *
	Targets  []Target // those of the lowest tier first; never empty; must not be changed
	Sole     bool     // the one target is asked once, whatever its health is
	Bounded  bool     // the number of tokens that a target takes is known
	OnPolicy bool     // a request that a provider's rules forbid goes to the next target
	Routing  Routing

	prefix string // what names begin with that lead here
	tiers  []tier
}

// tier is a range of the targets, and what is needed to take turns.
type tier struct {
	from, to int
	balance  *balance // shared by all requests
}

// Attempts returns how many targets one request may ask, the same one twice included.
func (p *Plan) Attempts() int {
	if p.Routing.Attempts > 0 {
		return p.Routing.Attempts
	}
	return min(len(p.Targets), 4)
}

// FirstTier returns the targets that are asked before all others. The caller must not change
// them.
func (p *Plan) FirstTier() []Target { return p.Targets[:p.tiers[0].to] }

// Soonest returns how long it takes until any of the targets may be asked again for an
// operation; 0 if one may be now.
func (p *Plan) Soonest(operation string, now time.Time) time.Duration {
	soonest := time.Duration(math.MaxInt64)
	for i := range p.Targets {
		until, _ := p.Targets[i].health.In(operation).until(now)
		soonest = min(soonest, max(0, until.Sub(now)))
	}
	return soonest
}

// named returns the plan for a name that a * stands for.
func (p *Plan) named(rest string, cells *Cells) *Plan {
	own := *p
	own.Name = p.prefix + rest
	own.Targets = slices.Clone(p.Targets)
	for i := range own.Targets {
		t := &own.Targets[i]
		if t.health.model != nil {
			continue // the client has no say in it
		}
		t.Model = strings.Replace(t.Model, "*", rest, 1)
		t.health.model, t.health.open = cells.ofModel(cellKey{provider: t.Upstream, model: t.Model}), true
	}
	return &own
}
