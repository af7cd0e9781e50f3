package anthropic

import (
	"bytes"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

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

// passWhole passes on a whole message.
func (s *state) passWhole(kind, content, usage, reason sdk.JSON, out *sdk.Out) error {
	if string(inside(kind)) != "message" || content.Kind() != sdk.KindArray {
		return malformed()
	}
	if len(inside(reason)) == 0 {
		return upstream("Anthropic's answer is not complete.")
	}
	s.Usage.add(usage, out)
	out.Pass(true)
	s.stop(reason, out)
	return nil
}

// stop states that the answer ended, if there is a reason.
func (s *state) stop(reason sdk.JSON, out *sdk.Out) {
	if word := inside(reason); len(word) > 0 && !s.Ended {
		s.Ended = true
		out.Finish(0, s.finishReason(word))
	}
}

// passEvent passes on an event, whatever its type. What begins a block of text or thinking
// says nothing yet; a call of a tool, or what one of Anthropic's own found, does.
func (s *state) passEvent(e *sdk.Event, out *sdk.Out) error {
	if string(e.Name) == "content_block_delta" || bytes.HasPrefix(e.Data, []byte(`{"type":"content_block_delta",`)) {
		out.Pass(true)
		return nil
	}
	var v event
	if err := s.readEvent(e, &v); err != nil {
		return err
	}
	switch string(inside(v.kind)) {
	case "content_block_delta":
		out.Pass(true)
	case "content_block_start":
		block := string(inside(v.part.kind))
		out.Pass(block != "text" && block != "thinking")
	case "message_start":
		s.Usage.add(v.message.Get("usage"), out)
		out.Pass(false)
	case "message_delta":
		s.Usage.add(v.usage, out)
		out.Pass(false)
		s.stop(v.part.reason, out)
	case "message_stop":
		out.Pass(false)
		out.End()
	default:
		out.Pass(false)
	}
	return nil
}
