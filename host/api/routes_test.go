package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
)

func TestModels(t *testing.T) {
	g := newServer(t, api.Options{})
	got := g.do(t, "GET", "/v1/models", "")
	const want = `{"object":"list","data":[` +
		`{"id":"granite-local","object":"model","created":0,"owned_by":"kai"},` +
		`{"id":"gpt-4","object":"model","created":0,"owned_by":"kai"},` +
		`{"id":"anthropic/claude","object":"model","created":0,"owned_by":"kai"},` +
		`{"id":"a%2Fb","object":"model","created":0,"owned_by":"kai"}]}`
	if got.StatusCode != 200 || got.body != want {
		t.Errorf("got %d %s, want %s", got.StatusCode, got.body, want)
	}

	none := newServer(t, api.Options{Models: listing()})
	if got := none.do(t, "GET", "/v1/models", ""); got.body != `{"object":"list","data":[]}` {
		t.Errorf("without models got %s, want an empty list", got.body)
	}
}

func TestModelByID(t *testing.T) {
	g := newServer(t, api.Options{})
	for path, want := range map[string]string{
		"granite-local":       "granite-local",
		"granite%2Dlocal":     "granite-local",
		"anthropic/claude":    "anthropic/claude",
		"anthropic%2Fclaude":  "anthropic/claude",
		"anthropic%2fclaude":  "anthropic/claude",
		"a%252Fb":             "a%2Fb",
		"a%2Fb":               "",
		"GPT-4":               "",
		"gpt-4/":              "",
		"/gpt-4":              "",
		"anthropic//claude":   "",
		"anthropic/../gpt-4":  "",
		"x%0d%0aset-cookie:a": "",
		"%ff":                 "",
		"gpt-4?x=y":           "gpt-4",
	} {
		got := g.do(t, "GET", "/v1/models/"+path, "")
		if want != "" {
			if body := `{"id":"` + want + `","object":"model","created":0,"owned_by":"kai"}`; got.StatusCode != 200 || got.body != body {
				t.Errorf("GET /v1/models/%s got %d %s, want %s", path, got.StatusCode, got.body, body)
			}
			continue
		}
		e := errorOf(t, got.body)
		if got.StatusCode != 404 || e.Type != "not_found_error" || e.Code == nil || *e.Code != "model_not_found" {
			t.Errorf("GET /v1/models/%s got %d %s, want 404 model_not_found", path, got.StatusCode, got.body)
		}
	}
}

func TestModelsAreThePrincipals(t *testing.T) {
	type principal struct{}
	g := newServer(t, api.Options{
		Authenticate: func(r *http.Request, _ *dialect.Dialect) (context.Context, string, error) {
			return context.WithValue(r.Context(), principal{}, r.Header.Get("Authorization")), "", nil
		},
		Models: func(ctx context.Context) []dialect.Model {
			return []dialect.Model{{ID: ctx.Value(principal{}).(string)}}
		},
	})
	if got := g.do(t, "GET", "/v1/models/alice", "", "Authorization", "alice"); got.StatusCode != 200 {
		t.Errorf("alice's model for alice: %d %s", got.StatusCode, got.body)
	}
	if got := g.do(t, "GET", "/v1/models/alice", "", "Authorization", "bob"); got.StatusCode != 404 {
		t.Errorf("alice's model for bob: %d %s", got.StatusCode, got.body)
	}
}

func TestHealth(t *testing.T) {
	health := api.Health{Services: []api.Service{
		{Key: "config", Name: "configuration", Status: "healthy", Message: "Configuration loaded successfully"},
		{Key: "models", Name: "model_mapping", Status: "healthy", Message: "3 models configured"},
		{Key: "adapter:ollama", Name: "ollama", Status: "unhealthy", Message: `says "no"`},
	}}
	g := newServer(t, api.Options{Health: func() api.Health { return health }})
	for status, want := range map[string]int{api.Healthy: 200, api.Degraded: 200, api.Unhealthy: 503} {
		health.Status = status
		got := g.do(t, "GET", "/health", "")
		body := `{"status":"` + status + `","services":{` +
			`"config":{"name":"configuration","status":"healthy","message":"Configuration loaded successfully"},` +
			`"models":{"name":"model_mapping","status":"healthy","message":"3 models configured"},` +
			`"adapter:ollama":{"name":"ollama","status":"unhealthy","message":"says \"no\""}},"version":"0.1.0"}`
		if got.StatusCode != want || got.body != body {
			t.Errorf("%s became %d %s, want %d %s", status, got.StatusCode, got.body, want, body)
		}
	}
}

