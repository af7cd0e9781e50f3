package host

import (
	"context"
	"slices"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/limit"
)

// capacityOf returns the buckets for a capacity; none if it is unlimited. They count where
// limits count, so that gateways that share a store fill a target together.
func capacityOf(owner limit.Owner, name string, c config.Capacity) []*limit.Bucket {
	l := config.CallLimits{}
	for _, r := range []struct {
		rate config.Rate
		into *config.Rates
	}{{c.Requests, &l.Requests}, {c.Tokens, &l.Tokens}} {
		if r.rate.Per > 0 {
			*r.into = config.Rates{r.rate}
		}
	}
	if c.Concurrent > 0 {
		l.Concurrent = &c.Concurrent
	}
	return bucketsOf(owner, name, l)
}

// buckets returns all that the requests of this configuration count in.
func (g *generation) buckets() []*limit.Bucket {
	all, known := g.limits.all(), map[string]bool{}
	for _, b := range slices.Concat(g.capacities...) {
		if !known[b.ID] {
			known[b.ID] = true
			all = append(all, b)
		}
	}
	return all
}

// place is the room that a request takes at a target. Its zero value takes none.
type place struct {
	lease  limit.Lease
	tokens int64 // that were reserved
}

// leave gives the room back.
//
//   - used: the tokens that the request needed; below 0: nobody knows, so what was
//     reserved counts
func (p *place) leave(used int64) {
	if p.lease == nil {
		return
	}
	if used < 0 {
		used = p.tokens
	}
	p.lease.Settle(limit.Usage{Input: used})
	*p = place{}
}

// room takes the room for the request, if the target has it.
func (s *search) room(ctx context.Context, target int) bool {
	buckets := s.call.gateway.capacities[target]
	if len(buckets) == 0 {
		return true
	}
	tokens := s.call.size
	if s.call.asksNoModel() {
		tokens = 0
	}
	for _, b := range buckets {
		if b.Unit == limit.Tokens {
			tokens = min(tokens, b.Limit) // an estimate keeps no request from a target for good
		}
	}
	lease, refused := s.call.gateway.host.limits.Admit(ctx, buckets, limit.Reserve{Input: tokens})
	if refused == nil {
		s.place = place{lease, tokens}
		return true
	}
	if s.full == nil || refused.Wait < s.full.Wait {
		s.full = refused
	}
	return false
}

// errFull is the error if all targets are full: the client may try again when the first of
// them has room.
func (s *search) errFull() error {
	if s.full.Unavailable {
		return notAdmitted(s.full, s.call.gateway.now())
	}
	wait := max(s.full.Wait, time.Second)
	return &fault.Error{Kind: fault.Saturated, Code: "rate_limit_exceeded", RetryAfter: wait, NoRetry: wait > longestRetry,
		Text: "All providers of this model have as many requests as their capacity allows. Try again in " + wholeSeconds(wait).String() + "."}
}
