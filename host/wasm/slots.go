package wasm

import (
	"context"
	"sync"
	"time"
)

// slots bounds how many guest calls run at once. Guest code can't be preempted,
// so were every processor inside a guest, nothing else of the process would
// run. A free slot goes to the tenants (one for each adapter) in turn, so that one
// with many waiting calls doesn't starve another.
type slots struct {
	mu   sync.Mutex
	free int
	ring []*tenant // those with waiting calls, the next to be served first
}

// tenant is the queue of one adapter. The zero value is ready.
type tenant struct {
	waiting []chan struct{}
}

func newSlots(n int) *slots { return &slots{free: n} }

// acquire takes a slot for t, waiting for at most wait. It returns errBusy after
// that and the context's cause when ctx ends first.
func (s *slots) acquire(ctx context.Context, t *tenant, wait time.Duration) error {
	s.mu.Lock()
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return nil
	}
	turn := make(chan struct{}, 1)
	if len(t.waiting) == 0 {
		s.ring = append(s.ring, t)
	}
	t.waiting = append(t.waiting, turn)
	s.mu.Unlock()

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
	t := s.ring[0]
	s.ring = s.ring[1:]
	turn := t.waiting[0]
	t.waiting = t.waiting[1:]
	if len(t.waiting) > 0 {
		s.ring = append(s.ring, t)
	}
	turn <- struct{}{}
}
