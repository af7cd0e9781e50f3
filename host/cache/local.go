package cache

import (
	"bytes"
	"context"
	"math"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Room is the memory that entries are taken from and given back to.
type Room interface {
	Take(bytes int64) bool
	Give(bytes int64)
}

// Local is a Store in the memory of this process. When there is no room, it forgets what
// was not used for the longest time. One lock guards it: a look-up holds it for less than a
// microsecond, and each saves a request to a model.
type Local struct {
	now  func() time.Time
	room Room

	mu      sync.Mutex
	max     int64 // bytes that entries may have; 0: none is kept
	used    int64
	entries *simplelru.LRU[Key, localEntry]
}

var _ Store = (*Local)(nil)

// localEntry is an entry, and when it ends.
type localEntry struct {
	Entry
	until time.Time
}

// entryBytes is about what an entry takes besides its value: key, lists and map.
const entryBytes = 320

func (k localEntry) size() int64 { return entryBytes + int64(len(k.Value)) }

// NewLocal returns a Local that keeps nothing until Set allows it to.
//
//   - now: default time.Now
//   - room: counts what is kept; what it refuses is not. It must not call the Local
func NewLocal(room Room, now func() time.Time) *Local {
	if now == nil {
		now = time.Now
	}
	l := &Local{now: now, room: room}
	// Bytes bound the entries, and not their number. The error is for a size below 1.
	l.entries, _ = simplelru.NewLRU(math.MaxInt, func(_ Key, k localEntry) {
		l.used -= k.size()
		l.room.Give(k.size())
	})
	return l
}

// Set says how many bytes the entries may have. What is too much is forgotten.
func (l *Local) Set(maxBytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.max = maxBytes; l.used > l.max; {
		l.entries.RemoveOldest()
	}
}

// Get is [Store].
func (l *Local) Get(_ context.Context, k Key) (Entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found, ok := l.entries.Get(k)
	if ok && !l.now().Before(found.until) {
		l.entries.Remove(k)
		ok = false
	}
	if !ok {
		return Entry{}, false
	}
	return found.Entry, true
}

// Put is [Store]. It keeps a copy of the value.
func (l *Local) Put(_ context.Context, k Key, e Entry, ttl time.Duration) {
	added := localEntry{e, l.now().Add(ttl)}
	size := added.size()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries.Remove(k)
	if size > l.max {
		return
	}
	for l.used+size > l.max {
		l.entries.RemoveOldest()
	}
	for !l.room.Take(size) {
		if _, _, some := l.entries.RemoveOldest(); !some {
			return
		}
	}
	added.Value = bytes.Clone(e.Value)
	l.used += size
	l.entries.Add(k, added)
}

// Clear forgets everything: what serves requests needs the memory more.
func (l *Local) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries.Purge()
}

// Held returns how many entries are kept, and how many bytes they have.
func (l *Local) Held() (entries int, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries.Len(), l.used
}
