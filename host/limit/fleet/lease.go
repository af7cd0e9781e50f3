package fleet

import (
	"context"
	"strconv"
	"time"

	"github.com/kai-gateway/kai/host/limit"
)

// lease is a request that the server has let in.
type lease struct {
	store       *Store
	incarnation string // to which it was given
	id          string
	buckets     []*limit.Bucket
	keys        []string // of the buckets' counts
	counts      []limit.Saved
	at          time.Time // when it was let in
	settled     bool
}

// Left is [limit.Lease].
func (l *lease) Left(i int) (int64, time.Duration) {
	return l.counts[i].Left(l.buckets[i], l.at)
}

// Settle is [limit.Lease]. It takes at most Options.Timeout; what could not be told to the
// server by then is told later.
func (l *lease) Settle(u limit.Usage) {
	if l.settled {
		return
	}
	l.settled = true
	s := l.store
	// A request that has ended is not carried over into another incarnation.
	now := s.noteEnded(l.buckets, l.keys)
	t := &settlement{lease: l, usage: u}
	if s.ready.Load() && s.o.Server.Up() {
		ctx, cancel := context.WithTimeout(context.Background(), s.o.Timeout)
		defer cancel()
		if s.report(ctx, t, now) {
			return
		}
	}
	t.late = true
	s.postpone(t)
}

// mostOverdue is how many settlements may wait for the server. There are more only if it
// comes and goes for a very long time. Then the oldest ones stay as they were reserved.
const mostOverdue = 1 << 16

// postpone has a settlement reported later.
func (s *Store) postpone(t *settlement) {
	s.mu.Lock()
	if len(s.overdue) >= mostOverdue {
		s.overdue = s.overdue[1:]
	}
	s.overdue = append(s.overdue, t)
	s.doubtful = true
	s.mu.Unlock()
	s.wakeLoop()
}

// noteEnded notes that a request doesn't run any more. It returns the incarnation in which
// the request counts until the server is told.
func (s *Store) noteEnded(buckets []*limit.Bucket, keys []string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range buckets {
		if b.Unit != limit.Concurrent {
			continue
		}
		if s.running[keys[i]]--; s.running[keys[i]] == 0 {
			delete(s.running, keys[i])
		}
	}
	return s.incarnation
}

// settlement is the end of a lease, which the server may not know of yet.
type settlement struct {
	lease *lease
	usage limit.Usage
	void  bool // it was never known whether the request was let in: all is taken back
	late  bool // another incarnation knows already that the request doesn't run any more

	spent    []*spent // instead: what was used while the server was away
	declared bool     // the server has a lease for that
}

// report tells the server of a settlement. It returns whether the server knows it now.
func (s *Store) report(ctx context.Context, t *settlement, incarnation string) bool {
	const tries = 3 // of which all but the first are for the beginning of a period
	for range tries {
		keys := []string{s.leases(t.lease.incarnation)}
		args := []string{t.lease.id, incarnation}
		var told []*limit.Bucket
		for i, b := range t.lease.buckets {
			if b.Unit == limit.Concurrent && t.late {
				continue
			}
			told, keys = append(told, b), append(keys, t.lease.keys[i])
			args = append(s.describe(args, b), strconv.FormatInt(t.used(i), 10), strconv.FormatInt(t.period(i), 10), strconv.FormatInt(b.Warn, 10))
		}
		answer, err := s.settle(ctx, keys, args)
		if err != nil || len(answer) < heading || answer[0] == done && len(answer) < heading+each*len(told) {
			return false
		}
		at := s.noteTime(answer)
		switch answer[0] {
		case otherTime:
			continue
		case unknown: // it was deleted, and with it all that was counted
			if !t.void {
				s.spend(t, at)
			}
			return true
		case done:
			s.warn(told, answer[heading:])
		}
		return true
	}
	return false
}

// warn passes on which budgets the operator should now be warned of.
func (s *Store) warn(buckets []*limit.Bucket, v []int64) {
	for i, b := range buckets {
		if v[each*i+5] == 1 {
			s.o.Warn(b, v[each*i+1])
		}
	}
}

// used is what the server should count of the i-th bucket; -1: what was reserved.
func (t *settlement) used(i int) int64 {
	switch b := t.lease.buckets[i]; {
	case t.void:
		return 0
	case t.spent != nil:
		return t.spent[i].amount
	case b.Unit == limit.Requests:
		return -1
	default:
		return max(0, b.Spent(t.usage))
	}
}

// period is that in which it was used; -1: the present one.
func (t *settlement) period(i int) int64 {
	if t.spent == nil {
		return -1
	}
	return t.spent[i].index
}

// doubt notes that nobody knows whether a request was let in.
func (s *Store) doubt(l *lease) { s.postpone(&settlement{lease: l, void: true, late: true}) }
