package wasm

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"
)

// slots bounds how many long guest calls run at once. Guest code holds a processor
// for a slice of fuel, so were every processor inside a guest, whatever else the
// process does would wait for one at each step. A free slot goes to the tenants (one for
// each adapter) in turn, so that one with many or long calls doesn't starve
// another.
type slots struct {
	alone bool // there is one processor

	mu   sync.Mutex
	free int
	ring []*tenant // those with waiting calls, the next to be served first
}

// tenant is the queue of one adapter. The zero value is ready.
type tenant struct {
	waiting []chan struct{}
}

func newSlots(n int) *slots { return &slots{free: n, alone: runtime.GOMAXPROCS(0) == 1} }

// acquire takes a slot for t, waiting for at most wait. It returns errBusy after
// that and the context's cause when ctx ends first.
func (s *slots) acquire(ctx context.Context, t *tenant, wait time.Duration) error {
	s.mu.Lock()
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return nil
	}
	turn := s.enqueue(t, len(t.waiting))
	s.mu.Unlock()
	return s.await(ctx, t, turn, wait)
}

// pass lends t's slot to the other tenants that wait for one, and waits as acquire
// does until it is back, before t's other calls. With an error the slot is gone.
func (s *slots) pass(ctx context.Context, t *tenant, wait time.Duration) error {
	s.mu.Lock()
	if !slices.ContainsFunc(s.ring, func(other *tenant) bool { return other != t }) {
		s.mu.Unlock()
		return nil
	}
	turn := s.enqueue(t, 0)
	s.hand()
	s.mu.Unlock()
	return s.await(ctx, t, turn, wait)
}

// enqueue gives t's queue another call at place n.
func (s *slots) enqueue(t *tenant, n int) (turn chan struct{}) {
	turn = make(chan struct{}, 1)
	if len(t.waiting) == 0 {
		s.ring = append(s.ring, t)
	}
	t.waiting = slices.Insert(t.waiting, n, turn)
	return turn
}

// await waits for a turn.
func (s *slots) await(ctx context.Context, t *tenant, turn chan struct{}, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	var err error
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
		err = errBusy
	}
	s.mu.Lock()
	left := s.leave(t, turn)
	s.mu.Unlock()
	if !left {
		s.release() // the slot came at the same moment
	}
	return err
}

// leave takes turn out of t's queue; false: it was served already.
func (s *slots) leave(t *tenant, turn chan struct{}) bool {
	for i, w := range t.waiting {
		if w == turn {
			t.waiting = append(t.waiting[:i], t.waiting[i+1:]...)
			if len(t.waiting) == 0 {
				s.unlist(t)
			}
			return true
		}
	}
	return false
}

func (s *slots) unlist(t *tenant) {
	for i, r := range s.ring {
		if r == t {
			s.ring = append(s.ring[:i], s.ring[i+1:]...)
			return
		}
	}
}

// release gives a slot back, to the next in turn if anybody waits.
func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ring) == 0 {
		s.free++
		return
	}
	s.hand()
}

// hand gives a slot to the next in turn.
func (s *slots) hand() {
	t := s.ring[0]
	s.ring = s.ring[1:]
	turn := t.waiting[0]
	t.waiting = t.waiting[1:]
	if len(t.waiting) > 0 {
		s.ring = append(s.ring, t)
	}
	turn <- struct{}{}
}

// seat is what one call has of the slots. Calls begin without a slot if they can be
// expected to be short.
type seat struct {
	slots  *slots
	tenant *tenant
	wait   time.Duration // for a slot
	held   bool
	since  time.Time // held
	polled time.Time // the network, last
}

func (s *seat) take(ctx context.Context) error {
	if s.held {
		return nil
	}
	err := s.slots.acquire(ctx, s.tenant, s.wait)
	s.held, s.since = err == nil, time.Now()
	return err
}

// rest lets others run for a moment, in the middle of a call. One that is not short
// takes a slot, and one that had its slot for long lends it to others.
func (s *seat) rest(ctx context.Context, short bool) error {
	switch {
	case !s.held && !short:
		return s.take(ctx)
	case s.held && time.Since(s.since) >= slotTime:
		err := s.slots.pass(ctx, s.tenant, s.wait)
		if s.held, s.since = err == nil, time.Now(); err != nil {
			return err
		}
	}
	if s.slots.alone && time.Since(s.polled) >= pollTime {
		// Go asks the system for the network only when nothing else wants to run, and
		// Gosched leaves the call wanting.
		time.Sleep(time.Microsecond)
		s.polled = time.Now()
		return nil
	}
	runtime.Gosched()
	return nil
}

// leave gives the slot back, if there is one.
func (s *seat) leave() {
	if s.held {
		s.held = false
		s.slots.release()
	}
}
