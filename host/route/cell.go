package route

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

// Cooldown says when a target that fails is left alone, and for how long. Its zero value
// cools only by an upstream's Retry-After.
type Cooldown struct {
	Failures    int     // in a row that begin a cooldown; 0: their number doesn't matter
	ErrorRate   float64 // of the requests in Window, from 0 to 1, that begins one; 0: the rate doesn't matter
	Window      time.Duration
	MinRequests int           // in Window, before ErrorRate counts
	Base, Max   time.Duration // of the first cooldown; each one that follows is twice as long, up to Max
	Sticky      time.Duration // of a failure that lasts until somebody fixes its cause
}

// maxTold is the longest Retry-After of an upstream that is believed.
const maxTold = time.Hour

// Cell remembers how a provider, or one of its models, has been doing, and says whether it may
// be asked. All aliases that lead there share it.
//
// A cell is closed as long as all is well. A failure that trips it makes it cool. When that
// is over, it is half open: one attempt at a time may try, and a success closes the cell.
// Only a success shortens a cooldown, and never to less than an upstream's Retry-After. A
// cell that cools without a failure of its own, because of what an upstream said elsewhere,
// is closed once that is over.
//
// It is safe for concurrent use. Asking a closed cell takes one atomic load.
type Cell struct {
	until      atomic.Int64 // when the cooldown ends, nanoseconds since 1970; 0: closed
	askedUntil atomic.Int64 // the part of it that the upstream asked for
	limit      atomic.Int64 // the part of askedUntil that is for a limit
	room       atomic.Int64 // and the part that is for a lack of room

	window    window
	about     cellKey
	operation string            // the operation of the model that the cell is for; "" for answers
	tell      func(CoolingDown) // nil: nobody is told

	mu       sync.Mutex
	others   map[string]*Cell // of the model's other operations, by their names
	failures int              // in a row
	rounds   int              // cooldowns since the last success
	reason   fault.Kind       // of the last failure that tripped it
	probing  bool             // an attempt has the permit
}

// State is what a cell allows.
type State uint8

const (
	Closed   State = iota // anybody may ask
	HalfOpen              // one at a time may ask
	Cooling               // nobody should ask
)

// State returns what the cell allows at a time.
func (c *Cell) State(now time.Time) State {
	switch until := c.until.Load(); {
	case until == 0:
		return Closed
	case now.UnixNano() < until:
		return Cooling
	case c.lapses():
		return Closed
	}
	return HalfOpen
}

// lapses reports whether the cell cools only because of what an upstream said elsewhere: in another
// operation of the model, or to another gateway.
func (c *Cell) lapses() bool {
	return c.until.Load() == c.askedUntil.Load() && !c.window.marked.Load()
}

// Until returns when the cooldown ends, and when the part of it ends that the upstream
// itself asked for; zero times if there is none.
func (c *Cell) Until() (until, told time.Time) {
	return instant(c.until.Load()), instant(c.askedUntil.Load())
}

func instant(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds)
}

// Reason returns the kind of the failure that the cell cools for.
func (c *Cell) Reason() fault.Kind {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// Operation returns the operation that the cell is for; "" for answers, or for a provider.
func (c *Cell) Operation() string { return c.operation }

// in returns the model's cell for an operation; for "", which is answers, it is c itself.
func (c *Cell) in(operation string) *Cell {
	if operation == "" {
		return c
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	other := c.others[operation]
	if other == nil {
		if c.others == nil {
			c.others = map[string]*Cell{}
		}
		other = &Cell{about: c.about, operation: operation, tell: c.tell}
		c.others[operation] = other
	}
	return other
}

// elsewhere returns the cells of the model's other operations, in the order of their names.
func (c *Cell) elsewhere() (cells []*Cell) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, operation := range slices.Sorted(maps.Keys(c.others)) {
		cells = append(cells, c.others[operation])
	}
	return cells
}

// Reset closes the cell and forgets all failures, also those in the model's other
// operations. Whoever has the permit keeps it.
func (c *Cell) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close()
	c.window.clear()
	for _, other := range c.others {
		other.Reset()
	}
}

