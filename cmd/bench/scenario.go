package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// The servers that take turns.
const (
	bare       = "proxy"      // httputil.ReverseProxy
	linked     = "linked"     // Kai with its adapters linked
	chat       = "chat"       // Kai as it ships, asked for the same in a chat completion
	translated = "translated" // Kai as it ships, asked for the same of a provider that doesn't speak the client's API
	kai        = "kai"        // Kai as it ships
	translator = "translator" // encoding/json
)

// scenario is a load and what it may cost.
type scenario struct {
	name   string // also the model that clients ask for
	what   string // for people
	plugin string // the adapter that serves it
	path   string // the path of the upstream's API, which says how it answers
	api    string // the path of Kai's API that clients speak; "": chat completions
	body   []byte // in that API
	plain  []byte // of a scenario against chat: the same in a chat completion; against translated: to the other model
	other  string // of a scenario against translated: the path of the other provider's API
	chats  string // and the adapter that serves that; "": plugin
	unit   string // what the processor time is divided by: "request" or "chunk"
	units  int    // how many units an answer has

	workers int           // how many requests are under way at any time; 0: the load is streams
	streams int           // how many answers go on all the time
	every   time.Duration // the time between two chunks of a stream

	against string        // the server that Kai is compared with
	aim     float64       // how many times that server's processor time Kai may take
	memory  float64       // how many times that server's memory per stream Kai may take; 0: no aim
	within  time.Duration // how long an answer may take; 0: no aim
	sandbox float64       // the share of Kai's processor time that the sandbox may take; 0: no aim
}

var scenarios = []scenario{
	{
		name: "small", what: "8 clients, one small request after the other", plugin: "openrouter", path: "/whole",
		body: chatBody("small", false, "What does a gateway do?"), unit: "request", units: 1,
		workers: 8, against: bare, aim: 1.6,
	},
	{
		name: "small64", what: "the same with 64 clients", plugin: "openrouter", path: "/whole",
		body: chatBody("small64", false, "What does a gateway do?"), unit: "request", units: 1,
		workers: 64, against: bare, aim: 1.3,
	},
	{
		name: "large", what: "8 clients, requests of 200 KB", plugin: "openrouter", path: "/whole",
		body: chatBody("large", false, longTalk()...), unit: "request", units: 1,
		workers: 8, against: bare, aim: 1.2,
	},
	{
		name: "burst", what: "16 streams of 100 chunks, each written as soon as possible", plugin: "openrouter", path: "/sse/100/0s",
		body: chatBody("burst", true, "Say something."), unit: "chunk", units: 100,
		workers: 16, against: bare, aim: 2.4, sandbox: 0.4,
	},
	{
		name: "long", what: "4 streams of 2,000 chunks", plugin: "openrouter", path: "/sse/2000/0s",
		body: chatBody("long", true, "Say much."), unit: "chunk", units: 2000,
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
		streams: 1000, every: 200 * time.Millisecond, against: bare, aim: 1.45, memory: 0.95, sandbox: 0.1,
	},
	{
		name: "many", what: "5,000 streams, a chunk every second", plugin: "openrouter", path: "/sse/0/1s",
		body: chatBody("many", true, "Say much, slowly."), unit: "chunk",
		streams: 5000, every: time.Second, against: bare, aim: 1.45, memory: 0.95,
	},
	{
		name: "ollama", what: "16 streams of 100 lines of Ollama", plugin: "ollama", path: "/ndjson/100/0s",
		body: chatBody("ollama", true, "Say something."), unit: "chunk", units: 100,
		workers: 16, against: translator, aim: 1,
	},
	{
		name: "ollama-slow", what: "500 streams of Ollama, a line every 200 ms", plugin: "ollama", path: "/ndjson/0/200ms",
		body: chatBody("ollama-slow", true, "Say much, slowly."), unit: "chunk",
		streams: 500, every: 200 * time.Millisecond, against: translator, aim: 1.5,
	},
	{
		name: "embeddings", what: "2,048 vectors of 1,024 numbers of Ollama, as base64", plugin: "ollama", path: vectorsPath,
		api: embeddingsPath, body: embeddingsBody("embeddings"), unit: "request", units: 1,
		workers: 1, against: translator, aim: 2, within: time.Second,
	},
	{
		name: "responses", what: "long, through the Responses API", plugin: "openrouter", path: "/sse/2000/0s",
		api: responsesPath, body: responsesBody("responses", true, "Say much."), plain: chatBody("responses", true, "Say much."),
		unit: "chunk", units: 2000, workers: 4, against: chat, aim: 1.6,
	},
	{
		name: "messages", what: "long, through the Messages API", plugin: "openrouter", path: "/sse/2000/0s",
		api: messagesPath, body: messagesBody("messages", true, "Say much."), plain: chatBody("messages", true, "Say much."),
		unit: "chunk", units: 2000, workers: 4, against: chat, aim: 1.2,
	},
	native("native", "burst, through the Responses API to a provider that speaks it", responsesPath, 100, 16),
	native("native-messages", "the same through the Messages API", messagesPath, 100, 16),
	native("native-long", "long in the same way, through the Responses API", responsesPath, 2000, 4),
	native("native-messages-long", "long in the same way, through the Messages API", messagesPath, 2000, 4),
	{
		name: "responses-large", what: "large, through the Responses API", plugin: "openrouter", path: "/whole",
		api: responsesPath, body: responsesBody("responses-large", false, longTalk()...), plain: chatBody("responses-large", false, longTalk()...),
		unit: "request", units: 1, workers: 8, against: chat, aim: 1.3,
	},
	{
		name: "messages-large", what: "large, through the Messages API", plugin: "openrouter", path: "/whole",
		api: messagesPath, body: messagesBody("messages-large", false, longTalk()...), plain: chatBody("messages-large", false, longTalk()...),
		unit: "request", units: 1, workers: 8, against: chat, aim: 1.3,
	},
}

