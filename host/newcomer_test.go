package host_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// send makes a request with headers, each "Name: value", and gives status and body.
func (g *gateway) send(t testing.TB, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, g.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
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
	return res.StatusCode, string(b)
}

func TestDemoTakesItsTime(t *testing.T) {
	for name, tc := range map[string]struct {
		options, stream string
		want            time.Duration
	}{
		"15 ms between the words of a stream": {"{}", "true", 2 * 15 * time.Millisecond},
		"a whole answer is there at once":     {"{}", "false", 0},
		"a number is milliseconds":            {"{delay: 200}", "true", 3 * 200 * time.Millisecond},
		"whole answers take as long":          {"{delay: 2s}", "false", 6 * time.Second},
		"0 is no time":                        {"{delay: 0}", "true", 0},
		"never longer than a minute a word":   {"{delay: 99s}", "true", 3 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, "model_mapping: {demo: {provider: demo, model: m, options: "+tc.options+"}}")
			status, answer := g.send(t, "POST", "/v1/chat/completions", `{"model":"demo","stream":`+tc.stream+`,"max_tokens":3,"messages":[{"role":"user","content":"x"}]}`)
			if got := time.Duration(g.Slept.Load()); status != 200 || got != tc.want {
				t.Errorf("three words took %v, want %v (%d %s)", got, tc.want, status, answer)
			}
		})
	}
	if _, err := testkit.Parse("model_mapping: {demo: {provider: demo, model: m, options: {delay: soon}}}"); err == nil || !strings.Contains(err.Error(), "delay") {
		t.Errorf("delay: soon gave %v", err)
	}
}

