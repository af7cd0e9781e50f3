package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// gemini speaks as https://ai.google.dev/api/generate-content says. A value serves
// one answer: it keeps a signature until the call that carries it.
type gemini struct{ signed string }

var _ dialect = (*gemini)(nil)

func (gemini) response(a answer, parts []object, reason string) []byte {
	candidate := object{"index": 0, "content": object{"role": "model", "parts": parts}}
	if reason != "" {
		candidate["finishReason"] = reason
	}
	u := a.usage()
	return encode(object{
		"candidates": []object{candidate}, "modelVersion": "mock-dated-name", "responseId": "r1",
		"usageMetadata": object{"promptTokenCount": u.Prompt, "candidatesTokenCount": u.Completion, "totalTokenCount": u.Prompt + u.Completion},
	})
}

// reason is the finish in Gemini's words, which has none for calls.
func (gemini) reason(a answer) string {
	switch a.finish() {
	case "length":
		return "MAX_TOKENS"
	case "content_filter":
		return "SAFETY"
	}
	return "STOP"
}

// part is a call, the first of them with the signature.
func (d *gemini) part(c call) object {
	p := object{"functionCall": object{"id": c.ID, "name": c.Name, "args": json.RawMessage(c.Arguments)}}
	if d.signed != "" {
		p["thoughtSignature"], d.signed = d.signed, ""
	}
	return p
}

func (d *gemini) whole(w io.Writer, a answer) {
	parts := []object{}
	if a.Reasoning != "" {
		parts = append(parts, object{"text": a.Reasoning, "thought": true})
	}
	if a.Text != "" {
		parts = append(parts, object{"text": a.Text})
	}
	d.signed = a.Signature
	for _, c := range a.Calls {
		parts = append(parts, d.part(c))
	}
	w.Write(d.response(a, parts, d.reason(a)))
}

func (gemini) begin(h http.Header) { h.Set("Content-Type", "text/event-stream") }

func (d *gemini) event(w io.Writer, part object) {
	fmt.Fprintf(w, "data: %s\n\n", d.response(answer{}, []object{part}, ""))
}

func (d *gemini) reasoning(w io.Writer, s string) { d.event(w, object{"text": s, "thought": true}) }

func (d *gemini) signature(_ io.Writer, s string) { d.signed = s }

func (d *gemini) text(w io.Writer, s string) { d.event(w, object{"text": s}) }

func (d *gemini) calls(w io.Writer, calls []call) {
	for _, c := range calls {
		d.event(w, d.part(c))
	}
}

func (d *gemini) finish(w io.Writer, a answer) {
	fmt.Fprintf(w, "data: %s\n\n", d.response(a, []object{{"text": ""}}, d.reason(a)))
}

func (gemini) err(w io.Writer, e answer, stream bool) {
	failure := encode(object{"error": object{"code": e.Status, "message": e.Message, "status": geminiStatus(e.Status)}})
	if stream {
		fmt.Fprintf(w, "data: %s\n\n", failure)
		return
	}
	w.Write(failure)
}

// geminiStatus is the word of https://google.aip.dev/193 for a status.
func geminiStatus(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "INVALID_ARGUMENT"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	}
	return "INTERNAL"
}
