package wasm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"

	"github.com/kai-gateway/kai/sdk/abi"
)

// Frames are events without a name that one call of kai_events takes. The zero value has
// none, and is ready to use.
type Frames struct {
	encoded []byte  // as kai_events gets them: a length of four bytes in little endian before each
	room    *[]byte // of encoded, from rooms; nil: there are no frames
	n       int
}

// rooms are for frames, which wait for a moment only: a stream that is slow holds none.
var rooms = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// Add copies an event's data, and reports whether there was room for it.
func (f *Frames) Add(data []byte) bool {
	if f.n == abi.MaxFrames || len(data) > abi.MaxFrame || len(f.encoded)+4+len(data) > abi.MaxFrameBytes {
		return false
	}
	if f.room == nil {
		f.room = rooms.Get().(*[]byte)
		f.encoded = *f.room
	}
	f.encoded = binary.LittleEndian.AppendUint32(f.encoded, uint32(len(data)))
	f.encoded = append(f.encoded, data...)
	f.n++
	return true
}

// Len returns how many there are.
func (f *Frames) Len() int { return f.n }

// Reset removes all. What they told is not valid any more.
func (f *Frames) Reset() {
	if f.room != nil {
		*f.room = f.encoded[:0]
		rooms.Put(f.room)
	}
	*f = Frames{}
}

// All returns the data of each, which is valid until Reset.
func (f *Frames) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := f.encoded; len(rest) > 0; {
			var data []byte
			if data, rest = cutFrame(rest); !yield(data) {
				return
			}
		}
	}
}

func cutFrame(encoded []byte) (data, rest []byte) {
	n := 4 + binary.LittleEndian.Uint32(encoded)
	return encoded[4:n:n], encoded[n:]
}

// EachFrame returns what the last call of Events stated about each of its frames, with the
// frame's data. The emissions are valid as long as the batch's.
func (b *Batch) EachFrame(f *Frames) iter.Seq2[[]byte, []abi.Emission] {
	return func(yield func([]byte, []abi.Emission) bool) {
		rest := b.Emissions
		for data := range f.All() {
			ems := rest
			if i := slices.IndexFunc(rest, func(e abi.Emission) bool { return e.Kind == abi.Next }); i >= 0 {
				ems, rest = rest[:i], rest[i+1:]
			}
			if !yield(data, ems) {
				return
			}
		}
	}
}

// brokenInARow is after how many calls of kai_events that broke, without one that worked in
// between, an adapter's frames are only given one by one. Each costs an instance.
const brokenInARow = 5

// TakesEvents reports whether Events can succeed: the module has kai_events, and has not
// broken again and again there. The adapter must be ready.
func (a *Adapter) TakesEvents() bool {
	return a.err == nil && a.pool.version.events && a.runner.eventsBroke.Load() < brokenInARow
}

// Events runs kai_events on frames of a streamed answer. It reports whether out has what
// the adapter stated about them, which Batch.EachFrame tells apart.
//
// Otherwise the call was of no use, whatever the reason. It then counts neither as one that
// worked nor as one that broke, and nothing is known about the frames: give them to Event, one
// by one.
func (a *Adapter) Events(ctx context.Context, op abi.Op, state []byte, frames *Frames, out *Batch) bool {
	if !a.TakesEvents() {
		out.Reset()
		return false
	}
	return a.runner.together(ctx, a.pool, &invocation{
		in: inEvents, op: op, sections: [3][]byte{state, frames.encoded}, frames: frames,
		params: [5]uint64{uint64(op), uint64(len(state)), uint64(len(frames.encoded))},
	}, out)
}

// together runs an invocation of kai_events, as Events says.
func (r *runner) together(ctx context.Context, p *pool, i *invocation, out *Batch) bool {
	out.Reset()
	if i.size() > r.limits.Input {
		return false
	}
	c := r.caller(ctx, out)
	failed, err := r.once(c, p, i, out, false)
	c.seat.leave()
	if err == nil {
		out.Calls.Fuel += out.Cost.Fuel
		if !failed && !slices.ContainsFunc(out.Emissions, isError) {
			out.Calls.OK++
			if r.eventsBroke.Load() != 0 {
				r.eventsBroke.Store(0)
			}
			r.pause.worked()
			return true
		}
	}
	if broke, ok := errors.AsType[*CallError](err); ok {
		r.log.log.LogAttrs(ctx, slog.LevelDebug, "several events in one call broke the adapter; it gets them one by one", slog.String("err", broke.Error()))
		if r.eventsBroke.Add(1) == brokenInARow {
			r.log.log.Warn("several events in one call break the adapter again and again; from now on it gets each in a call of its own", "err", broke.Error())
		}
	}
	out.Reset()
	return false
}

func isError(e abi.Emission) bool { return e.Kind == abi.Error }

// fuel returns how much fuel an invocation may burn: of kai_events as much as a call for
// each of its frames, together. What a collection takes comes on top of it, once.
func (i *invocation) fuel(l *Limits) (units int64) {
	if i.frames == nil {
		return l.fuel(i.size())
	}
	for data := range i.frames.All() {
		units += l.fuel(len(i.sections[0]) + len(data))
	}
	return units
}

// checkFrames returns an error if a call of kai_events that reported success did not come
// to the last of its frames.
func (c *collector) checkFrames() error {
	if c.in != inEvents || len(c.frames) == 0 || slices.ContainsFunc(c.batch.Emissions, isError) {
		return nil
	}
	return &CallError{Kind: BadOutput, Err: fmt.Errorf("%s returned before its last frame", abi.ExportEvents)}
}
