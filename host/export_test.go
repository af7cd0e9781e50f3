package host

import (
	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/memory"
)

// Held gives what is counted of everything, of bodies, and of a provider's share,
// without what is kept for reuse.
func (h *Host) Held(provider string) [3]int64 {
	h.engine.Reclaim(nil)
	return [3]int64{h.memory.Used(), h.bodies.Used(), h.memory.Share(provider, 0).Used()}
}

// IsAt reports whether a base_url leads to the host of another.
var IsAt = isAt

// Memory bounds what the gateway holds.
func (h *Host) Memory() *memory.Total { return h.memory }

// KeptAnswers gives how many answers are kept in this process.
func (h *Host) KeptAnswers() int {
	entries, _ := h.cache.Held()
	return entries
}

// Kept gives what is counted for a provider, with its idle instances.
func (h *Host) Kept(provider string) int64 { return h.memory.Share(provider, 0).Used() }

// Providers gives how many there are, of all generations.
func (h *Host) Providers() int {
	h.providers.mu.Lock()
	defer h.providers.mu.Unlock()
	return len(h.providers.all)
}

// Counted gives how much of a limit or a budget is used, by the ID of its bucket; -1 if
// there is no such one.
func (h *Host) Counted(id string) int64 {
	for _, b := range h.current.Load().buckets() {
		if b.ID == id {
			return h.limits.Used([]*limit.Bucket{b})[0]
		}
	}
	return -1
}
