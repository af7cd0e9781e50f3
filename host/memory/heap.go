package memory

// Go's collector needs to know how large the heap may become. That is more than the
// limit of what may be held: with the same value, a process that holds all it may would
// do nothing but collect. By default the machine has twice the limit. The heap may have
// that, less the guests' memory, which no collector frees, and less an eighth for what
// neither counts: compiled code, stacks, the kernel's buffers.

// heapLimit returns the limit of the heap while guests have so many mapped bytes.
func heapLimit(limit, machine, mapped int64) int64 {
	all := 2 * limit
	if machine > 0 {
		all = min(all, machine)
	}
	// The heap always gets more room than what may be held, or collecting never ends.
	return max(all-all/8, limit+limit/8) - mapped
}

// addMapped changes how much memory guests have. If that has changed enough, it sets the
// heap's limit again.
func (t *Total) addMapped(bytes int64) {
	mapped := t.mapped.Add(bytes)
	if d := mapped - t.mappedAtLimit.Load(); d >= t.step() || d <= -t.step() {
		t.limitHeap()
	}
}

// step returns by how many bytes the guests' memory must change before the heap's limit
// is set again.
func (t *Total) step() int64 { return max(t.Max()/64, 1<<20) }

func (t *Total) limitHeap() {
	if t.opts.SetHeapLimit == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	mapped := t.mapped.Load()
	t.mappedAtLimit.Store(mapped)
	t.opts.SetHeapLimit(heapLimit(t.Max(), t.opts.Machine, mapped))
}
