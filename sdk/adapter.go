// Package sdk is for writing adapters.
//
// An adapter translates between OpenAI's API and one upstream. It turns a client's
// request into an upstream request, and the upstream's answer into typed facts, which
// the gateway turns into the client's API. It is a pure function of its options, the
// stream's state and its input: it has no socket, clock, key or file, and remembers
// nothing between two calls.
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
// Compiled with GOOS=wasip1 GOARCH=wasm and -buildmode=c-shared, this is a module that
// the gateway runs. Compiled natively it is ordinary Go, so go test and editors work.
// Package sdktest replays recorded traffic against it.
//
// A method that returns an error fails its request. The client gets an *Error as it is,
// and any other error as a 502 with code "adapter_error". A panic does the same, and its
// place is logged.
package sdk

import (
	"encoding/binary"
	"errors"
	"strings"
	"unsafe"

	"github.com/kai-gateway/kai/sdk/abi"
)

// Adapter translates for one upstream. S is the state, which is what one call of an
// exchange must remember for the next: a struct (or basic type, or array) without
// pointers, of at most 4 KiB, or []byte for an adapter that encodes its own. It is zero
// at the start of an exchange, and the gateway stores it between calls.
//
// One goroutine at a time calls the methods, for any exchange and in any order, so an
// adapter must keep nothing in itself or in package variables. All slices in arguments
// are valid until the method returns.
type Adapter[S any] interface {
	// Request turns the client's request into an upstream request (Out.Send),
	// or answers it without one (Out.Text and so on, Out.Finish).
	Request(r *Request, s *S, out *Out) error
	// Response takes a whole answer: one that is not a stream, or has a status
	// outside 2xx.
	Response(r *Response, s *S, out *Out) error
	// Event takes one event of a streamed answer.
	Event(e *Event, s *S, out *Out) error
}

// Request is a client's request.
type Request struct {
	Op      abi.Op
	Stream  bool // the client wants a stream; the adapter may ask the upstream for either
	Options JSON // options of this model: the provider's, overridden by the model's, checked and with defaults
	Body    JSON // the client's body, valid JSON; "model" is the upstream's name
}

// Response is a whole answer of the upstream.
type Response struct {
	Op     abi.Op
	Status int    // HTTP status
	Head   Head   // the response headers that the gateway passes on
	Body   []byte // as it came: it may be empty, or not JSON
}

// Event is one frame of a streamed answer.
type Event struct {
	Op   abi.Op
	Name []byte // the event's name in SSE; empty: none, or NDJSON
	Data JSON   // one line of NDJSON, the data of an SSE event: as it came
	End  bool   // the upstream ended cleanly; there is no data
	Done bool   // the upstream said [DONE]; there is no data

	more []byte // the events that came with it, each after its length
}

// Head has the headers of an answer, each as "lower-case-name: value\n".
type Head []byte

// Get returns the value of the first header with that name (in lower case); "": none.
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

// New joins an adapter and its manifest. It panics if the gateway can't store S, or if
// the manifest is incomplete, so that mistakes show at once.
func New[S any](m Manifest, a Adapter[S]) *Plugin {
	if err := m.check(); err != nil {
		panic("sdk.New: " + err.Error())
	}
	var zero S
	if _, raw := any(zero).([]byte); raw {
		return &Plugin{Manifest: m, run: func(c *call) error {
			s := append([]byte(nil), c.state...)
			err := dispatch(a, c, any(&s).(*S))
			if !same(c.state, s) {
				c.out.emit(abi.State, 0, s)
			}
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
		var err error
		if c.event != nil && len(c.event.more) == 0 {
			err = a.Event(c.event, s, &c.out) // as dispatch would, whose call costs as much as all else here
		} else {
			err = dispatch(a, c, s)
		}
		before := c.state
		if len(before) == 0 && isZero(bytes) {
			return err // still the zero state
		}
		if !same(before, bytes) {
			c.out.emitKept(abi.State, 0, bytes)
		}
		return err
	}}
}

// dispatch calls the adapter's method, for an event until it has handled all that came with it.
func dispatch[S any](a Adapter[S], c *call, s *S) error {
	switch {
	case c.request != nil:
		return a.Request(c.request, s, &c.out)
	case c.response != nil:
		return a.Response(c.response, s, &c.out)
	}
	for {
		err := a.Event(c.event, s, &c.out)
		if err != nil || len(c.event.more) == 0 {
			return err
		}
		c.out.mark(abi.Next, 0)
		e := c.event
		e.Name, e.End, e.Done = nil, false, false // whatever the adapter has made of them
		e.takeNext()
	}
}

// takeNext makes e the first of the events that came with it.
func (e *Event) takeNext() {
	n := 4 + int(binary.LittleEndian.Uint32(e.more))
	e.Data, e.more = e.more[4:n:n], e.more[n:]
}

// beginsWith reports whether data begin with a text of at least eight bytes. It compares so many at
// a time, which in the sandbox costs less than a call of Go's own comparison.
func beginsWith(data []byte, begin string) bool {
	n := len(begin)
	if len(data) < n {
		return false
	}
	a, b := unsafe.Pointer(unsafe.SliceData(data)), unsafe.Pointer(unsafe.StringData(begin))
	differs := *(*uint64)(unsafe.Add(a, n-8)) ^ *(*uint64)(unsafe.Add(b, n-8))
	for i := 0; i < n-8; i += 8 {
		differs |= *(*uint64)(unsafe.Add(a, i)) ^ *(*uint64)(unsafe.Add(b, i))
	}
	return differs == 0
}

// fail emits err as the request's ERROR.
func (c *call) fail(err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Status: 502, Type: ServerError, Code: "adapter_error", Message: err.Error()}
	}
	c.out.fail(e)
}
