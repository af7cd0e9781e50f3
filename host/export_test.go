package host

import "github.com/kai-gateway/kai/host/memory"

// Held gives what is counted of everything, of bodies, and of a provider's share,
// without what is kept for reuse.
func (h *Host) Held(provider string) [3]int64 {
	h.engine.Reclaim(nil)
	return [3]int64{h.memory.Used(), h.bodies.Used(), h.memory.Share(provider, 0).Used()}
}

// Memory bounds what the gateway holds.
func (h *Host) Memory() *memory.Total { return h.memory }
