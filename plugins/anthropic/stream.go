package anthropic

import (
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// state is what the adapter remembers between the events of a stream.
type state struct {
	Usage  usage
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
func (adapter) Event(e *sdk.Event, s *state, out *sdk.Out) error {
	switch {
	case e.End || e.Done:
		return nil
	case e.Op == abi.Messages && e.Data.Kind() == sdk.KindObject:
		return s.passEvent(e, out)
	}
	if e.Data.Kind() != sdk.KindObject {
		return malformed()
	}
	v, err := s.readEvent(e)
	if err != nil {
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
		return s.add(index, v.delta, out)
	case "content_block_start":
		return s.begin(index, v.content, out)
	case "content_block_stop":
		s.finish(index, out)
	case "message_start":
		s.Usage.add(v.message.Get("usage"), out)
	case "message_delta":
		s.Usage.add(v.usage, out)
		return s.end(v.delta, out)
	case "message_stop":
		out.End()
	}
	return nil
}

// event has the fields of an event that say something; nil: it doesn't have them.
type event struct{ kind, index, delta, content, message, usage sdk.JSON }

// readEvent reads an event. The error is what the event says that failed, or that it is none.
func (s *state) readEvent(e *sdk.Event) (v event, err error) {
	var failure sdk.JSON
	it := sdk.Object(e.Data)
	for it.Next() {
		switch value := it.Value(); string(it.Key()) {
		case "type":
			v.kind = value
		case "index":
			v.index = value
		case "delta":
			v.delta = value
		case "content_block":
			v.content = value
		case "message":
			v.message = value
		case "usage":
			v.usage = value
		case "error":
			failure = value
		}
	}
	if it.Err() != nil {
		return v, malformed()
	}
	// Something in front of the API may leave out the type or the event's name.
	if !failure.Empty() || string(inside(v.kind)) == "error" || string(e.Name) == "error" {
		return v, s.explain(failed(0, nil, failure))
	}
	return v, nil
}

// inside returns the inside of a string, or nil for anything else. An iterator must have
// checked v. JSON.RawStr would scan every text once more.
func inside(v sdk.JSON) []byte {
	if len(v) >= 2 && v[0] == '"' {
		return v[1 : len(v)-1]
	}
	return nil
}

// begin states the beginning of a block. In a stream, that has only the name of a tool and
// what never comes in deltas. In a whole answer, it is the whole block.
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

// end states how the answer ended, if verdict says so. verdict is the delta of a message, or
// a whole message.
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
		// Anthropic's own tools have not finished their loop.
		return abi.FinishLength
	case "refusal":
		return abi.FinishContentFilter
	}
	return abi.FinishStop
}
