package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
)

// messages is a dialect of another shape, as Anthropic's API has it: the key stands
// in x-api-key, and an error is {"type":"error","error":{…}}.
func messages() *dialect.Dialect {
	return &dialect.Dialect{
		Keys: func(r *http.Request) ([]string, error) {
			if key := r.Header.Get("X-Api-Key"); key != "" {
				return []string{key}, nil
			}
			return nil, dialect.NoKey("Send a key in the header x-api-key.")
		},
		Marker: "Anthropic-Version", IDHeader: "request-id",
		AppendModels: func(dst []byte, models []dialect.Model) []byte { return fmt.Appendf(dst, `{"models":%d}`, len(models)) },
		AppendError: func(dst []byte, e *fault.Error, _ string) []byte {
			text, _ := json.Marshal(e.Text)
			return fmt.Appendf(dst, `{"type":"error","error":{"type":"%s","message":%s}}`, e.Kind, text)
		},
	}
}

// TestARouteOfAnotherDialect adds one row: the key, errors, the index, the log and
// what unknown paths are told follow from it, and the other routes stay as they are.
func TestARouteOfAnotherDialect(t *testing.T) {
	var fails error
	g := newServer(t, api.Options{
		Routes: append(chatBy(echo), api.Route{
			Method: "POST", Path: "/anthropic/v1/messages", Dialect: messages(),
			Handle: func(_ context.Context, x *api.Exchange) error {
				if _, err := x.Body(); err != nil {
					return err
				}
				if fails != nil {
					return fails
				}
				return x.JSON(200, []byte(`{"type":"message"}`))
			},
		}),
		Authenticate: func(r *http.Request, d *dialect.Dialect) (context.Context, string, error) {
			keys, err := d.Keys(r)
			if err == nil && keys[0] != "right" {
				err = dialect.NoKey("wrong")
			}
			return r.Context(), "its owner", err
		},
	})
	const path, openAI = "/anthropic/v1/messages", `{"error":{"message":`
	right := []string{"X-Api-Key", "right", "Content-Type", "application/json"}
	bearer := []string{"Authorization", "Bearer right", "Content-Type", "application/json"}
	for name, tc := range map[string]struct {
		request string
		body    string
		headers []string
		fails   error
		status  int
		want    string // how the answer begins
		dare    string // WWW-Authenticate
	}{
		"an answer":                      {request: "POST " + path, body: "{}", headers: right, status: 200, want: `{"type":"message"}`},
		"no key":                         {request: "POST " + path, body: "{}", status: 401, want: `{"type":"error","error":{"type":"unauthenticated","message":"Send a key in the header x-api-key."}}`},
		"the key where OpenAI has it":    {request: "POST " + path, body: "{}", headers: bearer, status: 401, want: `{"type":"error","error":{"type":"unauthenticated"`},
		"another key":                    {request: "POST " + path, body: "{}", headers: []string{"X-Api-Key", "left"}, status: 401, want: `{"type":"error","error":{"type":"unauthenticated","message":"wrong"}}`},
		"no body":                        {request: "POST " + path, headers: right, status: 400, want: `{"type":"error","error":{"type":"invalid"`},
		"an upstream's failure":          {request: "POST " + path, body: "{}", headers: right, fails: &fault.Error{Kind: fault.Busy, Text: "m"}, status: 503, want: `{"type":"error","error":{"type":"busy","message":"m"}}`},
		"an internal error":              {request: "POST " + path, body: "{}", headers: right, fails: io.ErrNoProgress, status: 500, want: `{"type":"error","error":{"type":"internal","message":"internal error, request req_`},
		"another page":                   {request: "POST " + path, body: "{}", headers: append(right, "Origin", "https://a.example"), status: 403, want: `{"type":"error","error":{"type":"forbidden"`},
		"a wrong method":                 {request: "GET " + path, headers: right, status: 405, want: `{"type":"error","error":{"type":"method_not_allowed"`},
		"a wrong method without a key":   {request: "GET " + path, status: 401, want: `{"type":"error"`},
		"its methods":                    {request: "OPTIONS " + path, status: 204},
		"below it":                       {request: "POST " + path + "/batches", body: "{}", headers: right, status: 404, want: `{"type":"error","error":{"type":"not_found","message":"There is no POST /anthropic/v1/messages/batches here.`},
		"below it without a key":         {request: "POST " + path + "/batches", body: "{}", status: 401, want: `{"type":"error"`},
		"the models for its clients":     {request: "GET /v1/models", headers: append(right, "Anthropic-Version", "1"), status: 200, want: `{"models":4}`},
		"the models for all others":      {request: "GET /v1/models", headers: bearer, status: 200, want: `{"object":"list"`},
		"an unknown path, its clients":   {request: "POST /v1/files", headers: append(right, "Anthropic-Version", "1"), status: 404, want: `{"type":"error","error":{"type":"not_found"`},
		"an unknown path, all others":    {request: "POST /v1/files", headers: bearer, status: 404, want: openAI},
		"OpenAI's route, its clients":    {request: "POST " + api.ChatPath, body: "{}", headers: append(right, "Anthropic-Version", "1"), status: 401, want: openAI, dare: "Bearer"},
		"/v1 twice":                      {request: "POST /v1/v1/messages", headers: bearer, status: 404, want: `{"error":{"message":"There is no POST /v1/v1/messages here. The client adds /v1 to its base URL by itself: leave it out there. Kai serves`},
		"below its folder":               {request: "GET /anthropic/v1/nowhere", status: 401, want: openAI, dare: "Bearer"},
		"OpenAI's route":                 {request: "POST " + api.ChatPath, body: "{}", headers: bearer, status: 200, want: "{}"},
		"OpenAI's route without its key": {request: "POST " + api.ChatPath, body: "{}", headers: right, status: 401, want: openAI, dare: "Bearer"},
	} {
		t.Run(name, func(t *testing.T) {
			fails = tc.fails
			method, path, _ := strings.Cut(tc.request, " ")
			got := g.do(t, method, path, tc.body, tc.headers...)
			if got.StatusCode != tc.status || !strings.HasPrefix(got.body, tc.want) || got.Header.Get("WWW-Authenticate") != tc.dare {
				t.Errorf("got %d %q %s, want %d %q %s", got.StatusCode, got.Header.Get("WWW-Authenticate"), got.body, tc.status, tc.dare, tc.want)
			}
			isIts := tc.want == "" || strings.HasPrefix(tc.want, `{"type"`) || strings.HasPrefix(tc.want, `{"models"`)
			if id := got.Header.Get("Request-Id"); isIts != (id != "") || isIts && id != got.Header.Get("X-Request-Id") {
				t.Errorf("the headers are %v", got.Header)
			}
			line := g.logs.next(t)
			if tc.status == 200 && (line["endpoint"] != path || line["key"] != "its owner") {
				t.Errorf("the log says %v", line)
			}
		})
	}
	const both = "POST /v1/chat/completions, POST /anthropic/v1/messages, GET /v1/models and GET /v1/models/{id}; GET /docs describes them."
	if got := g.do(t, "GET", "/nowhere", ""); !strings.Contains(got.body, "There is no GET /nowhere here. Kai serves "+both) {
		t.Errorf("an unknown path is told %s", got.body)
	}
	if got := g.do(t, "GET", "/", ""); !strings.Contains(got.body, `["POST /v1/chat/completions","POST /anthropic/v1/messages","GET /v1/models",`) {
		t.Errorf("GET / lists %s", got.body)
	}
}

