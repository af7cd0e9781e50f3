package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// newUpstream returns a server that answers like OpenRouter and Ollama. It runs in a process
// of its own and does as little as possible, because the gateway is what is measured. The path
// says how:
//
//	/whole/chat/completions                 one JSON object
//	/sse/2000/0s/chat/completions           2,000 chunks as fast as they can be written, each by itself
//	/sse/2000/0s/16/chat/completions        the same, 16 in a write
//	/own/100/0s/responses                   100 chunks of the Responses API
//	/claude/100/0s/v1/messages              100 chunks of the Messages API
//	/ndjson/50/200ms/api/chat               50 lines of Ollama, one every 200 ms
//	/vectors/api/embed                      2,048 vectors of 1,024 numbers of Ollama
//	/upload/audio/transcriptions            a text, after a form was read slowly
//
// A stream of 0 chunks goes on until the client hangs up.
func newUpstream() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /whole/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Generation-Id", "gen-1786988078-KaiSample0000000001")
		io.WriteString(w, wholeAnswer)
	})
	sse := func(w http.ResponseWriter, r *http.Request) { stream(w, r, "text/event-stream", sseEvents, sseEnd) }
	mux.HandleFunc("POST /sse/{chunks}/{every}/chat/completions", sse)
	mux.HandleFunc("POST /sse/{chunks}/{every}/{together}/chat/completions", sse)
	mux.HandleFunc("POST /own/{chunks}/{every}/responses", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, ownStart)
		stream(w, r, "text/event-stream", ownEvents, ownEnd)
	})
	mux.HandleFunc("POST /claude/{chunks}/{every}/v1/messages", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, claudeStart)
		stream(w, r, "text/event-stream", claudeEvents, claudeEnd)
	})
	mux.HandleFunc("POST /ndjson/{chunks}/{every}/api/chat", func(w http.ResponseWriter, r *http.Request) {
		stream(w, r, "application/x-ndjson", ollamaLines, ollamaEnd)
	})
	// As a collector of OpenTelemetry, it takes everything.
	for _, path := range []string{"POST /v1/traces", "POST /v1/metrics"} {
		mux.HandleFunc(path, func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	}
	vectors := manyNumbers()
	mux.HandleFunc("POST "+vectorsPath+"/api/embed", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, vectors)
	})
	serveUploads(mux)
	return mux
}

const (
	vectorsPath = "/vectors"
	manyVectors = 2048
)

// manyNumbers returns an answer of Ollama with 2,048 vectors of 1,024 numbers, 24 MB.
func manyNumbers() string {
	r := rand.New(rand.NewPCG(1, 2))
	out := []byte(`{"model":"nomic-embed-text","embeddings":[`)
	for i := range manyVectors {
		if i > 0 {
			out = append(out, ',')
		}
		for k := range 1024 {
			out = append(out, "[,"[min(k, 1)])
			out = strconv.AppendFloat(out, float64(float32(r.NormFloat64()/32)), 'g', -1, 32)
		}
		out = append(out, ']')
	}
	return string(append(out, `],"total_duration":1042906510,"load_duration":57281000,"prompt_eval_count":2048}`...))
}

