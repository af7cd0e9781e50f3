package transcript

import (
	"bytes"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/exchange"
	"github.com/kai-gateway/kai/sdk/frame"
)

// joins reports whether a frame was put aside for a call with several events.
func (x *replaying) joins(f frame.Frame) bool {
	if x.joiner == nil || !exchange.MayJoin(x.op, f.Name, f.Data) {
		return false
	}
	if len(x.joined) == 0 {
		x.room = x.joiner.Join()
	}
	if x.room < 1 || len(x.joined) == 0 && x.room < 2 {
		return false
	}
	x.joined = append(x.joined, bytes.Clone(f.Data))
	x.room--
	return true
}

// callJoined gives the adapter the events that were put aside.
func (x *replaying) callJoined() error {
	events := x.joined
	x.joined = nil
	if len(events) > 1 {
		if all, ok := x.joiner.CallEvents(x.op, x.exchange.State, events); ok {
			for _, ems := range all {
				if err := x.apply(ems); err != nil || x.replay.Failed || x.exchange.Ended {
					return err
				}
			}
			return nil
		}
	}
	for _, data := range events {
		err := x.call(sdk.Input{Event: &sdk.Event{Op: x.op, Data: data}})
		if err != nil || x.replay.Failed || x.exchange.Ended {
			return err
		}
	}
	return nil
}
