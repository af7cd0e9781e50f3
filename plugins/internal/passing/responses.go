package passing

import (
	"bytes"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// response has the fields of a response object that say how it ended.
type response struct{ object, status, failure, details, output, usage sdk.JSON }

func readResponse(v sdk.JSON) (r response, ok bool) {
	it := sdk.Object(v)
	for it.Next() {
		switch v := it.Value(); string(it.Key()) {
		case "object":
			r.object = v
		case "status":
			r.status = v
		case "error":
			r.failure = v
		case "incomplete_details":
			r.details = v
		case "output":
			r.output = v
		case "usage":
			r.usage = v
		}
	}
	return r, it.Err() == nil
}

// wholeResponse passes on a whole response.
func (d *Dialect) wholeResponse(head sdk.Head, body sdk.JSON, out *sdk.Out) error {
	r, ok := readResponse(body)
	if !ok {
		return d.malformed()
	}
	responseUsage(r.usage, out)
	switch status := string(inside(r.status)); {
	case !r.failure.Empty() || status == "failed":
		return d.Failure(abi.Responses, head, r.failure)
	case r.output.Kind() != sdk.KindArray || len(r.object) > 0 && string(inside(r.object)) != "response":
		return d.malformed()
	case status == "completed" || status == "incomplete" || r.status == nil:
		out.Pass(true)
		out.Finish(0, whyEnded(&r))
		return nil
	}
	return d.incomplete()
}

// responsesEvent passes on an event of a response. What begins a message or reasoning says
// nothing yet; a call of a tool does, and so does an item that is done.
func (d *Dialect) responsesEvent(e *sdk.Event, out *sdk.Out) error {
	if isDelta(e.Name) || isDelta(typeOf(e.Data)) {
		out.Pass(true)
		return nil
	}
	if isNovel(e) {
		out.Pass(false)
		return nil
	}
	var kind, whole, item, failure sdk.JSON
	it := sdk.Object(e.Data)
	for it.Next() {
		switch v := it.Value(); string(it.Key()) {
		case "type":
			kind = v
		case "response":
			whole = v
		case "item":
			item = v
		case "error":
			failure = v
		}
	}
	if it.Err() != nil || e.Data.Kind() != sdk.KindObject {
		return d.malformed()
	}
	name := nameOf(kind, e)
	switch {
	case isFailure(name, e, failure) && !failure.Empty():
		return d.Failure(abi.Responses, nil, failure)
	case isFailure(name, e, failure): // OpenAI's documents have it flat
		return d.Failure(abi.Responses, nil, e.Data)
	case isDelta(name):
		out.Pass(true)
		return nil
	}
	switch string(name) {
	case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
		r, ok := readResponse(whole)
		if !ok {
			return d.malformed()
		}
		responseUsage(r.usage, out)
		if string(name) == "response.failed" || string(name) == "response.cancelled" || !r.failure.Empty() {
			return d.Failure(abi.Responses, nil, r.failure)
		}
		out.Pass(false)
		out.Finish(0, whyEnded(&r))
		out.End()
	case "response.output_item.added":
		kind := string(inside(item.Get("type")))
		out.Pass(kind != "message" && kind != "reasoning")
	case "response.output_item.done":
		out.Pass(true)
	default:
		out.Pass(false)
	}
	return nil
}

// isDelta reports whether an event adds to what the assistant says or does.
func isDelta(name []byte) bool { return bytes.HasSuffix(name, []byte(".delta")) }

// whyEnded returns why a response ended, in the words of chat completions.
func whyEnded(r *response) string {
	switch string(inside(r.details.Get("reason"))) {
	case "max_output_tokens":
		return abi.FinishLength
	case "content_filter":
		return abi.FinishContentFilter
	}
	if string(inside(r.status)) == "incomplete" {
		return abi.FinishLength
	}
	for it := sdk.Array(r.output); it.Next(); {
		switch string(inside(it.Value().Get("type"))) {
		case "function_call", "custom_tool_call":
			return abi.FinishToolCalls
		}
	}
	return abi.FinishStop
}

// responseUsage states what a response cost.
func responseUsage(v sdk.JSON, out *sdk.Out) {
	var input, output, total, cached, written, thought, cost sdk.JSON
	for it := sdk.Object(v); it.Next(); {
		switch v := it.Value(); string(it.Key()) {
		case "input_tokens":
			input = v
		case "output_tokens":
			output = v
		case "total_tokens":
			total = v
		case "input_tokens_details":
			cached, written = v.Get("cached_tokens"), v.Get("cache_write_tokens")
		case "output_tokens_details":
			thought = v.Get("reasoning_tokens")
		case "cost": // OpenRouter's
			cost = v
		}
	}
	var w sdk.Writer
	number := func(key string, v sdk.JSON) {
		if n, ok := v.Int(); ok && n >= 0 && n < 1<<40 {
			w.Key(key).Int(n)
		}
	}
	w.Object()
	number("prompt_tokens", input)
	number("completion_tokens", output)
	number("total_tokens", total)
	if cached != nil || written != nil {
		w.Key("prompt_tokens_details").Object()
		number("cached_tokens", cached)
		number("cache_write_tokens", written)
		w.End()
	}
	if thought != nil {
		w.Key("completion_tokens_details").Object()
		number("reasoning_tokens", thought)
		w.End()
	}
	if cost.Kind() == sdk.KindNumber {
		w.Key("cost").Raw(cost)
	}
	w.End()
	if len(w.Bytes()) > len("{}") {
		out.Usage(w.Bytes())
	}
}
