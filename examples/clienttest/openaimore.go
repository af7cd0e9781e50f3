package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// more makes the mock answer what OpenAI's API has besides chats and embeddings, and
// Ollama's and OpenRouter's completions. Whatever the model, the answers are the same.
func (p *provider) more() {
	p.mux.HandleFunc("POST /openai/v1/completions", p.note(completions))
	p.mux.HandleFunc("POST /api/v1/completions", p.note(completions))
	p.mux.HandleFunc("POST /api/generate", p.note(generate))
	p.mux.HandleFunc("POST /openai/v1/moderations", p.note(func(w http.ResponseWriter, asked map[string]any) {
		w.Write(encode(object{"id": "modr-1", "model": "dated-name", "results": []object{{
			"flagged": true, "categories": object{"violence": true}, "category_scores": object{"violence": 0.9}, "category_applied_input_types": object{"violence": []string{"text"}},
		}}}))
	}))
	p.mux.HandleFunc("POST /openai/v1/rerank", p.note(func(w http.ResponseWriter, asked map[string]any) {
		w.Write(encode(object{"id": "rerank-1", "model": "dated-name", "results": []object{{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}}, "usage": object{"total_tokens": 7}}))
	}))
	p.mux.HandleFunc("POST /openai/v1/images/generations", p.note(images))
	p.mux.HandleFunc("POST /openai/v1/audio/speech", p.note(speech))
	p.mux.HandleFunc("POST /openai/v1/audio/transcriptions", transcription)
}

// note notes a request that has a mark, and answers it.
func (p *provider) note(answer func(w http.ResponseWriter, asked map[string]any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var asked map[string]any
		if err := json.Unmarshal(body, &asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if m := markPattern.FindSubmatch(body); m != nil {
			p.mu.Lock()
			t := p.of(string(m[1]))
			t.Requests++
			t.Last = body
			t.Bodies = append(t.Bodies, body)
			p.mu.Unlock()
		}
		w.Header().Set("Content-Type", "application/json")
		answer(w, asked)
	}
}

// completed is what the mock goes on with.
var completed = []string{" return", " a", " +", " b"}

// events sends events one by one, without names.
func events(w http.ResponseWriter, all ...object) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range all {
		fmt.Fprintf(w, "data: %s\n\n", encode(e))
		http.NewResponseController(w).Flush()
	}
}

// completions answers as OpenAI does: each prompt, n times, with logprobs if they are wanted.
func completions(w http.ResponseWriter, asked map[string]any) {
	choice := func(index int, text string, reason any) object {
		c := object{"index": index, "text": text, "logprobs": nil, "finish_reason": reason}
		if asked["logprobs"] != nil && text != "" {
			c["logprobs"] = object{"tokens": []string{text}, "token_logprobs": []float64{-0.5}, "top_logprobs": []object{{text: -0.5}}, "text_offset": []int{0}}
		}
		return c
	}
	answer := func(choices ...object) object {
		return object{"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "dated-name", "choices": choices}
	}
	prompts := 1
	if list, ok := asked["prompt"].([]any); ok {
		if _, tokens := list[0].(float64); !tokens {
			prompts = len(list)
		}
	}
	n, ok := asked["n"].(float64)
	if !ok {
		n = 1
	}
	usage := object{"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16}
	if asked["stream"] != true {
		var choices []object
		for i := range prompts * int(n) {
			choices = append(choices, choice(i, strings.Join(completed, ""), "stop"))
		}
		whole := answer(choices...)
		whole["usage"] = usage
		w.Write(encode(whole))
		return
	}
	var all []object
	for i := range prompts * int(n) {
		for _, word := range completed {
			all = append(all, answer(choice(i, word, nil)))
		}
		all = append(all, answer(choice(i, "", "stop")))
	}
	last := answer([]object{}...)
	last["choices"], last["usage"] = []object{}, usage
	events(w, append(all, last)...)
	io.WriteString(w, "data: [DONE]\n\n")
}

// generate answers as Ollama does.
func generate(w http.ResponseWriter, asked map[string]any) {
	last := object{"model": "mock", "done": true, "done_reason": "stop", "prompt_eval_count": 12, "eval_count": 4, "response": ""}
	if asked["stream"] != true {
		last["response"] = strings.Join(completed, "")
		w.Write(encode(last))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	for _, word := range completed {
		fmt.Fprintf(w, "%s\n", encode(object{"model": "mock", "response": word, "done": false}))
		http.NewResponseController(w).Flush()
	}
	fmt.Fprintf(w, "%s\n", encode(last))
}

// picture is one grey dot.
const picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="

func images(w http.ResponseWriter, asked map[string]any) {
	usage := object{"input_tokens": 5, "output_tokens": 2, "total_tokens": 7, "input_tokens_details": object{"text_tokens": 5, "image_tokens": 0}}
	if asked["stream"] != true {
		w.Write(encode(object{"created": 1, "data": []object{{"b64_json": picture}}, "usage": usage}))
		return
	}
	event := func(kind string, more object) object {
		e := object{"type": "image_generation." + kind, "b64_json": picture, "created_at": 1, "size": "1024x1024", "quality": "low", "background": "opaque", "output_format": "png"}
		for name, value := range more {
			e[name] = value
		}
		return e
	}
	events(w, event("partial_image", object{"partial_image_index": 0}), event("completed", object{"usage": usage}))
}

// sound is what the mock speaks.
const sound = "ID3\x00 this stands for sound"

func speech(w http.ResponseWriter, asked map[string]any) {
	if asked["stream_format"] == "sse" {
		events(w, object{"type": "speech.audio.delta", "audio": "SUQz"}, object{"type": "speech.audio.done", "usage": object{"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}})
		return
	}
	w.Header().Set("Content-Type", "audio/mpeg")
	for _, piece := range strings.SplitAfter(sound, " ") {
		io.WriteString(w, piece)
		http.NewResponseController(w).Flush()
	}
}

// transcription writes down the name and the size of the file that it gets.
func transcription(w http.ResponseWriter, r *http.Request) {
	file, header, err := r.FormFile("file")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	defer file.Close()
	text := fmt.Sprintf("%s has %d bytes.", header.Filename, header.Size)
	usage := object{"type": "duration", "seconds": 3}
	switch {
	case r.FormValue("stream") == "true":
		events(w, object{"type": "transcript.text.delta", "delta": header.Filename}, object{"type": "transcript.text.delta", "delta": strings.TrimPrefix(text, header.Filename)},
			object{"type": "transcript.text.done", "text": text, "usage": usage})
	case r.FormValue("response_format") == "vtt":
		w.Header().Set("Content-Type", "text/vtt")
		io.WriteString(w, "WEBVTT\n\n00:00.000 --> 00:03.000\n"+text+"\n")
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Write(encode(object{"text": text, "usage": usage}))
	}
}