func TestUnknownPaths(t *testing.T) {
	g := newServer(t, api.Options{})
	for _, request := range []string{
		"POST /v1/embeddings", "GET /v1/embeddings", "POST /v1/completions", "DELETE /v1/completions", "POST /v1/responses",
		"GET /v1", "GET /v1/", "GET /v2/models", "POST /chat/completions", "POST /v1/chat/completions/", "POST /V1/chat/completions",
		"GET /v1/models/", "GET //v1/models", "GET /v1//models", "GET /v1/../health", "GET /healthz", "GET /health/", "OPTIONS /nowhere",
		"BREW /coffee", "GET /docs/../../api.go", "GET /docs/swagger-ui.js", "GET /docs/nothing.js", "GET /a%00b%1b[31m", "GET /%ff",
	} {
		method, path, _ := strings.Cut(request, " ")
		got := g.do(t, method, path, "")
		e := errorOf(t, got.body)
		if got.StatusCode != 404 || e.Type != "not_found_error" || !strings.Contains(e.Message, "POST /v1/chat/completions") {
			t.Errorf("%s got %d %s, want 404 and what is served", request, got.StatusCode, got.body)
		}
		if strings.ContainsAny(e.Message, "\x00\x1b") {
			t.Errorf("%s got control characters back: %q", request, e.Message)
		}
	}
}

