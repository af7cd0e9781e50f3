package host_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestOnlyTheConfigurationRoutes sends, through the shipped adapters that pass on
// what clients write, what would have the upstream ask another model, provider or
// account than the configuration names.
func TestOnlyTheConfigurationRoutes(t *testing.T) {
	up := mock.Start(t, mock.Status(400))
	providers := fmt.Sprintf(`
providers:
  openrouter: {base_url: %[1]q, api_key: k, options: {provider: {data_collection: deny}}}
  openai: {base_url: %[1]q, api_key: k}
  anthropic: {base_url: %[1]q, api_key: k}
model_mapping:
  openrouter: {provider: openrouter, model: small}
  openai: {provider: openai, model: small}
  anthropic: {provider: anthropic, model: small}
  secret: {provider: openai, model: large}
`, up.URL)
	open := newGateway(t, providers)
	keyed := newGateway(t, providers+`
auth:
  enabled: true
  api_keys:
    - {name: plain, key: plain, models: [openrouter, openai, anthropic]}
    - {name: routes, key: routes, provider_routing: true}
`)
	for name, tc := range map[string]struct {
		alias, field string
		at           string // what the error names
	}{
		"OpenRouter's models":                 {"openrouter", `"models":["large"]`, "models"},
		"null instead of an option":           {"openrouter", `"provider":null`, "provider"},
		"another provider":                    {"openrouter", `"provider":{"order":["x"]}`, "provider"},
		"a preset":                            {"openrouter", `"preset":"x"`, "preset"},
		"the route of older clients":          {"openrouter", `"route":"fallback"`, "route"},
		"a plugin that asks others":           {"openrouter", `"plugins":[{"id":"fusion","analysis_models":["large"]}]`, "plugins"},
		"in capitals":                         {"openrouter", `"MODELS":["large"]`, "models"},
		"escaped":                             {"openrouter", `"model\u0073":["large"]`, "models"},
		"a tool that asks another model":      {"openrouter", `"tools":[{"type":"openrouter:advisor","parameters":{"model":"large"}}]`, "tools[0].type"},
		"the same through openai":             {"openai", `"models":["large"]`, "models"},
		"LiteLLM's fallbacks":                 {"openai", `"fallbacks":["large"]`, "fallbacks"},
		"another server":                      {"openai", `"api_base":"http://evil.test"`, "api_base"},
		"what SDKs call extra_body":           {"openai", `"extra_body":{"model":"large"}`, "extra_body"},
		"Vercel's options":                    {"openai", `"providerOptions":{"gateway":{"models":["large"]}}`, "providerOptions"},
		"a second model that is loaded":       {"openai", `"draft_model":"large"`, "draft_model"},
		"Anthropic's tool with its own model": {"anthropic", `"tools":[{"type":"advisor_20260301","name":"advisor","model":"large"}]`, "tools[0].type"},
	} {
		t.Run(name, func(t *testing.T) {
			body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"x"}],%s}`, tc.alias, tc.field)
			for who, post := range map[string]func() (*http.Response, string){
				"without keys": func() (*http.Response, string) { return open.post(t, body) },
				"with a key":   func() (*http.Response, string) { return keyed.postAs(t, "plain", body) },
			} {
				up.Forget()
				res, answer := post()
				var e struct {
					Error struct{ Type, Param, Message string }
				}
				if err := json.Unmarshal([]byte(answer), &e); err != nil {
					t.Fatal(err)
				}
				if res.StatusCode != 403 || e.Error.Type != "permission_error" || e.Error.Param != tc.at || !strings.Contains(e.Error.Message, "provider_routing") {
					t.Errorf("%s: %d %s, want a 403 that names %s and the way out", who, res.StatusCode, answer, tc.at)
				}
				if got := up.Requests(); len(got) > 0 {
					t.Errorf("%s: the upstream was asked: %v", who, got)
				}
			}
			if res, answer := keyed.postAs(t, "routes", body); len(up.Requests()) == 0 {
				t.Errorf("with a key that may: the upstream was not asked: %d %s", res.StatusCode, answer)
			}
		})
	}

	for name, tc := range map[string]struct{ query, field string }{
		"a query":             {"?model=large", ""},
		"another case":        {"", `,"Model":"large"`},
		"a letter that folds": {"", `,"ſtream":true`},
		"a NUL":               {"", `,"model\u0000":"large"`},
		"the field twice":     {"", `,"mod\u0065l":"large"`},
		"in what is unknown":  {"", `,"metadata":{"model":"other"}`},
	} {
		t.Run("model, "+name, func(t *testing.T) {
			up.Forget()
			r, _ := http.NewRequest("POST", keyed.URL+"/v1/chat/completions"+tc.query,
				strings.NewReader(`{"model":"openai","messages":[{"role":"user","content":"x"}]`+tc.field+`}`))
			r.Header.Set("Authorization", "Bearer plain")
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			got := up.Last()
			refused := res.StatusCode == 400 && got.URI == ""
			asIs := got.URI == "/chat/completions" && strings.Contains(got.Body, `"model":"small"`) && !strings.Contains(got.Body, "large")
			if !refused && !asIs {
				t.Errorf("status %d, the upstream got %v", res.StatusCode, got)
			}
		})
	}
	if res, _ := keyed.postAs(t, "plain", `{"model":"secret","messages":[{"role":"user","content":"x"}]}`); res.StatusCode != 403 {
		t.Errorf("an alias that the key may not use: %d, want 403", res.StatusCode)
	}
}

// TestWhatOtherAPIsDontKnowIsNotSent: of a request of the Responses or the Messages API,
// nothing reaches an upstream but what the API has and the gateway translates, so that none
// of it can choose a model or a provider there.
func TestWhatOtherAPIsDontKnowIsNotSent(t *testing.T) {
	up := mock.Start(t, mock.Status(400))
	g := newGateway(t, fmt.Sprintf(`
providers:
  openrouter: {base_url: %[1]q, api_key: k}
  openai: {base_url: %[1]q, api_key: k}
  anthropic: {base_url: %[1]q, api_key: k}
model_mapping:
  openrouter: {provider: openrouter, model: small, native: false}
  openai: {provider: openai, model: small, native: false}
  anthropic: {provider: anthropic, model: small, native: false}
`, up.URL))
	for _, alias := range []string{"openrouter", "openai", "anthropic"} {
		for path, rest := range map[string]string{
			"/v1/responses": `"input":"x"`, "/v1/messages": `"max_tokens":9,"messages":[{"role":"user","content":"x"}]`,
		} {
			asked := 0
			for _, field := range choosing {
				up.Forget()
				status, answer := g.send(t, "POST", path, fmt.Sprintf(`{"model":%q,%s,%s}`, alias, rest, field))
				sent := up.Requests()
				asked += len(sent)
				if len(sent) == 0 && status != 400 {
					t.Errorf("%s with %s to %s: %d %s", path, field, alias, status, answer)
				}
				for _, r := range sent {
					if got := r.String(); strings.Contains(got, "canary") || !strings.Contains(got, `"small"`) {
						t.Errorf("%s with %s to %s: the upstream got %s", path, field, alias, got)
					}
				}
			}
			if asked < 5 {
				t.Errorf("%s asked %s only %d times", path, alias, asked)
			}
		}
	}
	if strings.Contains(g.log.String(), "canary") {
		t.Errorf("the log shows what clients sent: %s", g.log)
	}
}

// TestToolsOfOthersDontRoute: an API without tools passes none on to a server of which some choose.
func TestToolsOfOthersDontRoute(t *testing.T) {
	up := mock.Start(t, mock.Status(400))
	g := newGateway(t, fmt.Sprintf(`
providers: {openrouter: {base_url: %q, api_key: k}}
model_mapping: {m: {provider: openrouter, model: small}}
`, up.URL))
	for _, path := range []string{"/v1/completions", "/v1/fim/completions", "/v1/embeddings"} {
		for _, field := range []string{`"tools":[{"type":"openrouter:advisor"}]`, `"Tools":[{"Type":"openrouter:advisor","type":"function"}]`} {
			res, answer := g.postTo(t, path, "", `{"model":"m","prompt":"a","input":"a",`+field+`}`)
			if res.StatusCode != 403 || len(up.Requests()) > 0 {
				t.Errorf("%s %s: %d %s, want a 403 and no request", path, field, res.StatusCode, answer)
			}
		}
	}
}

// choosing are fields that would choose a model or a provider, or that are nobody's business.
var choosing = []string{
	`"models":["canary"]`, `"provider":{"order":["canary"]}`, `"preset":"canary"`, `"plugins":[{"id":"canary"}]`, `"route":"canary"`,
	`"fallbacks":["canary"]`, `"extra_body":{"model":"canary"}`, `"api_base":"http://canary.test"`, `"MODELS":["canary"]`, `"model\u0073":["canary"]`,
	`"Model":"canary"`, `"model\u0000":"canary"`, `"safeguards":{"canary":1}`, `"tools":[{"type":"openrouter:canary","parameters":{"model":"canary"}}]`,
	`"tools":[{"type":"advisor_20260301","name":"advisor","model":"canary"}]`,
	`"tools":[{"Type":"openrouter:canary","type":"function","name":"f"}]`, `"tools":[{"type":"function","name":"f","tYpe":"openrouter:canary"}]`,
	`"tools":[{"type":"function","name":"f","Model":"canary"}]`,
}
