package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
)

// TestWebSocket: a client that would rather speak WebSocket learns at once that it can't.
func TestWebSocket(t *testing.T) {
	g := newServer(t, api.Options{Authenticate: func(r *http.Request, _ *dialect.Dialect) (context.Context, string, error) {
		if r.Header.Get("Authorization") == "" {
			return nil, "", &fault.Error{Kind: fault.Unauthenticated, Text: "no key"}
		}
		return r.Context(), "", nil
	}})
	for name, tc := range map[string]struct {
		request string
		headers []string
		want    int
	}{
		"where there is POST":       {"GET /v1/chat/completions", []string{"Upgrade", "websocket"}, 426},
		"in another case":           {"GET /v1/chat/completions", []string{"Upgrade", "WebSocket"}, 426},
		"another protocol":          {"GET /v1/chat/completions", []string{"Upgrade", "h2c"}, 405},
		"with POST":                 {"POST /v1/chat/completions", []string{"Upgrade", "websocket"}, 200},
		"where there is GET":        {"GET /v1/models", []string{"Upgrade", "websocket"}, 200},
		"where there is nothing":    {"GET /v1/nothing", []string{"Upgrade", "websocket"}, 404},
		"without a key":             {"GET /v1/chat/completions", []string{"Upgrade", "websocket"}, 401},
		"without another protocol":  {"GET /v1/chat/completions", nil, 405},
		"of a page that may not so": {"GET /v1/chat/completions", []string{"Upgrade", "websocket", "Origin", "https://a.example"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			method, path, _ := strings.Cut(tc.request, " ")
			headers := append([]string{"Connection", "Upgrade"}, tc.headers...)
			if tc.want != 401 {
				headers = append(headers, "Authorization", "Bearer a")
			}
			got := g.do(t, method, path, "", headers...)
			if got.StatusCode != tc.want {
				t.Fatalf("got %d %s, want %d", got.StatusCode, got.body, tc.want)
			}
			if tc.want != 426 {
				return
			}
			e := errorOf(t, got.body)
			if got.Header.Get("Upgrade") != "HTTP/1.1" || got.Header.Get("X-Should-Retry") != "false" || e.Type != "invalid_request_error" ||
				e.Message != "Kai speaks no WebSocket; send requests to /v1/chat/completions with POST." {
				t.Errorf("got %v %s", got.Header, got.body)
			}
		})
	}
}

// TestRoutesOfAFolder: a request is for the path that says most, whose methods alone count. What
// stands for a parameter has no slash, unless its route lets it.
func TestRoutesOfAFolder(t *testing.T) {
	tell := func(_ context.Context, x *api.Exchange) error {
		return x.JSON(200, []byte(`"`+x.Request.Method+" "+x.Parameter()+`"`))
	}
	g := newServer(t, api.Options{Routes: []api.Route{
		{Method: "POST", Path: "/v1/things", Handle: tell},
		{Method: "GET", Path: "/v1/things/{id}", Handle: tell},
		{Method: "DELETE", Path: "/v1/things/{id}", Handle: tell},
		{Method: "GET", Path: "/v1/things/{id}/parts", Handle: tell},
		{Method: "POST", Path: "/v1/things/count", Handle: tell},
		{Method: "GET", Path: "/v1/names/{name}", Slashes: true, Handle: tell},
	}})
	for request, want := range map[string]string{
		"POST /v1/things":           `200 "POST "`,
		"GET /v1/things/a":          `200 "GET a"`,
		"GET /v1/things/a/b":        `404 {"error":{"message":"There is no GET /v1/things/a/b here.`,
		"GET /v1/things/a/parts":    `200 "GET a"`,
		"GET /v1/things//parts":     `404 `,
		"GET /v1/names/a/b":         `200 "GET a/b"`,
		"DELETE /v1/things/a":       `200 "DELETE a"`,
		"POST /v1/things/count":     `200 "POST "`,
		"DELETE /v1/things":         `405 {"error":{"message":"/v1/things does not take DELETE; it takes OPTIONS, POST."`,
		"PUT /v1/things/a":          `405 {"error":{"message":"/v1/things/a does not take PUT; it takes DELETE, GET, HEAD, OPTIONS."`,
		"POST /v1/things/a":         `405 {"error":{"message":"/v1/things/a does not take POST; it takes DELETE, GET, HEAD, OPTIONS."`,
		"GET /v1/things/count":      `405 {"error":{"message":"/v1/things/count does not take GET; it takes OPTIONS, POST."`,
		"DELETE /v1/things/count":   `405 {"error":{"message":"/v1/things/count does not take DELETE; it takes OPTIONS, POST."`,
		"DELETE /v1/things/a/parts": `405 {"error":{"message":"/v1/things/a/parts does not take DELETE; it takes GET, HEAD, OPTIONS."`,
		"POST /v1/things/a/stop":    `404 {"error":{"message":"There is no POST /v1/things/a/stop here. Kai serves POST /v1/things, GET /v1/things/{id}, DELETE /v1/things/{id}, GET /v1/things/{id}/parts, POST /v1/things/count, GET /v1/names/{name}, GET /v1/models and GET /v1/models/{id}; GET /docs describes them."`,
	} {
		method, path, _ := strings.Cut(request, " ")
		got := g.do(t, method, path, "")
		if text := got.Status[:4] + got.body; !strings.HasPrefix(text, want) {
			t.Errorf("%s got %s, want %s", request, text, want)
		}
	}
	if got := g.do(t, "GET", "/", ""); strings.Count(got.body, "/v1/things") != 5 {
		t.Errorf("GET / lists %s", got.body)
	}
}
