package limit

import (
	"sync"
	"time"
)

// Bounds are what a Gauge allows. Zero values: any number.
type Bounds struct {
	Requests, Tokens Rate
	Concurrent       int
}

// Rate is a number in any period of that length.
type Rate struct {
	N   int64
	Per time.Duration
}

// Gauge counts the requests to something that bears only so many, and refuses more. It is
// safe for concurrent use.
type Gauge struct {
	mu               sync.Mutex
	concurrent       int
	running          int
	requests, tokens Window
}

// Set changes the bounds. What was counted stays counted.
func (g *Gauge) Set(b Bounds) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.concurrent = b.Concurrent
	for _, w := range []struct {
		window *Window
		rate   Rate
	}{{&g.requests, b.Requests}, {&g.tokens, b.Tokens}} {
		if w.window.Size != w.rate.Per {
			*w.window = Window{Size: w.rate.Per}
		}
		w.window.Limit = w.rate.N
	}
}

// take counts a request with an estimate of its tokens, unless that is one too many.
func (g *Gauge) take(now time.Time, tokens int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.concurrent > 0 && g.running >= g.concurrent,
		g.requests.Size > 0 && !g.requests.Room(now, 1),
		g.tokens.Size > 0 && !g.tokens.Room(now, tokens):
		return false
	}
	g.running++
	g.add(now, 1, tokens)
	return true
}

// add must be called with the lock.
func (g *Gauge) add(now time.Time, requests, tokens int64) {
	if g.requests.Size > 0 {
		g.requests.Add(now, requests)
	}
	if g.tokens.Size > 0 {
		g.tokens.Add(now, tokens)
	}
}

// leave ends a request, whose tokens were estimated wrong by so many.
func (g *Gauge) leave(now time.Time, tokens int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	g.add(now, 0, tokens)
}

// Slot is the room that one request takes in several gauges. The zero value takes none.
type Slot struct {
	gauges []*Gauge
	tokens int64
}

// Take takes room for a request in all gauges, or in none of them.
//
//   - tokens: an estimate of what it needs
func Take(gauges []*Gauge, now time.Time, tokens int64) (s Slot, ok bool) {
	for i, g := range gauges {
		if g.take(now, tokens) {
			continue
		}
		for _, taken := range gauges[:i] {
			taken.mu.Lock()
			taken.running--
			taken.add(now, -1, -tokens)
			taken.mu.Unlock()
		}
		return Slot{}, false
	}
	return Slot{gauges, tokens}, true
}

// Done gives the room back. Further calls do nothing.
//
//   - used: the tokens that the request needed; below 0: nobody knows, so the estimate
//     counts
func (s *Slot) Done(now time.Time, used int64) {
	for _, g := range s.gauges {
		wrong := int64(0)
		if used >= 0 {
			wrong = used - s.tokens
		}
		g.leave(now, wrong)
	}
	s.gauges = nil
}
