// Package responsesapi passes on answers of OpenAI's Responses API, whole and streamed, and
// states what the gateway has to know of them: what they cost, and whether they are complete.
// It is for adapters whose upstream speaks that API.
// https://platform.openai.com/docs/api-reference/responses
//
// Nothing is kept between two calls.
package responsesapi

import (
	"bytes"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Dialect says how the answers of one kind of server differ from others'.
type Dialect struct {
	Name string // begins the sentences about the server: "OpenRouter"

	// Failure explains an error within an answer, an object or a string.
	Failure func(head sdk.Head, e sdk.JSON) error
}

// response has the fields of a response object that say how it ended.
type response struct{ object, status, failure, details, output, usage sdk.JSON }

func read(v sdk.JSON) (r response, ok bool) {
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

// Whole passes on a whole answer, if it is complete. It may be an error with status 200.
func (d *Dialect) Whole(head sdk.Head, body sdk.JSON, out *sdk.Out) error {
	r, ok := read(body)
	if !ok {
		return d.malformed()
	}
	usage(r.usage, out)
	switch status := string(inside(r.status)); {
	case !r.failure.Empty() || status == "failed":
		return d.Failure(head, r.failure)
	case r.output.Kind() != sdk.KindArray || len(r.object) > 0 && string(inside(r.object)) != "response":
		return d.malformed()
	case status == "completed" || status == "incomplete" || r.status == nil:
		out.Pass(true)
		out.Finish(0, reason(&r))
		return nil
	}
	return &sdk.Error{Status: 502, Type: sdk.ServerError, Code: "upstream_error", Message: d.Name + "'s answer is not complete."}
}

// Event passes on an event, whatever its type. What begins a message or reasoning says
// nothing yet; a call of a tool does, and so does an item that is done.
func (d *Dialect) Event(e *sdk.Event, out *sdk.Out) error {
	if e.End || e.Done {
		return nil
	}
	if isDelta(e.Name) {
		out.Pass(true)
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
	name := inside(kind)
	if len(name) == 0 {
		name = e.Name
	}
	switch {
	case !failure.Empty():
		return d.Failure(nil, failure)
	case string(name) == "error" || string(e.Name) == "error": // OpenAI's documents have it flat
		return d.Failure(nil, e.Data)
	case isDelta(name):
		out.Pass(true)
		return nil
	}
	switch string(name) {
	case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
		r, ok := read(whole)
		if !ok {
			return d.malformed()
		}
		usage(r.usage, out)
		if string(name) == "response.failed" || string(name) == "response.cancelled" || !r.failure.Empty() {
			return d.Failure(nil, r.failure)
		}
		out.Pass(false)
		out.Finish(0, reason(&r))
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

// reason returns why a response ended, in the words of chat completions.
func reason(r *response) string {
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

// usage states what a response cost.
func usage(v sdk.JSON, out *sdk.Out) {
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

func (d *Dialect) malformed() error {
	return &sdk.Error{Status: 502, Type: sdk.ServerError, Code: "upstream_error", Message: d.Name + " sent an answer that is not what its API promises."}
}

// inside returns the inside of a string that an iterator has checked, or nil for anything
// else.
func inside(v sdk.JSON) []byte {
	if len(v) >= 2 && v[0] == '"' {
		return v[1 : len(v)-1]
	}
	return nil
}
