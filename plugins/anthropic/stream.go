package anthropic

import (
	"github.com/kai-gateway/kai/plugins/internal/passing"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// state is what the adapter remembers between the events of a stream.
type state struct {
	Usage  passing.Usage
	Blocks [64]block // by the block's index modulo 64
	Calls  uint16    // how many tool calls there were so far; the number of the next one
	Ended  bool      // the stop reason has come
	Effort bool      // the client asked for an effort
}

// block is a content block of the answer that has begun.
type block struct {
	Index uint32
	Call  uint16 // its number, plus 1, if it is a tool call
	Begun bool   // a part of its arguments has come
}

// entry returns the entry of a block. Blocks come one after the other, so an entry is free
// again long before another block needs it.
func (s *state) entry(index int) *block { return &s.Blocks[index%len(s.Blocks)] }

// call returns the block at an index if it is a tool call, or else nil.
func (s *state) call(index int) *block {
	if b := s.entry(index); b.Call > 0 && b.Index == uint32(index) {
		return b
	}
	return nil
}

// maxIndex is more than any answer has.
const maxIndex = 1 << 20

// Event handles one event of a stream, as described in
// https://platform.claude.com/docs/en/build-with-claude/streaming. The answer is complete
// with the stop reason, which is in the last event but one. The last event is message_stop.
// Events of unknown types must be ignored.
func (*adapter) Event(e *sdk.Event, s *state, out *sdk.Out) error {
	switch {
	case e.End || e.Done:
		return nil
	case e.Op == abi.Messages:
		return s.explain(messages.Event(e, &s.Usage, out))
	case e.Data.Kind() != sdk.KindObject:
		return malformed()
	}
	var v event
	if err := s.readEvent(e, &v); err != nil {
		return err
	}
	index := 0
	if v.index != nil {
		n, ok := v.index.Int()
		if !ok || n < 0 || n > maxIndex {
			return malformed()
		}
		index = int(n)
	}
	switch string(inside(v.kind)) {
	case "content_block_delta":
		return s.add(index, &v.part, out)
	case "content_block_start":
		return s.begin(index, &v.part, out)
	case "content_block_stop":
		s.finish(index, out)
	case "message_start":
		s.Usage.Add(v.message.Get("usage"), out)
	case "message_delta":
		s.Usage.Add(v.usage, out)
		if v.part.wrong {
			return malformed()
		}
		s.end(v.part.reason, v.part.details, out)
	case "message_stop":
		out.End()
	}
	return nil
}

// event has the fields of an event that say something; nil: it doesn't have them.
type event struct {
	kind, index, message, usage sdk.JSON
	part                        part // its "delta" or "content_block"
}

// part has the fields of a content block, of what is added to one, or of how a message ended.
type part struct {
	kind, text, thinking, signature, partial, data, id, name, input, citation, citations sdk.JSON
	reason, details                                                                      sdk.JSON
	wrong                                                                                bool // it is no object
}

// read reads the part that r is before.
func (p *part) read(r *sdk.Reader) {
	if r.Kind() != sdk.KindObject {
		p.wrong = r.Kind() != sdk.KindNull
		return
	}
	for fields := r.Object(); r.Next(fields); {
		v := r.Value()
		switch string(r.Key()) {
		case "type":
			p.kind = v
		case "text":
			p.text = v
		case "thinking":
			p.thinking = v
		case "signature":
			p.signature = v
		case "partial_json":
			p.partial = v
		case "data":
			p.data = v
		case "id":
			p.id = v
		case "name":
			p.name = v
		case "input":
			p.input = v
		case "citation":
			p.citation = v
		case "citations":
			p.citations = v
		case "stop_reason":
			p.reason = v
		case "stop_details":
			p.details = v
		}
	}
}

// readEvent reads an event. The error is what the event says that failed, or that it is none.
func (s *state) readEvent(e *sdk.Event, v *event) error {
	var failure sdk.JSON
	r := sdk.NewReader(e.Data)
	for top := r.Object(); r.Next(top); {
		switch string(r.Key()) {
		case "type":
			v.kind = r.Value()
		case "index":
			v.index = r.Value()
		case "delta", "content_block":
			v.part.read(&r)
		case "message":
			v.message = r.Value()
		case "usage":
			v.usage = r.Value()
		case "error":
			failure = r.Value()
		}
	}
	if r.Err() != nil {
		return malformed()
	}
	// Something in front of the API may leave out the type or the event's name.
	if !failure.Empty() || string(inside(v.kind)) == "error" || string(e.Name) == "error" {
		return s.explain(failed(0, nil, failure))
	}
	return nil
}

// inside returns the inside of a string, or nil for anything else. A Reader or an iterator must
// have checked v.
func inside(v sdk.JSON) []byte {
	b, _ := v.Inside()
	return b
}

// begin states the beginning of a block. In a stream, that has only the name of a tool and
// what never comes in deltas. In a whole answer, it is the whole block.
func (s *state) begin(index int, p *part, out *sdk.Out) error {
	if p.wrong || p.kind == nil {
		return malformed()
	}
	*s.entry(index) = block{Index: uint32(index)}
	switch string(inside(p.kind)) {
	case "text":
		out.TextJSON(0, inside(p.text))
		for it := sdk.Array(p.citations); it.Next(); {
			cite(it.Value(), out)
		}
	case "thinking":
		think(index, inside(p.thinking), inside(p.signature), out)
	case "redacted_thinking":
		if len(inside(p.data)) > 0 {
			redacted(index, inside(p.data), out)
		}
	case "tool_use":
		return s.beginCall(index, p.id, p.name, p.input, out)
	}
	// All other blocks are about tools that Anthropic's servers run themselves.
	return nil
}

func (s *state) beginCall(index int, id, name, input sdk.JSON, out *sdk.Out) error {
	text, ok := name.Str()
	if !ok || text == "" || s.Calls == abi.MaxCalls {
		return malformed()
	}
	n := int(s.Calls)
	s.Calls++
	b := s.entry(index)
	b.Call = s.Calls
	if id, _ := id.Str(); id != "" {
		out.ToolID(0, n, id)
	}
	out.ToolName(0, n, text)
	if it := sdk.Object(input); it.Next() {
		b.Begun = true
		out.ToolArgs(0, n, input)
	}
	return nil
}

// add states what a delta adds to a block.
func (s *state) add(index int, p *part, out *sdk.Out) error {
	if p.wrong || p.kind == nil {
		return malformed()
	}
	switch string(inside(p.kind)) {
	case "text_delta":
		out.TextJSON(0, inside(p.text))
	case "thinking_delta":
		think(index, inside(p.thinking), nil, out)
	case "signature_delta":
		think(index, nil, inside(p.signature), out)
	case "input_json_delta":
		if b, part := s.call(index), inside(p.partial); b != nil && len(part) > 0 {
			b.Begun = true
			out.ToolArgsJSON(0, int(b.Call-1), part)
		}
	case "citations_delta":
		cite(p.citation, out)
	}
	return nil
}

// finish ends a block. If a tool call has no arguments, none ever came for it.
func (s *state) finish(index int, out *sdk.Out) {
	if b := s.call(index); b != nil && !b.Begun {
		b.Begun = true
		out.ToolArgs(0, int(b.Call-1), []byte("{}"))
	}
}

// think states thinking twice: as text to read, and in the form that Claude wants back.
func think(index int, text, signature []byte, out *sdk.Out) {
	out.ReasoningJSON(0, text)
	if len(text) > 0 || len(signature) > 0 {
		detail(index, text, signature, out)
	}
}

// cite states a citation in Anthropic's form.
func cite(citation sdk.JSON, out *sdk.Out) {
	if citation.Kind() == sdk.KindObject {
		out.Citation(0, citation)
	}
}

// end states how the answer ended, if there is a stop reason.
func (s *state) end(reason, details sdk.JSON, out *sdk.Out) {
	word := inside(reason)
	if s.Ended || len(word) == 0 {
		return
	}
	s.Ended = true
	if string(word) == "refusal" {
		out.RefusalJSON(0, inside(details.Get("explanation")))
	}
	out.StopReasonJSON(0, word)
	out.Finish(0, s.finishReason(word))
}

// finishReason maps a stop reason:
// https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons.
func (s *state) finishReason(reason []byte) string {
	switch string(reason) {
	case "tool_use":
		if s.Calls > 0 {
			return abi.FinishToolCalls
		}
	case "max_tokens", "model_context_window_exceeded":
		return abi.FinishLength
	case "pause_turn":
		// Anthropic's own tools have not finished their loop.
		return abi.FinishLength
	case "refusal":
		return abi.FinishContentFilter
	}
	return abi.FinishStop
}
