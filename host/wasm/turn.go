package wasm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/host/wasm/modfile"
)

// A guest call gets its fuel in slices. When one is spent the guest calls the host
// (package fuel), which has its turn then: Go can collect garbage and run something
// else on the processor, and the call ends if it is out of fuel or time, or if nobody
// waits for it any more.

// Sizes of slices, in units of fuel. A turn takes a tenth of a microsecond and
// sliceMost units of usual code about ten, so that turns are 1 % of a guest's time.
// Code that misses every cache needs a thousand times as much for a unit: a slice
// that took long is followed by small ones.
const (
	sliceFirst = 2_048 // at the start of an adapter's first call
	sliceMost  = 8_192
	sliceLeast = 64               // over fuel.MaxLoopPrice
	sliceTime  = time.Millisecond // what one may take
)

// How long a call may go on before the host does more than to give it another
// slice.
const (
	yieldTime = time.Millisecond       // until others get the processor
	freeTime  = 500 * time.Microsecond // without a slot
	pollTime  = 5 * time.Millisecond   // until the network is looked at, where there is one processor
	slotTime  = 5 * time.Millisecond   // in a slot that others wait for
	roughTime = 10 * time.Millisecond  // measured by the clock on the wall
)

// Why the host ends a call, besides the cause of its context.
var errFuel = errors.New("it does more than a call may")

type timeError struct{ limit time.Duration }

func (e timeError) Error() string {
	return fmt.Sprintf("it needs more than %v of a processor (limits.time)", e.limit.Round(time.Millisecond))
}

// caller is for whom a guest runs.
type caller struct {
	ctx  context.Context
	seat *seat
	pace *pace
}

// pace is the size of the first slice of an adapter's calls. It grows with every
// call that could have had more, and falls when a slice took long. The zero value is
// ready.
type pace struct{ units atomic.Int64 }

func (p *pace) first() int64 {
	if n := p.units.Load(); n > 0 {
		return n
	}
	return sliceFirst
}

func (p *pace) set(units int64) { p.units.Store(max(sliceLeast, min(units, sliceMost))) }

// spending is the fuel and the time of the call that an instance runs.
type spending struct {
	caller
	limit time.Duration // of used
	left  int64         // fuel beside the current slice
	slice int64         // what that began with
	size  int64         // what the next one is to have
	slow  bool          // one took too long, and not for others: they don't grow any more
	turns int           // of the host
	ended error         // why the host ended the call

	// By the clock of the instance:
	started time.Duration // the call
	began   time.Duration // the current slice
	yielded time.Duration // when others could run last

	used  time.Duration // of a processor
	short time.Duration // of it, since then, in slices that were short enough
	exact bool          // used is measured by the thread's own clock
	from  time.Duration // what that showed then
}

// begin gives a call its first slice, of the fuel that is due to one with that much
// input or that an instance begins with.
func (in *instance) begin(c caller, budget int64, input int) {
	first := min(c.pace.first(), budget)
	if in.fuel != nil {
		in.fuel.Set(uint64(first))
	} else {
		first = modfile.StartFuel // which the module begins with
	}
	now := time.Since(in.made)
	in.spending = spending{
		caller: c, limit: in.limits.time(input), left: budget - first, slice: first, size: first,
		started: now, began: now, yielded: now,
	}
}

// finish ends what begin began, however the call ended. It gives the fuel that is
// left.
func (in *instance) finish() int64 {
	s := &in.spending
	if s.exact {
		s.exact = false
		runtime.UnlockOSThread()
	}
	if first := s.pace.first(); s.turns > 0 && !s.slow && first < sliceMost {
		s.pace.set(first + first/16 + 1)
	}
	s.caller = caller{}
	if in.fuel == nil {
		return s.left
	}
	return s.left + int64(in.fuel.Get())
}

// spendFunction is the import of the instrumented module.
func spendFunction(ctx context.Context, mod api.Module, _ []uint64) {
	instanceFrom(ctx, mod).turn()
}

// turn is the host's turn: it gives the call its next slice, or ends it.
func (in *instance) turn() {
	s := &in.spending
	next, err := in.next(int64(in.fuel.Get()))
	if err != nil {
		s.ended = err
		panic(err)
	}
	s.slice = next
	in.fuel.Set(uint64(next))
}

// next gives the size of the next slice when had is what is left of this one.
// Less than none is what it was short of.
func (in *instance) next(had int64) (int64, error) {
	s := &in.spending
	left := s.left + had
	if left < 0 || s.left == 0 && had < fuel.MaxLoopPrice {
		return 0, errFuel
	}
	now := time.Since(in.made)
	units, took := s.slice-had, now-s.began
	if !s.exact {
		s.used += took
	}
	if took <= sliceTime {
		s.short += took
		if !s.slow && took < sliceTime/4 {
			s.size = min(2*s.size, sliceMost)
		}
	}
	if now-s.yielded >= yieldTime || !s.seat.held && now-s.started >= freeTime {
		if err := s.yield(in, units, took); err != nil {
			return 0, err
		}
		now = time.Since(in.made)
		s.yielded, s.short = now, 0
	}
	s.began = now
	s.turns++
	next := min(max(s.size, sliceLeast), left)
	s.left = left - next
	return next, nil
}

// yield lets others run, and looks if the call is to go on. units and took are the
// slice's.
func (s *spending) yield(in *instance, units int64, took time.Duration) error {
	sure := s.exact || !threadClock
	if s.exact {
		used := threadTime() - s.from
		runtime.UnlockOSThread()
		s.used += used
		took = min(took, used-s.short)
	} else if threadClock && (s.used > roughTime || took > sliceTime) {
		// Part of it may be others' time. From here on it is measured.
		s.used, s.exact = min(s.used, roughTime), true
	}
	if took > sliceTime {
		s.size = max(sliceLeast, min(s.size, units*int64(sliceTime)/int64(took)))
		first := s.pace.first() / 2 // it may have been others
		if sure {
			s.slow, first = true, min(first, s.size)
		}
		s.pace.set(first)
	}
	err := s.pass(in)
	if s.exact {
		runtime.LockOSThread() // finish unlocks it
		s.from = threadTime()
	}
	return err
}

// pass gives others the processor.
func (s *spending) pass(in *instance) error {
	if s.used > s.limit {
		return timeError{s.limit}
	}
	if err := s.ctx.Err(); err != nil {
		return context.Cause(s.ctx)
	}
	return s.seat.rest(s.ctx, time.Since(in.made)-s.started < freeTime)
}
