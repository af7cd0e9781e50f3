package limit

import (
	"math"
	"math/bits"
	"time"
)

// counter is the count of one bucket.
//
// A sliding window has two counts, one of the present period and one of the period before. Of
// the latter, as much counts as still lies in the window. So two integers suffice, and there
// are no bursts at the edge of a period. What was used beyond the limit is a debt. Each
// following period first pays as much of it as its limit allows, so on average nothing is used
// beyond the limit.
type counter struct {
	bucket *Bucket // as it was configured last

	index  int64 // of the period: its number since 1970; of Money, when it begins; -1: none yet
	end    int64 // of a period of Money, in seconds since 1970; 0: never
	now    int64 // what counts in the period, what runs, or what is spent
	before int64 // in the period before
	debt   int64 // beyond the limit
	warned bool  // in the period

	// What requests that run have reserved beyond the estimate of their input, and may
	// give back: of now, and of before.
	open, openBefore int64
	running          int64 // requests that have a charge here

	changed bool // since it was saved
}

// roll moves on to the period of t. A clock that goes back changes nothing.
func (c *counter) roll(t time.Time) {
	b := c.bucket
	switch {
	case b.Unit == Concurrent:
	case b.Unit == Money:
		if c.index < 0 || c.end != 0 && t.Unix() >= c.end {
			c.index, c.end = b.Period.Around(t, b.Zone)
			c.now, c.open, c.warned = 0, 0, false
		}
	case c.index < 0:
		c.index = t.UnixNano() / int64(b.Window)
	default:
		c.advance(t.UnixNano()/int64(b.Window) - c.index)
	}
}

// advance moves on by n periods of a window.
func (c *counter) advance(n int64) {
	limit := c.bucket.Limit
	if limit <= 0 {
		c.debt = 0
	}
	for n > 0 && (c.now != 0 || c.before != 0 || c.debt != 0) {
		if limit > 0 {
			if skip := min(n-1, c.debt/limit-2); skip >= 2 { // periods that only pay
				c.now, c.before, c.debt = limit, limit, c.debt-skip*limit
				c.open, c.openBefore = 0, 0
				c.index, n = c.index+skip, n-skip
				continue
			}
		}
		paid := min(c.debt, limit)
		c.now, c.before, c.debt = paid, c.now, c.debt-paid
		c.open, c.openBefore = 0, c.open
		c.index, n = c.index+1, n-1
	}
	if n > 0 {
		c.index += n
	}
}

// used returns how much counts at t, after roll.
func (c *counter) used(t time.Time) int64 {
	if c.bucket.Window == 0 {
		return c.now
	}
	return sum(sum(c.now, c.debt), share(c.before, c.left(t), c.bucket.Window))
}

// left returns how long the present period still lasts.
func (c *counter) left(t time.Time) time.Duration {
	size := int64(c.bucket.Window)
	return time.Duration(max(0, min(size, (c.index+1)*size-t.UnixNano())))
}

// share returns n·part/whole, rounded up. part is at most whole.
func share(n int64, part, whole time.Duration) int64 {
	if n <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(n), uint64(part))
	q, rest := bits.Div64(hi, lo, uint64(whole))
	if rest > 0 {
		q++
	}
	return int64(q)
}

// sum adds without wrapping over; b is at least 0.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// wait returns how long it takes, after roll, until there is room for n more, if nothing
// else is let in until then; below 0: there never is.
func (c *counter) wait(t time.Time, n int64) time.Duration {
	b := c.bucket
	switch room := b.Limit - n; {
	case room < 0:
		return -1
	case b.Unit == Concurrent:
		return time.Second // nobody knows
	case b.Unit == Money && c.end == 0:
		return -1
	case b.Unit == Money:
		return max(time.Second, time.Unix(c.end, 0).Sub(t))
	default:
		sim := *c
		var begun time.Duration // until the simulated period begins
		left := sim.left(t)
		for {
			if free := room - sum(sim.now, sim.debt); free >= 0 {
				// As much of the period before may still count as is free.
				longest := left
				if sim.before > free {
					hi, lo := bits.Mul64(uint64(free), uint64(b.Window))
					q, _ := bits.Div64(hi, lo, uint64(sim.before))
					longest = min(left, time.Duration(q))
				}
				return begun + left - longest
			}
			begun, left = begun+left, b.Window
			step := int64(1)
			if skip := sim.debt/b.Limit - 2; skip > 2 {
				if skip > int64(math.MaxInt64/2/b.Window) {
					return math.MaxInt64 / 2
				}
				step, begun = skip, begun+time.Duration(skip-1)*b.Window
			}
			sim.advance(step)
		}
	}
}

// charge counts n, which is at least 0. What goes beyond the limit becomes a debt.
func (c *counter) charge(t time.Time, n int64) {
	if c.bucket.Window == 0 {
		c.now = sum(c.now, n)
		return
	}
	fits := min(n, max(0, c.bucket.Limit-c.used(t)))
	c.now, c.debt = sum(c.now, fits), sum(c.debt, n-fits)
}

// refund gives n back to the period in which it was charged.
func (c *counter) refund(index, n int64) {
	switch {
	case index == c.index:
		c.now = max(0, c.now-n)
	case c.bucket.Window > 0 && index == c.index-1:
		c.before = max(0, c.before-n)
	}
}

// finish ends a request: n of what it took in a period is not open any more.
func (c *counter) finish(index, n int64) {
	c.running--
	switch {
	case index == c.index:
		c.open -= n
	case c.bucket.Window > 0 && index == c.index-1:
		c.openBefore -= n
	}
}

// saved returns what outlives the process. Of requests that run, that is the estimate of
// their input, which will be billed whatever happens to them, and not what their answers
// may have.
func (c *counter) saved() Saved {
	now := c.now - c.open
	return Saved{c.index, c.end, now, c.before - c.openBefore, c.debt, c.warned && now >= c.bucket.Warn}
}

// reset returns how long it takes until nothing counts any more, after roll.
func (c *counter) reset(t time.Time) time.Duration {
	switch {
	case c.now > 0 || c.debt > 0:
		periods := int64(1)
		if c.bucket.Limit > 0 {
			periods += min(c.debt/c.bucket.Limit+min(1, c.debt%c.bucket.Limit), int64(math.MaxInt64/4/c.bucket.Window))
		}
		return c.left(t) + time.Duration(periods)*c.bucket.Window
	case c.before > 0:
		return c.left(t)
	}
	return 0
}

// room returns what is left, after roll.
func (c *counter) room(t time.Time) Room {
	if c.bucket.Window == 0 {
		return Room{}
	}
	return Room{max(0, c.bucket.Limit-c.used(t)), c.reset(t)}
}

// refusal says why a request that needs must, and would reserve may more, is not let in at t,
// after roll; nil: it is let in.
func (c *counter) refusal(t time.Time, must, may int64) *Refusal {
	b := c.bucket
	if must == 0 && may == 0 {
		return nil
	}
	free := b.Limit - c.used(t)
	need := max(min(must, b.Limit), 1)
	switch {
	case must > 2*b.Limit && b.Limit > 0 && b.Unit != Requests && b.Unit != Concurrent:
		return &Refusal{Bucket: b, Wait: -1, TooLarge: true}
	case free < need:
		return &Refusal{Bucket: b, Wait: c.wait(t, need)}
	}
	return nil
}

// idle reports whether nothing counts, and nothing that runs will, after roll.
func (c *counter) idle() bool { return c.now == 0 && c.before == 0 && c.debt == 0 && c.running == 0 }
