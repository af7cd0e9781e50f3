// Package memory counts what the process holds for requests, answers and guests,
// and refuses what would be too much.
//
// A Total is the bound for everything. A Share is one provider's part of it, so
// that no provider takes what the others need. A Grant is what one holder, a
// request or a guest's instance, has been granted of both; it grows and shrinks
// with what is really held and is released once, when the holder ends.
//
// The package allocates nothing itself (but for Grant.Grow) and knows nothing of
// what is held. Counting is coarse: a grant takes whole grains, so most of a small
// request costs an addition and no shared counter.
package memory

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Grain is the number of bytes a Grant takes at a time. It is about what an open
// stream costs besides its content: goroutines, connections and their buffers.
const Grain = 64 << 10

// Limit bounds one sum of bytes. Its methods are safe for concurrent use. A nil
// *Limit allows everything.
type Limit struct {
	limit, used atomic.Int64
}

// NewLimit begins with nothing used.
func NewLimit(bytes int64) *Limit {
	l := &Limit{}
	l.limit.Store(bytes)
	return l
}

// Set changes the bound. What is held beyond a lower one stays; nothing is added to
// it until enough was given back.
func (l *Limit) Set(bytes int64) { l.limit.Store(bytes) }

// Max is the bound.
func (l *Limit) Max() int64 { return l.limit.Load() }

// Used is what is taken now.
func (l *Limit) Used() int64 { return l.used.Load() }

// Take takes bytes and reports whether there were as many. What it refuses
// nobody sees, so a large request that fails doesn't make a small one fail.
func (l *Limit) Take(bytes int64) bool {
	for l != nil {
		used := l.used.Load()
		if bytes > l.limit.Load()-used {
			return false
		}
		if l.used.CompareAndSwap(used, used+bytes) {
			break
		}
	}
	return true
}

// Give gives bytes back that were taken.
func (l *Limit) Give(bytes int64) {
	if l != nil {
		l.used.Add(-bytes)
	}
}

// Options configures New. Only Limit is required.
type Options struct {
	Limit   int64 // bytes that may be held, see Available for what to choose
	Machine int64 // bytes there are, for the process as a whole; default twice Limit

	// Reclaim is called when a grant finds no room: it frees what is kept for reuse
	// only, of that share or, if it is nil, of any. It runs in the goroutine that
	// asks, which may be in the middle of a guest call.
	Reclaim func(*Share)

	// SetHeapLimit is told how large Go's heap may become, at first and whenever
	// the guests' memory, which is no part of the heap, changed enough to matter.
	SetHeapLimit func(bytes int64)
}

// Total bounds everything that is held. Its methods are safe for concurrent use. A
// nil *Total allows everything.
type Total struct {
	Limit
	opts   Options
	mapped atomic.Int64 // bytes of it that are guests' memory
	told   atomic.Int64 // mapped when the heap's limit was set

	mu     sync.Mutex
	shares map[string]*Share
}

// New begins with nothing held.
func New(opts Options) *Total {
	t := &Total{opts: opts, shares: map[string]*Share{}}
	t.Set(opts.Limit)
	return t
}

// Set changes the bound, as Limit.Set does, and the heap's with it.
func (t *Total) Set(bytes int64) {
	t.Limit.Set(bytes)
	t.limitHeap()
}

// Share gives the part of that name, which is made if there is none, with the
// given bound. A configuration that replaces another finds its providers' shares
// as they are; Share.Set changes their bounds.
func (t *Total) Share(name string, limit int64) *Share {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.shares[name]
	if s == nil {
		s = &Share{total: t, name: name}
		s.Set(limit)
		t.shares[name] = s
	}
	return s
}

// Grant is for a holder that no provider is known of yet. It holds nothing so far.
func (t *Total) Grant() Grant { return Grant{total: t} }

// Share is one provider's part of a Total. What is taken of it is taken of the
// Total, too. Safe for concurrent use. A nil *Share allows everything.
type Share struct {
	Limit
	total *Total
	name  string
}

// Name is the provider's.
func (s *Share) Name() string { return s.name }

// Guest is the grant for a guest's memory, which is mapped and no part of Go's
// heap.
func (s *Share) Guest() *Grant {
	if s == nil {
		return nil
	}
	return &Grant{total: s.total, share: s, mapped: true}
}

// Error says that more can't be held. Share is the provider whose share is used
// up, "" if everything is.
type Error struct {
	Share string
	Limit int64 // the bound that was met
}

func (e *Error) Error() string {
	if e.Share == "" {
		return fmt.Sprintf("the %d MiB of server.max_memory are in use", e.Limit>>20)
	}
	return fmt.Sprintf("the %d MiB that provider %s may hold (limits.share) are in use", e.Limit>>20, e.Share)
}
