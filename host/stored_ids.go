package host

import (
	"container/heap"
	"container/list"
	"sync"

	"github.com/kai-gateway/kai/host/route"
)

// storedIDs remembers what providers store for their accounts: containers, files,
// responses. One account serves many clients, so each id belongs to the client whose answer
// had it first. It remembers maxStoredIDs of them, and of each client the ones used last.
// If there is no room for one more, it takes that of the client who has most, so that
// nobody makes others lose theirs. After load, it tells what has changed, for a ledger. The
// zero value is ready, and safe for concurrent use.
type storedIDs struct {
	mu      sync.Mutex
	known   map[storedID]*list.Element
	callers map[string]*callerIDs // by the name of a key
	largest idHeap

	slots   []idSlot // maxMade at most
	free    []uint32 // which of these are empty
	uses    uint64   // how often something was noted or used
	saves   bool     // a ledger keeps it, too
	changed []uint32 // slots that the ledger doesn't have as they are
}

// storedID is an id at an upstream. Different upstreams may have the same.
type storedID struct{ upstream, id string }

// idRecord says whose an id is.
type idRecord struct {
	storedID
	owner  *callerIDs
	slot   uint32 // where it is in storedIDs.slots
	used   uint64 // storedIDs.uses when it was last used
	alias  string // that the caller had asked for
	tokens int64  // of the conversation that ends with it; 0: unknown, or it is no response
}

// callerIDs are the ids of one caller, at least one.
type callerIDs struct {
	caller string    // the name of its key
	order  list.List // of *idRecord, the one used last in front
	at     int       // where it is in idHeap
}

// idHeap is a heap of all callers, the one with the most ids on top.
type idHeap []*callerIDs

func (m idHeap) Len() int           { return len(m) }
func (m idHeap) Less(i, k int) bool { return m[i].order.Len() > m[k].order.Len() }

// Swap exchanges two callers.
func (m idHeap) Swap(i, k int) {
	m[i], m[k] = m[k], m[i]
	m[i].at, m[k].at = i, k
}

// Push adds a caller at the end.
func (m *idHeap) Push(x any) {
	s := x.(*callerIDs)
	s.at = len(*m)
	*m = append(*m, s)
}

// Pop removes the caller at the end.
func (m *idHeap) Pop() any {
	last := len(*m) - 1
	s := (*m)[last]
	(*m)[last] = nil
	*m = (*m)[:last]
	return s
}

const (
	maxStoredIDs   = 1 << 16
	maxStoredIDLen = 256 // bytes of an id; providers' have less than a hundred
)

// note remembers that the answer of an upstream told an id to a caller, who had asked for
// an alias. An id that is another caller's already stays so. It reports whether the id was
// nobody's before.
func (m *storedIDs) note(caller, id, upstream, alias string) (first bool) {
	if len(id) > maxStoredIDLen {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := storedID{upstream, id}
	if e, ok := m.known[key]; ok {
		m.use(e)
		return false
	}
	if len(m.known) >= maxStoredIDs {
		m.remove(m.largest[0].order.Back())
	}
	m.use(m.add(caller, &idRecord{storedID: key, slot: m.freeSlot(), alias: alias}))
	return true
}

// add adds an id of a caller, as the one used last, in an empty slot. mu must be held.
func (m *storedIDs) add(caller string, by *idRecord) *list.Element {
	if m.known == nil {
		m.known, m.callers = map[storedID]*list.Element{}, map[string]*callerIDs{}
	}
	by.owner = m.callers[caller]
	if by.owner == nil {
		by.owner = &callerIDs{caller: caller}
		m.callers[caller] = by.owner
		heap.Push(&m.largest, by.owner)
	}
	e := by.owner.order.PushFront(by)
	m.known[by.storedID], m.slots[by.slot].record = e, by
	heap.Fix(&m.largest, by.owner.at)
	return e
}

// of returns the record of an id at an upstream, if the id is a caller's; else nil. mu must
// be held.
func (m *storedIDs) of(caller, id, upstream string) *list.Element {
	if e, ok := m.known[storedID{upstream, id}]; ok && e.Value.(*idRecord).owner.caller == caller {
		return e
	}
	return nil
}

// use notes that an id is used now. mu must be held.
func (m *storedIDs) use(e *list.Element) {
	by := e.Value.(*idRecord)
	by.owner.order.MoveToFront(e)
	m.uses++
	by.used = m.uses
	m.mark(by.slot)
}

// remove forgets an id. mu must be held.
func (m *storedIDs) remove(e *list.Element) {
	by := e.Value.(*idRecord)
	by.owner.order.Remove(e)
	delete(m.known, by.storedID)
	m.slots[by.slot].record = nil
	m.free = append(m.free, by.slot)
	m.mark(by.slot)
	if by.owner.order.Len() > 0 {
		heap.Fix(&m.largest, by.owner.at)
		return
	}
	heap.Remove(&m.largest, by.owner.at)
	delete(m.callers, by.owner.caller)
}

// alias returns the alias that a caller had asked for when it was told an id at an
// upstream; ok is false if the id is not that caller's.
func (m *storedIDs) alias(caller, id, upstream string) (alias string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.of(caller, id, upstream)
	if e == nil {
		return "", false
	}
	m.use(e)
	return e.Value.(*idRecord).alias, true
}

// setTokens notes how many tokens the conversation has that ends with a response of a
// caller's.
func (m *storedIDs) setTokens(caller, id, upstream string, tokens int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.of(caller, id, upstream); e != nil {
		by := e.Value.(*idRecord)
		by.tokens = tokens
		m.mark(by.slot)
	}
}

// tokens returns how many tokens the conversation has that ends with what a caller names; 0
// if nobody knows.
func (m *storedIDs) tokens(caller, id, upstream string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.of(caller, id, upstream); e != nil {
		return e.Value.(*idRecord).tokens
	}
	return 0
}

// forget forgets an id of a caller's.
func (m *storedIDs) forget(caller, id, upstream string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.of(caller, id, upstream); e != nil {
		m.remove(e)
	}
}

// has reports whether an id at an upstream is a caller's.
func (m *storedIDs) has(caller, id, upstream string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(caller, id, upstream) != nil
}

// keeper returns the upstream of one of the targets that stores what a caller names; "" if
// none stores such a thing of that caller's.
func (m *storedIDs) keeper(caller, id string, targets []route.Target) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range targets {
		if e := m.of(caller, id, targets[i].Upstream); e != nil {
			m.use(e)
			return targets[i].Upstream
		}
	}
	return ""
}
