package host

import (
	"bytes"
	"context"
	"io"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/upstream"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/exchange"
	"github.com/kai-gateway/kai/sdk/frame"
)

// eventsTaker is an Adapter that may take several events in one call. Its methods are
// documented at wasm.Adapter.
type eventsTaker interface {
	TakesEvents() bool
	Events(ctx context.Context, op abi.Op, state []byte, frames *wasm.Frames, out *wasm.Batch) bool
}

var _ eventsTaker = (*wasm.Adapter)(nil)

// events gives the adapter the frames of a stream until the stream or the answer ends. What
// the client can see of them is flushed when the next frame has not arrived yet. If the
// adapter takes several events in one call, it gets the frames of one read together. No
// frame waits for one that has not arrived.
func (a *attempt) events(ctx context.Context, res *upstream.Response) error {
	taker, _ := a.adapter.(eventsTaker)
	if taker != nil && !taker.TakesEvents() {
		taker = nil
	}
	for {
		if !res.Buffered() {
			if err := a.giveFrames(ctx, taker); err != nil || a.exchange.Ended {
				return err
			}
			if err := a.answer.flush(); err != nil {
				return err
			}
		}
		f, err := res.Next()
		lines := res.Lines()
		if err == nil && taker != nil && len(lines) == 0 && exchange.MayJoin(a.op, f.Name, f.Data) && (a.frames.Len() > 0 || res.More()) {
			if a.putAside(f) {
				continue
			}
			if err := a.giveFrames(ctx, taker); err != nil || a.exchange.Ended {
				return err
			}
			a.putAside(f) // there is room now
			continue
		}
		if err := a.giveFrames(ctx, taker); err != nil || a.exchange.Ended {
			return err
		}
		switch {
		case err == io.EOF:
			return a.event(ctx, abi.FlagEnd, nil, nil)
		case err != nil:
			return err
		}
		flags, pass := a.exchange.Frame(f.Data)
		switch {
		case !pass:
			continue
		case flags == abi.FlagDone:
			f.Name, f.Data = nil, nil
		}
		if len(lines) > 0 {
			a.answer.lines(lines)
		}
		if err := a.event(ctx, flags, f.Name, f.Data); err != nil || a.exchange.Ended {
			return err
		}
	}
}

// putAside keeps a frame for giveFrames. It reports whether there was room.
func (a *attempt) putAside(f frame.Frame) bool {
	bit := uint32(1) << a.frames.Len()
	if !a.frames.Add(f.Data) {
		return false
	}
	if len(f.Name) > 0 {
		a.named |= bit
	}
	return true
}

// giveFrames gives the adapter the frames that were put aside, if there are any: all in one
// call, or else one by one.
func (a *attempt) giveFrames(ctx context.Context, taker eventsTaker) error {
	if a.frames.Len() == 0 {
		return nil
	}
	defer func() {
		a.frames.Reset()
		a.named = 0
	}()
	if a.frames.Len() > 1 && taker.Events(ctx, a.op, a.exchange.State, &a.frames, &a.batch) {
		named := a.named
		for data, ems := range a.batch.EachFrame(&a.frames) {
			var name []byte
			if named&1 != 0 {
				name = dialect.ByType()
			}
			named >>= 1
			a.receive(name, data, false)
			if len(ems) == 1 && ems[0].Kind == abi.Pass { // nothing in it is for the host
				if err := a.apply(ems); err != nil {
					return err
				}
				continue
			}
			if _, err := a.applyTurn(ctx, ems, false, nil); err != nil {
				return err
			}
			if a.exchange.Ended {
				a.answer.EndMark()
				return nil
			}
		}
		return nil
	}
	named := a.named
	for data := range a.frames.All() {
		var name []byte
		if named&1 != 0 { // exchange.MayJoin has seen that it begins so
			name, _, _ = bytes.Cut(data[len(`{"type":"`):], []byte{'"'})
		}
		named >>= 1
		if err := a.event(ctx, 0, name, data); err != nil || a.exchange.Ended {
			return err
		}
	}
	return nil
}

// event gives the adapter one event, or a flag without data, and applies what it makes
// of it.
func (a *attempt) event(ctx context.Context, flags int, name, data []byte) error {
	short, content, err := a.shorten(data)
	if err != nil {
		return err
	}
	if len(name) == 0 {
		name = nil // and not dialect.ByType
	}
	a.receive(name, data, false)
	failed, err := a.adapter.Event(ctx, a.op, flags, a.exchange.State, name, short, &a.batch)
	if _, err := a.applyAnswer(ctx, failed, err, content); err != nil {
		return err
	}
	if a.exchange.Ended {
		a.answer.EndMark()
	}
	return nil
}
