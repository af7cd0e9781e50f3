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

// openRouter speaks as https://openrouter.ai/docs/api/reference/overview says.
type openRouter struct{}

var _ dialect = openRouter{}

func (openRouter) whole(w io.Writer, a answer) {
	message := object{"role": "assistant", "content": a.text, "refusal": nil, "reasoning": nil}
	if a.reasoning != "" {
		message["reasoning"] = a.reasoning
	}
	if a.calls != nil {
		var calls []object
		for i, c := range a.calls {
			calls = append(calls, object{"index": i, "id": c.id, "type": "function", "function": object{"name": c.name, "arguments": c.arguments}})
		}
		message["content"], message["tool_calls"] = nil, calls
	}
	w.Write(encode(object{
		"id": "gen-1", "object": "chat.completion", "created": 1, "model": "mock/dated-name", "provider": "Mock",
		"choices": []object{{"index": 0, "message": message, "logprobs": nil, "finish_reason": a.finish(), "native_finish_reason": "end"}},
		"usage":   openRouter{}.usage(),
	}))
}

func (openRouter) usage() object {
	return object{"prompt_tokens": promptTokens, "completion_tokens": completionTokens, "total_tokens": promptTokens + completionTokens, "cost": 0.0001}
}

func (openRouter) begin(h http.Header) { h.Set("Content-Type", "text/event-stream") }

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
	d.delta(w, object{"content": "", "reasoning": s})
}

// call sends the arguments in two pieces after the name.
func (d openRouter) call(w io.Writer, index int, c call) {
	half := len(c.arguments) / 2
	for _, part := range []object{
		{"index": index, "id": c.id, "type": "function", "function": object{"name": c.name, "arguments": ""}},
		{"index": index, "function": object{"arguments": c.arguments[:half]}},
		{"index": index, "function": object{"arguments": c.arguments[half:]}},
	} {
		d.delta(w, object{"content": nil, "tool_calls": []object{part}})
	}
}

func (d openRouter) finish(w io.Writer, a answer) {
	end := []object{{"index": 0, "delta": object{"role": "assistant", "content": ""}, "finish_reason": a.finish()}}
	d.event(w, object{"choices": end})
	d.event(w, object{"choices": end, "usage": d.usage()})
	io.WriteString(w, "data: [DONE]\n\n")
}

func (d openRouter) err(w io.Writer, status int, message string, stream bool) {
	failure := object{"error": object{"code": status, "message": message}}
	if stream {
		d.event(w, failure)
		return
	}
	w.Write(encode(failure))
}

// ollama speaks as https://docs.ollama.com/api/chat says.
type ollama struct{}

var _ dialect = ollama{}

func (ollama) line(w io.Writer, message object, more object) {
	message["role"] = "assistant"
	if message["content"] == nil {
		message["content"] = ""
	}
	line := object{"model": "mock", "created_at": "2026-01-01T12:00:00Z", "message": message, "done": false}
	for name, value := range more {
		line[name] = value
	}
	fmt.Fprintf(w, "%s\n", encode(line))
}

func (ollama) end() object {
	return object{"done": true, "done_reason": "stop", "prompt_eval_count": promptTokens, "eval_count": completionTokens}
}

func (ollama) calls(calls ...call) (list []object) {
	for _, c := range calls {
		list = append(list, object{"id": c.id, "function": object{"name": c.name, "arguments": json.RawMessage(c.arguments)}})
	}
	return list
}

func (d ollama) whole(w io.Writer, a answer) {
	message := object{"content": a.text}
	if a.reasoning != "" {
		message["thinking"] = a.reasoning
	}
	if a.calls != nil {
		message["tool_calls"] = d.calls(a.calls...)
	}
	d.line(w, message, d.end())
}

func (ollama) begin(h http.Header) { h.Set("Content-Type", "application/x-ndjson") }

func (d ollama) text(w io.Writer, s string) { d.line(w, object{"content": s}, nil) }

func (d ollama) reasoning(w io.Writer, s string) { d.line(w, object{"thinking": s}, nil) }

func (d ollama) call(w io.Writer, _ int, c call) {
	d.line(w, object{"tool_calls": d.calls(c)}, nil)
}

func (d ollama) finish(w io.Writer, _ answer) { d.line(w, object{}, d.end()) }

// err has no status of its own in a stream.
func (ollama) err(w io.Writer, _ int, message string, _ bool) {
	fmt.Fprintf(w, "%s\n", encode(object{"error": message}))
}
