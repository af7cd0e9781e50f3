// Package fleet counts limits for several gateways in one place that they share, a Redis or
// Valkey: when one lets a request in, all others count it, too.
//
// It asks once for each admission, and once for each settlement. The time is the server's.
// When the server doesn't answer, each gateway goes on by itself in the way that is
// configured, and what was used meanwhile is added when the server is back.
//
// A gateway is known to the others as an incarnation, which has a heartbeat. If an answer
// was lost, nobody knows what has happened. Then the gateway takes another incarnation,
// after which nothing of the earlier one can happen any more, and takes back what may have
// happened. So nothing counts twice, and nothing is forgotten.
package fleet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kai-gateway/kai/host/limit"
)

// Server is the store that gateways share.
type Server interface {
	// Script returns what runs a script: in one step, with one round trip, and within a
	// bounded time even if ctx has no end. The keys are those of Key. It fails if nobody
	// knows the outcome.
	Script(text string) Run

	// Key returns a key that stands for a name of a kind, without telling it.
	Key(kind, name string) string

	// Up reports whether the store answers, as far as that is known. Watch has f called
	// whenever that has changed, one call after the other.
	Up() bool
	Watch(f func())
}

// Run runs a script.
type Run func(ctx context.Context, keys, args []string) ([]int64, error)

// Outage is what happens to requests while the server doesn't answer.
type Outage uint8

const (
	Divide Outage = iota // each gateway enforces its share of each limit
	Deny                 // nobody is let in
	Allow                // everybody is let in
)

// Options configures New. Server is required.
type Options struct {
	Server  Server
	Outage  Outage
	Timeout time.Duration    // for one request of the server; default 100 ms
	Beat    time.Duration    // between two heartbeats; default 5 s. After three without, a gateway counts as dead
	Now     func() time.Time // default time.Now. It need not agree with the server's
	Warn    func(b *limit.Bucket, spent int64)
	Logger  *slog.Logger // default: discard
}

// Store is a limit.Store that is shared. Close it at the end.
type Store struct {
	o                                               Options
	admit, settle, beat, join, declare, peek, leave Run
	gateways                                        string // the key
	life                                            string // of a gateway without a heartbeat, in milliseconds
	ready                                           atomic.Bool
	offset                                          atomic.Int64 // how far the server's clock is ahead of this one, in nanoseconds
	lease                                           atomic.Uint64
	joining                                         chan struct{} // has room for one that joins
	wake, stop                                      chan struct{}
	loop                                            sync.WaitGroup

	mu          sync.Mutex
	known       map[string]*entry // by the ID of a bucket
	running     map[string]int64  // requests of this gateway, by the key of their count
	incarnation string            // "": none was taken yet
	earlier     []string          // that the server may still know
	doubtful    bool              // something may have happened that nobody knows of
	gatewaysNow int64             // that lived at the last heartbeat
	overdue     []*settlement     // in this order
	spent       map[spentKey]*spent
	swept       int          // how many there were after the last sweep
	limits      string       // stands for the limits of the configuration
	other       difference   // of other gateways' limits
	away        *limit.Local // counts while the server is away; nil: it isn't
}

// entry is what is known of a bucket.
type entry struct {
	key   string
	count limit.Saved // at the last answer
}

var _ limit.Store = (*Store)(nil)

