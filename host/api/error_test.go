package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
)

func failWith(err error) api.Handler {
	return func(context.Context, *api.Exchange) error { return err }
}

func TestErrorAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		err        error
		status     int
		typ        string
		message    string // default: "m"
		retryAfter string
		final      bool // x-should-retry: false
	}{
		"a bad request":               {err: &fault.Error{Kind: fault.Invalid, Text: "m"}, status: 400, typ: "invalid_request_error", final: true},
		"a wrong key":                 {err: &fault.Error{Kind: fault.Unauthenticated, Text: "m"}, status: 401, typ: "authentication_error", final: true},
		"a forbidden model":           {err: &fault.Error{Kind: fault.Forbidden, Text: "m"}, status: 403, typ: "permission_error", final: true},
		"a missing model":             {err: &fault.Error{Kind: fault.NotFound, Text: "m"}, status: 404, typ: "not_found_error", final: true},
		"a timeout of the body":       {err: &fault.Error{Kind: fault.Timeout, Text: "m"}, status: 408, typ: "invalid_request_error"},
		"a conflict":                  {err: &fault.Error{Kind: fault.Refused, OwnStatus: 409, Text: "m"}, status: 409, typ: "invalid_request_error"},
		"a large body":                {err: &fault.Error{Kind: fault.TooLarge, Text: "m"}, status: 413, typ: "invalid_request_error", final: true},
		"something unprocessable":     {err: &fault.Error{Kind: fault.Refused, OwnStatus: 422, Text: "m"}, status: 422, typ: "invalid_request_error", final: true},
		"a rate limit":                {err: &fault.Error{Kind: fault.Rate, Text: "m"}, status: 429, typ: "rate_limit_error"},
		"a rate limit until tomorrow": {err: &fault.Error{Kind: fault.Rate, Text: "m", RetryAfter: 86400 * time.Second}, status: 429, typ: "rate_limit_error", retryAfter: "86400"},
		"a quota that is used up":     {err: &fault.Error{Kind: fault.Quota, Text: "m", Code: "insufficient_quota"}, status: 429, typ: "rate_limit_error", final: true},
		"an upstream's failure":       {err: &fault.Error{Kind: fault.Upstream, Text: "m", Code: "upstream_error"}, status: 502, typ: "server_error"},
		"refused credentials":         {err: &fault.Error{Kind: fault.Auth, Text: "m", Code: "upstream_auth"}, status: 502, typ: "server_error", final: true},
		"an adapter's failure":        {err: &fault.Error{Kind: fault.Adapter, Text: "m", Code: "adapter_error"}, status: 502, typ: "server_error", final: true},
		"a provider without a key":    {err: &fault.Error{Kind: fault.Unusable, Text: "m", Code: "provider_not_configured"}, status: 503, typ: "server_error", final: true},
		"busy for a millisecond":      {err: &fault.Error{Kind: fault.Full, Text: "m", RetryAfter: 1 * time.Millisecond}, status: 503, typ: "server_error", retryAfter: "1"},
		"busy for a second":           {err: &fault.Error{Kind: fault.Full, Text: "m", RetryAfter: time.Second}, status: 503, typ: "server_error", retryAfter: "1"},
		"busy for a little more":      {err: &fault.Error{Kind: fault.Full, Text: "m", RetryAfter: 1001 * time.Millisecond}, status: 503, typ: "server_error", retryAfter: "2"},
		"busy for ever":               {err: &fault.Error{Kind: fault.Full, Text: "m", RetryAfter: math.MaxInt64}, status: 503, typ: "server_error", retryAfter: "9223372037"},
		"busy until the past":         {err: &fault.Error{Kind: fault.Full, Text: "m", RetryAfter: time.Duration(-1) * time.Millisecond}, status: 503, typ: "server_error"},
		"no status":                   {err: &fault.Error{Kind: fault.Internal, Text: "m"}, status: 500, typ: "server_error"},
		"a status that is no error":   {err: &fault.Error{Kind: fault.Internal, OwnStatus: 200, Text: "m"}, status: 500, typ: "server_error"},
		"a status that HTTP lacks":    {err: &fault.Error{Kind: fault.Internal, OwnStatus: 1 << 30, Text: "m"}, status: 500, typ: "server_error"},
		"a type of its own":           {err: &fault.Error{Kind: fault.Invalid, Type: "odd_error", Text: "m"}, status: 400, typ: "odd_error", final: true},
		"an error within another":     {err: fmt.Errorf("ask upstream: %w", &fault.Error{Kind: fault.Slow, Text: "m"}), status: 504, typ: "server_error"},
		"any other error":             {err: errors.New("secret detail"), status: 500, typ: "server_error", message: "internal error, request "},
		"no error and no answer":      {err: nil, status: 500, typ: "server_error", message: "internal error, request "},
	} {
		t.Run(name, func(t *testing.T) {
			g := newServer(t, api.Options{Routes: chatBy(failWith(tc.err))})
			got := postChat(t, g, "{}")
			e := errorOf(t, got.body)
			message := tc.message
			switch message {
			case "":
				message = "m"
			case "internal error, request ":
				message += got.Header.Get("X-Request-Id")
			}
			if got.StatusCode != tc.status || e.Type != tc.typ || e.Message != message {
				t.Errorf("%v became %d %+v, want %d %s %q", tc.err, got.StatusCode, e, tc.status, tc.typ, message)
			}
			if got := got.Header.Get("Retry-After"); got != tc.retryAfter {
				t.Errorf("%v became Retry-After %q, want %q", tc.err, got, tc.retryAfter)
			}
			if got := got.Header.Get("X-Should-Retry") == "false"; got != tc.final {
				t.Errorf("%v became x-should-retry: false %t, want %t", tc.err, got, tc.final)
			}
			if got, want := got.Header.Get("WWW-Authenticate") == "Bearer", tc.status == 401; got != want {
				t.Errorf("%v became WWW-Authenticate: Bearer %t, want %t", tc.err, got, want)
			}
			if got := got.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("%v became Content-Type %q", tc.err, got)
			}
		})
	}
}

