package route

import (
	"hash/fnv"
	"io"
	"slices"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

// Choice goes through the targets of a plan for one request. It belongs to one goroutine.
type Choice struct {
	// Operation is what the request is for. Targets are chosen by their health in it. "" is
	// an answer.
	Operation string

	// Allowed reports whether the caller may use the aliases that lead to a target; nil:
	// all of them.
	Allowed func(*Target) bool

	// Able reports whether a target has what the request is for; nil: all have.
	Able func(*Target) bool

	// Room reports whether a target has room for one request more, and takes it; nil:
	// all have.
	Room func(*Target) bool

	plan    *Plan
	session uint64
	least   int64 // the context of a target must be larger; 0: any
	tokens  int64 // an estimate of what the request needs; 0: unknown
	tried   set
}

// Choose begins to choose targets for a request.
//
//   - session: which conversation or user the request belongs to, and its caller; "" for
//     none. It counts if the alias is sticky.
//   - tokens: an estimate of how many the request has
func (p *Plan) Choose(session string, tokens int64) Choice {
	c := Choice{plan: p}
	if slices.ContainsFunc(p.Targets, func(t Target) bool { return !t.isTooSmall(tokens) }) {
		c.tokens = tokens // otherwise the estimate, which may be wrong, would leave no target
	}
	if p.Routing.Sticky != "" && session != "" {
		h := fnv.New64a()
		_, _ = io.WriteString(h, session)
		c.session = h.Sum64() | 1
	}
	return c
}

// Larger leaves only targets that are known to take more tokens than t does.
func (c *Choice) Larger(t *Target) { c.least = max(c.least, t.Context, 1) }

// Cooled is the error of Next if the upstreams of all targets that are left asked to be
// left alone.
type Cooled struct {
	Kind  fault.Kind // of the failure after which the first of them may be asked again
	Until time.Time  // when that is
}

func (c *Cooled) Error() string { return "all targets cool until " + c.Until.Format(time.RFC3339) }

// Ready reports whether there is a target that is well and that this request has not
// asked.
func (c *Choice) Ready(now time.Time) bool {
	for n := range c.plan.Targets {
		if c.mayAsk(n) && c.health(n).State(now) != Cooling {
			return true
		}
	}
	return false
}

// Next chooses a target that this request has not asked: in the lowest tier with any that
// is well, by weight or session. If none is well, it is the one whose cooldown ends first,
// unless the upstreams themselves asked for theirs. The caller must end the lease.
//
//   - result: nil without an error if there is no target left
//   - error: *Cooled
func (c *Choice) Next(now time.Time) (*Target, Lease, error) {
	if c.plan.Sole {
		return c.sole()
	}
	for i := range c.plan.tiers {
		for _, weighted := range [...]bool{true, false} {
			if n, lease := c.pickReady(&c.plan.tiers[i], weighted, now); n >= 0 {
				return &c.plan.Targets[n], lease, nil
			}
		}
	}
	return c.coolest(now)
}

// sole returns the only target, once.
func (c *Choice) sole() (*Target, Lease, error) {
	t := &c.plan.Targets[0]
	if c.tried.has(0) || c.least > 0 {
		return nil, Lease{}, nil
	}
	c.tried.add(0)
	if c.full(0) {
		return nil, Lease{}, nil
	}
	return t, c.health(0).Take(), nil
}

// mayAsk reports whether a target can be asked for this request at all.
func (c *Choice) mayAsk(n int) bool {
	t := &c.plan.Targets[n]
	switch {
	case c.tried.has(n), c.least > 0 && t.Context <= c.least:
		return false
	case t.isTooSmall(c.tokens), c.Able != nil && !c.Able(t):
		return false
	}
	return c.Allowed == nil || len(t.via) == 0 || c.Allowed(t)
}

// isTooSmall reports whether a target is far too small for a number of tokens, even if
// that is a bad estimate.
func (t *Target) isTooSmall(tokens int64) bool { return t.Context > 0 && t.Context < tokens/2 }

// pickReady chooses among the targets of a tier that are well; -1 if there is none.
func (c *Choice) pickReady(t *tier, weighted bool, now time.Time) (int, Lease) {
	var of set
	left := 0
	for n := t.from; n < t.to; n++ {
		if target := &c.plan.Targets[n]; weighted == (target.weight > 0) && c.mayAsk(n) && c.health(n).State(now) != Cooling {
			of.add(n)
			left++
		}
	}
	for ; left > 0; left-- {
		n := 0
		if c.session != 0 && weighted {
			n = rendezvous(c.plan.Targets, t.from, t.to, &of, c.session)
		} else {
			n = t.balance.pick(c.plan.Targets, t.from, &of)
		}
		of[n/64] &^= 1 << (n % 64)
		lease, ok := c.health(n).enter(false)
		if !ok {
			continue // somebody else is trying it
		}
		if c.full(n) {
			lease.Done(now, errFull)
			c.tried.add(n)
			continue
		}
		c.tried.add(n)
		return n, lease
	}
	return -1, Lease{}
}

// errFull is the failure of a target that has no room. It blames nobody.
var errFull = &fault.Error{Kind: fault.Saturated}

// health returns the health of a target in what the request is for.
func (c *Choice) health(n int) Health { return c.plan.Targets[n].health.In(c.Operation) }

func (c *Choice) full(n int) bool { return c.Room != nil && !c.Room(&c.plan.Targets[n]) }

// coolest returns the target whose cooldown ends first, of those whose upstream did not ask
// for it.
func (c *Choice) coolest(now time.Time) (*Target, Lease, error) {
	best := -1
	var soonest time.Time
	var cooled *Cooled
	for n := range c.plan.Targets {
		if !c.mayAsk(n) {
			continue
		}
		health := c.health(n)
		until, told := health.until(now)
		if now.Before(told) || !told.IsZero() && !told.Before(until) { // once that is over, somebody else is trying it
			if end := told; cooled == nil || end.Before(cooled.Until) {
				cooled = &Cooled{Kind: health.reason(told), Until: end}
			}
			continue
		}
		if best < 0 || until.Before(soonest) {
			best, soonest = n, until
		}
	}
	switch {
	case best >= 0 && !c.full(best):
		c.tried.add(best)
		lease, _ := c.health(best).enter(true)
		return &c.plan.Targets[best], lease, nil
	case best >= 0:
		c.tried.add(best)
		return c.coolest(now)
	case cooled != nil:
		if cooled.Until.Before(now) {
			cooled.Until = now
		}
		return nil, Lease{}, cooled
	}
	return nil, Lease{}, nil
}

// reason returns the kind of failure whose cooldown the upstream asked for.
func (h Health) reason(told time.Time) fault.Kind {
	if _, t := h.provider.Until(); t.Equal(told) {
		return h.provider.Reason()
	}
	if h.askedUntil().Equal(told) {
		if h.common.room.Load() == told.UnixNano() {
			return fault.Busy
		}
		return fault.Rate
	}
	return h.model.Reason()
}
