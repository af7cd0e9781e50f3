package route

import (
	"sync/atomic"
	"time"
)

// window counts the requests of the last while, and how many of them failed. Its parts
// are counted atomically, so that noting a success takes no lock.
type window struct {
	marked atomic.Bool // there is a failure that a success would wipe out
	slots  [slots]slot
}

// slots is how many parts a window is cut into. The window reaches back over all of them,
// less what is still to come of the present part.
const slots = 8

// slot has the number of its part of time in its upper half, and a count below.
type slot struct{ all, bad atomic.Uint64 }

const countBits = 32

// part returns the number of the part of time that now is in.
func part(now time.Time, length time.Duration) uint64 {
	return uint64(now.UnixNano()) / uint64(max(1, length/slots)) & (1<<countBits - 1)
}

func (w *window) add(now time.Time, length time.Duration, failed bool) {
	n := part(now, length)
	s := &w.slots[n%slots]
	increase(&s.all, n)
	if failed {
		increase(&s.bad, n)
	}
}

// increase adds one to the count of part n, which begins at 0.
func increase(counter *atomic.Uint64, n uint64) {
	for {
		old := counter.Load()
		count := old & (1<<countBits - 1)
		if old>>countBits != n {
			count = 0
		}
		if count == 1<<countBits-1 || counter.CompareAndSwap(old, n<<countBits|(count+1)) {
			return
		}
	}
}

// count returns how many requests the window has, and how many of them failed.
func (w *window) count(now time.Time, length time.Duration) (all, bad int) {
	n := part(now, length)
	for i := range w.slots {
		all += recent(&w.slots[i].all, n)
		bad += recent(&w.slots[i].bad, n)
	}
	return all, bad
}

// recent returns a count, unless it is of a part before the window.
func recent(counter *atomic.Uint64, n uint64) int {
	v := counter.Load()
	if age := n - v>>countBits; age >= slots {
		return 0
	}
	return int(v & (1<<countBits - 1))
}

func (w *window) clear() {
	for i := range w.slots {
		w.slots[i].all.Store(0)
		w.slots[i].bad.Store(0)
	}
}
