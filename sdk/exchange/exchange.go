package exchange

import (
	"errors"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
)

// Limits of an exchange of several steps, for upstreams that are polled.
const (
	MaxRequests = 256                    // requests in one exchange
	MinWait     = 250 * time.Millisecond // the shortest wait before a request with a WAIT
)

// ErrTooMany is the error if an adapter wants to send more than MaxRequests.
var ErrTooMany = errors.New("more requests than an exchange may have")

// Exchange keeps what must be remembered from one call of an adapter to the next, until the
// upstream's answer ends. The zero value is ready for the first call. The caller does the I/O.
type Exchange struct {
	State []byte // what the adapter remembers, for its next call
	Ended bool   // an end mark came: nothing more is read, and there is no further call

	requests int
}

// Turn is the result of one call of the adapter, besides what it stated about the answer.
type Turn struct {
	Failed bool // an ERROR was stated: of everything else in the call, only usage counts

	Send    bool // Head and Body are to be sent, after Wait
	Framing abi.Framing
	Head    []byte // REQUEST's payload; valid as long as the emissions are
	Body    []byte
	Wait    time.Duration
}

// Take reads the emissions of a call that are not about the answer. The body of a request is
// appended to body. The error is ErrTooMany or nil.
func (x *Exchange) Take(ems []abi.Emission, body []byte) (Turn, error) {
	t := Turn{Body: body}
	for _, e := range ems {
		switch e.Kind {
		case abi.Error:
			// Nothing is sent for a call that failed, wherever in it the ERROR is.
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

// MayJoin reports whether a frame may be one of several in a call of kai_events: it has no
// name, is short, and is neither empty nor an end mark. In the APIs of clients, the name may be
// one that the data begins with as its type.
func MayJoin(op abi.Op, name, data []byte) bool {
	return (len(name) == 0 || op.Native() && isTyped(data, name)) && len(data) > 0 && len(data) <= abi.MaxFrame && !IsDone(data)
}

// isTyped reports whether data is {"type":"NAME" and whatever follows.
func isTyped(data, name []byte) bool {
	const begin = `{"type":"`
	end := len(begin) + len(name)
	return len(data) > end && string(data[:len(begin)]) == begin && string(data[len(begin):end]) == string(name) && data[end] == '"'
}

// Frame says whether the adapter gets a frame of a streamed answer (pass), and with which flags
// of kai_event. With FlagDone it gets no data.
func (x *Exchange) Frame(data []byte) (flags int, pass bool) {
	switch {
	case len(data) == 0:
		return 0, false // "data:" alone only shows that the upstream is alive
	case IsDone(data):
		x.Ended = true
		return abi.FlagDone, true
	}
	return 0, true
}
