package fleet

import (
	"context"
	"log/slog"
	"strconv"
	"time"
)

// run calls tend regularly, and whenever something is to be told to the server, until Close.
//
//   - tended: New has done so
func (s *Store) run(tended bool) {
	tick := time.NewTicker(s.o.Beat)
	defer tick.Stop()
	for {
		var again <-chan time.Time
		if !tended {
			again = time.After(s.o.Timeout)
		}
		select {
		case <-tick.C:
		case <-again:
		case <-s.wake:
		case <-s.stop:
			return
		}
		tended = s.tend()
	}
}

// tend keeps this gateway and the store in step: it sends a heartbeat, resolves doubts, and
// settles what is overdue. It reports whether it could; if the server is away, there is
// nothing to do.
func (s *Store) tend() bool {
	if !s.o.Server.Up() {
		s.ready.Store(false)
		return true
	}
	s.mu.Lock()
	incarnation, doubtful := s.incarnation, s.doubtful
	s.mu.Unlock()
	if doubtful || incarnation == "" || !s.beats(incarnation) {
		ctx, cancel := context.WithTimeout(context.Background(), s.o.Timeout)
		defer cancel()
		if !s.rejoin(ctx, incarnation) || !s.beats(s.current()) {
			return false
		}
	}
	if !s.flush() {
		return false
	}
	s.mu.Lock()
	s.away = nil
	s.mu.Unlock()
	s.ready.Store(true)
	return true
}

func (s *Store) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.incarnation
}

// beats sends a heartbeat. It reports whether the server knows the incarnation.
func (s *Store) beats(incarnation string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), s.o.Timeout)
	defer cancel()
	s.mu.Lock()
	limits := s.limits
	s.mu.Unlock()
	answer, err := s.beat(ctx, []string{s.gateways, s.leases(incarnation)}, []string{incarnation, s.life, limits})
	if err != nil || len(answer) < heading+2 || answer[0] != done {
		return false
	}
	s.noteTime(answer)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gatewaysNow = max(1, answer[heading])
	s.other.note(s.o.Logger, s.now(), limits != "" && answer[heading+1] > 0)
	return true
}

// difference notices that other gateways have other limits on the same counts.
type difference struct {
	since  time.Time // zero: they have the same
	logged bool
}

// usual is how long that may last while a change of the configuration reaches all gateways.
const usual = time.Minute

// note logs that it lasts, and that it is over.
func (d *difference) note(log *slog.Logger, now time.Time, is bool) {
	switch {
	case !is && d.logged:
		log.Info("other gateways have the same limits again")
		fallthrough
	case !is:
		*d = difference{}
	case d.since.IsZero():
		d.since = now
	case !d.logged && now.Sub(d.since) >= usual:
		d.logged = true
		log.Warn("other gateways have other limits for what is counted together: give all of them the same configuration")
	}
}

// mostEarlier is how many incarnations are remembered for the server to forget: more than
// can be tried until a gateway counts as dead. The others die by themselves.
const mostEarlier = 1000

// rejoin takes another incarnation in place of one, unless somebody has done so already. It
// reports whether there is one that the server knows.
func (s *Store) rejoin(ctx context.Context, instead string) bool {
	select {
	case s.joining <- struct{}{}:
		defer func() { <-s.joining }()
	case <-ctx.Done():
		return false
	}
	s.mu.Lock()
	if s.incarnation != instead {
		s.mu.Unlock()
		return true
	}
	next := newIncarnation()
	if instead != "" {
		s.earlier = append(s.earlier, instead)
		s.earlier = s.earlier[max(0, len(s.earlier)-mostEarlier):]
	}
	// From here on, what begins and ends does so in the new incarnation. It adds up there,
	// in whatever order the server hears of it.
	s.incarnation, s.doubtful = next, false
	keys, args := []string{s.gateways, s.leases(next)}, []string{next}
	for key, n := range s.running {
		keys, args = append(keys, key), append(args, strconv.FormatInt(n, 10))
	}
	args = append(args, s.earlier...)
	s.mu.Unlock()
	answer, err := s.join(ctx, keys, args)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || len(answer) < heading {
		s.doubtful = true
		return false
	}
	s.earlier = nil
	s.noteTime(answer)
	return true
}

// flush tells the server everything that is overdue. It reports whether nothing is left.
func (s *Store) flush() bool {
	for {
		s.mu.Lock()
		s.gatherSpent()
		if len(s.overdue) == 0 {
			s.mu.Unlock()
			return true
		}
		t := s.overdue[0]
		incarnation := s.incarnation
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), s.o.Timeout)
		ok := s.announce(ctx, t) && s.report(ctx, t, incarnation)
		cancel()
		if !ok {
			return false
		}
		s.mu.Lock()
		if len(s.overdue) > 0 && s.overdue[0] == t { // else it was one too many
			s.overdue = s.overdue[1:]
		}
		s.mu.Unlock()
	}
}

// mostSpent is how many counts one settlement may change.
const mostSpent = 256

// gatherSpent makes a settlement of what was spent while the server was away. The caller has
// the lock.
func (s *Store) gatherSpent() {
	for len(s.spent) > 0 {
		t := &settlement{lease: &lease{store: s, incarnation: s.incarnation, id: strconv.FormatUint(s.lease.Add(1), 36)}, late: true, spent: []*spent{}}
		for k, v := range s.spent {
			if len(t.spent) == mostSpent {
				break
			}
			t.spent = append(t.spent, v)
			t.lease.buckets, t.lease.keys = append(t.lease.buckets, v.bucket), append(t.lease.keys, v.key)
			delete(s.spent, k)
		}
		s.overdue = append(s.overdue, t)
	}
}

// announce has the server make a lease for what was spent without one. It may be asked to
// again as long as that lease was not settled.
func (s *Store) announce(ctx context.Context, t *settlement) bool {
	if t.spent == nil || t.declared {
		return true
	}
	answer, err := s.declare(ctx, []string{s.leases(t.lease.incarnation)}, []string{t.lease.id})
	if err != nil || len(answer) < heading {
		return false
	}
	if answer[0] == unknown { // its incarnation is gone: the present one has to do
		t.lease.incarnation = s.current()
		s.wakeLoop()
		return false
	}
	t.declared = true
	if n := len(t.spent); n > 0 {
		s.o.Logger.Info("what was used without the shared store is added to it", slog.Int("limits", n))
	}
	return true
}
