package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// object is a JSON object.
type object = map[string]any

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // nothing but strings, numbers and the like is ever put in
	}
	return b
}

// openAI speaks chat completions as https://platform.openai.com/docs/api-reference/chat
// says, with the reasoning of servers that show it. Its parallel calls come interleaved.
type openAI struct{}

var _ dialect = openAI{}

func (openAI) usage(a answer) object {
	u := a.usage()
	return object{"prompt_tokens": u.Prompt, "completion_tokens": u.Completion, "total_tokens": u.Prompt + u.Completion}
}

// message is a whole answer's, with null for absent content.
func (openAI) message(a answer) object {
	message := object{"role": "assistant", "content": a.Text, "refusal": nil}
	if a.Calls != nil {
		var calls []object
		for i, c := range a.Calls {
			calls = append(calls, object{"index": i, "id": c.ID, "type": "function", "function": object{"name": c.Name, "arguments": c.Arguments}})
		}
		message["tool_calls"] = calls
		if a.Text == "" {
			message["content"] = nil
		}
	}
	return message
}

func (d openAI) whole(w io.Writer, a answer) {
	message := d.message(a)
	if a.Reasoning != "" {
		message["reasoning_content"] = a.Reasoning
	}
	w.Write(encode(object{
		"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "mock-dated-name",
		"choices": []object{{"index": 0, "message": message, "logprobs": nil, "finish_reason": a.finish()}},
		"usage":   d.usage(a),
	}))
}

func (openAI) begin(h http.Header) { h.Set("Content-Type", "text/event-stream") }

func (openAI) event(w io.Writer, fields object) {
	for name, value := range (object{"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "mock-dated-name"}) {
		fields[name] = value
	}
	fmt.Fprintf(w, "data: %s\n\n", encode(fields))
}

func (d openAI) delta(w io.Writer, delta object) {
	d.event(w, object{"choices": []object{{"index": 0, "delta": delta, "finish_reason": nil}}})
}

func (d openAI) text(w io.Writer, s string) { d.delta(w, object{"content": s}) }

func (d openAI) reasoning(w io.Writer, s string) { d.delta(w, object{"reasoning_content": s}) }

// signature has no place in this API.
func (openAI) signature(io.Writer, string) {}

func (d openAI) calls(w io.Writer, calls []call) {
	for i, c := range calls {
		d.part(w, object{"index": i, "id": c.ID, "type": "function", "function": object{"name": c.Name, "arguments": ""}})
	}
	for i, c := range calls {
		d.part(w, object{"index": i, "function": object{"arguments": c.Arguments[:len(c.Arguments)/2]}})
	}
	for i, c := range calls {
		d.part(w, object{"index": i, "function": object{"arguments": c.Arguments[len(c.Arguments)/2:]}})
	}
}

func (d openAI) part(w io.Writer, part object) { d.delta(w, object{"tool_calls": []object{part}}) }

func (d openAI) finish(w io.Writer, a answer) {
	d.event(w, object{"choices": []object{{"index": 0, "delta": object{}, "finish_reason": a.finish()}}})
	d.event(w, object{"choices": []object{}, "usage": d.usage(a)})
	io.WriteString(w, "data: [DONE]\n\n")
}

func (d openAI) err(w io.Writer, e answer, stream bool) {
	failure := object{"error": object{"message": e.Message, "type": "mock_error", "param": nil, "code": nil}}
	if e.Code != "" {
		failure["error"].(object)["code"] = e.Code
	}
	if stream {
		fmt.Fprintf(w, "data: %s\n\n", encode(failure))
		return
	}
	w.Write(encode(failure))
}

// openRouter speaks as https://openrouter.ai/docs/api/reference/overview says.
type openRouter struct{ openAI }

var _ dialect = openRouter{}

func (openRouter) usage(a answer) object {
	u := openAI{}.usage(a)
	u["cost"] = 0.0001
	return u
}

// detail is a piece of signed reasoning.
func (openRouter) detail(text, signature string) []object {
	d := object{"type": "reasoning.text", "text": text, "format": "anthropic-claude-v1", "index": 0}
	if signature != "" {
		d["signature"] = signature
	}
	return []object{d}
}

func (d openRouter) whole(w io.Writer, a answer) {
	message := d.message(a)
	message["reasoning"] = nil
	if a.Reasoning != "" {
		message["reasoning"] = a.Reasoning
	}
	if a.Signature != "" {
		message["reasoning_details"] = d.detail(a.Reasoning, a.Signature)
	}
	w.Write(encode(object{
		"id": "gen-1", "object": "chat.completion", "created": 1, "model": "mock/dated-name", "provider": "Mock",
		"choices": []object{{"index": 0, "message": message, "logprobs": nil, "finish_reason": a.finish(), "native_finish_reason": "end"}},
		"usage":   d.usage(a),
	}))
}

func (openRouter) event(w io.Writer, fields object) {
	for name, value := range (object{"id": "gen-1", "object": "chat.completion.chunk", "created": 1, "model": "mock/dated-name", "provider": "Mock"}) {
		fields[name] = value
	}
	fmt.Fprintf(w, ": OPENROUTER PROCESSING\n\ndata: %s\n\n", encode(fields))
}

func (d openRouter) delta(w io.Writer, delta object) {
	delta["role"] = "assistant"
	d.event(w, object{"choices": []object{{"index": 0, "delta": delta, "finish_reason": nil}}})
}

func (d openRouter) text(w io.Writer, s string) { d.delta(w, object{"content": s}) }

func (d openRouter) reasoning(w io.Writer, s string) {
	d.delta(w, object{"content": "", "reasoning": s, "reasoning_details": d.detail(s, "")})
}

func (d openRouter) signature(w io.Writer, s string) {
	d.delta(w, object{"content": "", "reasoning_details": d.detail("", s)})
}

// calls sends one call after the other, the arguments in two pieces after the name.
func (d openRouter) calls(w io.Writer, calls []call) {
	for i, c := range calls {
		half := len(c.Arguments) / 2
		for _, part := range []object{
			{"index": i, "id": c.ID, "type": "function", "function": object{"name": c.Name, "arguments": ""}},
			{"index": i, "function": object{"arguments": c.Arguments[:half]}},
			{"index": i, "function": object{"arguments": c.Arguments[half:]}},
		} {
			d.delta(w, object{"content": nil, "tool_calls": []object{part}})
		}
	}
}

func (d openRouter) finish(w io.Writer, a answer) {
	end := []object{{"index": 0, "delta": object{"role": "assistant", "content": ""}, "finish_reason": a.finish()}}
	d.event(w, object{"choices": end})
	d.event(w, object{"choices": end, "usage": d.usage(a)})
	io.WriteString(w, "data: [DONE]\n\n")
}

func (d openRouter) err(w io.Writer, e answer, stream bool) {
	failure := object{"error": object{"code": e.Status, "message": e.Message}}
	if stream {
		d.event(w, failure)
		return
	}
	w.Write(encode(failure))
}
