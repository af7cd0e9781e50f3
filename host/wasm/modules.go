package wasm

import (
	"crypto/sha256"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Modules are the compiled modules in memory: those that adapters use, and those that were
// used last. Several engines of a process may share them, so that each module is compiled,
// or read from the cache, once for all. Its methods are safe for concurrent use.
type Modules struct {
	mu     sync.Mutex
	closed bool
	live   map[[sha256.Size]byte]*version              // versions in use, by the module's digest
	kept   *simplelru.LRU[[sha256.Size]byte, *version] // versions that nobody uses at the moment
}

// NewModules makes an empty set, in which so many modules stay compiled after their last use;
// of 0 or less, 4. Close it after every Engine was closed.
func NewModules(kept int) *Modules {
	if kept <= 0 {
		kept = 4
	}
	m := &Modules{live: map[[sha256.Size]byte]*version{}}
	m.kept, _ = simplelru.NewLRU(kept, func(_ [sha256.Size]byte, v *version) {
		if v.refs == 0 {
			v.close()
		}
	})
	return m
}

// Close frees the compiled modules that nobody uses. What adapters still use is freed when
// they are closed.
func (m *Modules) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.kept.Purge()
}

// find returns the version of a module with one more reference, or nil if there is none.
func (m *Modules) find(digest [sha256.Size]byte) *version {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.take(digest)
}

// take is find, for those who hold mu.
func (m *Modules) take(digest [sha256.Size]byte) *version {
	v := m.live[digest]
	if v == nil {
		v, _ = m.kept.Peek(digest)
	}
	if v != nil {
		v.refs++ // before Remove, whose callback closes a version without references
		m.kept.Remove(digest)
		m.live[digest] = v
	}
	return v
}

// add takes a version that was just compiled. If another engine was faster, it closes that
// version and gives the other's. The result has one more reference.
func (m *Modules) add(v *version) *version {
	m.mu.Lock()
	defer m.mu.Unlock()
	if other := m.take(v.digest); other != nil {
		v.close()
		return other
	}
	v.refs = 1
	m.live[v.digest] = v
	return v
}

// release gives a version back. The versions that were used last stay compiled.
func (m *Modules) release(v *version) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v.refs--; v.refs > 0 {
		return
	}
	delete(m.live, v.digest)
	if m.closed {
		v.close()
		return
	}
	m.kept.Add(v.digest, v)
}