// New returns a store that takes part as soon as the server answers. If it answers now, the
// store has joined when New returns.
func New(o Options) *Store {
	if o.Timeout == 0 {
		o.Timeout = 100 * time.Millisecond
	}
	if o.Beat == 0 {
		o.Beat = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Warn == nil {
		o.Warn = func(*limit.Bucket, int64) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	run := o.Server.Script
	s := &Store{
		o: o, admit: run(admitting), settle: run(settling), beat: run(beating), join: run(joining), declare: run(declaring), peek: run(peeking), leave: run(leaving),
		gateways: o.Server.Key("g", "gateways"), // of those with the same secret
		life:     strconv.FormatInt(3*o.Beat.Milliseconds(), 10),
		joining:  make(chan struct{}, 1), wake: make(chan struct{}, 1), stop: make(chan struct{}),
		known: map[string]*entry{}, running: map[string]int64{}, spent: map[spentKey]*spent{}, gatewaysNow: 1,
	}
	o.Server.Watch(func() {
		if !o.Server.Up() {
			s.ready.Store(false)
		}
		s.wakeLoop()
	})
	tended := s.tend()
	s.loop.Go(func() { s.run(tended) })
	return s
}

// Close ends the heartbeat, after it has told the server all that is known. Requests that
// still run end like those of a dead gateway.
func (s *Store) Close() {
	close(s.stop)
	s.loop.Wait()
	if !s.o.Server.Up() || !s.tend() {
		return
	}
	s.mu.Lock()
	incarnation, idle := s.incarnation, len(s.running) == 0
	s.mu.Unlock()
	if idle {
		ctx, cancel := context.WithTimeout(context.Background(), s.o.Timeout)
		defer cancel()
		_, _ = s.leave(ctx, []string{s.gateways}, []string{incarnation}) // else it counts as dead soon
	}
}

// wakeLoop makes the loop tend the store at once.
func (s *Store) wakeLoop() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// now is the time of the server, as far as it is known.
func (s *Store) now() time.Time { return s.o.Now().Add(time.Duration(s.offset.Load())) }

// noteTime notes the time of an answer, and returns it.
func (s *Store) noteTime(answer []int64) time.Time {
	t := time.Unix(answer[1], answer[2]*1000)
	s.offset.Store(int64(t.Sub(s.o.Now())))
	return t
}

// entryOf returns what is known of a bucket. The caller has the lock.
func (s *Store) entryOf(b *limit.Bucket) *entry {
	e := s.known[b.ID]
	if e == nil {
		kind := "b" // of windows and money
		if b.Unit == limit.Concurrent {
			kind = "c"
		}
		e = &entry{key: s.o.Server.Key(kind, b.ID), count: limit.Saved{Index: -1}}
		s.known[b.ID] = e
	}
	return e
}

// kindOf returns the scripts' word for what a bucket counts.
func kindOf(b *limit.Bucket) string {
	switch b.Unit {
	case limit.Concurrent:
		return "c"
	case limit.Money:
		return "m"
	}
	return "w"
}

// describe appends what a script must know of a bucket: kind, limit, from, to.
func (s *Store) describe(args []string, b *limit.Bucket) []string {
	args = append(args, kindOf(b), strconv.FormatInt(b.Limit, 10))
	switch b.Unit {
	case limit.Concurrent:
		return append(args, "0", "0")
	case limit.Money:
		from, to := b.Period.Around(s.now(), b.Zone)
		return append(args, strconv.FormatInt(from, 10), strconv.FormatInt(to, 10))
	}
	return append(args, strconv.FormatInt(b.Window.Microseconds(), 10), "0")
}

// counted reads the count of a bucket from an answer.
func counted(b *limit.Bucket, v []int64) limit.Saved {
	if b.Unit == limit.Concurrent {
		return limit.Saved{Index: -1, Now: max(0, v[1])}
	}
	return limit.Saved{Index: v[0], Now: v[1], Before: v[2], Debt: v[3], End: v[4]}
}

const (
	heading = 3 // numbers of an answer before those of buckets
	each    = 6 // of one bucket
)

// Admit is [limit.Store]. It takes at most Options.Timeout.
func (s *Store) Admit(ctx context.Context, buckets []*limit.Bucket, r limit.Reserve) (limit.Lease, *limit.Refusal) {
	if s.ready.Load() && s.o.Server.Up() {
		// If the client hangs up, it must stay known what was counted.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.Timeout)
		defer cancel()
		if l, refused, ok := s.ask(ctx, buckets, r); ok {
			return l, refused
		}
	}
	return s.admitAway(buckets, r)
}

// ask asks the server. ok is false if that doesn't know.
func (s *Store) ask(ctx context.Context, buckets []*limit.Bucket, r limit.Reserve) (_ limit.Lease, _ *limit.Refusal, ok bool) {
	const tries = 4 // the others are for what hardly ever happens
	for range tries {
		l := &lease{store: s, id: strconv.FormatUint(s.lease.Add(1), 36), buckets: append([]*limit.Bucket(nil), buckets...)}
		keys := make([]string, 2, 2+len(buckets))
		s.mu.Lock()
		l.incarnation = s.incarnation
		for _, b := range buckets {
			keys = append(keys, s.entryOf(b).key)
		}
		s.mu.Unlock()
		keys[0], keys[1] = s.gateways, s.leases(l.incarnation)
		l.keys = keys[2:]
		args := append(make([]string, 0, 3+each*len(buckets)), l.incarnation, l.id, s.life)
		for _, b := range buckets {
			must, may := b.Needs(r)
			args = append(s.describe(args, b), strconv.FormatInt(must, 10), strconv.FormatInt(may, 10))
		}
		answer, err := s.admit(ctx, keys, args)
		if err != nil || len(answer) < heading || answer[0] >= refused && len(answer) < heading+each*len(buckets) {
			s.doubt(l)
			return nil, nil, false
		}
		l.at = s.noteTime(answer)
		switch answer[0] {
		case otherTime:
			continue
		case unknown:
			if !s.rejoin(ctx, l.incarnation) {
				return nil, nil, false
			}
			continue
		}
		l.counts = make([]limit.Saved, len(buckets))
		for i, b := range buckets {
			l.counts[i] = counted(b, answer[heading+each*i:])
		}
		if answer[0] == refused {
			s.mu.Lock()
			s.keepCounts(l)
			s.mu.Unlock()
			if no := limit.Judge(buckets, l.counts, r, l.at); no != nil {
				return nil, no, true
			}
			// Beyond 2⁵³ the server rounds.
			return nil, &limit.Refusal{Bucket: buckets[0], Wait: time.Second}, true
		}
		s.noteAdmitted(l)
		return l, nil, true
	}
	return nil, nil, false
}

// keepCounts keeps the counts of buckets that an answer told. The caller has the lock.
func (s *Store) keepCounts(l *lease) {
	for i, b := range l.buckets {
		s.entryOf(b).count = l.counts[i]
	}
}

// noteAdmitted notes a request that was let in.
func (s *Store) noteAdmitted(l *lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keepCounts(l)
	for i, b := range l.buckets {
		if b.Unit == limit.Concurrent {
			s.running[l.keys[i]]++
			// Another incarnation was taken meanwhile, which doesn't have this request.
			s.doubtful = s.doubtful || l.incarnation != s.incarnation
		}
	}
	if s.doubtful {
		s.wakeLoop()
	}
}

// leases is the key of what an incarnation has let in.
func (s *Store) leases(incarnation string) string { return s.o.Server.Key("l", incarnation) }

// Keep is [limit.Store]. The server forgets by itself. A digest tells other gateways which
// limits there are.
func (s *Store) Keep(buckets []*limit.Bucket) {
	known := make(map[string]bool, len(buckets))
	limits := make([]string, len(buckets))
	for i, b := range buckets {
		known[b.ID] = true
		limits[i] = fmt.Sprintln(b.ID, b.Limit)
	}
	slices.Sort(limits)
	digest := s.o.Server.Key("limits", strings.Join(limits, ""))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = digest[len(digest)-16:]
	for id := range s.known {
		if !known[id] {
			delete(s.known, id)
		}
	}
}

// Gateways returns how many gateways there were at the last heartbeat, this one included.
func (s *Store) Gateways() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.gatewaysNow)
}

