package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/record"
)

func TestRecord(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	g := newServer(t, api.Options{
		Now: func() time.Time { return now },
		Routes: chatBy(func(_ context.Context, x *api.Exchange) error {
			r := x.Record
			r.Key, r.Model, r.Provider, r.UpstreamModel, r.Plugin = "chat-app", "granite-local", "ollama", "granite4:tiny-h", "ollama@sha256:abc"
			r.Stream, r.Usage, r.FirstContent = true, record.Usage{Input: 15, Output: 10}, 1500*time.Microsecond
			r.Add(record.Attempt{Provider: "ollama", Model: "granite4:tiny-h"})
			now = now.Add(2500 * time.Millisecond)
			return x.JSON(200, []byte(`{}`))
		}),
	})
	got := postChat(t, g, "{}")
	line := g.logs.next(t)
	delete(line, "time")
	want := map[string]any{
		"level": "INFO", "msg": "request finished", "request_id": got.Header.Get("X-Request-Id"), "endpoint": "/v1/chat/completions",
		"key": "chat-app", "model": "granite-local", "provider": "ollama", "upstream_model": "granite4:tiny-h", "plugin": "ollama@sha256:abc", "status": 200.0, "attempt": 1.0,
		"stream": true, "prompt_tokens": 15.0, "completion_tokens": 10.0, "first_chunk_ms": 1.5, "duration_ms": 2500.0,
	}
	if !reflect.DeepEqual(line, want) {
		t.Errorf("the log says %v, want %v", line, want)
	}
}

// failLate fails when the answer has begun.
func failLate(err error) api.Handler {
	return func(_ context.Context, x *api.Exchange) error {
		x.Begin("text/plain")
		return err
	}
}

func TestLogLevels(t *testing.T) {
	for name, tc := range map[string]struct {
		chat     api.Handler
		request  string // default POST /v1/chat/completions
		headers  []string
		level    string
		endpoint string // default /v1/chat/completions
		status   float64
	}{
		"an answer":               {level: "INFO", status: 200},
		"a client's mistake":      {chat: failWith(&fault.Error{Kind: fault.Invalid, Text: "m"}), level: "INFO", status: 400},
		"an upstream's failure":   {chat: failWith(&fault.Error{Kind: fault.Upstream, Text: "m"}), level: "WARN", status: 502},
		"the gateway's failure":   {chat: failWith(errors.New("x")), level: "WARN", status: 500},
		"a cancelled upstream":    {chat: failWith(context.Canceled), level: "WARN", status: 500},
		"a client that is gone":   {chat: failLate(&fault.Error{Kind: fault.Gone, Text: "m"}), level: "INFO", status: 499},
		"a failure in mid-answer": {chat: failLate(&fault.Error{Kind: fault.Upstream, Text: "m"}), level: "WARN", status: 200},
		"a status of the handler": {chat: func(_ context.Context, x *api.Exchange) error { x.Record.Status = 499; return x.JSON(200, nil) }, level: "INFO", status: 499},
		"models":                  {request: "GET /v1/models", level: "INFO", endpoint: "/v1/models", status: 200},
		"a model":                 {request: "GET /v1/models/gpt-4", level: "INFO", endpoint: "/v1/models/{id}", status: 200},
		"health":                  {request: "GET /health", level: "DEBUG", endpoint: "/health", status: 200},
		"life":                    {request: "HEAD /livez", level: "DEBUG", endpoint: "/livez", status: 200},
		"readiness":               {request: "GET /readyz", level: "DEBUG", endpoint: "/readyz", status: 200},
		"a preflight": {
			request: "OPTIONS /v1/models", headers: []string{"Origin", "https://a.example", "Access-Control-Request-Method", "GET"},
			level: "DEBUG", endpoint: "preflight", status: 204,
		},
		"an unknown path": {request: "GET /nowhere%0a?key=secret", level: "INFO", endpoint: "/nowhere\ufffd", status: 404},
		"a long path":     {request: "GET /" + strings.Repeat("x", 1000), level: "INFO", endpoint: "/" + strings.Repeat("x", 99) + "…", status: 404},
		"a wrong method":  {request: "PUT /health", level: "INFO", endpoint: "/health", status: 405},
	} {
		t.Run(name, func(t *testing.T) {
			g := newServer(t, api.Options{Routes: chatBy(tc.chat), CORS: api.CORS{Enabled: true, AllowOrigins: []string{"*"}}})
			if tc.request == "" {
				tc.request = "POST /v1/chat/completions"
			}
			if tc.endpoint == "" {
				tc.endpoint = "/v1/chat/completions"
			}
			method, path, _ := strings.Cut(tc.request, " ")
			g.do(t, method, path, "", tc.headers...)
			line := g.logs.next(t)
			if line["level"] != tc.level || line["endpoint"] != tc.endpoint || line["status"] != tc.status {
				t.Errorf("the log says %v, want %s %s %v", line, tc.level, tc.endpoint, tc.status)
			}
		})
	}
}

