//go:build !wasip1

package sdk

import (
	"errors"

	"github.com/kai-gateway/kai/sdk/abi"
)

// Register makes p the adapter of this module. Call it once, in an init
// function: main never runs. Natively it does nothing.
func Register(p *Plugin) {}

// logLine does nothing: tests look at emissions and errors.
func logLine(level Level, text string) {}

func (o *Out) emit(kind abi.Kind, at int32, p []byte)     { o.sink(int32(kind), at, p) }
func (o *Out) emitKept(kind abi.Kind, at int32, p []byte) { o.sink(int32(kind), at, p) }
func (o *Out) mark(kind abi.Kind, at int32)               { o.sink(int32(kind), at, nil) }

// passAll is PassAll. Natively no events come together.
func (o *Out) passAll(e *Event, begin string) (rest bool) {
	if !beginsWith(e.Data, begin) {
		return true
	}
	o.Pass(true)
	return false
}

// Input is the input of Plugin.Call. Exactly one of Request, Response and Event is set.
// State is the exchange's state before the call; empty: the zero state.
type Input struct {
	Request  *Request
	Response *Response
	Event    *Event
	State    []byte
}

// Call runs one method natively, as the gateway would in the sandbox, and passes every
// emission to emit, whose p is valid only during that call. Tests, tools and benchmarks
// use it. The error is the adapter's, which was also emitted as ERROR. Two goroutines
// must not call a Plugin at once.
func (p *Plugin) Call(in Input, emit func(kind, at int32, p []byte)) error {
	c := call{request: in.Request, response: in.Response, event: in.Event, state: in.State}
	if c.request == nil && c.response == nil && c.event == nil {
		return errors.New("sdk: Call without a request, response or event")
	}
	c.out.sink = emit
	err := p.run(&c)
	if err != nil {
		c.fail(err)
	}
	return err
}
