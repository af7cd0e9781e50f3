package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// native makes the mock answer what only passes natively: OpenAI's Responses API with a tool
// that OpenAI runs itself and with responses that it stores, and Anthropic's Messages API with
// a tool of Anthropic's, citations, and events that nobody knows. A test asks for them as
// openai/native and anthropic/native.
func (p *provider) native() {
	p.mux.HandleFunc("POST /own/v1/messages", p.note(searched))
	p.mux.HandleFunc("POST /own/v1/messages/count_tokens", answerWith(`{"input_tokens": 42}`))
	p.mux.HandleFunc("POST /own/v1/responses", p.note(p.respond))
	p.mux.HandleFunc("POST /own/v1/responses/input_tokens", answerWith(`{"object":"response.input_tokens","input_tokens":42}`))
	p.mux.HandleFunc("GET /own/v1/responses/{id}", p.stored(func(w http.ResponseWriter, r *http.Request, s stored) { w.Write(encode(s.response)) }))
	p.mux.HandleFunc("GET /own/v1/responses/{id}/input_items", p.stored(func(w http.ResponseWriter, r *http.Request, s stored) {
		item := object{"id": "msg_in_1", "type": "message", "role": "user", "status": "completed", "content": []object{{"type": "input_text", "text": s.input}}}
		w.Write(encode(object{"object": "list", "data": []object{item}, "first_id": "msg_in_1", "last_id": "msg_in_1", "has_more": false}))
	}))
	p.mux.HandleFunc("DELETE /own/v1/responses/{id}", p.stored(func(w http.ResponseWriter, r *http.Request, s stored) {
		p.mu.Lock()
		delete(p.responses, r.PathValue("id"))
		p.mu.Unlock()
		w.Write(encode(object{"id": r.PathValue("id"), "object": "response", "deleted": true}))
	}))
}

// stored is a response that the mock remembers, and what was said to get it.
type stored struct {
	response object
	input    string
}

// stored finds the response that a request names.
func (p *provider) stored(answer func(http.ResponseWriter, *http.Request, stored)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		s, ok := p.responses[r.PathValue("id")]
		p.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			w.Write(encode(object{"error": object{"message": "Response with id '" + r.PathValue("id") + "' not found.", "type": "invalid_request_error", "param": nil, "code": nil}}))
			return
		}
		answer(w, r, s)
	}
}

// respond searches the web, says a sentence with a source, and says what it was told before.
func (p *provider) respond(w http.ResponseWriter, asked map[string]any) {
	text := "Searched."
	input, _ := asked["input"].(string)
	if before, ok := asked["previous_response_id"].(string); ok {
		p.mu.Lock()
		text = "Before: " + p.responses[before].input
		p.mu.Unlock()
	}
	p.mu.Lock()
	p.count++
	id := fmt.Sprintf("resp_%032d", p.count)
	p.mu.Unlock()
	search := object{"id": "ws_" + id, "type": "web_search_call", "status": "completed", "action": object{"type": "search", "query": "kai"}}
	part := object{"type": "output_text", "text": text, "logprobs": []any{}, "annotations": []object{
		{"type": "url_citation", "start_index": 0, "end_index": 8, "url": "https://example.com/", "title": "A source"}}}
	message := object{"id": "msg_" + id, "type": "message", "status": "completed", "role": "assistant", "content": []object{part}}
	response := func(status string, usage any, output ...object) object {
		return object{
			"id": id, "object": "response", "created_at": 1756310000, "status": status, "error": nil, "incomplete_details": nil, "instructions": nil,
			"model": "gpt-dated-name", "output": append([]object{}, output...), "parallel_tool_calls": true, "previous_response_id": asked["previous_response_id"],
			"metadata": object{}, "temperature": 1.0, "top_p": 1.0, "tool_choice": "auto", "tools": asked["tools"], "text": object{"format": object{"type": "text"}},
			"truncation": "disabled", "store": asked["store"] != false, "usage": usage, "novel_field": object{"kept": 1},
		}
	}
	usage := object{"input_tokens": 12, "input_tokens_details": object{"cached_tokens": 4}, "output_tokens": 34, "output_tokens_details": object{"reasoning_tokens": 0}, "total_tokens": 46}
	whole := response("completed", usage, search, message)
	if asked["store"] != false {
		p.mu.Lock()
		p.responses[id] = stored{whole, input}
		p.mu.Unlock()
	}
	if asked["stream"] != true {
		w.Write(encode(whole))
		return
	}
	place := func(more object) object {
		e := object{"item_id": message["id"], "output_index": 1, "content_index": 0}
		for name, value := range more {
			e[name] = value
		}
		return e
	}
	begun, began := object{"id": search["id"], "type": "web_search_call", "status": "in_progress"}, object{"id": message["id"], "type": "message", "status": "in_progress", "role": "assistant", "content": []any{}}
	empty := object{"type": "output_text", "text": "", "annotations": []any{}, "logprobs": []any{}}
	all := []named{
		{"response.created", object{"response": response("in_progress", nil)}},
		{"response.in_progress", object{"response": response("in_progress", nil)}},
		{"response.output_item.added", object{"output_index": 0, "item": begun}},
		{"response.web_search_call.in_progress", object{"output_index": 0, "item_id": search["id"]}},
		{"response.web_search_call.searching", object{"output_index": 0, "item_id": search["id"]}},
		{"response.web_search_call.completed", object{"output_index": 0, "item_id": search["id"]}},
		{"response.output_item.done", object{"output_index": 0, "item": search}},
	}
	if strings.Contains(input, "novel") { // OpenAI's helper for Node takes no events that it doesn't know
		all = append(all, named{"response.novel_event", object{"model": "kept", "novel": []any{1.5, nil}}})
	}
	all = append(all,
		named{"response.output_item.added", object{"output_index": 1, "item": began}},
		named{"response.content_part.added", place(object{"part": empty})})
	for _, word := range strings.SplitAfter(text, " ") {
		all = append(all, named{"response.output_text.delta", place(object{"delta": word, "logprobs": []any{}})})
	}
	all = append(all,
		named{"response.output_text.annotation.added", place(object{"annotation_index": 0, "annotation": part["annotations"].([]object)[0]})},
		named{"response.output_text.done", place(object{"text": text, "logprobs": []any{}})},
		named{"response.content_part.done", place(object{"part": part})},
		named{"response.output_item.done", object{"output_index": 1, "item": message}},
		named{"response.completed", object{"response": whole}},
	)
	for i := range all {
		all[i].data["sequence_number"] = i
	}
	send(w, all)
}

