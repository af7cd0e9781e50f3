package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
)

// gateway is an api on a loopback socket.
type gateway struct {
	url    string
	client *http.Client // gives up instead of hanging
	logs   *logs
}

// completion is a chat completion.
const completion = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"granite-local",` +
	`"choices":[{"index":0,"message":{"role":"assistant","content":"Hello!","refusal":null},"logprobs":null,"finish_reason":"stop"}],` +
	`"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`

// newServer starts a gateway with o, whose Routes, Models, Version and Logger
// have defaults made for tests.
func newServer(t *testing.T, o api.Options) *gateway {
	t.Helper()
	g := &gateway{logs: &logs{finished: make(chan map[string]any, 1000)}}
	if o.Routes == nil {
		o.Routes = chatBy(func(_ context.Context, x *api.Exchange) error { return x.JSON(200, []byte(completion)) })
	}
	if o.Models == nil {
		o.Models = listing("granite-local", "gpt-4", "anthropic/claude", "a%2Fb")
	}
	if o.Version == "" {
		o.Version = "0.1.0"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewJSONHandler(g.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	server := httptest.NewUnstartedServer(api.New(o))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	t.Cleanup(server.Close)
	g.url, g.client = server.URL, server.Client()
	g.client.Timeout = 2 * time.Minute
	return g
}

// chatBy has a handler answer chat completions.
func chatBy(h api.Handler) []api.Route {
	if h == nil {
		return nil
	}
	return []api.Route{{Method: "POST", Path: api.ChatPath, Dialect: dialect.OpenAI(), Handle: h}}
}

// logs collects what a gateway logs.
type logs struct {
	mu       sync.Mutex
	all      bytes.Buffer
	finished chan map[string]any // the lines "request finished"
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	l.all.Write(p)
	l.mu.Unlock()
	var line map[string]any
	if err := json.Unmarshal(p, &line); err != nil {
		return 0, err
	}
	if line["msg"] == "request finished" {
		l.finished <- line
	}
	return len(p), nil
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// next waits for the line of the next request to finish.
func (l *logs) next(t *testing.T) map[string]any {
	t.Helper()
	select {
	case line := <-l.finished:
		return line
	case <-time.After(time.Minute):
		t.Fatal("no request finished within a minute")
		return nil
	}
}

// answer is what came back, read to its end.
type answer struct {
	*http.Response
	body string
}

// do sends a request; headers are names and values in turn.
func (g *gateway) do(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequest(method, g.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		Timeout:       g.client.Timeout,
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response, string(b)}
}

// errorOf reads the error of an answer, which must have exactly OpenAI's fields.
func errorOf(t *testing.T, body string) (e struct {
	Message, Type string
	Param, Code   *string
}) {
	t.Helper()
	var fields struct {
		Error map[string]json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal([]byte(body), &fields); err != nil {
		t.Fatalf("error answer %q: %v", body, err)
	}
	for _, name := range []string{"message", "type", "param", "code"} {
		if fields.Error[name] == nil {
			t.Errorf("error answer %s has no %s", body, name)
		}
	}
	if len(fields.Error) != 4 {
		t.Errorf("error answer %s has %d fields, want 4", body, len(fields.Error))
	}
	var outer struct{ Error any }
	outer.Error = &e
	if err := json.Unmarshal([]byte(body), &outer); err != nil {
		t.Fatalf("error answer %q: %v", body, err)
	}
	return e
}

const jsonType = "application/json"

func postChat(t *testing.T, g *gateway, body string, headers ...string) answer {
	t.Helper()
	return g.do(t, "POST", "/v1/chat/completions", body, append([]string{"Content-Type", jsonType}, headers...)...)
}

// listing lists aliases of which nothing else is known.
func listing(aliases ...string) func(context.Context) []dialect.Model {
	var models []dialect.Model
	for _, a := range aliases {
		models = append(models, dialect.Model{ID: a})
	}
	return func(context.Context) []dialect.Model { return models }
}
