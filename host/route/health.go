package route

import (
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

// Health is how a target has been doing: as a model, and as a part of its provider.
type Health struct {
	provider, model *Cell
	rule            *Cooldown
	open            bool // a client chose the model, so nobody is to blame if it is missing
}

// State is the worse of the two.
func (h Health) State(now time.Time) State {
	return max(h.provider.State(now), h.model.State(now))
}

// Cells returns the cells of the provider and of the model.
func (h Health) Cells() (provider, model *Cell) { return h.provider, h.model }

// until returns when the target may be asked again, and until when the upstream itself
// asked to be left alone; zero times if now.
func (h Health) until() (until, told time.Time) {
	until, told = h.provider.Until()
	u, t := h.model.Until()
	if u.After(until) {
		until = u
	}
	if t.After(told) {
		told = t
	}
	return until, told
}

// Lease is the right to ask a target once. Done must be called at the end of the attempt,
// whatever happened.
type Lease struct {
	health                    Health
	providerProbe, modelProbe bool
	done                      bool
}

// enter takes the lease. Without force it fails if others have the permits that it needs.
func (h Health) enter(force bool) (l Lease, ok bool) {
	l.health = h
	if l.providerProbe, ok = h.provider.enter(); !ok && !force {
		return Lease{}, false
	}
	if l.modelProbe, ok = h.model.enter(); !ok && !force {
		h.provider.leave(l.providerProbe)
		return Lease{}, false
	}
	return l, true
}

// Take takes the lease in any case. It is for asking a target again.
func (h Health) Take() Lease {
	l, _ := h.enter(true)
	return l
}

// Done notes how the attempt ended and gives its permits back. It reports whether the
// target or its provider cools down because of it, or for longer. Further calls do nothing.
//
//   - err: nil for success; Gone and every kind that blames nobody say nothing about the
//     target's health
func (l *Lease) Done(now time.Time, err error) (cooled bool) {
	if l.done || l.health.rule == nil {
		return false
	}
	l.done = true
	defer l.health.provider.leave(l.providerProbe)
	defer l.health.model.leave(l.modelProbe)
	if err == nil {
		l.health.provider.succeeded(now, l.health.rule)
		l.health.model.succeeded(now, l.health.rule)
		return false
	}
	kind := fault.KindOf(err)
	cell, probe := l.health.model, l.modelProbe
	switch blame, _ := kind.Blame(); {
	case blame == fault.Nobody, kind == fault.Missing && l.health.open:
		return false
	case blame == fault.Provider:
		cell, probe = l.health.provider, l.providerProbe
	}
	if cooled = cell.failed(now, kind, fault.RetryAfterOf(err), probe, l.health.rule); cooled {
		cell.announce()
	}
	return cooled
}
