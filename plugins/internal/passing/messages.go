package passing

import (
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Version returns the header that says which version of the Messages API is meant: the
// client's, if it sent one.
//
//   - client: the member "client_headers" of the options
func Version(client sdk.JSON) string {
	if version, _ := client.Get("anthropic-version").Str(); version != "" {
		return "anthropic-version: " + version
	}
	return "anthropic-version: 2023-06-01"
}

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
func (d *Dialect) wholeMessage(head sdk.Head, body sdk.JSON, u *Usage, out *sdk.Out) error {
	f, ok := readMessage(body)
	switch {
	case !ok:
		return d.malformed()
	case !f.failure.Empty() || string(inside(f.kind)) == "error":
		return d.Failure(abi.Messages, head, f.failure)
	case string(inside(f.kind)) != "message" || f.content.Kind() != sdk.KindArray:
		return d.malformed()
	}
	word := inside(f.reason)
	if len(word) == 0 {
		return d.incomplete()
	}
	u.Add(f.usage, out)
	out.Pass(true)
	out.Finish(0, stopReason(word))
	return nil
}

// messagesEvent passes on an event of a message. Most events are read no further than their
// type: the gateway checks whether they are JSON.
func (d *Dialect) messagesEvent(e *sdk.Event, u *Usage, out *sdk.Out) error {
	kind := typeOf(e.Data)
	if string(kind) == "content_block_delta" || string(e.Name) == "content_block_delta" {
		out.Pass(true)
		return nil
	}
	of := nowhere // what to glance at
	if len(e.Name) == 0 || string(e.Name) == string(kind) {
		switch string(kind) {
		case "ping", "content_block_stop":
			out.Pass(false)
			return nil
		case "message_stop":
			out.Pass(false)
			out.End()
			return nil
		case "message_start":
			of = ofStart
		case "content_block_start":
			of = ofBlock
		case "message_delta":
			of = ofDelta
		}
	}
	if g := (glance{}); of != nowhere && g.read(e.Data, of) {
		g.tell(kind, u, out)
		return nil
	}
	if isNovel(e) {
		out.Pass(false)
		return nil
	}
	f, ok := readMessage(e.Data)
	name := nameOf(f.kind, e)
	switch {
	case !ok:
		return d.malformed()
	case isFailure(name, e, f.failure):
		return d.Failure(abi.Messages, nil, f.failure)
	}
	g := glance{begun: f.block.Get("type"), reason: f.delta.Get("stop_reason")}
	if string(name) == "message_start" {
		f.usage = f.message.Get("usage")
	}
	g.takeUsage(f.usage)
	g.tell(name, u, out)
	return nil
}

// tell states what an event of a message means that is no error. The beginning of a block
// of text or thinking says nothing yet. A call of a tool does, and so does what a tool that
// the provider runs has found.
func (g *glance) tell(name []byte, u *Usage, out *sdk.Out) {
	switch string(name) {
	case "content_block_delta":
		out.Pass(true)
	case "content_block_start":
		out.Pass(string(g[begun]) != `"text"` && string(g[begun]) != `"thinking"`)
	case "message_start":
		u.add(g, out)
		out.Pass(false)
	case "message_delta":
		u.add(g, out)
		out.Pass(false)
		if word := inside(g[reason]); len(word) > 0 {
			out.Finish(0, stopReason(word))
		}
	case "message_stop":
		out.Pass(false)
		out.End()
	default:
		out.Pass(false)
	}
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