func stream(w http.ResponseWriter, r *http.Request, contentType string, events []string, end string) {
	io.Copy(io.Discard, r.Body)
	chunks, err := strconv.Atoi(r.PathValue("chunks"))
	every, err2 := time.ParseDuration(r.PathValue("every"))
	together, _ := strconv.Atoi(r.PathValue("together"))
	together = max(together, 1)
	if err != nil || err2 != nil {
		http.Error(w, "the path must say how many chunks, and how often one", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-cache")
	var tick <-chan time.Time
	if every > 0 {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		tick = ticker.C
	}
	rc := http.NewResponseController(w)
	for i := 0; i < chunks || chunks == 0; i++ {
		if tick != nil && i > 0 {
			select {
			case <-tick:
			case <-r.Context().Done():
				return
			}
		}
		if _, err := io.WriteString(w, events[i%len(events)]); err != nil {
			return
		}
		if (i+1)%together == 0 {
			if err := rc.Flush(); err != nil {
				return
			}
		}
	}
	io.WriteString(w, end)
}

// words are what the mock models say. They are as long as tokens usually are, and some must
// be escaped in JSON.
var words = strings.Split("The| gateway| reads| each| event|,| hands| it| to| the| adapter|,| and| says|:| \\\"it| is| done|\\\".|\\n\\n|Then| it| waits| for| more|.", "|")

// The answers have the fields, in the order, that public logs of OpenRouter and a recording
// of Ollama 0.32 have.
var (
	sseEvents    = make([]string, len(words))
	ollamaLines  = make([]string, len(words))
	ownEvents    = make([]string, len(words))
	claudeEvents = make([]string, len(words))
)

func init() {
	for i, w := range words {
		sseEvents[i] = `data: {"id":"gen-1786988078-KaiSample0000000001","object":"chat.completion.chunk","created":1786988078,` +
			`"model":"openai/gpt-4o-mini","provider":"OpenAI","choices":[{"index":0,"delta":{"content":"` + w +
			`","role":"assistant"},"finish_reason":null,"native_finish_reason":null}]}` + "\n\n"
		ownEvents[i] = ownEvent("response.output_text.delta", fmt.Sprintf(`"content_index":0,"delta":"%s","item_id":"%s","logprobs":[],"obfuscation":"Sa9QXj1w","output_index":0,"sequence_number":%d`, w, ownItem, 4+i))
		claudeEvents[i] = ownEvent("content_block_delta", `"index":0,"delta":{"type":"text_delta","text":"`+w+`"}`)
		ollamaLines[i] = fmt.Sprintf(`{"model":"granite4:tiny-h","created_at":"2026-11-23T01:56:14.%09dZ","message":{"role":"assistant","content":"%s"},"done":false}`+"\n", 1+i*7927281, w)
	}
}

// The events of OpenAI's Responses API, as its documents have them.
const (
	ownItem     = "msg_68b4ac9a1d2c8192b6b0b0a2f3c4d5e60123456789abcdef"
	ownResponse = `"response":{"id":"resp_68b4ac98f7d48192a2f6d1c0e9b8a7f60123456789abcdef","object":"response","created_at":1786988078,"error":null,"incomplete_details":null,"model":"gpt-4o-mini-2024-07-18"`
)

var (
	ownStart = ownEvent("response.created", ownResponse+`,"status":"in_progress","output":[],"usage":null}`) +
		ownEvent("response.output_item.added", `"item":{"id":"`+ownItem+`","type":"message","status":"in_progress","content":[],"role":"assistant"},"output_index":0`) +
		ownEvent("response.content_part.added", `"content_index":0,"item_id":"`+ownItem+`","output_index":0,"part":{"type":"output_text","annotations":[],"text":""}`)
	ownEnd = ownEvent("response.completed", ownResponse+`,"status":"completed","output":[],"usage":{"input_tokens":15,"output_tokens":2000,"total_tokens":2015}}`)
)

// The events of Anthropic's Messages API, as its documents have them.
var (
	claudeStart = ownEvent("message_start", `"message":{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","content":[],"model":"claude-opus-4-8","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":15,"output_tokens":1}}`) +
		ownEvent("content_block_start", `"index":0,"content_block":{"type":"text","text":""}`) + ownEvent("ping", "")
	claudeEnd = ownEvent("content_block_stop", `"index":0`) +
		ownEvent("message_delta", `"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2000}`) + ownEvent("message_stop", "")
)

func ownEvent(name, data string) string {
	if data == "" {
		return "event: " + name + "\ndata: {\"type\":\"" + name + "\"}\n\n"
	}
	return "event: " + name + "\ndata: {\"type\":\"" + name + "\"," + data + "}\n\n"
}

const (
	sseEnd = `data: {"id":"gen-1786988078-KaiSample0000000001","object":"chat.completion.chunk","created":1786988078,"model":"openai/gpt-4o-mini","provider":"OpenAI","choices":[{"index":0,"delta":{"content":"","role":"assistant"},"finish_reason":"stop","native_finish_reason":"stop"}]}` + "\n\n" +
		`data: {"id":"gen-1786988078-KaiSample0000000001","object":"chat.completion.chunk","created":1786988078,"model":"openai/gpt-4o-mini","provider":"OpenAI","service_tier":null,"choices":[{"index":0,"delta":{"content":"","role":"assistant"},"finish_reason":"stop","native_finish_reason":"stop"}],"usage":{"prompt_tokens":15,"completion_tokens":2000,"total_tokens":2015,"cost":5.7915e-06,"is_byok":false,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"cost_details":{"upstream_inference_cost":null},"completion_tokens_details":{"reasoning_tokens":0}}}` + "\n\n" +
		"data: [DONE]\n\n"

	ollamaEnd = `{"model":"granite4:tiny-h","created_at":"2026-11-23T01:56:15.014884534Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":104290651,"load_duration":57281000,"prompt_eval_count":15,"prompt_eval_duration":4112000,"eval_count":2000,"eval_duration":42000000}` + "\n"

	wholeAnswer = `{"id":"gen-1786988078-KaiSample0000000001","object":"chat.completion","created":1786988078,"model":"openai/gpt-4o-mini","provider":"OpenAI","system_fingerprint":"fp_eb37e061ec","choices":[{"index":0,"logprobs":null,"finish_reason":"stop","native_finish_reason":"stop","message":{"role":"assistant","content":"Hello! How can I assist you today?","refusal":null,"reasoning":null}}],"usage":{"prompt_tokens":9,"completion_tokens":10,"total_tokens":19,"cost":7.35e-06,"is_byok":false,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"cost_details":{"upstream_inference_cost":7.35e-06},"completion_tokens_details":{"reasoning_tokens":0}}}`
)