func TestErrorDetailGoesToTheLogOnly(t *testing.T) {
	for name, err := range map[string]error{
		"of any error":        errors.New("dial tcp 10.0.0.1: refused"),
		"of a client's error": &fault.Error{Kind: fault.Upstream, Text: "m", Cause: errors.New("dial tcp 10.0.0.1: refused")},
	} {
		t.Run(name, func(t *testing.T) {
			g := newServer(t, api.Options{Routes: chatBy(failWith(err))})
			got := postChat(t, g, "{}")
			if strings.Contains(got.body, "10.0.0.1") {
				t.Errorf("the client learns %s", got.body)
			}
			line := g.logs.next(t)
			if text, _ := line["err"].(string); !strings.Contains(text, "10.0.0.1") || line["request_id"] != got.Header.Get("X-Request-Id") {
				t.Errorf("the log says %v, want the detail and the answer's request ID", line)
			}
		})
	}
}

func TestErrorAfterTheAnswerBegan(t *testing.T) {
	g := newServer(t, api.Options{Routes: chatBy(func(_ context.Context, x *api.Exchange) error {
		if _, err := io.WriteString(x.Writer, "data: 1\n\n"); err != nil {
			return err
		}
		return &fault.Error{Kind: fault.Upstream, Text: "late"}
	})})
	got := postChat(t, g, "{}")
	if got.StatusCode != 200 || got.body != "data: 1\n\n" {
		t.Errorf("got %d %q, want what the handler wrote", got.StatusCode, got.body)
	}
	if line := g.logs.next(t); line["level"] != "WARN" || line["status"] != 200.0 || line["err"] != "late" {
		t.Errorf("the log says %v, want a warning with the error and the status sent", line)
	}
}