func TestOddRequestLines(t *testing.T) {
	g := newServer(t, api.Options{})
	for line, want := range map[string]int{
		"OPTIONS * HTTP/1.1":                                 0, // net/http's own
		"GET http://other.example HTTP/1.1":                  404,
		"GET http://other.example/ HTTP/1.1":                 200,
		"GET /v1/models HTTP/1.0":                            200,
		"CONNECT other.example:443 HTTP/1.1":                 404,
		"GET /" + strings.Repeat("x", 100_000) + " HTTP/1.1": 404,
	} {
		c := dial(t, g, line+"\r\nHost: kai\r\nConnection: close\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: "GET"})
		if err != nil {
			t.Errorf("%.60s: %v", line, err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Errorf("%.60s: %v", line, err)
		}
		if want != 0 && response.StatusCode != want || len(body) > 1000 {
			t.Errorf("%.60s got %d with %d bytes, want %d", line, response.StatusCode, len(body), want)
		}
	}
}

func TestMethods(t *testing.T) {
	g := newServer(t, api.Options{})
	for path, allow := range map[string]string{
		"/v1/chat/completions": "OPTIONS, POST",
		"/v1/models":           "GET, HEAD, OPTIONS",
		"/v1/models/gpt-4":     "GET, HEAD, OPTIONS",
		"/health":              "GET, HEAD, OPTIONS",
		"/docs":                "GET, HEAD, OPTIONS",
		"/":                    "GET, HEAD, OPTIONS",
	} {
		for _, method := range []string{"PUT", "DELETE", "PATCH", "BREW"} {
			got := g.do(t, method, path, "")
			e := errorOf(t, got.body)
			if got.StatusCode != 405 || got.Header.Get("Allow") != allow || e.Type != "invalid_request_error" ||
				!strings.Contains(e.Message, allow) || got.Header.Get("X-Should-Retry") != "false" {
				t.Errorf("%s %s got %d, Allow %q, %s; want 405 and %q", method, path, got.StatusCode, got.Header.Get("Allow"), got.body, allow)
			}
		}
		if got := g.do(t, "OPTIONS", path, ""); got.StatusCode != 204 || got.Header.Get("Allow") != allow {
			t.Errorf("OPTIONS %s got %d, Allow %q, want 204 and %q", path, got.StatusCode, got.Header.Get("Allow"), allow)
		}
		if !strings.HasPrefix(allow, "GET") {
			continue
		}
		get, head := g.do(t, "GET", path, ""), g.do(t, "HEAD", path, "")
		if head.StatusCode != 200 || head.body != "" || head.ContentLength != int64(len(get.body)) {
			t.Errorf("HEAD %s got %d, %q, length %d; want 200, no body, length %d", path, head.StatusCode, head.body, head.ContentLength, len(get.body))
		}
	}
}

func TestRequestID(t *testing.T) {
	g := newServer(t, api.Options{Authenticate: func(r *http.Request, _ *dialect.Dialect) (context.Context, string, error) {
		if r.Header.Get("Authorization") == "" {
			return nil, "", &fault.Error{Kind: fault.Unauthenticated, Text: "no key"}
		}
		return r.Context(), "", nil
	}})
	form := regexp.MustCompile(`^req_[A-Z2-7]{26}$`)
	seen := map[string]bool{}
	for i, request := range []string{
		"GET /v1/models", "GET /", "GET /nowhere", "PUT /health", "OPTIONS /health", "GET /docs", "HEAD /livez", "GET /docs/", "POST /v1/chat/completions",
	} {
		method, path, _ := strings.Cut(request, " ")
		got := g.do(t, method, path, "", "X-Request-Id", fmt.Sprintf("mine-%d", i))
		id := got.Header.Get("X-Request-Id")
		if !form.MatchString(id) || seen[id] || len(got.Header.Values("X-Request-Id")) != 1 {
			t.Errorf("%s got the ID %q, want a new one like %v", request, got.Header.Values("X-Request-Id"), form)
		}
		seen[id] = true
	}
}

func TestOnlyV1IsGuarded(t *testing.T) {
	g := newServer(t, api.Options{Authenticate: func(*http.Request, *dialect.Dialect) (context.Context, string, error) {
		return nil, "", &fault.Error{Kind: fault.Unauthenticated, Type: "authentication_error", Code: "invalid_api_key", Text: "no key"}
	}})
	for request, want := range map[string]int{
		"POST /v1/chat/completions":    401,
		"PUT /v1/chat/completions":     401,
		"GET /v1/models":               401,
		"HEAD /v1/models":              401,
		"GET /%76%31/models":           401,
		"GET /v1/models/gpt-4":         401,
		"GET /v1/nowhere":              401,
		"POST /v1/embeddings":          401,
		"OPTIONS /v1/chat/completions": 204,
		"GET /v1/../v1/models":         401,
		"GET //v1/models":              404,
		"GET /x/../v1/models":          404,
		"GET /V1/models":               404,
		"GET /v1":                      404,
		"GET /":                        200,
		"GET /health":                  200,
		"GET /livez":                   200,
		"GET /readyz":                  200,
		"GET /docs":                    200,
	} {
		method, path, _ := strings.Cut(request, " ")
		got := g.do(t, method, path, "")
		if got.StatusCode != want {
			t.Errorf("%s got %d %s, want %d", request, got.StatusCode, got.body, want)
		}
		if want == 401 && got.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s got WWW-Authenticate %q, want Bearer", request, got.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestIndex(t *testing.T) {
	g := newServer(t, api.Options{})
	got := g.do(t, "GET", "/", "")
	if got.StatusCode != 200 || !strings.Contains(got.body, `"POST /v1/chat/completions"`) || !strings.Contains(got.body, `"version":"0.1.0"`) {
		t.Errorf("got %d %s, want the version and the endpoints", got.StatusCode, got.body)
	}
}

func TestHandlerGetsWhatAuthenticateReturned(t *testing.T) {
	type key struct{}
	g := newServer(t, api.Options{
		Authenticate: func(r *http.Request, _ *dialect.Dialect) (context.Context, string, error) {
			return context.WithValue(r.Context(), key{}, "alice"), "", nil
		},
		Routes: chatBy(func(ctx context.Context, x *api.Exchange) error {
			return x.JSON(200, []byte(`"`+ctx.Value(key{}).(string)+x.Request.Context().Value(key{}).(string)+`"`))
		}),
	})
	if got := postChat(t, g, "{}"); got.body != `"alicealice"` {
		t.Errorf("got %d %s, want the principal", got.StatusCode, got.body)
	}
}
