package limit

import (
	"context"
	"sync"
	"time"
)

// Store counts what requests use, for whoever has a limit. It is safe for concurrent use.
type Store interface {
	// Admit lets a request in if every bucket has room for it, and counts it in all of
	// them, in one step. If one has not, it counts nothing in any of them.
	//
	// The lease must be settled, exactly once, when the request is over.
	Admit(ctx context.Context, buckets []*Bucket, r Reserve) (Lease, *Refusal)

	// Used returns how much each of the buckets counts now, reservations included. It changes
	// nothing, and is for monitoring.
	Used(buckets []*Bucket) []int64

	// Keep forgets the counts of buckets that no configuration has any more, unless
	// something still counts there.
	Keep(buckets []*Bucket)
}

// Lease is the room that a request takes. It belongs to the request's goroutine.
type Lease interface {
	// Settle ends the request, which no longer counts as running, and counts what was used
	// instead of what was reserved. A reservation that was too large is given back to the
	// period that it was taken from; what was used beyond the reservation counts now. Further
	// calls do nothing.
	Settle(Usage)

	// Left returns what the i-th bucket had left when the request had been let in, and how
	// long it takes until all of it is free again. It is for buckets with a window.
	Left(i int) (remaining int64, reset time.Duration)
}

// Refusal says why a request isn't let in.
type Refusal struct {
	Bucket *Bucket       // that it has to wait longest for
	Wait   time.Duration // until it would be let in; below 0: it never will be

	// TooLarge says that the request needs more than twice what the limit allows, so that
	// waiting doesn't help.
	TooLarge bool

	// Unavailable says that nobody knows, because the shared store doesn't answer. Bucket is
	// nil then.
	Unavailable bool

	// Rooms are what the buckets have left, in their order; nil if nobody knows.
	Rooms []Room
}

// Room is what a bucket with a window has left, and how long it takes until all of it is
// free again. It is zero for other buckets.
type Room struct {
	Left  int64
	Reset time.Duration
}

// Left is like that of a [Lease].
func (r *Refusal) Left(i int) (remaining int64, reset time.Duration) {
	return r.Rooms[i].Left, r.Rooms[i].Reset
}

// Options configures NewLocal.
type Options struct {
	Now func() time.Time // default time.Now

	// Warn is called once in each period when so much of a budget is spent that the operator
	// should know. Default: nobody is told.
	Warn func(b *Bucket, spent int64)

	// Saved has counts of an earlier process, by the ID of their bucket; it is taken over.
	Saved map[string]Saved

	// Track says that Changed will be called.
	Track bool
}

// Local counts in this process. Its zero value can't be used.
type Local struct {
	now   func() time.Time
	warn  func(b *Bucket, spent int64)
	track bool

	mu       sync.Mutex
	counters map[string]*counter
	changed  []*counter // since they were saved; those of which the field changed is set
	saved    map[string]Saved
}

var _ Store = (*Local)(nil)

// NewLocal returns a store that has counted nothing but what was saved.
func NewLocal(o Options) *Local {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Warn == nil {
		o.Warn = func(*Bucket, int64) {}
	}
	return &Local{now: o.Now, warn: o.Warn, track: o.Track, counters: map[string]*counter{}, saved: o.Saved}
}

// counter returns the counter of a bucket at t. The caller has the lock.
func (s *Local) counter(b *Bucket, t time.Time) *counter {
	c := s.counters[b.ID]
	if c == nil {
		c = &counter{index: -1}
		if old, ok := s.saved[b.ID]; ok {
			c = old.counter()
			delete(s.saved, b.ID)
		}
		s.counters[b.ID] = c
	}
	c.bucket = b
	c.roll(t)
	return c
}

// lease is a request that a Local has let in.
type lease struct {
	store   *Local
	settled bool
	charges []charge
	room    [8]charge // for the usual number of them
}

// charge is what a request has reserved in one bucket.
type charge struct {
	counter *counter
	bucket  *Bucket
	index   int64 // of the period that it was taken from
	taken   int64
	open    int64 // of it, beyond the estimate of the input
	after   Room
}

