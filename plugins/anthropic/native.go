package anthropic

import (
	"bytes"

	"github.com/kai-gateway/kai/plugins/internal/passing"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// messages reads answers that pass.
var messages = passing.Dialect{
	Name:    "Anthropic",
	Failure: func(_ abi.Op, head sdk.Head, e sdk.JSON) error { return failed(0, head, e) },
}

// passOn sends a request of the Messages API as the client wrote it. What the options say for
// requests that say nothing is added at its end; the others are about translation.
func passOn(r *sdk.Request, s *state, out *sdk.Out) error {
	o := readOptions(r.Options)
	fields := sdk.Object(r.Body)
	for fields.Next() {
		switch v := fields.Value(); string(fields.Key()) {
		case "thinking":
			o.thinking, s.Effort = nil, true
		case "output_config":
			o.effort, s.Effort = nil, s.Effort || v.Get("effort") != nil
		case "cache_control":
			o.cacheControl = nil
		}
	}
	if fields.Err() != nil {
		return refuse("", "The request is not valid JSON.")
	}
	up := sdk.Upstream{Path: "/v1/messages", Framing: abi.Whole, Headers: headers(o), Body: withOptions(r.Body, &o)}
	if r.Stream {
		up.Framing = abi.SSE
	}
	out.Send(up)
	return nil
}

// withOptions returns a request, an object that isn't empty, with what the options say at its end.
func withOptions(request []byte, o *settings) []byte {
	if o.thinking == nil && o.effort == nil && o.cacheControl == nil {
		return request
	}
	var more sdk.Writer
	more.Object()
	if o.thinking != nil {
		more.Key("thinking").Raw(o.thinking)
	}
	if o.effort != nil {
		more.Key("output_config").Object()
		more.Key("effort").Raw(o.effort)
		more.End()
	}
	if o.cacheControl != nil {
		more.Key("cache_control").Raw(o.cacheControl)
	}
	more.End()
	last := bytes.LastIndexByte(request, '}')
	b := make([]byte, 0, len(request)+len(more.Bytes()))
	return append(append(append(b, request[:last]...), ','), more.Bytes()[1:]...)
}
