package exchange

import (
	"errors"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
)

// Bounds of an exchange of several steps, for upstreams that are polled.
const (
	MaxRequests = 256                    // in one exchange
	MinWait     = 250 * time.Millisecond // before a request that WAIT delays
)

// ErrTooMany is the error of an adapter that wants to send more than MaxRequests.
var ErrTooMany = errors.New("more requests than an exchange may have")

// Exchange keeps what one call of an adapter leaves for the next, until the upstream's
// answer ends. The zero value is ready for the first call. Its caller does the I/O.
type Exchange struct {
	State []byte // what the adapter remembers, for its next call
	Ended bool   // by an end mark: nothing more is read, and no call follows

	requests int
}

// Turn is the result of one call of the adapter, besides what it stated about the answer.
type Turn struct {
	Failed bool // an ERROR was stated: nothing else of the call counts but usage

	Send    bool // Head and Body are to be sent, after Wait
	Framing abi.Framing
	Head    []byte // REQUEST's payload; valid as long as the emissions are
	Body    []byte
	Wait    time.Duration
}

// Take takes out of a call's emissions what is not about the answer. The body of a
// request is appended to body. The error is ErrTooMany or nil.
func (x *Exchange) Take(ems []abi.Emission, body []byte) (Turn, error) {
	t := Turn{Body: body}
	for _, e := range ems {
		switch e.Kind {
		case abi.Error:
			// Nothing is sent for a call that failed, wherever the ERROR stands.
			return Turn{Failed: true}, nil
		case abi.State:
			x.State = append(x.State[:0], e.Data...)
		case abi.End:
			x.Ended = true
		case abi.Wait:
			t.Wait = max(MinWait, time.Duration(e.At)*time.Millisecond)
		case abi.Request:
			t.Send, t.Framing, t.Head = true, abi.Framing(e.At), e.Data
		case abi.Body:
			t.Body = append(t.Body, e.Data...)
		}
	}
	if !t.Send {
		return Turn{}, nil
	}
	if x.requests++; x.requests > MaxRequests {
		return Turn{}, ErrTooMany
	}
	return t, nil
}

// Frame says how the adapter gets the data of a frame of a streamed answer: with which
// flags of kai_event, and whether at all (pass). With FlagDone it gets no data.
func (x *Exchange) Frame(data []byte) (flags int, pass bool) {
	switch {
	case len(data) == 0:
		return 0, false // "data:" alone is a sign of life and states nothing
	case IsDone(data):
		x.Ended = true
		return abi.FlagDone, true
	}
	return 0, true
}
