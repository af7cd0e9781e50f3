package openaichat

import (
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// message is a message or a delta.
type message struct {
	content   sdk.JSON
	reasoning sdk.JSON // text
	details   sdk.JSON // the same reasoning in its typed form: an array
	refusal   sdk.JSON
	calls     []toolCall
	extra     []byte // an object of unknown fields, without its closing bracket
	filled    bool   // something was read
}

// read reads the message that r is before. It reports whether there is one that says anything. If
// so, what was read before is forgotten.
func (m *message) read(r *sdk.Reader) (something bool, err error) {
	if r.Kind() != sdk.KindObject {
		if !IsNothing(r.Value()) {
			err = errMalformed
		}
		return false, err
	}
	fields := r.Object()
	if !r.Next(fields) {
		return false, nil
	}
	if m.filled {
		*m = message{}
	}
	m.filled = true
	for more := true; more; more = r.Next(fields) {
		if string(r.Key()) == "tool_calls" && r.Kind() == sdk.KindArray {
			if err := m.readCalls(r); err != nil {
				return true, err
			}
			continue
		}
		v := r.Value()
		if IsNothing(v) {
			continue
		}
		switch key := r.Key(); string(key) {
		case "content":
			m.content = v
		case "role":
		case "reasoning":
			m.reasoning = v
		case "reasoning_content":
			if m.reasoning == nil {
				m.reasoning = v
			}
		case "refusal":
			m.refusal = v
		case "function_call":
			// This is older than tools. Some servers send one without name and arguments
			// beside the calls, and clients would take it for a call.
			if !isStub(v) {
				m.extra = AppendField(m.extra, key, v)
			}
		case "tool_calls":
			return true, errMalformed
		case "reasoning_details":
			// Clients send them back unmodified in the next turn:
			// https://openrouter.ai/docs/use-cases/reasoning-tokens
			m.details = v
		default:
			m.extra = AppendField(m.extra, key, v)
		}
	}
	return true, nil
}

// readCalls reads "tool_calls".
func (m *message) readCalls(r *sdk.Reader) error {
	for list := r.Array(); r.Next(list); {
		if len(m.calls) == maxParts {
			return errMalformed
		}
		m.calls = append(m.calls, toolCall{})
		if err := m.calls[len(m.calls)-1].read(r); err != nil {
			return err
		}
	}
	return nil
}

// maxParts is how many tool calls, or parts of them, one message may have. A message with more
// of them than there can be calls is none.
const maxParts = abi.MaxCalls

// isStub reports whether all fields of an object are empty.
func isStub(v sdk.JSON) bool {
	for f := sdk.Object(v); f.Next(); {
		if !IsNothing(f.Value()) {
			return false
		}
	}
	return v.Kind() == sdk.KindObject
}

// isPlain reports whether the message has only text.
func (m *message) isPlain() bool {
	return m.content.Kind() == sdk.KindString && m.reasoning == nil && m.refusal == nil &&
		m.calls == nil && m.details == nil && len(m.extra) == 0
}

// emit states everything except the tool calls.
func (m *message) emit(choice int, out *sdk.Out) error {
	if inside, ok := m.reasoning.Inside(); ok {
		out.ReasoningJSON(choice, inside)
	} else if m.details != nil {
		m.emitDetails(choice, out)
	}
	if inside, ok := m.content.Inside(); ok {
		out.TextJSON(choice, inside)
	} else if m.content != nil {
		if err := emitParts(choice, m.content, out); err != nil {
			return err
		}
	}
	if inside, ok := m.refusal.Inside(); ok {
		out.RefusalJSON(choice, inside)
	}
	for it := sdk.Array(m.details); it.Next(); {
		if detail := it.Value(); detail.Kind() == sdk.KindObject {
			out.ReasoningDetail(choice, detail)
		}
	}
	if len(m.extra) > 0 {
		out.DeltaExtra(choice, append(m.extra, '}'))
	}
	return nil
}

// emitDetails states the text of the reasoning's typed form. Encrypted details and signatures
// have none.
func (m *message) emitDetails(choice int, out *sdk.Out) {
	for it := sdk.Array(m.details); it.Next(); {
		var text, summary sdk.JSON
		for f := sdk.Object(it.Value()); f.Next(); {
			switch string(f.Key()) {
			case "text":
				text = f.Value()
			case "summary":
				summary = f.Value()
			}
		}
		if inside, ok := text.RawStr(); ok {
			out.ReasoningJSON(choice, inside)
		} else if inside, ok := summary.RawStr(); ok {
			out.ReasoningJSON(choice, inside)
		}
	}
}

// emitParts states content that is a part, a string among parts, or an array of these. A part
// of an unknown type is an error, because an answer must not lose content.
func emitParts(choice int, content sdk.JSON, out *sdk.Out) error {
	switch content.Kind() {
	case sdk.KindString:
		inside, _ := content.RawStr()
		out.TextJSON(choice, inside)
		return nil
	case sdk.KindObject:
		return emitPart(choice, content, out)
	case sdk.KindArray:
	default:
		return errMalformed
	}
	it := sdk.Array(content)
	for it.Next() {
		v := it.Value()
		if IsNothing(v) {
			continue
		}
		if v.Kind() == sdk.KindArray {
			return errMalformed
		}
		if err := emitParts(choice, v, out); err != nil {
			return err
		}
	}
	if it.Err() != nil {
		return errMalformed
	}
	return nil
}

// emitPart states one part. Mistral's reasoning models have parts of their own for thinking,
// with parts of text in them (https://docs.mistral.ai/capabilities/reasoning). Other servers
// use parts of the Responses API, whose reasoning has its text in content, summary or text.
// Images are stated as they come.
func emitPart(choice int, part sdk.JSON, out *sdk.Out) error {
	kind, _ := part.Get("type").Str()
	switch kind {
	case "text", "output_text":
		if inside, ok := part.Get("text").RawStr(); ok {
			out.TextJSON(choice, inside)
		}
	case "refusal":
		if inside, ok := part.Get("refusal").RawStr(); ok {
			out.RefusalJSON(choice, inside)
		}
	case "thinking", "reasoning", "reasoning_text", "summary_text":
		for _, key := range [...]string{"thinking", "reasoning", "text", "content", "summary"} {
			if v := part.Get(key); len(v) > 0 && !IsNothing(v) {
				emitThoughts(choice, v, out)
				break
			}
		}
	case "image_url":
		b := append(append([]byte(`{"images":[`), part...), "]}"...)
		out.DeltaExtra(choice, b)
	default:
		return errPart
	}
	return nil
}

// emitThoughts states reasoning that is a text, or an array of parts with texts.
func emitThoughts(choice int, v sdk.JSON, out *sdk.Out) {
	if inside, ok := v.RawStr(); ok {
		out.ReasoningJSON(choice, inside)
		return
	}
	for it := sdk.Array(v); it.Next(); {
		text := it.Value()
		if text.Kind() == sdk.KindObject {
			text = text.Get("text")
		}
		if inside, ok := text.RawStr(); ok {
			out.ReasoningJSON(choice, inside)
		}
	}
}
