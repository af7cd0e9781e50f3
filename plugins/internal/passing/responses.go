package passing

import (
	"bytes"
	"strconv"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// response is what a response object says of how it ended, and of what it cost.
type response struct {
	glance
	object sdk.JSON
	listed bool // it has a list as its output
}

// readFields reads the response object that a Reader is before. All of it is read once, since it may
// be long: it repeats the whole answer and the tools of the request.
func (r *response) readFields(in *sdk.Reader) {
	for fields := in.Object(); in.Next(fields); {
		switch string(in.Key()) {
		case "object":
			r.object = in.Value()
		case "status":
			r.glance[status] = in.Value()
		case "error":
			r.glance[failure] = in.Value()
		case "incomplete_details":
			r.glance[reason] = in.Value().Get("reason")
		case "output":
			r.readOutput(in)
		case "usage":
			r.readUsage(in)
		}
	}
}

// readEvent reads the event that ends a response. It reports false if the event is none.
func (r *response) readEvent(data sdk.JSON) bool {
	in := sdk.NewReader(data)
	for fields := in.Object(); in.Next(fields); {
		if string(in.Key()) == "response" {
			r.readFields(&in)
		}
	}
	return in.Err() == nil
}

// readOutput looks for calls of tools among the items of a response.
func (r *response) readOutput(in *sdk.Reader) {
	if r.listed = in.Kind() == sdk.KindArray; !r.listed {
		return
	}
	for items := in.Array(); in.Next(items); {
		if in.Kind() != sdk.KindObject {
			continue
		}
		for item := in.Object(); in.Next(item); {
			if string(in.Key()) != "type" {
				continue
			}
			if v := in.Value(); isCall(v) {
				r.glance[call] = v
			}
			break
		}
	}
}

// isCall reports whether the type of an item is that of a call of a tool.
func isCall(kind sdk.JSON) bool {
	return string(kind) == `"function_call"` || string(kind) == `"custom_tool_call"`
}

// readUsage reads a usage object.
func (g *glance) readUsage(in *sdk.Reader) {
	if in.Kind() != sdk.KindObject {
		return
	}
	for fields := in.Object(); in.Next(fields); {
		switch string(in.Key()) {
		case "input_tokens":
			g[input] = in.Value()
		case "output_tokens":
			g[output] = in.Value()
		case "total_tokens":
			g[total] = in.Value()
		case "input_tokens_details":
			details := in.Value()
			g[cached], g[written] = details.Get("cached_tokens"), details.Get("cache_write_tokens")
		case "output_tokens_details":
			g[thought] = in.Value().Get("reasoning_tokens")
		case "cost": // OpenRouter's
			g[cost] = in.Value()
		}
	}
}

// typeOfBegun returns the type of the item that an event begins, with its quotes.
func typeOfBegun(data sdk.JSON) sdk.JSON {
	if g := (glance{}); g.read(data, ofItem) {
		return g[begun]
	}
	return data.Get("item").Get("type")
}

// wholeResponse passes on a whole response, or another object that has its fields.
func (d *Dialect) wholeResponse(object string, head sdk.Head, body sdk.JSON, out *sdk.Out) error {
	var r response
	in := sdk.NewReader(body)
	if r.readFields(&in); in.Err() != nil {
		return d.malformed()
	}
	r.stateUsage(out)
	switch how := string(inside(r.glance[status])); {
	case !r.glance[failure].Empty() || how == "failed":
		return d.failed(head, r.glance[failure])
	case !r.listed || len(r.object) > 0 && string(inside(r.object)) != object:
		return d.malformed()
	case how == "completed" || how == "incomplete" || r.glance[status] == nil:
		out.Pass(true)
		out.Finish(0, r.whyEnded())
		return nil
	}
	return d.incomplete()
}

// responsesEvent passes on an event of a response. Most events are read no further than
// their type: the gateway checks whether they are JSON.
func (d *Dialect) responsesEvent(e *sdk.Event, out *sdk.Out) error {
	kind := typeOf(e.Data)
	switch {
	case isDelta(kind) || isDelta(e.Name):
		out.Pass(true)
		return nil
	case bytes.HasPrefix(kind, []byte("response.")) && (len(e.Name) == 0 || string(e.Name) == string(kind)):
		return d.tell(kind, e.Data, out)
	case isNovel(e):
		out.Pass(false)
		return nil
	}
	var typ, failure sdk.JSON
	it := sdk.Object(e.Data)
	for it.Next() {
		switch v := it.Value(); string(it.Key()) {
		case "type":
			typ = v
		case "error":
			failure = v
		}
	}
	if it.Err() != nil || e.Data.Kind() != sdk.KindObject {
		return d.malformed()
	}
	name := nameOf(typ, e)
	switch {
	case isFailure(name, e, failure) && !failure.Empty():
		return d.failed(nil, failure)
	case isFailure(name, e, failure): // OpenAI's documents have it flat
		return d.failed(nil, e.Data)
	case isDelta(name):
		out.Pass(true)
		return nil
	}
	return d.tell(name, e.Data, out)
}

// tell states what an event of a response means that is neither an error nor a delta. The
// beginning of a message or of reasoning says nothing yet. A call of a tool does, and so
// does an item that is done.
func (d *Dialect) tell(name []byte, data sdk.JSON, out *sdk.Out) error {
	switch string(name) {
	case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
		return d.ended(name, data, out)
	case "response.output_item.added":
		kind := typeOfBegun(data)
		out.Pass(string(kind) != `"message"` && string(kind) != `"reasoning"`)
	case "response.output_item.done":
		out.Pass(true)
	default:
		out.Pass(false)
	}
	return nil
}

// ended passes on the event that ends a response.
func (d *Dialect) ended(name []byte, data sdk.JSON, out *sdk.Out) error {
	var r response
	if !r.glance.read(data, ofEnd) {
		if r = (response{}); !r.readEvent(data) {
			return d.malformed()
		}
	}
	r.stateUsage(out)
	if string(name) == "response.failed" || string(name) == "response.cancelled" || !r.glance[failure].Empty() {
		return d.failed(nil, r.glance[failure])
	}
	out.Pass(false)
	out.Finish(0, r.whyEnded())
	out.End()
	return nil
}

// isDelta reports whether an event adds to what the assistant says or does.
func isDelta(name []byte) bool { return bytes.HasSuffix(name, []byte(".delta")) }

// whyEnded returns why a response ended, in the words of chat completions.
func (g *glance) whyEnded() string {
	switch string(inside(g[reason])) {
	case "max_output_tokens":
		return abi.FinishLength
	case "content_filter":
		return abi.FinishContentFilter
	}
	switch {
	case string(inside(g[status])) == "incomplete":
		return abi.FinishLength
	case g[call] != nil:
		return abi.FinishToolCalls
	}
	return abi.FinishStop
}

// stateUsage states what a response cost.
func (g *glance) stateUsage(out *sdk.Out) {
	var room [256]byte // for what is there nearly always
	b := append(room[:0], '{')
	b = count(b, `"prompt_tokens":`, g[input])
	b = count(b, `"completion_tokens":`, g[output])
	b = count(b, `"total_tokens":`, g[total])
	if g[cached] != nil || g[written] != nil {
		b = append(b, `"prompt_tokens_details":{`...)
		b = count(b, `"cached_tokens":`, g[cached])
		b = append(closed(count(b, `"cache_write_tokens":`, g[written])), ',')
	}
	if g[thought] != nil {
		b = append(b, `"completion_tokens_details":{`...)
		b = append(closed(count(b, `"reasoning_tokens":`, g[thought])), ',')
	}
	if isNumber(g[cost]) {
		b = append(append(append(b, `"cost":`...), g[cost]...), ',')
	}
	if len(b) > len("{") {
		out.Usage(closed(b))
	}
}

// count appends a field of an object, and a comma, if its value is a number that can be one of
// tokens.
func count(b []byte, field string, v sdk.JSON) []byte {
	n, ok := v.Int()
	if !ok || n < 0 || n >= 1<<40 {
		return b
	}
	b = append(b, field...)
	return append(strconv.AppendInt(b, n, 10), ',')
}

// isNumber reports whether a value is a number. A glance takes what only begins as one for one.
func isNumber(v sdk.JSON) bool { return v.Kind() == sdk.KindNumber && v.Valid() == nil }

// closed ends an object, in place of its last comma.
func closed(b []byte) []byte {
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, '}')
}
