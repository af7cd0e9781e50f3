// Package sdk is what an adapter is written with.
//
// An adapter translates between OpenAI's API and one upstream: it turns a
// client's request into an upstream request, and what the upstream answers into
// typed facts, which the gateway turns into whatever its client speaks. It is a
// pure function of its options, the stream's state and its input; it owns no
// socket, clock, key or file and remembers nothing between two calls.
//
//	type adapter struct{}
//
//	func (adapter) Request(r *sdk.Request, s *state, out *sdk.Out) error   { … }
//	func (adapter) Response(r *sdk.Response, s *state, out *sdk.Out) error { … }
//	func (adapter) Event(e *sdk.Event, s *state, out *sdk.Out) error       { … }
//
//	func init() { sdk.Register(sdk.New(manifest, adapter{})) }
//	func main() {}
//
// Compiled with GOOS=wasip1 GOARCH=wasm and -buildmode=c-shared that is a
// module the gateway runs; compiled natively it is ordinary Go, so go test and
// editors work. Package sdktest replays recorded traffic against it.
//
// A method fails its request by returning an error: an *Error as it is, any
// other as a 502 with code "adapter_error". A panic does the same and is logged
// with its place.
package sdk

import (
	"errors"
	"strings"
	"unsafe"

	"github.com/kai-gateway/kai/sdk/abi"
)

// Adapter translates for one upstream. S is what must be remembered from one
// call of an exchange to the next: a struct (or basic type, or array) without
// pointers, at most 4 KiB, or []byte for an adapter that lays out its own. It
// is zero at the start of an exchange and kept by the gateway between calls.
//
// The methods are called by one goroutine at a time, for any exchange in any
// order; an adapter keeps nothing in package variables or in itself.
// All slices in arguments are valid until the method returns.
type Adapter[S any] interface {
	// Request turns the client's request into an upstream request (Out.Send),
	// or answers it without one (Out.Text and so on, Out.Finish).
	Request(r *Request, s *S, out *Out) error
	// Response takes a whole answer: every status outside 2xx, and what
	// is not a stream.
	Response(r *Response, s *S, out *Out) error
	// Event takes one event of a streamed answer.
	Event(e *Event, s *S, out *Out) error
}

// Request is what a client asks.
type Request struct {
	Op      abi.Op
	Stream  bool // the client wants a stream; the adapter may answer either way
	Options JSON // options of this model: the provider's with the model's laid over, checked, with defaults
	Body    JSON // the client's body, valid JSON; "model" is the upstream's name
}

// Response is a whole answer of the upstream.
type Response struct {
	Op     abi.Op
	Status int    // HTTP status
	Head   Head   // the response headers the gateway lets through
	Body   []byte // as it came: perhaps not JSON, perhaps empty
}

// Event is one frame of a streamed answer.
type Event struct {
	Op   abi.Op
	Name []byte // the event's name in SSE, else empty
	Data JSON   // one line of NDJSON, the data of an SSE event: as it came
	End  bool   // the upstream ended cleanly; there is no data
	Done bool   // the upstream said [DONE]; there is no data
}

// Head is the header lines of an answer: "lower-case-name: value\n" each.
type Head []byte

// Get gives the value of the first line called name (in lower case), or "".
func (h Head) Get(name string) string {
	for line := range strings.Lines(string(h)) {
		if n, value, ok := strings.Cut(line, ":"); ok && n == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Plugin is an adapter with its manifest, ready to be called.
type Plugin struct {
	Manifest Manifest
	run      func(c *call) error
}

// call is one call of any of the three methods.
type call struct {
	request  *Request
	response *Response
	event    *Event
	state    []byte // the exchange's state before the call
	out      Out
}

// New joins an adapter and its manifest. It panics when S cannot be kept by the
// gateway or the manifest lacks what it must say, so a mistake shows at once.
func New[S any](m Manifest, a Adapter[S]) *Plugin {
	if err := m.check(); err != nil {
		panic("sdk.New: " + err.Error())
	}
	dispatch := func(c *call, s *S) error {
		switch {
		case c.request != nil:
			return a.Request(c.request, s, &c.out)
		case c.response != nil:
			return a.Response(c.response, s, &c.out)
		}
		return a.Event(c.event, s, &c.out)
	}
	var zero S
	if _, raw := any(zero).([]byte); raw {
		return &Plugin{Manifest: m, run: func(c *call) error {
			s := append([]byte(nil), c.state...)
			err := dispatch(c, any(&s).(*S))
			c.out.state(c.state, s)
			return err
		}}
	}
	if err := checkState[S](); err != nil {
		panic("sdk.New: " + err.Error())
	}
	// One state is enough, since an instance runs one call at a time; and its
	// padding stays zero, so that equal states are equal bytes.
	s := new(S)
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(s)), unsafe.Sizeof(*s))
	return &Plugin{Manifest: m, run: func(c *call) error {
		clear(bytes[copy(bytes, c.state):])
		err := dispatch(c, s)
		before := c.state
		if len(before) == 0 && isZero(bytes) {
			return err // still the zero state
		}
		c.out.state(before, bytes)
		return err
	}}
}

// fail emits err as the request's ERROR.
func (c *call) fail(err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Status: 502, Type: ServerError, Code: "adapter_error", Message: err.Error()}
	}
	c.out.fail(e)
}
