package host

import (
	"container/list"
	"sync"

	"github.com/kai-gateway/kai/host/route"
)

// made remembers what providers keep for their accounts: containers, files, responses. One
// account serves many clients, so each id belongs to the client whose answer had it first.
// It keeps the maxMade that were used last. The zero value is ready, and safe for
// concurrent use.
type made struct {
	mu    sync.Mutex
	known map[madeID]*list.Element
	order list.List // of *madeBy, the one used last in front
}

// madeID is an id at an upstream. Different upstreams may have the same.
type madeID struct{ upstream, id string }

// madeBy says whose it is.
type madeBy struct {
	madeID
	caller string // the name of its key
	alias  string // that it was made with
	tokens int64  // of the conversation that ends with it; 0: nobody knows, or it is no response
}

const (
	maxMade   = 1 << 16
	maxMadeID = 256 // bytes of an id; providers' have less than a hundred
)

// note remembers that the answer of an upstream told a caller of an alias an id. What is
// another caller's already stays so. It reports whether it was nobody's before.
func (m *made) note(caller, id, upstream, alias string) (first bool) {
	if len(id) > maxMadeID {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := madeID{upstream, id}
	if e, ok := m.known[key]; ok {
		m.order.MoveToFront(e)
		return false
	}
	if m.known == nil {
		m.known = map[madeID]*list.Element{}
	}
	m.known[key] = m.order.PushFront(&madeBy{madeID: key, caller: caller, alias: alias})
	if len(m.known) > maxMade {
		oldest := m.order.Back()
		m.order.Remove(oldest)
		delete(m.known, oldest.Value.(*madeBy).madeID)
	}
	return true
}

// alias returns the alias with which a caller has made what has an id at an upstream; ok is
// false if there is no such thing of that caller's.
func (m *made) alias(caller, id, upstream string) (alias string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.known[madeID{upstream, id}]
	if !ok || e.Value.(*madeBy).caller != caller {
		return "", false
	}
	m.order.MoveToFront(e)
	return e.Value.(*madeBy).alias, true
}

// weigh notes how many tokens a conversation has that ends with a response of a caller's.
func (m *made) weigh(caller, id, upstream string, tokens int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.known[madeID{upstream, id}]; ok && e.Value.(*madeBy).caller == caller {
		e.Value.(*madeBy).tokens = tokens
	}
}

// weight returns how many tokens a conversation has that ends with what a caller names; 0 if
// nobody knows.
func (m *made) weight(caller, id, upstream string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.known[madeID{upstream, id}]
	if !ok || e.Value.(*madeBy).caller != caller {
		return 0
	}
	return e.Value.(*madeBy).tokens
}

// forget forgets what a caller has made.
func (m *made) forget(caller, id, upstream string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.known[madeID{upstream, id}]; ok && e.Value.(*madeBy).caller == caller {
		m.order.Remove(e)
		delete(m.known, madeID{upstream, id})
	}
}

// has reports whether an id at an upstream is a caller's.
func (m *made) has(caller, id, upstream string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.known[madeID{upstream, id}]
	return ok && e.Value.(*madeBy).caller == caller
}

// keeper returns the upstream of one of the targets that keeps what a caller names; "" if
// there is no such thing of that caller's.
func (m *made) keeper(caller, id string, targets []route.Target) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range targets {
		if e, ok := m.known[madeID{targets[i].Upstream, id}]; ok && e.Value.(*madeBy).caller == caller {
			m.order.MoveToFront(e)
			return targets[i].Upstream
		}
	}
	return ""
}
