package route

import (
	"time"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Health is how a target has been doing, as a model and as a part of its provider. Each
// operation of a model has a health of its own: whoever asks it for something that it doesn't
// have, such as embeddings, takes nothing away from those who ask it for answers. Only that it
// has no room, or that a limit is reached, holds for all operations, if the upstream says for
// how long, and for that long. A limit of counting tokens holds for nothing else, and no other
// limit holds for counting, because Anthropic's limits of counting and of messages are
// independent: https://platform.claude.com/docs/en/build-with-claude/token-counting
type Health struct {
	provider, model *Cell
	common          *Cell // the model's cell for answers, if model is its cell for another operation
	rule            *Cooldown
	open            bool // a client chose the model, so nobody is to blame if it is missing
}

// In returns the health of the target in an operation; for "", which is answering, it is h
// itself.
func (h Health) In(operation string) Health {
	if operation != "" {
		h.common, h.model = h.model, h.model.in(operation)
	}
	return h
}

// State is the worse of the two, and Cooling as long as the upstream asked to leave the model
// alone, whatever it was asked for.
func (h Health) State(now time.Time) State {
	if now.Before(h.askedUntil()) {
		return Cooling
	}
	return max(h.provider.State(now), h.model.State(now))
}

// askedUntil returns until when the upstream asked to be left alone in another operation than
// that of the health, for a reason that holds in this one, too; zero if it didn't.
func (h Health) askedUntil() time.Time {
	switch {
	case h.common == nil:
		return time.Time{}
	case h.counts():
		return instant(h.common.room.Load())
	}
	return instant(max(h.common.room.Load(), h.common.limit.Load()))
}

// counts reports whether the health is that of counting tokens, whose limits are its own.
func (h Health) counts() bool {
	switch abi.OpNamed(h.model.Operation()) {
	case abi.Count, abi.CountMessages, abi.CountResponses:
		return true
	}
	return false
}

// Cells returns the cells of the provider and of the model.
func (h Health) Cells() (provider, model *Cell) { return h.provider, h.model }

// Others returns the cells of the model in operations other than answers, in the order of
// their names. There is one for each operation in which it was asked.
func (h Health) Others() []*Cell {
	if h.model == nil {
		return nil
	}
	return h.model.elsewhere()
}

// until returns when the target may be asked again, and until when the upstream itself
// asked to be left alone; zero times if now.
func (h Health) until(now time.Time) (until, told time.Time) {
	later := func(u, t time.Time) {
		if u.After(until) {
			until = u
		}
		if t.After(told) {
			told = t
		}
	}
	later(h.provider.Until())
	later(h.model.Until())
	if asked := h.askedUntil(); now.Before(asked) {
		later(asked, asked)
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
	kind, told := fault.KindOf(err), fault.RetryAfterOf(err)
	cell, probe := l.health.model, l.modelProbe
	switch blame, _ := kind.Blame(); {
	case blame == fault.Nobody, kind == fault.Missing && l.health.open:
		return false
	case blame == fault.Provider:
		cell, probe = l.health.provider, l.providerProbe
	case told > 0 && l.health.appliesToOthers(kind):
		end := now.Add(min(told, maxTold))
		if common := l.health.common; common.adopt(CoolingDown{Until: end, AskedUntil: end, Kind: kind}) {
			common.announce()
			cooled = true
		}
	}
	if cell.failed(now, kind, told, probe, l.health.rule) {
		cell.announce()
		cooled = true
	}
	return cooled
}

// appliesToOthers reports whether a failure of a kind holds for the model's other operations,
// too, if the upstream says how long it lasts.
func (h Health) appliesToOthers(kind fault.Kind) bool {
	return h.common != nil && (kind == fault.Busy || kind == fault.Rate && !h.counts())
}
