package wasm

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/sdk/abi"
)

// instance is one instantiated module. It is lent for one call at a time. After a call
// that broke in any way it is closed.
type instance struct {
	module api.Module
	memory api.Memory
	fuel   api.MutableGlobal

	buffer, request, response, event, events api.Function // events is nil if the module has none

	stacks [5]stack // of these functions

	limits  *Limits
	refused error // a *memory.Error: the guest's memory could not grow during this call
	full    bool  // it could not grow during this call because of the adapter's own limit
	created time.Time
	counted *atomic.Int32 // of its pool; nil: it isn't counted
	ctx     *callContext
	collect collector
	before  int64  // fuel that was spent in earlier calls
	slept   int64  // nanoseconds by which the guest's clock was put forward
	clock   int64  // what the guest's clock showed last, in nanoseconds
	stderr  []byte // the end of what the guest wrote to its standard error
	logs    logger
	ptr     uint32    // what kai_buffer returned: the address of the input
	size    uint32    // bytes of that buffer
	stack   [5]uint64 // parameters and result of the call

	spending spending
}

// callContext leads an imported function to the instance that calls it. That needs no
// look-up, because wazero passes a call's context on as it is.
type callContext struct {
	context.Context
	instance *instance
}

// instanceFrom returns the instance that calls a host function.
func instanceFrom(ctx context.Context, mod api.Module) *instance {
	in := ctx.(*callContext).instance
	if in.memory == nil { // the start function is running
		in.memory = mod.Memory()
		in.fuel, _ = mod.ExportedGlobal(fuel.Global).(api.MutableGlobal)
	}
	return in
}

// charge takes fuel for work that the host does for the guest.
func (in *instance) charge(n int64) {
	left := int64(in.fuel.Get()) - n
	in.fuel.Set(uint64(left))
	if left < 0 {
		in.turn()
	}
}

const stderrKept = 4 << 10

func (in *instance) writeStderr(p []byte) {
	if len(p) > stderrKept {
		p = p[len(p)-stderrKept:]
	}
	in.stderr = append(in.stderr, p...)
	if n := len(in.stderr) - stderrKept; n > 0 {
		in.stderr = append(in.stderr[:0], in.stderr[n:]...)
	}
}

// call writes an invocation's sections into the guest's buffer and runs fn for c, with
// so much fuel and what a collection of the guest's memory takes. If it succeeds, the emissions
// are in the collector's batch, checked.
func (in *instance) call(c caller, fn api.Function, i *invocation, fuel int64) (status uint32, err error) {
	in.refused, in.full = nil, false
	limit := in.limits.withCollection(fuel, in.memory.Size())
	in.begin(c, limit, i.size())
	err = in.writeInput(&i.sections)
	if err == nil {
		in.stack = i.params
		err = in.run(fn, in.stack[:])
	}
	left := in.finish()
	if err != nil {
		return 0, err
	}
	if in.collect.noMemory != nil {
		return 0, in.collect.noMemory
	}
	if in.collect.refused != nil {
		return 0, &CallError{Kind: BadOutput, Err: in.collect.refused}
	}
	in.collect.end()
	in.collect.batch.Cost = Cost{Fuel: limit - left, Limit: limit, Memory: in.memory.Size()}
	return api.DecodeU32(in.stack[0]), nil
}

// run runs a function of the guest with the fuel that begin gave. The error is from
// failed.
func (in *instance) run(fn api.Function, stack []uint64) error {
	if err := fn.CallWithStack(in.ctx, stack); err != nil {
		return in.failed(err)
	}
	return nil
}

// failed returns the error of a call that did not return. It is a *CallError if the
// guest is to blame. It is a *memory.Error if the guest was refused memory because of
// what others use, and not because of its own limit. The cause of the call's context
// and ErrBusy are returned as they are.
func (in *instance) failed(err error) error {
	switch {
	case in.refused != nil:
		return in.refused
	case in.collect.noMemory != nil:
		return in.collect.noMemory
	}
	kind := Trap
	switch ended := in.spending.ended; {
	case ended == errFuel:
		kind, err = OutOfFuel, ended
	case ended != nil:
		if _, late := ended.(timeError); !late {
			return ended
		}
		kind, err = OutOfTime, ended
	case in.collect.refused != nil:
		kind, err = BadOutput, in.collect.refused
	case in.full:
		kind, err = OutOfMemory, fmt.Errorf("it needs more than %d MiB (limits.memory): %w", in.limits.Memory>>20, err)
	}
	return &CallError{Kind: kind, Err: err, Stderr: string(in.stderr)}
}

// writeInput copies the sections one after the other into the guest's buffer, each to
// an address that is a multiple of 8. It asks the guest for a larger buffer if needed.
func (in *instance) writeInput(sections *[3][]byte) error {
	total := 0
	for i := range sections {
		total += abi.Align(len(sections[i]))
	}
	if uint32(total) > in.size || in.size == 0 {
		want := max(uint32(total), 16<<10)
		in.stack[0] = uint64(want)
		in.size = 0
		if err := in.run(in.buffer, in.stack[:1]); err != nil {
			return err
		}
		in.ptr = api.DecodeU32(in.stack[0])
		if in.ptr == 0 && in.refused != nil {
			return in.refused
		}
		if in.ptr == 0 {
			return &CallError{Kind: OutOfMemory, Err: fmt.Errorf("kai_buffer has no %d bytes", want)}
		}
		if in.ptr%8 != 0 || uint64(in.ptr)+uint64(want) > uint64(in.memory.Size()) {
			return &CallError{Kind: BadOutput, Err: fmt.Errorf("kai_buffer(%d) gave %d, which is not 8-aligned memory of the guest", want, in.ptr)}
		}
		in.size = want
	}
	to, ok := in.memory.Read(in.ptr, uint32(total))
	if !ok {
		return &CallError{Kind: BadOutput, Err: errors.New("the guest's memory is smaller than its buffer")}
	}
	for i := range sections {
		s := sections[i]
		pad := abi.Align(len(s)) - len(s)
		for ; len(s) > pieceBytes; s = s[pieceBytes:] {
			to = to[copy(to, s[:pieceBytes]):]
		}
		to = to[copy(to, s):]
		for range pad {
			to[0] = 0
			to = to[1:]
		}
	}
	return nil
}

// stackSize returns how many bytes the stacks of the instance's functions have.
func (in *instance) stackSize() (bytes int) {
	for _, s := range in.stacks {
		bytes += s.len()
	}
	return bytes
}

// pieceBytes is how much is copied at once: Go's collector has to wait for a copy, too.
const pieceBytes = 256 << 10

func (in *instance) close() {
	if in.counted != nil {
		in.counted.Add(-1)
		in.counted = nil
	}
	in.module.Close(context.Background())
}

// logFunction is the import log.
func logFunction(ctx context.Context, mod api.Module, stack []uint64) {
	in := instanceFrom(ctx, mod)
	n := api.DecodeU32(stack[2])
	in.charge(1000 + int64(min(n, 1<<20)))
	if p, ok := in.memory.Read(api.DecodeU32(stack[1]), min(n, maxLogLine)); ok {
		in.logs.write(in.ctx, api.DecodeI32(stack[0]), p, time.Now())
	}
}
