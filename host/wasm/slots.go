package wasm

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"
)

// slots bounds how many long guest calls run at once. Guest code holds a processor for
// a slice of fuel. If all processors ran guests, everything else in the process would
// wait for a slice to end at each step. A free slot goes to the tenants in turn, of
// which there is one for each adapter. So an adapter with many or long calls doesn't
// starve another.
type slots struct {
	oneProcessor bool // GOMAXPROCS is 1

	mu   sync.Mutex
	free int
	ring []*tenant // those with waiting calls; the first is served next
}

// tenant is the queue of one adapter. The zero value is ready.
type tenant struct {
	waiting []chan struct{}
}

func newSlots(n int) *slots { return &slots{free: n, oneProcessor: runtime.GOMAXPROCS(0) == 1} }

// acquire takes a slot for t. It returns errBusy if none became free in the time wait,
// and the context's cause if ctx ended before.
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

// pass gives t's slot to the other tenants, if one of them waits for it. Then it waits
// like acquire for another slot, ahead of t's other calls. After an error the call has
// no slot.
func (s *slots) pass(ctx context.Context, t *tenant, wait time.Duration) error {
	s.mu.Lock()
	if !slices.ContainsFunc(s.ring, func(other *tenant) bool { return other != t }) {
		s.mu.Unlock()
		return nil
	}
	turn := s.enqueue(t, 0)
	s.serveNext()
	s.mu.Unlock()
	return s.await(ctx, t, turn, wait)
}

// enqueue puts another call into t's queue, at place n.
func (s *slots) enqueue(t *tenant, n int) (turn chan struct{}) {
	turn = make(chan struct{}, 1)
	if len(t.waiting) == 0 {
		s.ring = append(s.ring, t)
	}
	t.waiting = slices.Insert(t.waiting, n, turn)
	return turn
}

// await waits for a turn that was enqueued.
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

// leave takes turn out of t's queue. It reports false if turn was served already.
func (s *slots) leave(t *tenant, turn chan struct{}) bool {
	for i, w := range t.waiting {
		if w == turn {
			t.waiting = append(t.waiting[:i], t.waiting[i+1:]...)
			if len(t.waiting) == 0 {
				s.removeTenant(t)
			}
			return true
		}
	}
	return false
}

func (s *slots) removeTenant(t *tenant) {
	for i, r := range s.ring {
		if r == t {
			s.ring = append(s.ring[:i], s.ring[i+1:]...)
			return
		}
	}
}

// release gives a slot back. If a call waits for one, it gets the slot.
func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ring) == 0 {
		s.free++
		return
	}
	s.serveNext()
}

// serveNext gives a slot to the first call of the tenant whose turn it is.
func (s *slots) serveNext() {
	t := s.ring[0]
	s.ring = s.ring[1:]
	turn := t.waiting[0]
	t.waiting = t.waiting[1:]
	if len(t.waiting) > 0 {
		s.ring = append(s.ring, t)
	}
	turn <- struct{}{}
}

// seat is one call's use of the slots. A call that can be expected to be short begins
// without a slot.
type seat struct {
	slots  *slots
	tenant *tenant
	wait   time.Duration // how long the call waits for a slot
	held   bool          // the call has a slot
	since  time.Time     // when it got the slot
	polled time.Time     // when the network was last looked at
}

func (s *seat) take(ctx context.Context) error {
	if s.held {
		return nil
	}
	err := s.slots.acquire(ctx, s.tenant, s.wait)
	s.held, s.since = err == nil, time.Now()
	return err
}

// rest lets others run for a moment, in the middle of a call. A call that has turned
// out not to be short takes a slot here, and a call that has had its slot for a long
// time passes it to others.
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
	if s.slots.oneProcessor && time.Since(s.polled) >= pollTime {
		// Go looks at the network only when no goroutine can run, and after Gosched
		// this one still can.
		time.Sleep(time.Microsecond)
		s.polled = time.Now()
		return nil
	}
	runtime.Gosched()
	return nil
}

// leave gives the slot back, if the call has one.
func (s *seat) leave() {
	if s.held {
		s.held = false
		s.slots.release()
	}
}
