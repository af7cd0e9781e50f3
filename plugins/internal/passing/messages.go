package passing

import (
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// message has the fields of a message, or of an event about one, that say something.
type message struct{ kind, content, reason, block, delta, message, usage, failure sdk.JSON }

func readMessage(v sdk.JSON) (f message, ok bool) {
	it := sdk.Object(v)
	for it.Next() {
		switch v := it.Value(); string(it.Key()) {
		case "type":
			f.kind = v
		case "content":
			f.content = v
		case "stop_reason":
			f.reason = v
		case "content_block":
			f.block = v
		case "delta":
			f.delta = v
		case "message":
			f.message = v
		case "usage":
			f.usage = v
		case "error":
			f.failure = v
		}
	}
	return f, it.Err() == nil && v.Kind() == sdk.KindObject
}

// wholeMessage passes on a whole message.
func (d *Dialect) wholeMessage(head sdk.Head, body sdk.JSON, out *sdk.Out) error {
	f, ok := readMessage(body)
	switch {
	case !ok:
		return d.malformed()
	case !f.failure.Empty():
		return d.Failure(abi.Messages, head, f.failure)
	case string(inside(f.kind)) != "message" || f.content.Kind() != sdk.KindArray:
		return d.malformed()
	}
	word := inside(f.reason)
	if len(word) == 0 {
		return d.incomplete()
	}
	messageUsage(f.usage, out)
	out.Pass(true)
	out.Finish(0, stopReason(word))
	return nil
}

// messagesEvent passes on an event of a message. What begins a block of text or thinking says
// nothing yet; a call of a tool does.
func (d *Dialect) messagesEvent(e *sdk.Event, out *sdk.Out) error {
	if string(e.Name) == "content_block_delta" || string(typeOf(e.Data)) == "content_block_delta" {
		out.Pass(true)
		return nil
	}
	f, ok := readMessage(e.Data)
	switch {
	case !ok:
		return d.malformed()
	case !f.failure.Empty() || string(inside(f.kind)) == "error" || string(e.Name) == "error":
		return d.Failure(abi.Messages, nil, f.failure)
	}
	switch string(inside(f.kind)) {
	case "content_block_delta":
		out.Pass(true)
	case "content_block_start":
		block := string(inside(f.block.Get("type")))
		out.Pass(block != "text" && block != "thinking")
	case "message_start":
		messageUsage(f.message.Get("usage"), out)
		out.Pass(false)
	case "message_delta":
		messageUsage(f.usage, out)
		out.Pass(false)
		if word := inside(f.delta.Get("stop_reason")); len(word) > 0 {
			out.Finish(0, stopReason(word))
		}
	case "message_stop":
		out.Pass(false)
		out.End()
	default:
		out.Pass(false)
	}
	return nil
}

// stopReason returns a stop reason in the words of chat completions.
func stopReason(word []byte) string {
	switch string(word) {
	case "tool_use":
		return abi.FinishToolCalls
	case "max_tokens", "model_context_window_exceeded", "pause_turn":
		return abi.FinishLength
	case "refusal":
		return abi.FinishContentFilter
	}
	return abi.FinishStop
}

// messageUsage states what a message cost so far. The prompt is what was not read from a cache, and
// what was: those who count it state all of it at once.
func messageUsage(v sdk.JSON, out *sdk.Out) {
	var input, written, cached, output, cost sdk.JSON
	for it := sdk.Object(v); it.Next(); {
		switch v := it.Value(); string(it.Key()) {
		case "input_tokens":
			input = v
		case "cache_creation_input_tokens":
			written = v
		case "cache_read_input_tokens":
			cached = v
		case "output_tokens":
			output = v
		case "cost": // OpenRouter's
			cost = v
		}
	}
	count := func(v sdk.JSON) int64 {
		n, _ := v.Int()
		return min(max(n, 0), 1<<40)
	}
	var w sdk.Writer
	w.Object()
	if input.Kind() == sdk.KindNumber {
		w.Key("prompt_tokens").Int(count(input) + count(written) + count(cached))
		w.Key("prompt_tokens_details").Object()
		w.Key("cached_tokens").Int(count(cached))
		w.Key("cache_write_tokens").Int(count(written))
		w.End()
	}
	if output.Kind() == sdk.KindNumber {
		w.Key("completion_tokens").Int(count(output))
	}
	if cost.Kind() == sdk.KindNumber {
		w.Key("cost").Raw(cost)
	}
	w.End()
	if len(w.Bytes()) > len("{}") {
		out.Usage(w.Bytes())
	}
}
