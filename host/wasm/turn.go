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

// A guest call gets its fuel in slices. When a slice is spent, the guest calls the host
// (see package fuel), and the host has its turn. Go can then collect garbage and run
// something else on the processor. The call ends if it is out of fuel or time, or if
// nobody waits for it any more.

// Sizes of slices, in units of fuel. A turn takes a tenth of a microsecond, and
// sliceMost units of usual code take about ten, so turns are 1 % of a guest's time. A
// unit of code that misses every cache takes a thousand times as long. So after a slice
// that took long, the next ones are small.
const (
	sliceFirst = 2_048            // the first slice of an adapter's first call
	sliceMost  = 8_192            // the largest slice
	sliceLeast = 64               // the smallest slice, more than fuel.MaxLoopPrice
	sliceTime  = time.Millisecond // how long a slice may take
)

// How long a call may run before the host does more than give it another slice.
const (
	yieldTime = time.Millisecond       // until others get the processor
	freeTime  = 500 * time.Microsecond // without a slot
	pollTime  = 5 * time.Millisecond   // until the network is looked at, if there is one processor
	slotTime  = 5 * time.Millisecond   // in a slot that others wait for
	roughTime = 10 * time.Millisecond  // until its time is measured exactly
)

// errFuel says that the host ended a call because it is out of fuel.
var errFuel = errors.New("it does more than a call may")

type timeError struct{ limit time.Duration }

func (e timeError) Error() string {
	return fmt.Sprintf("it needs more than %v of a processor (limits.time)", e.limit.Round(time.Millisecond))
}

// caller is the one that a guest runs for.
type caller struct {
	ctx  context.Context
	seat *seat
	pace *pace
}

// pace is the size of the first slice of an adapter's calls. It grows with every call
// that could have had larger slices or was over soon, and falls after a slice that took
// long. The zero value is ready to use.
type pace struct{ units atomic.Int64 }

func (p *pace) first() int64 {
	if n := p.units.Load(); n > 0 {
		return n
	}
	return sliceFirst
}

func (p *pace) set(units int64) { p.units.Store(max(sliceLeast, min(units, sliceMost))) }

// spending is the fuel and the time that the current call of an instance spends.
type spending struct {
	caller
	input int   // bytes of the call's input
	limit int64 // fuel that the call began with
	left  int64 // fuel that is left besides the current slice
	slice int64 // units that the current slice began with
	size  int64 // units that the next slice should have
	slow  bool  // a slice took too long, and others were not the reason: slices don't grow any more
	turns int   // how often the host had its turn
	ended error // why the host ended the call

	timed bool // the following are known

	// Times since the instance was made:
	started time.Duration // when the call started
	began   time.Duration // when the current slice began
	yielded time.Duration // when others could last run

	used  time.Duration // processor time of the call
	short time.Duration // the part of it since yielded that was in slices of at most sliceTime
	exact bool          // used is measured by the thread's own clock
	from  time.Duration // what the thread's clock showed at yielded
}

// begin starts a call, or an instance, that may spend limit, and gives it its first
// slice. input is the length of the call's input in bytes.
func (in *instance) begin(c caller, limit int64, input int) {
	first := min(c.pace.first(), limit)
	if in.fuel != nil {
		in.fuel.Set(uint64(first))
	} else {
		first = modfile.StartFuel // the module sets it itself
	}
	s := &in.spending
	*s = spending{} // a literal with values would be copied
	s.caller, s.input, s.limit = c, input, limit
	s.left, s.slice, s.size = limit-first, first, first
	if first < sliceMost {
		s.start(time.Since(in.created))
	}
}

// start notes when the call started. Of an adapter that may have the largest slices at
// once, because its calls were quick, that is at the end of the first slice: most of its
// calls don't need another one, and reading the clock costs as much as all else here.
func (s *spending) start(now time.Duration) {
	s.timed, s.started, s.began, s.yielded = true, now, now, now
}

// finish ends what begin began, however the call ended. It returns the fuel that is
// left.
func (in *instance) finish() int64 {
	s := &in.spending
	if s.exact {
		s.exact = false
		runtime.UnlockOSThread()
	}
	if first := s.pace.first(); first < sliceMost && !s.slow && (s.turns > 0 || time.Since(in.created)-s.started < sliceTime/4) {
		s.pace.set(first + first/16 + 1)
	}
	s.caller = caller{}
	left := s.left
	if in.fuel != nil {
		left += int64(in.fuel.Get())
	}
	in.before += s.limit - left
	return left
}

// spent returns how much fuel the instance has spent until now, in this call and all before.
func (in *instance) spent() int64 {
	return in.before + in.spending.limit - in.spending.left - int64(in.fuel.Get())
}

// spendFunction is the function that an instrumented module calls when its slice is
// spent.
func spendFunction(ctx context.Context, mod api.Module, _ []uint64) {
	instanceFrom(ctx, mod).turn()
}

// turn is the host's turn. It gives the call its next slice, or ends the call by a
// panic.
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

// next returns the size of the next slice. had is what is left of this one; it is
// negative if the guest spent more than it had. The error says why the call must end.
func (in *instance) next(had int64) (int64, error) {
	s := &in.spending
	left := s.left + had
	if left < 0 || s.left == 0 && had < fuel.MaxLoopPrice {
		return 0, errFuel
	}
	now := time.Since(in.created)
	if !s.timed {
		s.start(now)
	}
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
		now = time.Since(in.created)
		s.yielded, s.short = now, 0
	}
	s.began = now
	s.turns++
	next := min(max(s.size, sliceLeast), left)
	s.left = left - next
	return next, nil
}

// yield lets others run. The error says why the call must end. units is how much fuel
// the last slice spent, and took is how long it took.
func (s *spending) yield(in *instance, units int64, took time.Duration) error {
	sure := s.exact || !threadClock
	if s.exact {
		used := threadTime() - s.from
		runtime.UnlockOSThread()
		s.used += used
		took = min(took, used-s.short)
	} else if threadClock && (s.used > roughTime || took > sliceTime) {
		// Part of used may be the time of others. From here on it is measured exactly.
		s.used, s.exact = min(s.used, roughTime), true
	}
	if took > sliceTime {
		s.size = max(sliceLeast, min(s.size, units*int64(sliceTime)/int64(took)))
		first := s.pace.first() / 2 // others may have been the reason
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

// pass ends a call that is over its time, or that nobody waits for. Otherwise it lets
// others use the processor.
func (s *spending) pass(in *instance) error {
	if limit := in.limits.time(s.input); s.used > limit {
		return timeError{limit}
	}
	if err := s.ctx.Err(); err != nil {
		return context.Cause(s.ctx)
	}
	return s.seat.rest(s.ctx, time.Since(in.created)-s.started < freeTime)
}
