package responses

import (
	"container/list"
	"context"
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/kai-gateway/kai/host/memory"
)

// Store remembers values for a while. It may forget any of them at any time. It is in this
// process, or elsewhere if several gateways share what they remember. The value of a key
// never changes: whoever puts the same key puts the same value.
//
// Owners are the names of API keys. What one owner has put does not exist for others.
// All methods are safe for concurrent use.
type Store interface {
	// Digest returns 32 letters and digits that stand for a value, for use in a key: for
	// the same value always the same ones, and for any two values different ones.
	Digest(value []byte) string

	// Get returns the values of keys, in their order; nil for what is not there, or not
	// any more. They must not be changed.
	Get(ctx context.Context, owner string, keys []string) ([][]byte, error)

	// Put remembers values. It keeps copies of them.
	Put(ctx context.Context, owner string, entries []Entry) error

	// Delete forgets the values of keys.
	Delete(ctx context.Context, owner string, keys []string) error
}

// Entry is a value to remember, and its key.
type Entry struct {
	Key   string
	Value []byte
}

// Memory is a Store in the memory of this process. It forgets what was not used for a
// while and, when there is no room, what was not used for the longest time.
type Memory struct {
	now   func() time.Time
	seeds [2]maphash.Seed

	mu      sync.Mutex
	grant   memory.Grant // counts what is remembered
	max     int64        // bytes that may be remembered
	ttl     time.Duration
	used    int64
	entries map[ownedKey]*list.Element // of *memoryEntry
	recent  *list.List                 // of *memoryEntry, the last used first
}

type ownedKey struct{ owner, key string }

// memoryEntry is one value.
type memoryEntry struct {
	ownedKey
	value []byte
	used  time.Time
}

// entryBytes is about what an entry needs besides its key and value.
const entryBytes = 256

// size returns how many bytes count for the value.
func (r *memoryEntry) size() int64 {
	return int64(entryBytes + len(r.owner) + len(r.key) + len(r.value))
}

// NewMemory returns a Memory that remembers nothing until Set allows it to.
//
//   - grant: counts what is remembered; what it refuses is forgotten
//   - now: default time.Now
func NewMemory(grant memory.Grant, now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{
		now: now, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		grant: grant, entries: map[ownedKey]*list.Element{}, recent: list.New(),
	}
}

var _ Store = (*Memory)(nil)

// Set says how many bytes may be remembered, and for how long after their last use.
// Whatever is beyond that is forgotten.
func (m *Memory) Set(maxBytes int64, ttl time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.max, m.ttl = maxBytes, ttl
	m.forgetOld()
	for m.used > m.max {
		m.forget(m.recent.Back())
	}
}

// Used returns how many bytes are remembered now.
func (m *Memory) Used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// Digest implements Store. Nobody can choose values with the seeds in mind, so two with the
// same 128 bits are not to be expected. SHA-256 takes ten times as long.
func (m *Memory) Digest(value []byte) string {
	var sum [16]byte
	for i, seed := range m.seeds {
		binary.BigEndian.PutUint64(sum[8*i:], maphash.Bytes(seed, value))
	}
	var digits [32]byte
	hex.Encode(digits[:], sum[:])
	return string(digits[:])
}

// Get implements Store. It never fails.
func (m *Memory) Get(_ context.Context, owner string, keys []string) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetOld()
	values := make([][]byte, len(keys))
	for i, key := range keys {
		if e := m.entries[ownedKey{owner, key}]; e != nil {
			values[i] = m.use(e).value
		}
	}
	return values, nil
}

// Put implements Store. It never fails: what there is no room for is not remembered.
func (m *Memory) Put(_ context.Context, owner string, entries []Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetOld()
	for _, entry := range entries {
		r := &memoryEntry{ownedKey: ownedKey{owner, entry.Key}, value: entry.Value}
		if e := m.entries[r.ownedKey]; e != nil {
			m.use(e)
			continue
		}
		if size := r.size(); size > m.max/4 || !m.makeRoom(size) {
			continue // one value is not worth everything else
		}
		r.value, r.used = slices.Clone(entry.Value), m.now()
		m.entries[r.ownedKey] = m.recent.PushFront(r)
	}
	return nil
}

// Delete implements Store. It never fails.
func (m *Memory) Delete(_ context.Context, owner string, keys []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		if e := m.entries[ownedKey{owner, key}]; e != nil {
			m.forget(e)
		}
	}
	return nil
}

// use notes that a value is used now, and returns it.
func (m *Memory) use(e *list.Element) *memoryEntry {
	r := e.Value.(*memoryEntry)
	r.used = m.now()
	m.recent.MoveToFront(e)
	return r
}

// makeRoom takes bytes. Until there are enough, it forgets what was not used for the
// longest time. It reports whether there are enough now.
func (m *Memory) makeRoom(bytes int64) bool {
	for m.used+bytes > m.max {
		m.forget(m.recent.Back())
	}
	for m.grant.Hold(bytes) != nil {
		if m.recent.Len() == 0 {
			return false
		}
		m.forget(m.recent.Back())
	}
	m.used += bytes
	return true
}

// forgetOld forgets what was not used for too long.
func (m *Memory) forgetOld() {
	since := m.now().Add(-m.ttl)
	for e := m.recent.Back(); e != nil && e.Value.(*memoryEntry).used.Before(since); e = m.recent.Back() {
		m.forget(e)
	}
}

func (m *Memory) forget(e *list.Element) {
	r := m.recent.Remove(e).(*memoryEntry)
	delete(m.entries, r.ownedKey)
	m.used -= r.size()
	m.grant.Drop(r.size())
}