// named is an event with a name, which is its type, too.
type named struct {
	name string
	data object
}

func send(w http.ResponseWriter, all []named) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range all {
		e.data["type"] = e.name
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e.name, encode(e.data))
		http.NewResponseController(w).Flush()
	}
}

// searched answers as Anthropic does when it has searched the web: with the tool's use and
// result, a text that cites it, a container, and blocks that nobody knows.
func searched(w http.ResponseWriter, asked map[string]any) {
	result := object{"type": "web_search_result", "url": "https://example.com/", "title": "A source", "encrypted_content": "c2VjcmV0", "page_age": nil}
	citation := object{"type": "web_search_result_location", "url": "https://example.com/", "title": "A source", "encrypted_index": "aW5kZXg", "cited_text": "It is said."}
	content := []object{
		{"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": object{"query": "kai"}},
		{"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []object{result}},
		{"type": "text", "text": "Found it.", "citations": []object{citation}},
		{"type": "novel_block", "novel": []any{1.5, nil}},
	}
	usage := object{"input_tokens": 12, "output_tokens": 34, "server_tool_use": object{"web_search_requests": 1}, "service_tier": "standard"}
	whole := object{
		"id": "msg_native_1", "type": "message", "role": "assistant", "model": "claude-dated-name", "content": content, "stop_reason": "end_turn", "stop_sequence": nil,
		"container": object{"id": "container_native", "expires_at": "2030-01-01T00:00:00Z"}, "usage": usage, "novel_field": object{"kept": 1},
	}
	if asked["stream"] != true {
		w.Write(encode(whole))
		return
	}
	first := object{}
	if err := json.Unmarshal(encode(whole), &first); err != nil {
		panic(err) // it was just encoded
	}
	first["content"], first["stop_reason"], first["usage"] = []any{}, nil, object{"input_tokens": 12, "output_tokens": 1}
	all := []named{{"message_start", object{"message": first}}, {"novel_event", object{"model": "kept"}}}
	for i, block := range content {
		start, deltas := object{}, []object{}
		for name, value := range block {
			start[name] = value
		}
		switch block["type"] {
		case "server_tool_use":
			start["input"] = object{}
			deltas = []object{{"type": "input_json_delta", "partial_json": `{"query":`}, {"type": "input_json_delta", "partial_json": `"kai"}`}}
		case "text":
			start["text"], start["citations"] = "", []any{}
			deltas = []object{{"type": "text_delta", "text": "Found "}, {"type": "citations_delta", "citation": citation}, {"type": "text_delta", "text": "it."}}
		}
		all = append(all, named{"content_block_start", object{"index": i, "content_block": start}})
		for _, delta := range deltas {
			all = append(all, named{"content_block_delta", object{"index": i, "delta": delta}})
		}
		all = append(all, named{"content_block_stop", object{"index": i}})
	}
	send(w, append(all,
		named{"message_delta", object{"delta": object{"stop_reason": "end_turn", "stop_sequence": nil}, "usage": usage}},
		named{"message_stop", object{}}))
}
