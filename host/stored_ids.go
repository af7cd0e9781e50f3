package host

import (
	"container/heap"
	"container/list"
	"sync"

	"github.com/kai-gateway/kai/host/route"
)

// storedIDs remembers what providers keep for their accounts: containers, files, responses. One
// account serves many clients, so each id belongs to the client whose answer had it first.
// It keeps maxMade of them, each client's last used: where one more has no room, it takes that of the
// client who has most, so that nobody makes others lose theirs. With load, it tells what of it has
// changed, for a ledger. The zero value is ready, and safe for concurrent use.
type storedIDs struct {
	mu      sync.Mutex
	known   map[storedID]*list.Element
	callers map[string]*callerIDs // by the name of a key
	largest idHeap

	slots   []idSlot // maxMade at most
	free    []uint32 // which of these have nothing
	uses    uint64   // how often something was noted or used
	saves   bool     // a ledger has it, too
	changed []uint32 // slots that the ledger doesn't have as they are
}

// storedID is an id at an upstream. Different upstreams may have the same.
type storedID struct{ upstream, id string }

// idRecord says whose it is.
type idRecord struct {
	storedID
	owner  *callerIDs
	slot   uint32 // where it is in storedIDs.slots
	used   uint64 // storedIDs.uses when it was last used
	alias  string // that it was made with
	tokens int64  // of the conversation that ends with it; 0: nobody knows, or it is no response
}

// callerIDs is what one caller has made, at least one thing.
type callerIDs struct {
	caller string    // the name of its key
	order  list.List // of *idRecord, the one used last in front
	at     int       // where it is in idHeap
}

// idHeap is a heap of all shares, the largest on top.
type idHeap []*callerIDs

func (m idHeap) Len() int           { return len(m) }
func (m idHeap) Less(i, k int) bool { return m[i].order.Len() > m[k].order.Len() }

// Swap exchanges two shares.
func (m idHeap) Swap(i, k int) {
	m[i], m[k] = m[k], m[i]
	m[i].at, m[k].at = i, k
}

// Push adds a share at the end, and Pop removes that one.
func (m *idHeap) Push(x any) {
	s := x.(*callerIDs)
	s.at = len(*m)
	*m = append(*m, s)
}

// Pop removes the last share.
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

// note remembers that the answer of an upstream told a caller of an alias an id. What is
// another caller's already stays so. It reports whether it was nobody's before.
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

// add adds what a caller has made, as what was used last, in a slot that has nothing. mu must be
// held.
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

// of returns what has an id at an upstream, if it is a caller's; else nil. mu must be held.
func (m *storedIDs) of(caller, id, upstream string) *list.Element {
	if e, ok := m.known[storedID{upstream, id}]; ok && e.Value.(*idRecord).owner.caller == caller {
		return e
	}
	return nil
}

// use notes that something is used now. mu must be held.
func (m *storedIDs) use(e *list.Element) {
	by := e.Value.(*idRecord)
	by.owner.order.MoveToFront(e)
	m.uses++
	by.used = m.uses
	m.mark(by.slot)
}

// remove forgets something. mu must be held.
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

// alias returns the alias with which a caller has made what has an id at an upstream; ok is
// false if there is no such thing of that caller's.
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

// setTokens notes how many tokens a conversation has that ends with a response of a caller's.
func (m *storedIDs) setTokens(caller, id, upstream string, tokens int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.of(caller, id, upstream); e != nil {
		by := e.Value.(*idRecord)
		by.tokens = tokens
		m.mark(by.slot)
	}
}

// tokens returns how many tokens a conversation has that ends with what a caller names; 0 if
// nobody knows.
func (m *storedIDs) tokens(caller, id, upstream string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.of(caller, id, upstream); e != nil {
		return e.Value.(*idRecord).tokens
	}
	return 0
}

// forget forgets what a caller has made.
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

// keeper returns the upstream of one of the targets that keeps what a caller names; "" if
// there is no such thing of that caller's.
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
