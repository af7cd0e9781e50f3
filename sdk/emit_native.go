//go:build !wasip1

package sdk

import (
	"errors"

	"github.com/kai-gateway/kai/sdk/abi"
)

// Register makes p the adapter of this module. Call it once, in an init
// function: main never runs. Natively it does nothing.
func Register(p *Plugin) {}

// A native call has no log: tests look at emissions and errors.
func logLine(level Level, text string) {}

func (o *Out) emit(kind abi.Kind, at int32, p []byte) { o.sink(int32(kind), at, p) }

// Input is what a call is given, for Plugin.Call: the sections that the
// gateway lays into a guest's buffer.
type Input struct {
	Request  *Request
	Response *Response
	Event    *Event
	State    []byte
}

// Call runs one method natively, as the gateway would in the sandbox, and gives
// every emission to emit, whose p is valid during the call only. Tests, tools
// and benchmarks use it. The error is the adapter's; its ERROR was emitted too.
// A Plugin must not be called by two goroutines at once.
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
