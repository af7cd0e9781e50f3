package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/schema"
)

const completion = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"granite-local",` +
	`"choices":[{"index":0,"message":{"role":"assistant","content":"Hello!","refusal":null},"logprobs":null,"finish_reason":"stop"}],` +
	`"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`

const stream = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"granite-local","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello!"},"logprobs":null,"finish_reason":null}],"usage":null}

: keep-alive

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"granite-local","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"granite-local","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}

data: {"error":{"message":"late","type":"server_error","param":null,"code":"upstream_error"}}

data: [DONE]

`

// chatByModel fails the way the request's model says: "403 model_not_allowed"
// is an answer with that status and code.
func chatByModel(_ context.Context, x *api.Exchange) error {
	body, err := x.Body()
	if err != nil {
		return err
	}
	var request struct {
		Model  string
		Stream bool
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return &fault.Error{Kind: fault.Invalid, Text: "The request's body is not JSON.", Cause: err}
	}
	var status int
	var code string
	if n, _ := fmt.Sscanf(request.Model, "%d %s", &status, &code); n > 0 {
		e := &fault.Error{Kind: fault.FromAdapter(status, code), Status: status, Code: code, Text: "as asked"}
		if status == 429 || status >= 500 {
			e.RetryAfter = 1500 * time.Millisecond
		}
		return e
	}
	if request.Model == "panic" {
		panic("as asked")
	}
	if !request.Stream {
		return x.JSON(200, []byte(completion))
	}
	x.Writer.Header().Set("Content-Type", "text/event-stream")
	_, err = io.WriteString(x.Writer, stream)
	return err
}

// TestEveryDocumentedAnswer produces every answer of openapi.yaml and holds it
// against the document.
func TestEveryDocumentedAnswer(t *testing.T) {
	doc := loadDocument(t)
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.FileBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.FileBodyDecoder)
	t.Cleanup(func() {
		openapi3filter.UnregisterBodyDecoder("text/html")
		openapi3filter.UnregisterBodyDecoder("text/event-stream")
	})

	unhealthy := false
	g := newServer(t, api.Options{
		Routes:  chatBy(chatByModel),
		MaxBody: 1 << 10, ReadTimeout: time.Second,
		OpenAPI: []byte(`{}`),
		Authenticate: func(r *http.Request, _ *dialect.Dialect) (context.Context, string, error) {
			if r.Header.Get("Authorization") == "Bearer wrong" {
				return nil, "", &fault.Error{Kind: fault.Unauthenticated, Code: "invalid_api_key", Text: "wrong key"}
			}
			return r.Context(), "", nil
		},
		Health: func() api.Health {
			h := api.Health{Status: api.Healthy, Services: []api.Service{
				{Key: "config", Name: "configuration", Status: "healthy", Message: "Configuration loaded successfully"},
				{Key: "provider:ollama", Name: "ollama", Status: "unknown", Message: "not asked yet"},
			}}
			if unhealthy {
				h.Status = api.Unhealthy
			}
			return h
		},
		Ready: func() bool { return !unhealthy },
	})

	ask := func(model string) string {
		return `{"model":"` + model + `","messages":[{"role":"user","content":"Hello!"}]}`
	}
	type request struct {
		method, path, body string
		headers            []string
		route              string // the document's path; default: path
		invalid            bool   // the document allows no such request
		before             func()
	}
	chat := func(body string, headers ...string) request {
		return request{method: "POST", path: "/v1/chat/completions", body: body, headers: append([]string{"Content-Type", "application/json"}, headers...)}
	}
	wrongKey := []string{"Authorization", "Bearer wrong"}
	otherPage := []string{"Origin", "https://example.com"}
	broken := chat("{")
	broken.invalid = true
	large := chat(ask(strings.Repeat("x", 2000)))
	text := chat(ask("x"))
	text.headers, text.invalid = []string{"Content-Type", "text/plain"}, true
	slow := chat(ask("x"))
	slow.body = "" // sent by hand, see below

	answers := map[string]request{
		"POST /v1/chat/completions 200 application/json":  chat(ask("granite-local")),
		"POST /v1/chat/completions 200 text/event-stream": chat(strings.Replace(ask("granite-local"), "{", `{"stream":true,`, 1)),
		"POST /v1/chat/completions 400 application/json":  broken,
		"POST /v1/chat/completions 401 application/json":  chat(ask("x"), wrongKey...),
		"POST /v1/chat/completions 403 application/json":  chat(ask("403 model_not_allowed")),
		"POST /v1/chat/completions 404 application/json":  chat(ask("404 model_not_found")),
		"POST /v1/chat/completions 408 application/json":  slow,
		"POST /v1/chat/completions 413 application/json":  large,
		"POST /v1/chat/completions 415 application/json":  text,
		"POST /v1/chat/completions 429 application/json":  chat(ask("429")),
		"POST /v1/chat/completions 500 application/json":  chat(ask("panic")),
		"POST /v1/chat/completions 502 application/json":  chat(ask("502 upstream_error")),
		"POST /v1/chat/completions 503 application/json":  chat(ask("503 provider_not_configured")),
		"POST /v1/chat/completions 504 application/json":  chat(ask("504 upstream_timeout")),
		"GET /v1/models 200 application/json":             {path: "/v1/models"},
		"GET /v1/models 401 application/json":             {path: "/v1/models", headers: wrongKey},
		"GET /v1/models 403 application/json":             {path: "/v1/models", headers: otherPage},
		"GET /v1/models/{id} 403 application/json":        {path: "/v1/models/x", route: "/v1/models/{id}", headers: otherPage},
		"GET /v1/models/{id} 200 application/json":        {path: "/v1/models/anthropic%2Fclaude", route: "/v1/models/{id}"},
		"GET /v1/models/{id} 401 application/json":        {path: "/v1/models/x", route: "/v1/models/{id}", headers: wrongKey},
		"GET /v1/models/{id} 404 application/json":        {path: "/v1/models/x", route: "/v1/models/{id}"},
		"GET /health 200 application/json":                {path: "/health"},
		"GET /health 503 application/json":                {path: "/health", before: func() { unhealthy = true }},
		"GET /livez 200 application/json":                 {path: "/livez"},
		"GET /readyz 200 application/json":                {path: "/readyz"},
		"GET /readyz 503 application/json":                {path: "/readyz", before: func() { unhealthy = true }},
		"GET / 200 application/json":                      {path: "/"},
		"GET / 200 text/html":                             {path: "/", headers: []string{"Accept", "text/html"}},
		"GET /docs 200 text/html":                         {path: "/docs"},
		"GET /openapi.json 200 application/json":          {path: "/openapi.json"},
	}

	// Both ways: nothing documented may be missing here, and nothing here may
	// be undocumented.
	documented := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				for contentType := range response.Value.Content {
					name := fmt.Sprintf("%s %s %s %s", method, path, status, contentType)
					documented[name] = true
					if _, ok := answers[name]; !ok {
						t.Errorf("no test produces the documented answer %q", name)
					}
				}
			}
		}
	}

	for name, tc := range answers {
		t.Run(name, func(t *testing.T) {
			if !documented[name] {
				t.Fatalf("openapi.yaml does not document %q", name)
			}
			unhealthy = false
			if tc.before != nil {
				tc.before()
			}
			if tc.method == "" {
				tc.method = "GET"
			}
			if tc.route == "" {
				tc.route = tc.path
			}
			r, err := http.NewRequest(tc.method, g.url+tc.path, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(tc.headers); i += 2 {
				r.Header.Set(tc.headers[i], tc.headers[i+1])
			}
			if strings.Contains(name, " 408 ") {
				pr, pw := io.Pipe()
				defer pw.Close()
				r.Body, r.ContentLength = pr, -1
			}
			var answer *http.Response
			if answer, err = g.client.Do(r); err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			contentType, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
			if got := fmt.Sprintf("%s %s %d %s", tc.method, tc.route, answer.StatusCode, contentType); got != name {
				t.Fatalf("got the answer %q, want %q\n%s", got, name, body)
			}

			item := doc.Paths.Value(tc.route)
			input := &openapi3filter.RequestValidationInput{
				Request:    r,
				PathParams: map[string]string{"id": strings.TrimPrefix(tc.path, "/v1/models/")},
				Route:      &routers.Route{Spec: doc, Path: tc.route, PathItem: item, Method: tc.method, Operation: item.GetOperation(tc.method)},
				Options:    &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
			}
			if !tc.invalid && !strings.Contains(name, " 408 ") {
				r.Body = io.NopCloser(strings.NewReader(tc.body))
				if err := openapi3filter.ValidateRequest(t.Context(), input); err != nil {
					t.Errorf("the document allows no such request: %v", err)
				}
			}
			err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
				RequestValidationInput: input,
				Status:                 answer.StatusCode,
				Header:                 answer.Header,
				Body:                   io.NopCloser(bytes.NewReader(body)),
				Options:                &openapi3filter.Options{IncludeResponseStatus: true},
			})
			if err != nil {
				t.Errorf("the document allows no such answer: %v\n%s", err, body)
			}
			documentedHeaders := item.GetOperation(tc.method).Responses.Status(answer.StatusCode).Value.Headers
			for _, header := range []string{"Retry-After", "X-Should-Retry", "Www-Authenticate"} {
				if answer.Header.Get(header) != "" && documentedHeaders[strings.ToLower(header)] == nil {
					t.Errorf("the document does not tell of the answer's header %s", header)
				}
			}
			if contentType == "text/event-stream" {
				validateEvents(t, doc, body)
			}
		})
	}
}

// validateEvents holds each event of a stream against the document.
func validateEvents(t *testing.T, doc *openapi3.T, stream []byte) {
	chunk := doc.Components.Schemas["ChatCompletionChunk"].Value
	failure := doc.Components.Schemas["Error"].Value
	lines := bufio.NewScanner(bytes.NewReader(stream))
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			t.Fatalf("event %q: %v", data, err)
		}
		want := chunk
		if v["error"] != nil {
			want = failure
		}
		if err := want.VisitJSON(v); err != nil {
			t.Errorf("the document allows no such event: %v\n%s", err, data)
		}
	}
}

// TestDocumentHasEveryRoute compares the document with the table of routes, both
// ways. Only what a page and what a probe ask for is not described.
func TestDocumentHasEveryRoute(t *testing.T) {
	answers := chatBy(func(context.Context, *api.Exchange) error { return nil })
	want := map[string]bool{} // whether a key is needed
	for _, r := range api.RoutesOf(api.New(api.Options{Routes: answers})) {
		if r.Path != "/docs/{asset}" && r.Method != "HEAD" {
			want[r.Method+" "+r.Path] = !r.Public
		}
	}
	doc, got := loadDocument(t), map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			got[method+" "+path] = operation.Responses.Value("401") != nil
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the document has %v, the table %v", got, want)
	}
}

// What GET / lists is what the document describes, without the documentation
// itself.
func TestIndexListsTheDocumentedPaths(t *testing.T) {
	doc := loadDocument(t)
	var index struct{ Endpoints []string }
	if err := json.Unmarshal([]byte(newServer(t, api.Options{}).do(t, "GET", "/", "").body), &index); err != nil {
		t.Fatal(err)
	}
	var want []string
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			if tag := operation.Tags[0]; tag != "documentation" {
				want = append(want, method+" "+path)
			}
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(index.Endpoints)); !slices.Equal(got, want) {
		t.Errorf("GET / lists %q, the document %q", got, want)
	}
}

func TestDocumentWorksBehindAPathPrefix(t *testing.T) {
	for _, server := range loadDocument(t).Servers {
		if u, err := url.Parse(server.URL); err != nil || u.IsAbs() || strings.HasPrefix(u.Path, "/") {
			t.Errorf("server %q of the document is not relative to the document", server.URL)
		}
	}
}

// loadDocument reads and checks the document as it is served.
func loadDocument(t *testing.T) *openapi3.T {
	t.Helper()
	raw, err := schema.OpenAPI("demo")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData([]byte(newServer(t, api.Options{OpenAPI: raw}).do(t, "GET", "/openapi.json", "").body))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return doc
}
