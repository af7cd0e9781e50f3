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
	var thinking, output, cache sdk.JSON
	fields := sdk.Object(r.Body)
	for fields.Next() {
		switch v := fields.Value(); string(fields.Key()) {
		case "thinking":
			thinking = v
		case "output_config":
			output = v
		case "cache_control":
			cache = v
		}
	}
	if fields.Err() != nil {
		return refuse("", "The request is not valid JSON.")
	}
	s.Effort = thinking != nil || output.Get("effort") != nil
	var more sdk.Writer
	more.Object()
	if thinking == nil && o.thinking != nil {
		more.Key("thinking").Raw(o.thinking)
	}
	if output == nil && o.effort != nil {
		more.Key("output_config").Object()
		more.Key("effort").Raw(o.effort)
		more.End()
	}
	if cache == nil && o.cacheControl != nil {
		more.Key("cache_control").Raw(o.cacheControl)
	}
	more.End()
	up := sdk.Upstream{Path: "/v1/messages", Framing: abi.Whole, Headers: headers(o), Body: withFields(r.Body, more.Bytes())}
	if r.Stream {
		up.Framing = abi.SSE
	}
	out.Send(up)
	return nil
}

// withFields returns an object that isn't empty with the fields of another one at its end.
func withFields(object, more []byte) []byte {
	if len(more) == len("{}") {
		return object
	}
	last := bytes.LastIndexByte(object, '}')
	b := make([]byte, 0, len(object)+len(more))
	return append(append(append(b, object[:last]...), ','), more[1:]...)
}