// native returns a scenario of streams that pass as the provider writes them, against the same
// with a provider whose chunks are translated.
func native(name, what, api string, chunks, workers int) scenario {
	s := scenario{
		name: name, what: what, plugin: "openai", path: fmt.Sprintf("/own/%d/0s", chunks), other: fmt.Sprintf("/sse/%d/0s", chunks),
		api: api, unit: "chunk", units: chunks, workers: workers, against: translated, aim: 0.8,
	}
	body := responsesBody
	if api == messagesPath {
		body, s.plugin, s.chats, s.path = messagesBody, "anthropic", "openai", fmt.Sprintf("/claude/%d/0s", chunks)
	}
	s.body, s.plain = body(name, true, "Say much."), body(name+"-"+translated, true, "Say much.")
	return s
}

// The paths of the APIs beside chat completions.
const (
	responsesPath = "/v1/responses"
	messagesPath  = "/v1/messages"

	embeddingsPath = "/v1/embeddings"
)

// sections returns the names of everything that -only can choose.
func sections() []string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return append(names, "latency", "beside", "start", "swap", "load", "idle", "upload")
}

const systemPrompt = "You are a helpful assistant."

// turn is one message of a conversation, as all APIs have it.
type turn struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// turns makes a conversation of what the user and the assistant say in turn.
func turns(contents []string) []turn {
	all := make([]turn, len(contents))
	for i, c := range contents {
		all[i] = turn{[]string{"user", "assistant"}[i%2], c}
	}
	return all
}

// chatBody makes a request as OpenAI's SDK writes it.
func chatBody(model string, stream bool, contents ...string) []byte {
	return mustJSON(struct {
		Messages    []turn  `json:"messages"`
		Model       string  `json:"model"`
		MaxTokens   int     `json:"max_tokens"`
		Stream      bool    `json:"stream"`
		Temperature float64 `json:"temperature"`
	}{append([]turn{{"system", systemPrompt}}, turns(contents)...), model, 150, stream, 0.7})
}

