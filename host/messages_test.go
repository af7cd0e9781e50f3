package host_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// messagesUpstream is a server of OpenAI's dialect, of Anthropic's and of Ollama's, whose
// next answer a test says.
type messagesUpstream struct{ *mock.Upstream }

// json answers with a status and a JSON body.
func (u messagesUpstream) json(status int, body string) {
	u.Answer(mock.Whole(status, "application/json", body))
}

// events answers with server-sent events of these data.
func (u messagesUpstream) events(data ...string) {
	u.Answer(mock.SSE("data: " + strings.Join(data, "\n\ndata: ") + "\n\n"))
}

const (
	wholeChat  = `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1}}`
	chatHi     = `{"choices":[{"index":0,"delta":{"content":"Hi"}}]}`
	chatFinish = `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1}}`
	askHi      = `{"model":"fast","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}`
	askStream  = `{"model":"fast","max_tokens":50,"stream":true,"messages":[{"role":"user","content":"hi"}]}`
)

// messagesGateway serves models of three providers with keys a and b, to Anthropic's
// clients too.
func messagesGateway(t *testing.T, server string) (*gateway, messagesUpstream) {
	t.Helper()
	u := messagesUpstream{mock.Start(t, nil)}
	return newGateway(t, fmt.Sprintf(`
server: %s
auth: {enabled: true, api_keys: [{name: a, key: key-a}, {name: b, key: key-b}]}
cors: {enabled: true, allow_origins: ["*"]}
providers:
  up: {plugin: openai, base_url: %[2]q, api_key: "${UNSET:-}"}
  counting: {plugin: openai, base_url: %[2]q, api_key: "${UNSET:-}", options: {count_tokens: llama.cpp}}
  claude: {plugin: anthropic, base_url: %[2]q, api_key: sk-upstream}
  ollama: {base_url: %[2]q}
model_mapping:
  fast: {provider: up, model: m}
  counted: {provider: counting, model: m}
  claude: {provider: claude, model: claude-opus-4-8}
  translated: {provider: claude, model: claude-opus-4-8, native: false, hidden: true}
  local: {provider: ollama, model: m}
`, server, u.URL)), u
}

// anthropic sends a request as Anthropic's clients do. headers are pairs.
func (g *gateway) anthropic(t *testing.T, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, g.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("anthropic-version", "2023-06-01")
	r.Header.Set("x-api-key", "key-a")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if id := res.Header.Get("request-id"); !strings.HasPrefix(id, "req_") || id != res.Header.Get("x-request-id") {
		t.Errorf("%s %s: request-id is %q, x-request-id %q", method, path, id, res.Header.Get("x-request-id"))
	}
	return res, string(b)
}

