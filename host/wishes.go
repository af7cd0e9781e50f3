package host

import (
	"container/list"
	"sync"
)

// wishes remembers which of the clients' wishes the models of a provider refuse, so that only
// the first request with such a wish is sent twice. It keeps the last maxWishes that were
// looked up. The zero value is ready, and safe for concurrent use.
type wishes struct {
	mu    sync.Mutex
	known map[wish]*list.Element
	order list.List // of wish, the one asked for last in front
}

// wish is a field that a request is sent again without if a model refuses it.
type wish struct{ model, field string }

const maxWishes = 256

// refuses reports whether a wish was added.
func (ws *wishes) refuses(w wish) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	e, ok := ws.known[w]
	if ok {
		ws.order.MoveToFront(e)
	}
	return ok
}

// add remembers a wish that is refused.
func (ws *wishes) add(w wish) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if e, ok := ws.known[w]; ok {
		ws.order.MoveToFront(e)
		return
	}
	if ws.known == nil {
		ws.known = map[wish]*list.Element{}
	}
	ws.known[w] = ws.order.PushFront(w)
	if len(ws.known) > maxWishes {
		oldest := ws.order.Back()
		ws.order.Remove(oldest)
		delete(ws.known, oldest.Value.(wish))
	}
}