// Admit is [Store].
func (s *Local) Admit(_ context.Context, buckets []*Bucket, r Reserve) (Lease, *Refusal) {
	l := &lease{store: s}
	l.charges = l.room[:0]
	t := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var refused *Refusal
	for _, b := range buckets {
		c := s.counter(b, t)
		must, may := b.Needs(r)
		if no := c.refusal(t, must, may); no != nil {
			refused = refused.or(no)
			continue
		}
		must = min(must, b.Limit)
		open := min(may, max(0, b.Limit-c.used(t)-must))
		l.charges = append(l.charges, charge{counter: c, bucket: b, index: c.index, taken: must + open, open: open})
	}
	if refused != nil {
		refused.Rooms = make([]Room, len(buckets))
		for i, b := range buckets {
			refused.Rooms[i] = s.counters[b.ID].room(t)
		}
		return nil, refused
	}
	for i := range l.charges {
		l.charges[i].apply(t)
		s.mark(l.charges[i].counter)
	}
	return l, nil
}

// or returns the refusal that a client has to wait longer for. r may be nil.
func (r *Refusal) or(other *Refusal) *Refusal {
	if r == nil || r.Wait >= 0 && (other.Wait < 0 || other.Wait > r.Wait) {
		return other
	}
	return r
}

// apply counts what a request reserves.
func (ch *charge) apply(t time.Time) {
	c := ch.counter
	c.now = sum(c.now, ch.taken)
	c.open += ch.open
	c.running++
	ch.after = c.room(t)
}

// Left is [Lease].
func (l *lease) Left(i int) (int64, time.Duration) {
	return l.charges[i].after.Left, l.charges[i].after.Reset
}

// Settle is [Lease].
func (l *lease) Settle(u Usage) {
	for _, b := range l.store.settle(l, u) {
		l.store.warn(b.bucket, b.spent)
	}
}

// warning is a budget of which most is spent.
type warning struct {
	bucket *Bucket
	spent  int64
}

// settle settles a lease. It returns the budgets that the operator should be warned of now.
func (s *Local) settle(l *lease, u Usage) (warn []warning) {
	t := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.settled {
		return nil
	}
	l.settled = true
	for i := range l.charges {
		ch := &l.charges[i]
		c := ch.counter
		c.roll(t)
		c.finish(ch.index, ch.open)
		switch ch.bucket.Unit {
		case Requests:
			continue
		case Concurrent:
			c.now--
			continue
		}
		if used := max(0, ch.bucket.Spent(u)); used > ch.taken {
			c.charge(t, used-ch.taken)
		} else {
			c.refund(ch.index, ch.taken-used)
		}
		s.mark(c)
		if b := ch.bucket; b.Unit == Money && c.now >= b.Warn && b.Limit > 0 && !c.warned && c.now > 0 {
			c.warned = true
			warn = append(warn, warning{b, c.now})
		}
	}
	return warn
}

// Keep is [Store].
func (s *Local) Keep(buckets []*Bucket) {
	known := make(map[string]bool, len(buckets))
	for _, b := range buckets {
		known[b.ID] = true
	}
	t := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.counters {
		if !known[id] {
			if c.roll(t); c.idle() {
				delete(s.counters, id)
			}
		}
	}
}

// mark notes that a count has changed. The caller has the lock.
func (s *Local) mark(c *counter) {
	if s.track && !c.changed && c.bucket.Unit != Concurrent {
		c.changed = true
		s.changed = append(s.changed, c)
	}
}

// Changed returns the counts that have changed since the last call, by the ID of their bucket,
// but not how many requests run. Of what running requests have reserved, the counts include
// only the estimate of their input: if the process ends before they do, nothing else is
// counted of them.
func (s *Local) Changed() map[string]Saved {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.changed) == 0 {
		return nil
	}
	all := make(map[string]Saved, len(s.changed))
	for _, c := range s.changed {
		c.changed = false
		all[c.bucket.ID] = c.saved()
	}
	s.changed = s.changed[:0]
	return all
}

// Unsaved marks counts that could not be saved as changed again.
func (s *Local) Unsaved(counts map[string]Saved) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range counts {
		if c := s.counters[id]; c != nil {
			s.mark(c)
		}
	}
}