// TestWhatRoutesTell keeps what clients read of the table as it is.
func TestWhatRoutesTell(t *testing.T) {
	g := newServer(t, api.Options{})
	for request, want := range map[string]string{
		"GET /": `{"name":"kai","version":"0.1.0","docs":"/docs","openapi":"/openapi.json","endpoints":["POST /v1/chat/completions","GET /v1/models","GET /v1/models/{id}","GET /health","GET /livez","GET /readyz"]}`,
		"POST /v1/embeddings": `{"error":{"message":"There is no POST /v1/embeddings here. Kai serves POST /v1/chat/completions, GET /v1/models and GET /v1/models/{id}; ` +
			`GET /docs describes them.","type":"not_found_error","param":null,"code":null}}`,
		"PUT /v1/models/a/b": `{"error":{"message":"/v1/models/a/b does not take PUT; it takes GET, HEAD, OPTIONS.","type":"invalid_request_error","param":null,"code":null}}`,
	} {
		method, path, _ := strings.Cut(request, " ")
		if got := g.do(t, method, path, ""); got.body != want {
			t.Errorf("%s got %s, want %s", request, got.body, want)
		}
	}
}

// TestOptionsOfAll asks for the methods of no path in particular.
func TestOptionsOfAll(t *testing.T) {
	w := httptest.NewRecorder()
	api.New(api.Options{Routes: chatBy(echo)}).ServeHTTP(w, httptest.NewRequest("OPTIONS", "*", nil))
	if w.Code != 204 || w.Header().Get("Allow") != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("got %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}
