package host_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
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