// TestHoldsBackWhatIsAfterAWait looks at what a client has while the adapter waits.
func TestHoldsBackWhatIsAfterAWait(t *testing.T) {
	c := parse(t, "model_mapping: {demo: {provider: demo, model: m, options: {delay: 1s}}}")
	asleep, awake := make(chan time.Duration), make(chan bool)
	h, err := host.New(host.Options{Config: c, Module: testkit.Module, CacheDir: testkit.CacheDir, Sleep: func(ctx context.Context, d time.Duration) error {
		asleep <- d
		select {
		case <-awake:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	s := httptest.NewServer(h.Handler())
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "POST", s.URL+"/v1/chat/completions", strings.NewReader(`{"model":"demo","stream":true,"max_tokens":3,"messages":[{"role":"user","content":"x"}]}`))
	r.Header.Set("Content-Type", "application/json")
	got := make(chan string)
	go func() {
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			got <- err.Error()
			return
		}
		defer res.Body.Close()
		for b := make([]byte, 4096); ; {
			n, err := res.Body.Read(b)
			if n > 0 {
				got <- string(b[:n])
			}
			if err != nil {
				close(got)
				return
			}
		}
	}()
	<-asleep
	awake <- true
	if d := <-asleep; d != time.Second {
		t.Errorf("it waits %v between two words, want 1s", d)
	}
	var text string
	for !strings.Contains(text, `"This"`) {
		text += <-got // comes before the second word may
	}
	if strings.Contains(text, `" is"`) {
		t.Errorf("the second word is there before its time: %s", text)
	}
	cancel() // ends the wait
	for range got {
	}
}

func TestDemoKnowsTheModels(t *testing.T) {
	g := newGateway(t, `
model_mapping:
  demo: {provider: demo, model: m}
  granite-local: {provider: ollama, model: "granite4:tiny-h"}
  gpt-4: {provider: openrouter, model: a/b}
  gpt-3.5-turbo: {provider: openrouter, model: a/c}
auth: {enabled: true, api_keys: [{name: all, key: key-of-all}, {name: some, key: key-of-some, models: [demo, gpt-4]}]}
`)
	for key, want := range map[string]string{
		"key-of-all": "For a real model, ask for granite-local (start Ollama with 'ollama serve', and get the model once with 'ollama pull granite4:tiny-h'), " +
			"gpt-4 or gpt-3.5-turbo (set OPENROUTER_API_KEY in Kai's environment and start it again). GET /v1/models",
		"key-of-some": "For a real model, ask for gpt-4 (set OPENROUTER_API_KEY in Kai's environment and start it again). GET /v1/models",
	} {
		status, answer := g.send(t, "POST", "/v1/chat/completions", `{"model":"demo","messages":[{"role":"user","content":"x"}]}`, "Authorization: Bearer "+key)
		if status != 200 || !strings.Contains(answer, want) {
			t.Errorf("with %s the demo says %s, want %q", key, answer, want)
		}
	}
	g = newGateway(t, "model_mapping: {demo: {provider: demo, model: m}}")
	if _, answer := g.send(t, "POST", "/v1/chat/completions", `{"model":"demo","messages":[{"role":"user","content":"x"}]}`); !strings.Contains(answer, "Real models are configured under model_mapping.") {
		t.Errorf("without other models the demo says %s", answer)
	}
}

func TestUnreachableOllamaSaysWhatToDo(t *testing.T) {
	nobody := mock.Nowhere(t)
	g := newGateway(t, `
providers: {ollama: {base_url: "`+nobody+`"}}
model_mapping: {granite-local: {provider: ollama, model: "granite4:tiny-h"}}
default_model: granite-local
`)
	status, answer := g.send(t, "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"x"}]}`)
	want := "Provider 'ollama' is not reachable at " + nobody + ": connection refused. Is it running? " +
		"The request names no model, so it is for the default one, 'granite-local'. To use this model, start Ollama with 'ollama serve', and get the model once with 'ollama pull granite4:tiny-h'."
	if status != 502 || !strings.Contains(answer, want) {
		t.Errorf("%d %s, want 502 and %q", status, answer, want)
	}
}

func TestUnknownModelsGetASuggestion(t *testing.T) {
	g := newGateway(t, `
model_mapping: {granite-local: {provider: demo, model: m}, gpt-4: {provider: demo, model: m}}
auth:
  enabled: true
  api_keys: [{name: all, key: key-of-all}, {name: some, key: key-of-some, models: [gpt-4]}]
`)
	for name, tc := range map[string]struct{ key, model, want string }{
		"a misspelt one":                    {"key-of-all", "granit-local", "Model 'granit-local' not found in configuration; did you mean 'granite-local'?"},
		"one that is like no other":         {"key-of-all", "claude", "Model 'claude' not found in configuration; there are granite-local, gpt-4"},
		"what a key may not use is no word": {"key-of-some", "granit-local", "Model 'granit-local' not found in configuration; there are gpt-4"},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := g.send(t, "POST", "/v1/chat/completions", `{"model":"`+tc.model+`","messages":[{"role":"user","content":"x"}]}`, "Authorization: Bearer "+tc.key)
			if status != 400 || !strings.Contains(answer, `"`+tc.want+`"`) {
				t.Errorf("POST with the model %q: %d %s, want 400 and %q", tc.model, status, answer, tc.want)
			}
			status, answer = g.send(t, "GET", "/v1/models/"+tc.model, "", "Authorization: Bearer "+tc.key)
			want := strings.Replace(tc.want, " in configuration", "", 1)
			if status != 404 || !strings.Contains(answer, `"`+want+`"`) {
				t.Errorf("GET of the model %q: %d %s, want 404 and %q", tc.model, status, answer, want)
			}
		})
	}
	if log := g.log.String(); !strings.Contains(log, `"key":"some"`) || strings.Contains(log, "key-of-some") {
		t.Errorf("the log does not name the key, or shows it:\n%s", log)
	}
}

func TestExamplesCanBeTriedAsTheyAre(t *testing.T) {
	for name, tc := range map[string]struct{ yaml, want string }{
		"demo where that alias exists":      {"model_mapping: {a: {provider: ollama, model: m}, demo: {provider: demo, model: m}}", "demo"},
		"else the first that needs nothing": {"model_mapping: {a: {provider: ollama, model: m}, b: {provider: openrouter, model: m}, c: {provider: demo, model: m}}", "c"},
		"else the default model":            {"model_mapping: {a: {provider: ollama, model: m}, b: {provider: ollama, model: m}}\ndefault_model: b", "b"},
		"else the first":                    {"model_mapping: {a: {provider: ollama, model: m}, b: {provider: ollama, model: m}}", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, tc.yaml)
			if _, document := g.send(t, "GET", "/openapi.json", ""); !strings.Contains(document, `"value":{"model":"`+tc.want+`","messages"`) {
				t.Errorf("the examples of /openapi.json do not ask %q", tc.want)
			}
			if _, page := g.send(t, "GET", "/", "", "Accept: text/html"); !strings.Contains(page, "{&#34;model&#34;: &#34;"+tc.want+"&#34;, ") {
				t.Errorf("the page does not ask %q:\n%s", tc.want, page)
			}
		})
	}

	// Those of the document that comes with demo are answered.
	g := newGateway(t, "model_mapping: {demo: {provider: demo, model: m}}")
	_, text := g.send(t, "GET", "/openapi.json", "")
	var document struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct {
					Examples map[string]struct{ Value json.RawMessage }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for path, item := range document.Paths {
		for _, example := range item["post"].RequestBody.Content["application/json"].Examples {
			tried++
			if status, answer := g.send(t, "POST", path, string(example.Value)); status != 200 || strings.Contains(answer, `"error":{`) {
				t.Errorf("POST %s %s: %d %s", path, example.Value, status, answer)
			}
		}
	}
	if tried < 11 {
		t.Errorf("%d examples of requests", tried)
	}
}
