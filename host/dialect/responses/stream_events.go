package responses

import (
	"strconv"

	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/facts"

	"github.com/kai-gateway/kai/sdk/abi"
)

// The event of a text, around its number and the item's place.
const (
	textDelta     = "response.output_text.delta"
	textDeltaHead = "event: " + textDelta + "\ndata: {\"type\":\"" + textDelta + `","sequence_number":`
	textDeltaTail = "\",\"logprobs\":[]}\n\n"
)

// eventBytes is about how many bytes an event has beside its payload, rather too many.
const eventBytes = 512

// An answer calls these methods. In a whole answer they do nothing, because its events are
// nil.

// begin appends the first two events, unless they were rendered before.
func (e *events) begin() {
	if e != nil {
		e.dst = e.stream.appendBegin(e.dst)
	}
}

// event begins an event about an item.
func (e *events) event(name string, it *outputItem) {
	e.dst = e.stream.appendHead(e.dst, name)
	e.dst = append(e.dst, it.place...)
}

// field appends a string, of which only the inside is given, and ends the event.
func (e *events) field(key string, inside []byte) {
	e.dst = append(e.dst, `,"`...)
	e.dst = append(e.dst, key...)
	e.dst = append(e.dst, `":"`...)
	e.dst = append(e.dst, inside...)
	e.dst = append(e.dst, "\"}\n\n"...)
}

// added appends the events for an item that begins.
func (e *events) added(it *outputItem) {
	if e == nil {
		return
	}
	e.begin()
	e.dst = e.stream.appendHead(e.dst, "response.output_item.added")
	e.dst = append(e.dst, `,"output_index":`...)
	e.dst = strconv.AppendInt(e.dst, int64(it.index), 10)
	e.dst = append(e.dst, `,"item":`...)
	e.dst = it.appendAdded(e.dst)
	e.dst = append(e.dst, "}\n\n"...)
	switch {
	case it.kind == textItem || it.kind == refusalItem:
		e.event("response.content_part.added", it)
	case it.kind == reasoningItem && it.sealed == "": // else it has no text
		e.event("response.reasoning_summary_part.added", it)
	default:
		return
	}
	e.dst = append(e.dst, `,"part":`...)
	e.dst = it.appendEmptyPart(e.dst)
	e.dst = append(e.dst, "}\n\n"...)
}

// textDelta appends the event for a text, with the logprobs that came with it. It returns
// the inside of a JSON string literal, which is valid until the next event.
func (e *events) textDelta(it *outputItem, text facts.Text, logprobs []byte) (inside []byte) {
	name := textDelta
	switch it.kind {
	case refusalItem:
		name = "response.refusal.delta"
	case reasoningItem:
		name = "response.reasoning_summary_text.delta"
	case callItem:
		name = "response.function_call_arguments.delta"
	}
	e.dst = e.stream.appendHead(e.dst, name)
	e.dst = append(e.dst, it.delta...)
	from := len(e.dst)
	e.dst = text.AppendTo(e.dst)
	to := len(e.dst)
	if it.kind == textItem {
		e.dst = append(e.dst, `","logprobs":[`...)
		e.dst = append(e.dst, logprobs...)
		e.dst = append(e.dst, "]}\n\n"...)
	} else {
		e.dst = append(e.dst, "\"}\n\n"...)
	}
	return e.dst[from:to]
}

// done appends the events for an item that ends.
func (e *events) done(it *outputItem) {
	if e == nil {
		return
	}
	switch {
	case it.kind == textItem:
		e.event("response.output_text.done", it)
		e.dst = append(e.dst, `,"text":"`...)
		e.dst = append(e.dst, it.text...)
		e.dst = append(e.dst, `","logprobs":[`...)
		e.dst = append(e.dst, it.logprobs...)
		e.dst = append(e.dst, "]}\n\n"...)
		e.partDone("response.content_part.done", it)
	case it.kind == refusalItem:
		e.event("response.refusal.done", it)
		e.field("refusal", it.text)
		e.partDone("response.content_part.done", it)
	case it.kind == reasoningItem && len(it.text) > 0:
		e.event("response.reasoning_summary_text.done", it)
		e.field("text", it.text)
		e.partDone("response.reasoning_summary_part.done", it)
	case it.kind == callItem && it.tool.kind == function:
		e.event("response.function_call_arguments.done", it)
		e.dst = append(e.dst, `,"arguments":"`...)
		e.dst = append(e.dst, it.text...)
		e.dst = append(e.dst, `","name":`...)
		e.dst = facts.AppendString(e.dst, it.tool.name)
		e.dst = append(e.dst, "}\n\n"...)
	case it.kind == callItem && it.tool.kind == custom:
		if len(it.text) > 0 {
			e.event("response.custom_tool_call_input.delta", it)
			e.field("delta", it.text)
		}
		e.event("response.custom_tool_call_input.done", it)
		e.field("input", it.text)
	}
	it.doneAt = e.stream.seq
	e.dst = e.stream.appendHead(e.dst, "response.output_item.done")
	e.dst = append(e.dst, `,"output_index":`...)
	e.dst = strconv.AppendInt(e.dst, int64(it.index), 10)
	e.dst = append(e.dst, `,"item":`...)
	e.dst = it.appendDone(e.dst)
	e.dst = append(e.dst, "}\n\n"...)
}

// partDone appends the event for the end of an item's one part.
func (e *events) partDone(name string, it *outputItem) {
	e.event(name, it)
	e.dst = append(e.dst, `,"part":`...)
	e.dst = it.appendPart(e.dst)
	e.dst = append(e.dst, "}\n\n"...)
}

// applied returns about how many bytes the events for some facts have, rather too many.
func (e *events) applied(deltas []facts.Delta) int {
	size := 0
	if !e.stream.begun {
		size = 2 * e.objectSize()
	}
	open, said := abi.Kind(0), 0 // what is open while the events are rendered, and its text
	if e.open != nil {
		open, said = e.open.kind.emission(), len(e.open.text)
	}
	for i := range deltas {
		d := &deltas[i]
		n := len(d.Text.Data)
		if !d.Text.Raw {
			n += escapes(d.Text.Data)
		}
		size += eventBytes + n + len(d.ID) + 2*len(d.Name)
		switch d.Kind {
		case abi.Text, abi.Refusal, abi.Reasoning, abi.ToolName:
			if d.Kind != open {
				// The end of an item repeats its text three times. What is sealed goes with it.
				size += 3*said + 2*eventBytes + min(2*e.sealed.size(), seal.MaxSealed)
				open, said = d.Kind, 0
			}
			said += n
		}
	}
	return size
}

// emission returns the kind of emission that an open item is made of.
func (k itemKind) emission() abi.Kind {
	switch k {
	case refusalItem:
		return abi.Refusal
	case reasoningItem:
		return abi.Reasoning
	}
	return abi.Text
}

// escapes returns by how many bytes p can grow when it is escaped for a JSON string
// literal.
func escapes(p []byte) int {
	n := 0
	for _, c := range p {
		if c < ' ' || c == '"' || c == '\\' {
			n += 5
		}
	}
	return n
}

// ended returns about how many bytes the last events have, rather too many.
func (e *events) ended() int {
	size := 2*eventBytes + e.objectSize() + e.extra.Size() + 4*min(2*e.sealed.size(), seal.MaxSealed)
	if !e.stream.begun {
		size += 2 * e.objectSize()
	}
	for _, it := range e.items {
		if it.status == "" {
			size += 4 * it.size() // its own events, too
		} else {
			size += it.size()
		}
	}
	return size
}
