package h1

import (
	"fmt"
	"time"
)

// Stage says what an exchange waits for.
type Stage int32

// The stages, in their order.
const (
	Connecting Stage = iota // a usable connection
	Answering               // the head of the answer; until then the request is sent
	Reading                 // the next bytes of the answer's body
	Draining                // the end of a body that is no longer wanted
	stages
)

// Waits has the time that each stage may take. That of Reading is for each read, that of
// Draining for all of them.
type Waits [stages]time.Duration

// Timeout is why an exchange ended whose stage took too long.
type Timeout struct {
	Stage Stage
	After time.Duration
}

func (t *Timeout) Error() string {
	what := [stages]string{"no connection", "no answer", "no data", "no end"}[t.Stage]
	return fmt.Sprintf("%s after %v", what, t.After)
}

// The sweeper is one goroutine for all exchanges of a client. It looks at each exchange's
// deadline every nap, so an exchange ends that much after its deadline at most. It also
// closes connections that were idle for too long. It begins with the first exchange, and
// ends when there is neither an exchange nor an idle connection.

// enlist adds an exchange, and makes sure that the sweeper is awake.
func (c *Client) enlist(x *Exchange) {
	c.mu.Lock()
	x.index = len(c.active)
	c.active = append(c.active, x)
	rouse := c.resting
	c.resting = false
	if c.sweeping == nil {
		c.sweeping = make(chan struct{})
		go c.run(c.sweeping)
	}
	c.mu.Unlock()
	if rouse {
		c.rouse()
	}
}

// dismiss takes out an exchange that has ended.
func (c *Client) dismiss(x *Exchange) {
	c.mu.Lock()
	last := len(c.active) - 1
	c.active[x.index] = c.active[last]
	c.active[x.index].index = x.index
	c.active[last] = nil
	c.active = c.active[:last]
	closed := c.closed
	c.mu.Unlock()
	if closed {
		c.endSweeper()
	}
}

func (c *Client) rouse() {
	select {
	case c.wake <- struct{}{}:
	default: // it will wake anyway
	}
}

// endSweeper wakes the sweeper of a closed client and waits until it has ended, unless an
// exchange is left.
func (c *Client) endSweeper() {
	c.mu.Lock()
	done, left := c.sweeping, len(c.active)
	c.mu.Unlock()
	if done != nil && left == 0 {
		c.rouse()
		<-done
	}
}

func (c *Client) run(done chan struct{}) {
	defer close(done)
	timer := time.NewTimer(c.nap)
	defer timer.Stop()
	var late []*Exchange
	for {
		select {
		case <-timer.C:
		case <-c.wake:
		}
		now := c.clock()
		next, more := c.sweep(now, &late)
		for i, x := range late {
			x.expire(now)
			late[i] = nil
		}
		if !more {
			return
		}
		timer.Reset(next)
	}
}

// sweep collects the exchanges whose deadline has passed, and closes connections that
// were idle for too long. It returns when to sweep again; more is false if there is
// nothing left to do, and then the sweeper must end.
func (c *Client) sweep(now time.Duration, late *[]*Exchange) (next time.Duration, more bool) {
	*late = (*late)[:0]
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range c.active {
		if due := x.due.Load(); due != 0 && time.Duration(due) <= now {
			*late = append(*late, x)
		}
	}
	if now-c.looked >= lookEvery {
		c.looked = now
		c.closeDead(now)
	}
	switch {
	case len(c.active) > 0:
		return c.nap, true
	case len(c.idle) > 0:
		c.resting = true
		return lookEvery, true
	}
	c.sweeping = nil
	return 0, false
}

// closeDead closes idle connections that are too old, or that their server has closed.
// The mutex is held: looking at a connection takes less than a microsecond.
func (c *Client) closeDead(now time.Duration) {
	alive := c.idle[:0]
	for _, k := range c.idle {
		if now-k.since >= idleFor || k.socket.raw != nil && !k.quiet() {
			k.close()
		} else {
			alive = append(alive, k)
		}
	}
	clear(c.idle[len(alive):])
	c.idle = alive
}
