// Package memory counts what the process holds for requests, answers and guests, and
// refuses what would be too much. It also gives memory back that nothing needs at the moment.
//
// A Total is the limit for everything. A Share is one provider's part of it, so that no
// provider takes what the others need. A Grant is what one holder, a request or a
// guest's instance, has taken of both. It grows and shrinks with what is held, and is
// released once, when the holder ends.
//
// The package allocates nothing itself (except in Grant.Grow) and knows nothing about
// what is held. Counting is coarse: a grant takes whole grains, so a small request
// mostly costs additions and touches no shared counter.
package memory

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Grain is the number of bytes a Grant takes at a time. It is about what an open
// stream costs besides its content: goroutines, connections and their buffers.
const Grain = 64 << 10

// Limit limits one sum of bytes. Its methods are safe for concurrent use. A nil *Limit
// allows everything.
type Limit struct {
	limit, used atomic.Int64
}

// NewLimit returns a limit of which nothing is used.
func NewLimit(bytes int64) *Limit {
	l := &Limit{}
	l.limit.Store(bytes)
	return l
}

// Set changes the limit. If more is held than a lower limit allows, it stays, and nothing
// can be taken until enough was given back.
func (l *Limit) Set(bytes int64) { l.limit.Store(bytes) }

// Max returns the limit in bytes.
func (l *Limit) Max() int64 { return l.limit.Load() }

// Used returns how many bytes are taken now.
func (l *Limit) Used() int64 { return l.used.Load() }

// Take takes bytes and reports whether there were enough. A refused request is not
// counted even for a moment, so a large one that fails doesn't make a small one fail.
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

// Give gives back bytes that were taken.
func (l *Limit) Give(bytes int64) {
	if l != nil {
		l.used.Add(-bytes)
	}
}

// Options configures New. Only Limit is required.
type Options struct {
	Limit   int64 // bytes that may be held
	Machine int64 // bytes of memory for the whole process; default twice Limit

	// Reclaim is called when there is no room. It frees what is only kept for reuse in a
	// share, or in all of them if the share is nil. It runs in the goroutine that needs
	// the memory, which may be in the middle of a guest call.
	Reclaim func(*Share)

	// SetHeapLimit is called with the size in bytes that Go's heap may have: first by
	// New, then whenever the guests' memory, which is not in the heap, has changed enough.
	SetHeapLimit func(bytes int64)
}

// Total limits everything that is held. Its methods are safe for concurrent use. A nil
// *Total allows everything.
type Total struct {
	Limit
	opts   Options
	mapped atomic.Int64 // bytes that are guests' memory

	mappedAtLimit atomic.Int64 // mapped when the heap's limit was last set

	mu     sync.Mutex
	shares map[string]*Share
}

// New returns a Total of which nothing is held.
func New(opts Options) *Total {
	t := &Total{opts: opts, shares: map[string]*Share{}}
	t.Set(opts.Limit)
	return t
}

// Set changes the limit, as Limit.Set does, and the heap's limit with it.
func (t *Total) Set(bytes int64) {
	t.Limit.Set(bytes)
	t.limitHeap()
}

// Share returns the share with a name. If there is none, it is made with the given limit.
// A new configuration gets the existing shares of its providers; Share.Set changes
// their limits.
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

// Grant returns a grant for a holder whose provider is not known yet. It holds nothing.
func (t *Total) Grant() Grant { return Grant{total: t} }

// Share is one provider's part of a Total. A Grant takes from both. Share is safe for
// concurrent use. A nil *Share allows everything.
type Share struct {
	Limit
	total *Total
	name  string
}

// Guest returns a grant for a guest's memory, which is mapped and not in Go's heap.
func (s *Share) Guest() *Grant {
	if s == nil {
		return nil
	}
	return &Grant{total: s.total, share: s, mapped: true}
}

// Error says that no more can be held.
type Error struct {
	Share string // the provider whose share is used up; "": the Total is used up
	Limit int64  // the limit that was reached, in bytes
}

func (e *Error) Error() string {
	if e.Share == "" {
		return fmt.Sprintf("the %d MiB of server.max_memory are in use", e.Limit>>20)
	}
	return fmt.Sprintf("the %d MiB that provider %s may hold (limits.share) are in use", e.Limit>>20, e.Share)
}