func TestMessages(t *testing.T) {
	g, u := messagesGateway(t, "{}")
	for name, tc := range map[string]struct {
		path, body string // default: /v1/messages, askHi
		headers    []string
		upstream   func()
		status     int
		want       []string // parts of the answer, in order
		header     string   // "name: value" of the answer
	}{
		"an answer": {
			upstream: func() { u.json(200, wholeChat) }, status: 200, header: "Content-Type: application/json",
			want: []string{`{"id":"msg_`, `","type":"message","role":"assistant","model":"fast","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,` +
				`"usage":{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}`},
		},
		"a stream": {
			body: askStream, upstream: func() { u.events(chatHi, chatFinish, "[DONE]") }, status: 200, header: "Content-Type: text/event-stream",
			want: []string{"event: message_start\n", `"text_delta","text":"Hi"`, "event: content_block_stop\n", `"stop_reason":"end_turn"`, `"input_tokens":5`, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"},
		},
		"a query and a beta": {path: "/v1/messages?beta=true", headers: []string{"anthropic-beta", "claude-code-20250219,zig-2026-11-01"}, upstream: func() { u.json(200, wholeChat) }, status: 200, want: []string{`"Hi"`}},
		"no version":         {headers: []string{"anthropic-version", ""}, upstream: func() { u.json(200, wholeChat) }, status: 200, want: []string{`"Hi"`}},
		"the newer version":  {headers: []string{"anthropic-version", "2026-10-21"}, upstream: func() { u.json(200, wholeChat) }, status: 200, want: []string{`"Hi"`}},

		"a Bearer":                       {headers: []string{"x-api-key", "", "Authorization", "Bearer key-b"}, upstream: func() { u.json(200, wholeChat) }, status: 200, want: []string{`"Hi"`}},
		"both keys, the first is wrong":  {headers: []string{"Authorization", "Bearer no"}, upstream: func() { u.json(200, wholeChat) }, status: 200, want: []string{`"Hi"`}},
		"both keys, the second is wrong": {headers: []string{"x-api-key", "no", "Authorization", "Bearer key-b"}, upstream: func() { u.json(200, wholeChat) }, status: 200, want: []string{`"Hi"`}},
		"both keys are wrong":            {headers: []string{"x-api-key", "no", "Authorization", "Bearer no"}, status: 401, header: "X-Should-Retry: false", want: []string{`{"type":"error","error":{"type":"authentication_error","message":"The API key is not one of`, `"request_id":"req_`}},
		"no key":                         {headers: []string{"x-api-key", ""}, status: 401, header: "Www-Authenticate: Bearer", want: []string{`{"type":"error","error":{"type":"authentication_error","message":"No API key was sent. Send one in the header 'x-api-key: <key>'`}},

		"an unknown model":       {body: strings.Replace(askHi, "fast", "nope", 1), status: 404, header: "X-Should-Retry: false", want: []string{`{"type":"error","error":{"type":"not_found_error","message":"Model 'nope' not found in configuration`}},
		"an upstream's limit":    {body: askStream, upstream: func() { u.json(429, `{"error":{"message":"slow"}}`) }, status: 429, want: []string{`{"type":"error","error":{"type":"rate_limit_error","message":"`}},
		"an overloaded upstream": {body: strings.Replace(askHi, "fast", "claude", 1), upstream: func() { u.json(529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`) }, status: 529, want: []string{`{"type":"error","error":{"type":"overloaded_error","message":"`}},
		"a context that is too small": {
			upstream: func() {
				u.json(400, `{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 10000 tokens.","code":"context_length_exceeded"}}`)
			},
			status: 400, want: []string{`{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 10000 tokens > 8192 maximum. `},
		},
		"an upstream that breaks off": {
			body: askStream, upstream: func() { u.events(chatHi) }, status: 200,
			want: []string{`"text_delta","text":"Hi"`, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"", `},"request_id":"req_`, "\"}\n\n"},
		},
		"an upstream that fails in the middle": {
			body: askStream, upstream: func() { u.events(chatHi, `{"error":{"message":"boom"}}`) }, status: 200,
			want: []string{`"text_delta","text":"Hi"`, "event: error\ndata: ", `boom`},
		},

		"a count by Anthropic": {
			path: "/v1/messages/count_tokens", body: `{"model":"claude","messages":[{"role":"user","content":"foo"}]}`,
			upstream: func() { u.json(200, `{"input_tokens":7}`) }, status: 200, want: []string{`{"input_tokens":7}`},
		},
		"a count by llama.cpp": {
			path: "/v1/messages/count_tokens?beta=true", body: `{"model":"counted","stream":true,"messages":[{"role":"user","content":"foo"}]}`,
			upstream: func() { u.json(200, `{"object":"response.input_tokens","input_tokens":9}`) }, status: 200, want: []string{`{"input_tokens":9}`},
		},
		"a count by nobody": {
			path: "/v1/messages/count_tokens", body: `{"model":"local","messages":[{"role":"user","content":"foo"}]}`, status: 404, header: "X-Should-Retry: false",
			want: []string{`{"type":"error","error":{"type":"not_found_error","message":"Provider 'ollama' cannot count tokens. The usage of its answers says what they took."}`},
		},
		"a count without the option": {
			path: "/v1/messages/count_tokens", body: `{"model":"fast","messages":[{"role":"user","content":"foo"}]}`, status: 404,
			want: []string{`"message":"Provider 'up' cannot count tokens.`},
		},
		"batches":   {path: "/v1/messages/batches", status: 404, want: []string{`{"type":"error","error":{"type":"not_found_error","message":"There is no POST /v1/messages/batches here.`}},
		"files":     {path: "/v1/files", status: 404, want: []string{`{"type":"error","error":{"type":"not_found_error"`}},
		"/v1 twice": {path: "/v1/v1/messages", status: 404, want: []string{`{"type":"error","error":{"type":"not_found_error","message":"There is no POST /v1/v1/messages here. The client adds /v1 to its base URL by itself`}},
		"no JSON":   {body: "{", status: 400, want: []string{`{"type":"error","error":{"type":"invalid_request_error","message":"`}},
		"no type":   {headers: []string{"Content-Type", "text/plain"}, status: 415, want: []string{`{"type":"error","error":{"type":"invalid_request_error","message":"`}},
	} {
		t.Run(name, func(t *testing.T) {
			u.Forget()
			u.json(500, `{"error":{"message":"not expected"}}`)
			if tc.upstream != nil {
				tc.upstream()
			}
			path, body := tc.path, tc.body
			if path == "" {
				path = "/v1/messages"
			}
			if body == "" {
				body = askHi
			}
			res, answer := g.anthropic(t, "POST", path, body, tc.headers...)
			if res.StatusCode != tc.status {
				t.Errorf("status %d, want %d", res.StatusCode, tc.status)
			}
			rest := answer
			for _, part := range tc.want {
				_, after, found := strings.Cut(rest, part)
				if !found {
					t.Errorf("%q is not among the rest of\n%s", part, answer)
				}
				rest = after
			}
			if strings.Contains(answer, "event: error") && strings.Contains(answer, "message_stop") {
				t.Errorf("the stream fails and succeeds:\n%s", answer)
			}
			if name, value, ok := strings.Cut(tc.header, ": "); ok && res.Header.Get(name) != value {
				t.Errorf("%s is %q, want %q", name, res.Header.Get(name), value)
			}
			if asked := u.Requests(); tc.upstream == nil && len(asked) > 0 {
				t.Errorf("the upstream was asked %v", asked)
			}
		})
	}
}

// TestMessagesPingBeforeTheFirstToken: a client that waits long gets a ping, and what comes
// after it is as if there had been none.
func TestMessagesPingBeforeTheFirstToken(t *testing.T) {
	g, u := messagesGateway(t, "{stream_head_wait: 10ms}")
	goOn := make(chan struct{})
	u.Answer(mock.Steps(mock.SSE(), mock.Wait(goOn), mock.Send("data: "+chatHi+"\n\ndata: "+chatFinish+"\n\ndata: [DONE]\n\n")))
	r, err := http.NewRequestWithContext(t.Context(), "POST", g.URL+"/v1/messages", strings.NewReader(askStream))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("x-api-key", "key-a")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	first, err := lines.ReadString('\n')
	close(goOn)
	if res.StatusCode != 200 || first != "event: ping\n" || err != nil {
		t.Errorf("status %d, the stream begins with %q, %v", res.StatusCode, first, err)
	}
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.HasPrefix(string(rest), "data: {\"type\":\"ping\"}\n\nevent: message_start\n") || !strings.HasSuffix(string(rest), "data: {\"type\":\"message_stop\"}\n\n") {
		t.Errorf("%v, then comes\n%s", err, rest)
	}
}

// TestModelsForEachClient: the list says what each model can do, in the client's shape.
func TestModelsForEachClient(t *testing.T) {
	g, _ := messagesGateway(t, "{}")
	type model struct {
		ID           string
		Type, Object string
		Operations   []string
		Capabilities []string
	}
	for _, version := range []string{"2023-06-01", ""} {
		res, body := g.anthropicOrNot(t, "/v1/models?limit=1000", version)
		var list struct {
			Data    []model
			Object  string
			FirstID *string `json:"first_id"`
			HasMore *bool   `json:"has_more"`
		}
		if err := json.Unmarshal([]byte(body), &list); err != nil || res.StatusCode != 200 || len(list.Data) != 4 {
			t.Fatalf("%v, status %d: %s", err, res.StatusCode, body)
		}
		anthropic := version != ""
		if (list.Object == "list") == anthropic || (list.HasMore != nil) != anthropic || (list.FirstID != nil) != anthropic {
			t.Errorf("with version %q the list is %s", version, body)
		}
		for i, operations := range []string{"chat completions embeddings moderations rerank images speech transcriptions", "chat completions embeddings moderations rerank images speech transcriptions count", "chat count messages", "chat completions embeddings"} {
			m := list.Data[i]
			if got := strings.Join(m.Operations, " "); got != operations || len(m.Capabilities) == 0 {
				t.Errorf("%s can do %q and is %v, want %q", m.ID, got, m.Capabilities, operations)
			}
			if (m.Type == "model") != anthropic || (m.Object == "model") == anthropic {
				t.Errorf("with version %q a model is %+v", version, m)
			}
		}
		if res, body := g.anthropicOrNot(t, "/v1/models/fast", version); res.StatusCode != 200 || strings.Contains(body, `"display_name":"fast"`) != anthropic {
			t.Errorf("with version %q a model is %s", version, body)
		}
		if res, body := g.anthropicOrNot(t, "/v1/models/nope", version); res.StatusCode != 404 || strings.Contains(body, `"type":"error"`) != anthropic {
			t.Errorf("with version %q no model is %s", version, body)
		}
	}
}

// anthropicOrNot gets a path with a version of Anthropic's API, or as OpenAI's clients do.
func (g *gateway) anthropicOrNot(t *testing.T, path, version string) (*http.Response, string) {
	t.Helper()
	if version != "" {
		return g.anthropic(t, "GET", path, "")
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", g.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer key-a")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// TestProbesOfClaudeCode need no key.
func TestProbesOfClaudeCode(t *testing.T) {
	g, _ := messagesGateway(t, "{}")
	for _, path := range []string{"/", "/api/hello"} {
		res, err := http.Head(g.URL + path)
		if err != nil || res.StatusCode != 200 {
			t.Errorf("HEAD %s: %v, %v", path, res, err)
		}
		res.Body.Close()
	}
}

// TestMessagesFromABrowser: a page may send what Anthropic's SDK sends.
func TestMessagesFromABrowser(t *testing.T) {
	g, _ := messagesGateway(t, "{}")
	const asked = "anthropic-beta, anthropic-dangerous-direct-browser-access, anthropic-version, content-type, x-api-key, x-stainless-lang"
	r, err := http.NewRequestWithContext(t.Context(), "OPTIONS", g.URL+"/v1/messages", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://app.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	r.Header.Set("Access-Control-Request-Headers", asked)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 204 || res.Header.Get("Access-Control-Allow-Headers") != asked || res.Header.Get("Access-Control-Allow-Methods") != "POST" {
		t.Errorf("status %d, %v", res.StatusCode, res.Header)
	}
	res, _ = g.anthropic(t, "POST", "/v1/messages", "{", "Origin", "https://app.example")
	if exposed := res.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(exposed, ", request-id") {
		t.Errorf("the page may read %q", exposed)
	}
}

// TestRecordedConversationsWithDemo sends what Claude Code, Anthropic's SDKs and the AI SDK
// sent to the model that every gateway has.
func TestRecordedConversationsWithDemo(t *testing.T) {
	g := newGateway(t, "model_mapping: {demo: {provider: demo, model: demo}}")
	files, err := filepath.Glob("dialect/messages/testdata/requests/*.json")
	if err != nil || len(files) < 30 {
		t.Fatalf("there are %d recordings: %v", len(files), err)
	}
	answered := 0
	for _, file := range files {
		recorded, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]json.RawMessage
		if err := json.Unmarshal(recorded, &body); err != nil {
			t.Fatal(err)
		}
		body["model"] = json.RawMessage(`"demo"`)
		path, want := "/v1/messages?beta=true", 200
		switch name := filepath.Base(file); {
		case strings.HasPrefix(name, "count-"):
			path = "/v1/messages/count_tokens?beta=true"
		case bytes.Contains(body["tools"], []byte("web_search_20250305")):
			want = 400
		}
		for _, stream := range []string{"true", "false"} {
			body["stream"] = json.RawMessage(stream)
			asked, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			res, answer := g.postTo(t, path, "", string(asked))
			if res.StatusCode != want {
				t.Errorf("%s: status %d, want %d: %.500s", file, res.StatusCode, want, answer)
				continue
			}
			switch {
			case want != 200:
				if !strings.HasPrefix(answer, `{"type":"error","error":{"type":"`) {
					t.Errorf("%s: the refusal is %s", file, answer)
				}
			case strings.HasPrefix(answer, `{"input_tokens":`) && strings.Contains(path, "count_tokens"):
			case stream == "true" && !clientAPIs[1].succeeded(answer), stream == "false" && !strings.HasPrefix(answer, `{"id":"msg_`):
				t.Errorf("%s: the answer is %.500s", file, answer)
			default:
				answered++
			}
		}
	}
	if answered < 50 {
		t.Errorf("only %d answers came", answered)
	}
}