// responsesBody makes the same request of the Responses API. Like those of Codex it asks
// for nothing to be remembered.
func responsesBody(model string, stream bool, contents ...string) []byte {
	return mustJSON(struct {
		Input        []turn  `json:"input"`
		Instructions string  `json:"instructions"`
		Model        string  `json:"model"`
		MaxTokens    int     `json:"max_output_tokens"`
		Store        bool    `json:"store"`
		Stream       bool    `json:"stream"`
		Temperature  float64 `json:"temperature"`
	}{turns(contents), systemPrompt, model, 150, false, stream, 0.7})
}

// messagesBody makes the same request of the Messages API.
func messagesBody(model string, stream bool, contents ...string) []byte {
	return mustJSON(struct {
		MaxTokens   int     `json:"max_tokens"`
		Messages    []turn  `json:"messages"`
		Model       string  `json:"model"`
		System      string  `json:"system"`
		Stream      bool    `json:"stream"`
		Temperature float64 `json:"temperature"`
	}{150, turns(contents), model, systemPrompt, stream, 0.7})
}

// embeddingsBody asks for a vector of each of many texts, as OpenAI's SDK does.
func embeddingsBody(model string) []byte {
	return mustJSON(struct {
		Input  []string `json:"input"`
		Model  string   `json:"model"`
		Format string   `json:"encoding_format"`
	}{slices.Repeat([]string{"What does a gateway do?"}, manyVectors), model, "base64"})
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
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

// chatPath is where Kai serves chat completions.
const chatPath = "/v1/chat/completions"

// request returns what a client sends to a server in the scenario.
func (s *scenario) request(server, addr string) []byte {
	path, body := cmp.Or(s.api, chatPath), s.body
	switch server {
	case bare:
		path = s.path + "/chat/completions"
	case translator:
		path = s.path + path
	case chat:
		path, body = chatPath, s.plain
	case translated:
		body = s.plain
	}
	return newRequest(addr, path, body)
}

// end returns what a right answer of a server has near its end.
func (s *scenario) end(server string) []byte {
	api := s.api
	if server == chat {
		api = ""
	}
	switch {
	case api == embeddingsPath:
		return []byte(`"total_tokens":2048`)
	case api == messagesPath && s.unit == "request":
		return []byte(`"output_tokens":10`)
	case api == messagesPath:
		return []byte("event: message_stop\n")
	case s.unit == "request":
		return []byte(`"total_tokens":19`)
	case api == responsesPath:
		return []byte(`"total_tokens":2015`)
	}
	return []byte("data: [DONE]\n\n")
}

// writeConfig writes a configuration in which every scenario is a model.
func writeConfig(file, upstream string) error {
	var providers, models strings.Builder
	add := func(name, plugin, path, more string) {
		fmt.Fprintf(&providers, "  %s: {plugin: %s, base_url: \"http://%s%s\", api_key: %q%s}\n", name, plugin, upstream, path, "bench", more)
		fmt.Fprintf(&models, "  %s: {provider: %s, model: openai/gpt-4o-mini}\n", name, name)
	}
	for _, s := range scenarios {
		if s.against == translated {
			add(s.name, s.plugin, s.path, ", native: true")
			add(s.name+"-"+translated, cmp.Or(s.chats, s.plugin), s.other, ", native: false")
			continue
		}
		add(s.name, s.plugin, s.path, "")
	}
	fmt.Fprintf(&providers, "  upload: {plugin: openai, base_url: \"http://%s%s\", api_key: bench}\n", upstream, uploadPath)
	models.WriteString("  upload: {provider: upload, model: whisper-1}\n")
	return os.WriteFile(file, []byte("providers:\n"+providers.String()+"model_mapping:\n"+models.String()), 0o600)
}
