package anthropic

import (
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// state is what an event leaves for the next ones of its stream.
type state struct {
	Usage  usage
	Blocks [64]block // by the block's index, modulo their number
	Calls  uint16    // tool calls so far, which is the number of the next one
	Ended  bool      // the stop reason has come
}

// block is one content block of the answer that has begun.
type block struct {
	Index uint32
	Call  uint16 // its number, plus 1, if it is a tool call
	Begun bool   // some of its arguments have come
}

// entry returns the place of a block. Blocks come one after the other, so a place
// is free again long before another block needs it.
func (s *state) entry(index int) *block { return &s.Blocks[index%len(s.Blocks)] }

// call returns the tool call of the block at an index, nil if it is none.
func (s *state) call(index int) *block {
	if b := s.entry(index); b.Call > 0 && b.Index == uint32(index) {
		return b
	}
	return nil
}

// maxIndex is beyond what any answer has.
const maxIndex = 1 << 20

// Event takes one event of the stream that
// https://platform.claude.com/docs/en/build-with-claude/streaming describes. The
// answer is complete with the stop reason, which the last but one has, and at its
// end with message_stop. Events of unknown type are to be passed over.
func (adapter) Event(e *sdk.Event, s *state, out *sdk.Out) error {
	if e.End || e.Done {
		return nil
	}
	if e.Data.Kind() != sdk.KindObject {
		return malformed()
	}
	var kind, delta, content, message, usage, failure sdk.JSON
	index := 0
	it := sdk.Object(e.Data)
	for it.Next() {
		v := it.Value()
		switch string(it.Key()) {
		case "type":
			kind = v
		case "index":
			n, ok := v.Int()
			if !ok || n < 0 || n > maxIndex {
				return malformed()
			}
			index = int(n)
		case "delta":
			delta = v
		case "content_block":
			content = v
		case "message":
			message = v
		case "usage":
			usage = v
		case "error":
			failure = v
		}
	}
	if it.Err() != nil {
		return malformed()
	}
	// What stands between may leave the type or the event's name away.
	if !failure.Empty() || string(inside(kind)) == "error" || string(e.Name) == "error" {
		return failed(0, nil, failure)
	}
	switch string(inside(kind)) {
	case "content_block_delta":
		return s.add(index, delta, out)
	case "content_block_start":
		return s.begin(index, content, out)
	case "content_block_stop":
		s.finish(index, out)
	case "message_start":
		s.Usage.add(message.Get("usage"), out)
	case "message_delta":
		s.Usage.add(usage, out)
		return s.end(delta, out)
	case "message_stop":
		out.End()
	}
	return nil
}

// inside returns the inside of a string that an iterator has checked, nil for
// anything else: JSON.RawStr would scan every text once more.
func inside(v sdk.JSON) []byte {
	if len(v) >= 2 && v[0] == '"' {
		return v[1 : len(v)-1]
	}
	return nil
}

// begin states what a block begins with. In a stream it is empty, but for its
// name and what has no deltas; in a whole answer it is the whole block.
func (s *state) begin(index int, content sdk.JSON, out *sdk.Out) error {
	var kind, text, thinking, signature, data, id, name, input, citations sdk.JSON
	it := sdk.Object(content)
	for it.Next() {
		v := it.Value()
		switch string(it.Key()) {
		case "type":
			kind = v
		case "text":
			text = v
		case "thinking":
			thinking = v
		case "signature":
			signature = v
		case "data":
			data = v
		case "id":
			id = v
		case "name":
			name = v
		case "input":
			input = v
		case "citations":
			citations = v
		}
	}
	if it.Err() != nil || kind == nil {
		return malformed()
	}
	*s.entry(index) = block{Index: uint32(index)}
	switch string(inside(kind)) {
	case "text":
		out.TextJSON(0, inside(text))
		for it := sdk.Array(citations); it.Next(); {
			cite(it.Value(), out)
		}
	case "thinking":
		think(index, inside(thinking), inside(signature), out)
	case "redacted_thinking":
		if len(inside(data)) > 0 {
			redacted(index, inside(data), out)
		}
	case "tool_use":
		return s.beginCall(index, id, name, input, out)
	}
	// What else there is, Anthropic's servers do themselves.
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
func (s *state) add(index int, delta sdk.JSON, out *sdk.Out) error {
	var kind, text, thinking, signature, partial, citation sdk.JSON
	it := sdk.Object(delta)
	for it.Next() {
		v := it.Value()
		switch string(it.Key()) {
		case "type":
			kind = v
		case "text":
			text = v
		case "thinking":
			thinking = v
		case "signature":
			signature = v
		case "partial_json":
			partial = v
		case "citation":
			citation = v
		}
	}
	if it.Err() != nil || kind == nil {
		return malformed()
	}
	switch string(inside(kind)) {
	case "text_delta":
		out.TextJSON(0, inside(text))
	case "thinking_delta":
		think(index, inside(thinking), nil, out)
	case "signature_delta":
		think(index, nil, inside(signature), out)
	case "input_json_delta":
		if b, part := s.call(index), inside(partial); b != nil && len(part) > 0 {
			b.Begun = true
			out.ToolArgsJSON(0, int(b.Call-1), part)
		}
	case "citations_delta":
		cite(citation, out)
	}
	return nil
}

// finish ends a block. The arguments of a call without any never come.
func (s *state) finish(index int, out *sdk.Out) {
	if b := s.call(index); b != nil && !b.Begun {
		b.Begun = true
		out.ToolArgs(0, int(b.Call-1), []byte("{}"))
	}
}

// think states thinking, both as text to read and as what Claude wants back.
func think(index int, text, signature []byte, out *sdk.Out) {
	out.ReasoningJSON(0, text)
	if len(text) > 0 || len(signature) > 0 {
		detail(index, text, signature, out)
	}
}

// cite passes a citation on as Anthropic has it.
func cite(citation sdk.JSON, out *sdk.Out) {
	if citation.Kind() == sdk.KindObject {
		out.Citation(0, citation)
	}
}

// end states how the answer ended, if verdict, the delta of a message or a whole
// one, says so.
func (s *state) end(verdict sdk.JSON, out *sdk.Out) error {
	var reason, details sdk.JSON
	it := sdk.Object(verdict)
	for it.Next() {
		switch string(it.Key()) {
		case "stop_reason":
			reason = it.Value()
		case "stop_details":
			details = it.Value()
		}
	}
	if it.Err() != nil {
		return malformed()
	}
	word := inside(reason)
	if s.Ended || len(word) == 0 {
		return nil
	}
	s.Ended = true
	if string(word) == "refusal" {
		out.RefusalJSON(0, inside(details.Get("explanation")))
	}
	out.StopReasonJSON(0, word)
	out.Finish(0, s.finishReason(word))
	return nil
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
		// A loop of Anthropic's own tools is not at its end.
		return abi.FinishLength
	case "refusal":
		return abi.FinishContentFilter
	}
	return abi.FinishStop
}