func TestPanic(t *testing.T) {
	g := newServer(t, api.Options{Routes: chatBy(func(context.Context, *api.Exchange) error { panic("index out of range") })})
	got := postChat(t, g, "{}")
	e := errorOf(t, got.body)
	id := got.Header.Get("X-Request-Id")
	if got.StatusCode != 500 || e.Message != "internal error, request "+id {
		t.Errorf("got %d %s, want 500 with the request ID %s", got.StatusCode, got.body, id)
	}
	line := g.logs.next(t)
	if line["status"] != 500.0 || line["level"] != "WARN" {
		t.Errorf("the log says %v, want status 500 at WARN", line)
	}
	logged := g.logs.String()
	for _, want := range []string{"index out of range", "error_test.go", `"request_id":"` + id + `"`, `"level":"ERROR"`} {
		if !strings.Contains(logged, want) {
			t.Errorf("the log has no %q:\n%s", want, logged)
		}
	}
}

func TestPanicAfterTheAnswerBeganCutsTheConnection(t *testing.T) {
	for name, v := range map[string]any{"a mistake": "index out of range", "an abort": http.ErrAbortHandler} {
		t.Run(name, func(t *testing.T) {
			g := newServer(t, api.Options{Routes: chatBy(func(_ context.Context, x *api.Exchange) error {
				io.WriteString(x.Writer, "data: 1\n\n")
				if err := http.NewResponseController(x.Writer).Flush(); err != nil {
					t.Error(err)
				}
				panic(v)
			})})
			response, err := g.client.Post(g.url+"/v1/chat/completions", jsonType, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if b, err := io.ReadAll(response.Body); err == nil {
				t.Errorf("the answer %q ended as if it were complete", b)
			}
			line := g.logs.next(t)
			if line["status"] != 200.0 || line["level"] != "WARN" || line["err"] == nil {
				t.Errorf("the log says %v, want a warning with the status sent", line)
			}
			if stack := strings.Contains(g.logs.String(), "stack"); stack != (v != http.ErrAbortHandler) {
				t.Errorf("the log has a stack: %t", stack)
			}
		})
	}
}

func TestPanicInWhatTheGatewayIsGiven(t *testing.T) {
	g := newServer(t, api.Options{
		Models:       func(context.Context) []dialect.Model { panic("models") },
		Authenticate: func(*http.Request, *dialect.Dialect) (context.Context, string, error) { panic("auth") },
		Health:       func() api.Health { panic("health") },
	})
	for _, path := range []string{"/v1/models", "/health"} {
		got := g.do(t, "GET", path, "")
		if errorOf(t, got.body); got.StatusCode != 500 {
			t.Errorf("GET %s got %d, want 500", path, got.StatusCode)
		}
	}
}

// TestUnknownPathsSayWhatWasMeant asks for paths as clients make them of a wrong base URL.
func TestUnknownPathsSayWhatWasMeant(t *testing.T) {
	g := newServer(t, api.Options{Routes: chatBy(failWith(nil))})
	const must, meant = "The base URL of OpenAI's clients must end in /v1", "The path is /v1/chat/completions, with no slash twice"
	for path, want := range map[string]string{
		"/chat/completions":        must,
		"/chat/completions/":       must,
		"/models":                  must,
		"/v1/chat/completions/":    meant,
		"/v1//chat/completions":    meant,
		"//v1/chat/completions":    meant,
		"/v1/v1/chat/completions":  "leave it out there",
		"//v1/v1/chat/completions": "leave it out there",
		"/v1/chat/completion":      "here. Did you mean /v1/chat/completions? Kai serves",
		"/v1/model":                "here. Did you mean /v1/models? Kai serves",
		"/v1/chat/complete":        "here. Kai serves",
		"/api/chat":                "here. Kai does not speak Ollama's own API: ",
		"/api/v1/chat/completions": "here. The base URL must end in /v1, without /api before it",
		"/readyz/":                 "here. Kai serves",
	} {
		if got := g.do(t, "POST", path, "{}"); !strings.Contains(got.body, want) || got.StatusCode != 404 {
			t.Errorf("POST %s got %d %s, want %q", path, got.StatusCode, got.body, want)
		}
	}
}
