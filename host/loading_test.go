package host_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/race"
)

// TestRequestsWaitForAnAdapterThatLoads serves at once, without a cache of
// compiled code, as the first start on a machine does.
func TestRequestsWaitForAnAdapterThatLoads(t *testing.T) {
	if race.Enabled {
		t.Skip("compiling takes ten times as long: make check runs it without the race detector")
	}
	for name, tc := range map[string]struct {
		wait   string
		status int
	}{
		"for as long as load_wait says": {"1h", 200},
		"and no longer":                 {"1ms", 503},
	} {
		t.Run(name, func(t *testing.T) {
			c := parse(t, "server: {load_wait: "+tc.wait+"}\nmodel_mapping: {m: {provider: demo, model: m}}")
			h, err := host.New(host.Options{Config: c, Module: testkit.Module})
			if err != nil {
				t.Fatal(err)
			}
			checkLoading(t, h, wholly, tc.status, func() {})
		})
	}
}

// TestRequestsWaitWhileAModuleIsRead is the same for a small module, which can't be read
// before a request waits for it or was refused.
func TestRequestsWaitWhileAModuleIsRead(t *testing.T) {
	small := modfile.ModuleOf(guest(t, "puppet"))
	for name, tc := range map[string]struct {
		wait   string
		status int
	}{
		"for as long as load_wait says": {"1h", 200},
		"and no longer":                 {"1ms", 503},
	} {
		t.Run(name, func(t *testing.T) {
			gate := make(chan struct{})
			open := sync.OnceFunc(func() { close(gate) })
			defer open()
			held := small
			held.Read = func() ([]byte, error) {
				<-gate
				return small.Read()
			}
			c := parse(t, strings.Replace(puppetAt(t, "http://127.0.0.1:1"), "server: {", "server: {load_wait: "+tc.wait+", ", 1))
			h, err := host.New(host.Options{Config: c, Shipped: func(string) (modfile.Module, bool) { return held, true }})
			if err != nil {
				t.Fatal(err)
			}
			if tc.status == 200 {
				go func() {
					for h.Held("puppet")[1] == 0 && t.Context().Err() == nil { // until there is a request
						time.Sleep(time.Millisecond)
					}
					open()
				}()
			}
			checkLoading(t, h, askFor(atRequest, text("x")+finish("stop"), false), tc.status, open)
		})
	}
}

// checkLoading asks a gateway whose adapter is loaded for the first time, and holds the
// answer's status against what it should be. It calls loads when the adapter may be loaded
// at the latest.
func checkLoading(t *testing.T, h *host.Host, ask string, want int, loads func()) {
	t.Helper()
	s := httptest.NewServer(h.Handler())
	defer h.Close()
	defer s.Close()
	defer loads()
	if status, body := get(t, s.URL+"/readyz"); status != 503 {
		t.Errorf("/readyz at the start: %d %s", status, body)
	}
	if status, body := get(t, s.URL+"/health"); status != 200 || !strings.Contains(body, `"status":"loading"`) {
		t.Errorf("/health at the start: %d %s", status, body)
	}
	res, err := http.Post(s.URL+"/v1/chat/completions", "application/json", strings.NewReader(ask))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != want {
		t.Errorf("status %d: %s; want %d", res.StatusCode, body, want)
	}
	if want == 503 && (res.Header.Get("Retry-After") != "5" || !strings.Contains(string(body), "adapter_loading")) {
		t.Errorf("Retry-After %q: %s", res.Header.Get("Retry-After"), body)
	}
	loads()
	if err := h.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, body := get(t, s.URL+"/readyz"); status != 200 {
		t.Errorf("/readyz at the end: %d %s", status, body)
	}
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

func TestKeysAndTheirModels(t *testing.T) {
	g := newGateway(t, `
model_mapping: {m: {provider: demo, model: m}, other: {provider: demo, model: m}}
auth:
  enabled: true
  api_keys: [sk-all-of-it, {name: guest, key: sk-guest-only, models: [other]}]
`)
	ask := func(method, path, key, body string) (int, string, http.Header) {
		req, _ := http.NewRequest(method, g.URL+path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		if key != "" {
			req.Header.Set("Authorization", "Bearer "+key)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b), res.Header
	}
	for name, tc := range map[string]struct {
		method, path, key, body string
		status                  int
		says                    string
	}{
		"no key":                          {"POST", "/v1/chat/completions", "", wholly, 401, "invalid_api_key"},
		"a wrong key":                     {"POST", "/v1/chat/completions", "sk-wrong", wholly, 401, "invalid_api_key"},
		"a wrong key before a wrong body": {"POST", "/v1/chat/completions", "sk-wrong", "{", 401, "invalid_api_key"},
		"a key for all models":            {"POST", "/v1/chat/completions", "sk-all-of-it", wholly, 200, "assistant"},
		"a key for another model":         {"POST", "/v1/chat/completions", "sk-guest-only", wholly, 403, "permission_error"},
		"a key lists its models only":     {"GET", "/v1/models", "sk-guest-only", "", 200, `"data":[{"id":"other"`},
		"an unknown path below /v1/":      {"POST", "/v1/nothing", "", "{}", 401, "invalid_api_key"},
		"/health needs none":              {"GET", "/health", "", "", 200, "healthy"},
		"OPTIONS needs none":              {"OPTIONS", "/v1/chat/completions", "", "", 204, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, body, head := ask(tc.method, tc.path, tc.key, tc.body)
			if status != tc.status || !strings.Contains(body, tc.says) {
				t.Errorf("%d %s, want %d with %q", status, body, tc.status, tc.says)
			}
			if status == 401 && head.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("WWW-Authenticate = %q", head.Get("WWW-Authenticate"))
			}
		})
	}
	if strings.Contains(g.log.String(), "sk-") {
		t.Error("a key is in the log")
	}
}
