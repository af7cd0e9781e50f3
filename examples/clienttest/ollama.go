package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

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

func (ollama) end(a answer) object {
	reason, u := "stop", a.usage()
	if a.finish() == "length" {
		reason = "length"
	}
	return object{"done": true, "done_reason": reason, "prompt_eval_count": u.Prompt, "eval_count": u.Completion}
}

func (ollama) list(calls []call) (list []object) {
	for _, c := range calls {
		list = append(list, object{"id": c.ID, "function": object{"name": c.Name, "arguments": json.RawMessage(c.Arguments)}})
	}
	return list
}

func (d ollama) whole(w io.Writer, a answer) {
	message := object{"content": a.Text}
	if a.Reasoning != "" {
		message["thinking"] = a.Reasoning
	}
	if a.Calls != nil {
		message["tool_calls"] = d.list(a.Calls)
	}
	d.line(w, message, d.end(a))
}

func (ollama) begin(h http.Header) { h.Set("Content-Type", "application/x-ndjson") }

func (d ollama) text(w io.Writer, s string) { d.line(w, object{"content": s}, nil) }

func (d ollama) reasoning(w io.Writer, s string) { d.line(w, object{"thinking": s}, nil) }

// signature has no place in this API.
func (ollama) signature(io.Writer, string) {}

func (d ollama) calls(w io.Writer, calls []call) {
	for _, c := range calls {
		d.line(w, object{"tool_calls": d.list([]call{c})}, nil)
	}
}

func (d ollama) finish(w io.Writer, a answer) { d.line(w, object{}, d.end(a)) }

// err has no status of its own in a stream.
func (ollama) err(w io.Writer, e answer, _ bool) {
	fmt.Fprintf(w, "%s\n", encode(object{"error": e.Message}))
}