func TestClientHangsUpWhileItIsServed(t *testing.T) {
	for name, chat := range map[string]func(ctx context.Context, x *api.Exchange) error{
		"before the answer": func(ctx context.Context, _ *api.Exchange) error {
			<-ctx.Done()
			return &fault.Error{Kind: fault.Upstream, Text: "cancelled", Cause: ctx.Err()}
		},
		"within the answer": func(ctx context.Context, x *api.Exchange) error {
			<-ctx.Done()
			for {
				if _, err := x.Writer.Write(make([]byte, 4096)); err != nil {
					return err
				}
			}
		},
		"within an answer whose handler does not care": func(ctx context.Context, x *api.Exchange) error {
			<-ctx.Done()
			for {
				io.WriteString(x.Writer, "data: 1\n\n")
				if http.NewResponseController(x.Writer).Flush() != nil {
					return nil
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			began := make(chan struct{})
			g := newServer(t, api.Options{Routes: chatBy(func(ctx context.Context, x *api.Exchange) error {
				if _, err := x.Body(); err != nil {
					return err
				}
				close(began)
				return chat(ctx, x)
			})})
			c := dial(t, g, head+"Content-Length: 2\r\n\r\n{}")
			<-began
			c.Close()
			if line := g.logs.next(t); line["status"] != 499.0 || line["level"] != "INFO" {
				t.Errorf("the log says %v, want status 499 at INFO", line)
			}
		})
	}
}

// A client that closes the connection right after its answer did not hang up.
func TestClientLeavesAfterItsAnswer(t *testing.T) {
	g := newServer(t, api.Options{Routes: chatBy(func(ctx context.Context, x *api.Exchange) error {
		if _, err := x.Body(); err != nil {
			return err
		}
		if err := x.JSON(200, []byte(`{}`)); err != nil {
			return err
		}
		if err := http.NewResponseController(x.Writer).Flush(); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})})
	c := dial(t, g, head+"Content-Length: 2\r\n\r\n{}")
	if _, err := io.ReadFull(c, make([]byte, 12)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if line := g.logs.next(t); line["status"] != 200.0 || line["level"] != "INFO" {
		t.Errorf("the log says %v, want status 200 at INFO", line)
	}
}

// A context that the gateway itself ends is no hang-up.
func TestRequestEndedByTheGateway(t *testing.T) {
	stopping := &fault.Error{Kind: fault.Stopping, Text: "shutting down"}
	for name, tc := range map[string]struct {
		cause error
		want  float64
	}{
		"with a reason":                        {stopping, 503},
		"with a reason that is a cancellation": {fmt.Errorf("stop: %w", context.Canceled), 500},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, end := context.WithCancelCause(context.Background())
			defer end(nil)
			g := newServer(t, api.Options{
				Authenticate: func(*http.Request, *dialect.Dialect) (context.Context, string, error) { return ctx, "", nil },
				Routes: chatBy(func(ctx context.Context, x *api.Exchange) error {
					end(tc.cause)
					return context.Cause(ctx)
				}),
			})
			got := postChat(t, g, "{}")
			if line := g.logs.next(t); float64(got.StatusCode) != tc.want || line["status"] != tc.want {
				t.Errorf("got %d and the log %v, want %v in both", got.StatusCode, line, tc.want)
			}
		})
	}
}

func TestLogsHoldNoSecrets(t *testing.T) {
	const canary = "sk-canary-0123456789"
	var all bytes.Buffer
	g := newServer(t, api.Options{
		Logger: slog.New(slog.NewTextHandler(&all, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})),
		Routes: chatBy(func(_ context.Context, x *api.Exchange) error {
			if _, err := x.Body(); err != nil {
				return err
			}
			panic("as asked")
		}),
		Authenticate: func(r *http.Request, _ *dialect.Dialect) (context.Context, string, error) {
			if r.Header.Get("X-Refuse") != "" {
				return nil, "", &fault.Error{Kind: fault.Unauthenticated, Code: "invalid_api_key", Text: "wrong key"}
			}
			return r.Context(), "", nil
		},
	})
	for _, headers := range [][]string{
		{"Authorization", "Bearer " + canary, "Cookie", canary, "X-Request-Id", canary, "Origin", canary},
		{"Authorization", "Bearer " + canary, "X-Refuse", "1"},
		{"Authorization", "Bearer " + canary, "Content-Encoding", canary},
	} {
		for _, path := range []string{"/v1/chat/completions?key=" + canary, "/v1/embeddings?key=" + canary, "/health?key=" + canary} {
			got := g.do(t, "POST", path, `{"messages":[{"role":"user","content":"`+canary+`"}]}`, append(headers, "Content-Type", jsonType)...)
			if strings.Contains(got.body, canary) {
				t.Errorf("the client gets its secret back: %s", got.body)
			}
		}
	}
	if strings.Contains(all.String(), canary) {
		t.Errorf("the log holds a secret:\n%s", all.String())
	}
}

func TestErrorsAreCutInTheLog(t *testing.T) {
	g := newServer(t, api.Options{Routes: chatBy(failWith(errors.New(strings.Repeat("é\x1b", 1<<20))))})
	postChat(t, g, "{}")
	if text, _ := g.logs.next(t)["err"].(string); text != strings.Repeat("é\ufffd", 1000)+"…" {
		t.Errorf("the log repeats %d bytes of an error", len(text))
	}
}

// TestWhichRequestsAreLogged compares what is logged of an answer and of a failure.
func TestWhichRequestsAreLogged(t *testing.T) {
	for access, want := range map[string]int{"": 2, "all": 2, "errors": 1, "off": 0} {
		t.Run(access, func(t *testing.T) {
			var log bytes.Buffer
			h := api.New(api.Options{Access: access, Logger: slog.New(slog.NewJSONHandler(&log, nil)), Routes: chatBy(func(_ context.Context, x *api.Exchange) error {
				if x.Request.Header.Get("X-Fail") != "" {
					return &fault.Error{Kind: fault.Refused, Code: "a prompt", Text: "a prompt", Foreign: true}
				}
				return x.JSON(200, []byte(`{}`))
			})})
			for _, fail := range []string{"", "1"} {
				r := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader("{}"))
				r.Header.Set("X-Fail", fail)
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
			if got := strings.Count(log.String(), "request finished"); got != want {
				t.Errorf("%d lines, want %d: %s", got, want, log.String())
			}
			if strings.Contains(log.String(), "a prompt") {
				t.Errorf("the log has what a provider said: %s", log.String())
			}
		})
	}
}
