package host

import (
	"container/heap"
	"container/list"
	"sync"

	"github.com/kai-gateway/kai/host/route"
)

// made remembers what providers keep for their accounts: containers, files, responses. One
// account serves many clients, so each id belongs to the client whose answer had it first.
// It keeps maxMade of them, each client's last used: where one more has no room, it takes that of the
// client who has most, so that nobody makes others lose theirs. With load, it tells what of it has
// changed, for a ledger. The zero value is ready, and safe for concurrent use.
type made struct {
	mu     sync.Mutex
	known  map[madeID]*list.Element
	shares map[string]*madeShare // by the name of a key
	most   mostMade

	slots   []madeSlot // maxMade at most
	free    []uint32   // which of these have nothing
	uses    uint64     // how often something was noted or used
	saves   bool       // a ledger has it, too
	changed []uint32   // slots that the ledger doesn't have as they are
}

// madeID is an id at an upstream. Different upstreams may have the same.
type madeID struct{ upstream, id string }

// madeBy says whose it is.
type madeBy struct {
	madeID
	share  *madeShare
	slot   uint32 // where it is in made.slots
	used   uint64 // made.uses when it was last used
	alias  string // that it was made with
	tokens int64  // of the conversation that ends with it; 0: nobody knows, or it is no response
}

// madeShare is what one caller has made, at least one thing.
type madeShare struct {
	caller string    // the name of its key
	order  list.List // of *madeBy, the one used last in front
	at     int       // where it is in mostMade
}

// mostMade is a heap of all shares, the largest on top.
type mostMade []*madeShare

func (m mostMade) Len() int           { return len(m) }
func (m mostMade) Less(i, k int) bool { return m[i].order.Len() > m[k].order.Len() }

// Swap exchanges two shares.
func (m mostMade) Swap(i, k int) {
	m[i], m[k] = m[k], m[i]
	m[i].at, m[k].at = i, k
}

// Push adds a share at the end, and Pop removes that one.
func (m *mostMade) Push(x any) {
	s := x.(*madeShare)
	s.at = len(*m)
	*m = append(*m, s)
}

// Pop removes the last share.
func (m *mostMade) Pop() any {
	last := len(*m) - 1
	s := (*m)[last]
	(*m)[last] = nil
	*m = (*m)[:last]
	return s
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
		m.use(e)
		return false
	}
	if len(m.known) >= maxMade {
		m.remove(m.most[0].order.Back())
	}
	m.use(m.add(caller, &madeBy{madeID: key, slot: m.freeSlot(), alias: alias}))
	return true
}

// add adds what a caller has made, as what was used last, in a slot that has nothing. mu must be
// held.
func (m *made) add(caller string, by *madeBy) *list.Element {
	if m.known == nil {
		m.known, m.shares = map[madeID]*list.Element{}, map[string]*madeShare{}
	}
	by.share = m.shares[caller]
	if by.share == nil {
		by.share = &madeShare{caller: caller}
		m.shares[caller] = by.share
		heap.Push(&m.most, by.share)
	}
	e := by.share.order.PushFront(by)
	m.known[by.madeID], m.slots[by.slot].of = e, by
	heap.Fix(&m.most, by.share.at)
	return e
}

// of returns what has an id at an upstream, if it is a caller's; else nil. mu must be held.
func (m *made) of(caller, id, upstream string) *list.Element {
	if e, ok := m.known[madeID{upstream, id}]; ok && e.Value.(*madeBy).share.caller == caller {
		return e
	}
	return nil
}

// use notes that something is used now. mu must be held.
func (m *made) use(e *list.Element) {
	by := e.Value.(*madeBy)
	by.share.order.MoveToFront(e)
	m.uses++
	by.used = m.uses
	m.mark(by.slot)
}

// remove forgets something. mu must be held.
func (m *made) remove(e *list.Element) {
	by := e.Value.(*madeBy)
	by.share.order.Remove(e)
	delete(m.known, by.madeID)
	m.slots[by.slot].of = nil
	m.free = append(m.free, by.slot)
	m.mark(by.slot)
	if by.share.order.Len() > 0 {
		heap.Fix(&m.most, by.share.at)
		return
	}
	heap.Remove(&m.most, by.share.at)
	delete(m.shares, by.share.caller)
}

// alias returns the alias with which a caller has made what has an id at an upstream; ok is
// false if there is no such thing of that caller's.
func (m *made) alias(caller, id, upstream string) (alias string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.of(caller, id, upstream)
	if e == nil {
		return "", false
	}
	m.use(e)
	return e.Value.(*madeBy).alias, true
}

// weigh notes how many tokens a conversation has that ends with a response of a caller's.
func (m *made) weigh(caller, id, upstream string, tokens int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.of(caller, id, upstream); e != nil {
		by := e.Value.(*madeBy)
		by.tokens = tokens
		m.mark(by.slot)
	}
}

// weight returns how many tokens a conversation has that ends with what a caller names; 0 if
// nobody knows.
func (m *made) weight(caller, id, upstream string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.of(caller, id, upstream); e != nil {
		return e.Value.(*madeBy).tokens
	}
	return 0
}

// forget forgets what a caller has made.
func (m *made) forget(caller, id, upstream string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.of(caller, id, upstream); e != nil {
		m.remove(e)
	}
}

// has reports whether an id at an upstream is a caller's.
func (m *made) has(caller, id, upstream string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(caller, id, upstream) != nil
}

// keeper returns the upstream of one of the targets that keeps what a caller names; "" if
// there is no such thing of that caller's.
func (m *made) keeper(caller, id string, targets []route.Target) string {
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
