package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// The servers that take turns.
const (
	bare       = "proxy"      // httputil.ReverseProxy
	linked     = "linked"     // Kai with its adapters linked
	kai        = "kai"        // Kai as it ships
	translator = "translator" // encoding/json
)

// scenario is a load and what it may cost.
type scenario struct {
	name   string // also the model that clients ask for
	what   string // for people
	plugin string // the adapter that serves it
	path   string // the path of the upstream's API, which says how it answers
	body   []byte
	unit   string // what the processor time is divided by: "request" or "chunk"
	units  int    // how many units an answer has

	workers int           // how many requests are under way at any time; 0: the load is streams
	streams int           // how many answers go on all the time
	every   time.Duration // the time between two chunks of a stream

	against string  // the server that Kai is compared with
	aim     float64 // how many times that server's processor time Kai may take
	memory  float64 // how many times that server's memory per stream Kai may take; 0: no aim
	sandbox float64 // the share of Kai's processor time that the sandbox may take; 0: no aim
}

var scenarios = []scenario{
	{
		name: "small", what: "16 clients, one small request after the other", plugin: "openrouter", path: "/whole",
		body: chatBody("small", false, "What does a gateway do?"), unit: "request", units: 1,
		workers: 16, against: bare, aim: 1.6,
	},
	{
		name: "large", what: "8 clients, requests of 200 KB", plugin: "openrouter", path: "/whole",
		body: chatBody("large", false, longTalk()...), unit: "request", units: 1,
		workers: 8, against: bare, aim: 3,
	},
	{
		name: "burst", what: "4 streams of 2,000 chunks, each written as soon as possible", plugin: "openrouter", path: "/sse/2000/0s",
		body: chatBody("burst", true, "Say much."), unit: "chunk", units: 2000,
		workers: 4, against: bare, aim: 3.5, sandbox: 0.4,
	},
	{
		name: "packed", what: "the same, 16 chunks in one write", plugin: "openrouter", path: "/sse/2000/0s/16",
		body: chatBody("packed", true, "Say much."), unit: "chunk", units: 2000,
		workers: 4, against: bare,
	},
	{
		name: "slow", what: "1,000 streams, a chunk every 200 ms", plugin: "openrouter", path: "/sse/0/200ms",
		body: chatBody("slow", true, "Say much, slowly."), unit: "chunk",
		streams: 1000, every: 200 * time.Millisecond, against: bare, aim: 1.3, memory: 1.4, sandbox: 0.1,
	},
	{
		name: "many", what: "5,000 streams, a chunk every second", plugin: "openrouter", path: "/sse/0/1s",
		body: chatBody("many", true, "Say much, slowly."), unit: "chunk",
		streams: 5000, every: time.Second, against: bare, aim: 1.3, memory: 1.4,
	},
	{
		name: "ollama", what: "4 streams of 2,000 lines of Ollama", plugin: "ollama", path: "/ndjson/2000/0s",
		body: chatBody("ollama", true, "Say much."), unit: "chunk", units: 2000,
		workers: 4, against: translator, aim: 1.5,
	},
	{
		name: "ollama-slow", what: "500 streams of Ollama, a line every 200 ms", plugin: "ollama", path: "/ndjson/0/200ms",
		body: chatBody("ollama-slow", true, "Say much, slowly."), unit: "chunk",
		streams: 500, every: 200 * time.Millisecond, against: translator, aim: 1.5,
	},
}

// sections returns the names of everything that -only can choose.
func sections() []string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return append(names, "latency", "beside", "start", "swap", "load", "idle")
}

// chatBody makes a request as OpenAI's SDK writes it.
func chatBody(model string, stream bool, contents ...string) []byte {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	messages := []message{{"system", "You are a helpful assistant."}}
	for i, c := range contents {
		messages = append(messages, message{[]string{"user", "assistant"}[i%2], c})
	}
	body, err := json.Marshal(struct {
		Messages    []message `json:"messages"`
		Model       string    `json:"model"`
		MaxTokens   int       `json:"max_tokens"`
		Stream      bool      `json:"stream"`
		Temperature float64   `json:"temperature"`
	}{messages, model, 150, stream, 0.7})
	if err != nil {
		panic(err)
	}
	return body
}

// longTalk returns a conversation of 200 KB in 41 messages, with quotes and line ends as in
// prose and code.
func longTalk() []string {
	line := "The gateway reads \"each\" event, hands it to the adapter, and says when it is done.\n"
	talk := make([]string, 41)
	for i := range talk {
		talk[i] = strings.Repeat(line, 200_000/41/len(line))
	}
	return talk
}

// request returns what a client sends to a server in the scenario.
func (s *scenario) request(server, addr string) []byte {
	path := "/v1/chat/completions"
	switch server {
	case bare:
		path = s.path + "/chat/completions"
	case translator:
		path = s.path + path
	}
	return newRequest(addr, path, s.body)
}

// end returns what a right answer has near its end.
func (s *scenario) end() []byte {
	if s.unit == "request" {
		return []byte(`"total_tokens":19`)
	}
	return []byte("data: [DONE]\n\n")
}

// writeConfig writes a configuration in which every scenario is a model.
func writeConfig(file, upstream string) error {
	var b strings.Builder
	b.WriteString("providers:\n")
	for _, s := range scenarios {
		fmt.Fprintf(&b, "  %s: {plugin: %s, base_url: \"http://%s%s\", api_key: %q}\n", s.name, s.plugin, upstream, s.path, "bench")
	}
	fmt.Fprintf(&b, "  soak: {plugin: openrouter, base_url: \"http://%s%s\", api_key: bench}\n", upstream, soakPath)
	b.WriteString("model_mapping:\n")
	for _, s := range scenarios {
		fmt.Fprintf(&b, "  %s: {provider: %s, model: openai/gpt-4o-mini}\n", s.name, s.name)
	}
	b.WriteString("  soak: {provider: soak, model: openai/gpt-4o-mini}\n")
	return os.WriteFile(file, []byte(b.String()), 0o600)
}