// Offset is how far the server's clock is ahead of this one, as far as it is known.
func (s *Store) Offset() time.Duration { return time.Duration(s.offset.Load()) }

// mostPeeked is how many buckets one request to the server looks at, because others wait
// meanwhile.
const mostPeeked = 200

// Used is [limit.Store]. While the server doesn't answer, it is what was heard last.
func (s *Store) Used(buckets []*limit.Bucket) []int64 {
	all := make([]int64, 0, len(buckets))
	for some := range slices.Chunk(buckets, mostPeeked) {
		all = append(all, s.look(some)...)
	}
	return all
}

func (s *Store) look(buckets []*limit.Bucket) []int64 {
	keys, kinds := []string{s.gateways}, make([]string, len(buckets))
	counts := make([]limit.Saved, len(buckets))
	s.mu.Lock()
	for i, b := range buckets {
		e := s.entryOf(b)
		keys, kinds[i], counts[i] = append(keys, e.key), kindOf(b), e.count
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), s.o.Timeout)
	defer cancel()
	const each = 5 // numbers of a bucket
	at := s.now()
	if answer, err := s.peek(ctx, keys, kinds); err == nil && len(answer) == heading+each*len(buckets) {
		at = s.noteTime(answer)
		for i, b := range buckets {
			counts[i] = counted(b, answer[heading+each*i:])
		}
	}
	used := make([]int64, len(buckets))
	for i, b := range buckets {
		used[i] = counts[i].Used(b, at)
	}
	return used
}

// newIncarnation returns a name that no other has.
func newIncarnation() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // which never fails
	return hex.EncodeToString(b[:])
}