// enter takes the permit of a cell that is not closed, even if it still cools: that is for
// callers who have no other choice.
func (c *Cell) enter() (probe, ok bool) {
	if c.until.Load() == 0 {
		return false, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.until.Load() == 0, c.lapses():
		return false, true
	case c.probing:
		return false, false
	}
	c.probing = true
	return true, true
}

// leave gives the permit back.
func (c *Cell) leave(probe bool) {
	if probe {
		c.mu.Lock()
		c.probing = false
		c.mu.Unlock()
	}
}

// succeeded notes a success, which closes the cell.
func (c *Cell) succeeded(now time.Time, rule *Cooldown) {
	if rule.ErrorRate > 0 {
		c.window.add(now, rule.Window, false)
	}
	if c.until.Load() == 0 && !c.window.marked.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close()
}

// close closes the cell. The caller must hold the lock.
func (c *Cell) close() {
	c.failures, c.rounds = 0, 0
	c.window.marked.Store(false)
	c.until.Store(0)
	c.askedUntil.Store(0)
	c.limit.Store(0)
	c.room.Store(0)
}

// failed notes a failure of a kind that counts against the cell. It reports whether the
// cell cools because of it, or for longer.
//
//   - retryAfter: what the upstream asked for; 0: nothing
//   - probe: the attempt had the permit
func (c *Cell) failed(now time.Time, kind fault.Kind, retryAfter time.Duration, probe bool, rule *Cooldown) (cooled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lapses() && now.UnixNano() >= c.until.Load() { // so this begins anew
		c.until.Store(0)
		c.askedUntil.Store(0)
	}
	before := c.until.Load()
	c.failures++
	c.window.marked.Store(true)
	rate := 0.0
	if rule.ErrorRate > 0 {
		c.window.add(now, rule.Window, true)
		if all, bad := c.window.count(now, rule.Window); all >= rule.MinRequests {
			rate = float64(bad) / float64(all)
		}
	}
	if retryAfter > 0 {
		end := now.Add(min(retryAfter, maxTold))
		c.hear(end, kind)
		c.cool(end, kind)
	}
	_, sticky := kind.Blame()
	switch {
	case sticky:
		c.cool(now.Add(rule.Sticky), kind)
	case probe || rule.Failures > 0 && c.failures >= rule.Failures || rule.ErrorRate > 0 && rate >= rule.ErrorRate:
		c.cool(now.Add(c.nextLength(rule)), kind)
	}
	return c.until.Load() != before
}

// hear notes until when the upstream asked to be left alone, and for what. The caller must hold
// the lock.
func (c *Cell) hear(told time.Time, kind fault.Kind) {
	later := func(part *atomic.Int64) { part.Store(max(part.Load(), told.UnixNano())) }
	later(&c.askedUntil)
	switch kind {
	case fault.Rate:
		later(&c.limit)
	case fault.Busy:
		later(&c.room)
	}
}

// cool makes the cooldown last until at least end.
func (c *Cell) cool(end time.Time, kind fault.Kind) {
	if n := end.UnixNano(); n > c.until.Load() {
		c.until.Store(n)
		c.reason = kind
	}
}

// adopt takes over a cooldown that began elsewhere: at another gateway, or in another
// operation of the model. It doesn't count as a failure. It reports whether the cell cools
// longer, or has to.
func (c *Cell) adopt(o CoolingDown) (longer bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, told := c.until.Load(), c.askedUntil.Load()
	if !o.AskedUntil.IsZero() {
		c.hear(o.AskedUntil, o.Kind)
	}
	c.cool(o.Until, o.Kind)
	return c.until.Load() != until || c.askedUntil.Load() != told
}

// announce tells others how the cell cools.
func (c *Cell) announce() {
	if c.tell == nil {
		return
	}
	until, told := c.Until()
	c.tell(CoolingDown{Upstream: c.about.provider, Model: c.about.model, Whole: c.about.whole, Operation: c.operation, Until: until, AskedUntil: told, Kind: c.Reason()})
}

// nextLength returns the length of the next cooldown, give or take a tenth.
func (c *Cell) nextLength(rule *Cooldown) time.Duration {
	d := rule.Base
	for range c.rounds {
		if d *= 2; d >= rule.Max {
			d = rule.Max
			break
		}
	}
	c.rounds++
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
