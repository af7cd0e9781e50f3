package wasm

import (
	"errors"
	"sync/atomic"
)

// What may run without a slot: calls with little input, on an instance that is
// idle, with fuel for about half a millisecond. That holds a processor no longer
// than Go's own code may, and is what nearly every event of a stream needs.
// Waiting for a slot was a quarter of what a chunk of a burst cost.
const (
	quickInput = 16 << 10 // bytes
	quickFuel  = 500_000
)

// errNotQuick is for an invocation that has to run in a slot.
var errNotQuick = errors.New("not a quick call")

// quickLimit is how much input a quick call of one export may have. It falls when
// such a call runs out of its fuel, for that costs an instance, and rises again
// when one in a slot shows that it could have been quick.
type quickLimit struct {
	lowered atomic.Int32 // what quickInput is lowered by
}

func (q *quickLimit) bytes() int { return quickInput - int(q.lowered.Load()) }

// set makes calls of less than n bytes quick.
func (q *quickLimit) set(n int) { q.lowered.Store(int32(quickInput - max(0, min(n, quickInput)))) }

// quickly runs an invocation without a slot, if that can be expected to do. One
// that runs out of its fuel is repeated in a slot, with all that is its due.
func (a *Adapter) quickly(i *invocation, out *Batch) (failed bool, err error) {
	size, limit := i.size(), &a.quick[i.in]
	if size >= limit.bytes() {
		return false, errNotQuick
	}
	in := a.takeIdle()
	if in == nil {
		return false, errNotQuick
	}
	due := a.opts.Limits.fuel(size)
	failed, err = a.run(in, i, out, min(quickFuel, due))
	if broke, ok := errors.AsType[*CallError](err); ok && broke.Kind == OutOfFuel && due > quickFuel {
		limit.set(size / 2)
		return false, errNotQuick
	}
	return failed, err
}

// learn lets calls as large as one that ran in a slot be quick again, if that one
// was.
func (a *Adapter) learn(i *invocation, out *Batch, err error) {
	if size, limit := i.size(), &a.quick[i.in]; err == nil && out.Cost.Fuel < quickFuel/2 && size >= limit.bytes() && size < quickInput {
		limit.set(size + 1)
	}
}
