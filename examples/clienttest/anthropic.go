package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// anthropic speaks as https://platform.claude.com/docs/en/api/messages says. A
// value serves one answer: it knows which block is open.
type anthropic struct {
	begun bool
	index int    // of the open block, or of the next one
	open  string // the type of the open block; "": none is
}

var _ dialect = (*anthropic)(nil)

// reason is the finish in Anthropic's words.
func (anthropic) reason(a answer) string {
	switch a.finish() {
	case "tool_calls":
		return "tool_use"
	case "length":
		return "max_tokens"
	case "content_filter":
		return "refusal"
	}
	return "end_turn"
}

func (anthropic) message(content []object, reason any, u usage) object {
	return object{
		"id": "msg_1", "type": "message", "role": "assistant", "model": "mock-dated-name",
		"content": content, "stop_reason": reason, "stop_sequence": nil,
		"usage": object{"input_tokens": u.Prompt, "output_tokens": u.Completion},
	}
}

func (d *anthropic) whole(w io.Writer, a answer) {
	content := []object{}
	if a.Reasoning != "" {
		content = append(content, object{"type": "thinking", "thinking": a.Reasoning, "signature": a.Signature})
	}
	if a.Text != "" {
		content = append(content, object{"type": "text", "text": a.Text})
	}
	for _, c := range a.Calls {
		content = append(content, object{"type": "tool_use", "id": c.ID, "name": c.Name, "input": json.RawMessage(c.Arguments)})
	}
	w.Write(encode(d.message(content, d.reason(a), a.usage())))
}

func (anthropic) begin(h http.Header) { h.Set("Content-Type", "text/event-stream; charset=utf-8") }

func (d *anthropic) event(w io.Writer, name string, fields object) {
	if !d.begun {
		d.begun = true
		d.event(w, "message_start", object{"message": d.message([]object{}, nil, usage{Prompt: 1, Completion: 1})})
	}
	fields["type"] = name
	fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, encode(fields))
}

// block goes on with a block of the type, or ends the open one and begins one.
func (d *anthropic) block(w io.Writer, typ string, start object) {
	if d.open == typ && typ != "tool_use" {
		return
	}
	d.close(w)
	start["type"] = typ
	d.event(w, "content_block_start", object{"index": d.index, "content_block": start})
	d.open = typ
}

func (d *anthropic) close(w io.Writer) {
	if d.open != "" {
		d.event(w, "content_block_stop", object{"index": d.index})
		d.open = ""
		d.index++
	}
}

func (d *anthropic) delta(w io.Writer, delta object) {
	d.event(w, "content_block_delta", object{"index": d.index, "delta": delta})
}

func (d *anthropic) reasoning(w io.Writer, s string) {
	d.block(w, "thinking", object{"thinking": "", "signature": ""})
	d.delta(w, object{"type": "thinking_delta", "thinking": s})
}

func (d *anthropic) signature(w io.Writer, s string) {
	d.block(w, "thinking", object{"thinking": "", "signature": ""})
	d.delta(w, object{"type": "signature_delta", "signature": s})
}

func (d *anthropic) text(w io.Writer, s string) {
	d.block(w, "text", object{"text": ""})
	d.delta(w, object{"type": "text_delta", "text": s})
}

// calls sends the arguments of each in two pieces.
func (d *anthropic) calls(w io.Writer, calls []call) {
	for _, c := range calls {
		d.block(w, "tool_use", object{"id": c.ID, "name": c.Name, "input": object{}})
		half := len(c.Arguments) / 2
		d.delta(w, object{"type": "input_json_delta", "partial_json": c.Arguments[:half]})
		d.delta(w, object{"type": "input_json_delta", "partial_json": c.Arguments[half:]})
	}
}

func (d *anthropic) finish(w io.Writer, a answer) {
	d.close(w)
	u := a.usage()
	d.event(w, "message_delta", object{
		"delta": object{"stop_reason": d.reason(a), "stop_sequence": nil},
		"usage": object{"input_tokens": u.Prompt, "output_tokens": u.Completion},
	})
	d.event(w, "message_stop", object{})
}

func (d *anthropic) err(w io.Writer, e answer, stream bool) {
	failure := object{"type": "error", "error": object{"type": errorType(e.Status), "message": e.Message}}
	if stream {
		d.event(w, "error", failure)
		return
	}
	w.Write(encode(failure))
}

// errorType is Anthropic's word for a status.
func errorType(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "invalid_request_error"
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case 529:
		return "overloaded_error"
	}
	return "api_error"
}
