package host_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestErrorTextsTellNoAddress has upstreams that tell their own network's names
// and addresses in errors, as proxies and servers in front of engines do: what
// shipped adapters pass on to clients holds none of them.
func TestErrorTextsTellNoAddress(t *testing.T) {
	private := []string{"10.20.30.40", "8080", "fd00", "8443", "svc.cluster", "backend-3", "11434"}
	texts := []string{
		"dial tcp 10.20.30.40:8080: connect: connection refused",
		`Post "http://10.20.30.40:8080/completion": dial tcp 10.20.30.40:8080: connect: connection refused`,
		"dial tcp [fd00::12]:8443: i/o timeout",
		"lookup engine.svc.cluster.local on 10.20.30.40:53: no such host",
		"upstream backend-3:8443 closed the connection",
		"accept tcp 10.20.30.40:11434: accept4: too many open files",
	}
	bodies := map[string]string{ // how each upstream wraps a text; the same in a stream
		"anthropic":  `{"type":"error","error":{"type":"api_error","message":%s}}`,
		"gemini":     `{"error":{"code":500,"message":%s,"status":"INTERNAL"}}`,
		"ollama":     `{"error":%s}`,
		"openai":     `{"error":{"message":%s,"type":"server_error","code":null}}`,
		"openrouter": `{"error":{"code":502,"message":%s}}`,
	}
	for plugin, tc := range keyed {
		t.Run(plugin, func(t *testing.T) {
			up := mock.Start(t, nil)
			path, _ := withKey(t, plugin)
			g := keyedGateway(t, path, up.URL+tc.prefix, "{}", "m")
			for _, text := range texts {
				quoted, _ := json.Marshal(text)
				body := fmt.Sprintf(bodies[plugin], quoted)
				inStream := mock.SSE("event: error\ndata: " + body + "\n\n")
				if plugin == "ollama" {
					inStream = mock.NDJSON(line("so far") + body + "\n")
				}
				for how, answer := range map[string]mock.Answer{
					"text": mock.Whole(502, "text/plain", text), "whole": mock.Whole(502, "application/json", body), "streamed": inStream,
				} {
					up.Answer(answer)
					_, answer := g.post(t, streamed)
					if _, ok := errorMessage(answer); !ok {
						t.Errorf("%s, %s: no error: %s", text, how, answer)
					}
					for _, word := range append(private, strings.TrimPrefix(up.URL, "http://")) {
						if strings.Contains(answer, word) {
							t.Errorf("%s, %s: the client sees %q: %s", text, how, word, answer)
						}
					}
				}
			}
		})
	}
}

// TestWordsOfProvidersAreLoggedIfAskedForTwice has two providers fail one after the other, with
// the prompt in what they say, while the log's level is debug.
func TestWordsOfProvidersAreLoggedIfAskedForTwice(t *testing.T) {
	up := mock.Start(t, mock.Whole(400, "application/json", `{"error":{"message":"You said prompt-canary"}}`))
	broken := mock.Start(t, mock.Whole(503, "application/json", `{"error":{"message":"You said prompt-canary"}}`))
	for logs, want := range map[[2]string]bool{{"debug", "debug"}: true, {"debug", "warn"}: false, {"warn", "debug"}: false} {
		g := newGateway(t, fmt.Sprintf("providers:\n  one: {plugin: openai, base_url: %q, api_key: a, log: %s}\n  two: {plugin: openai, base_url: %q, api_key: b, log: %s}\n"+
			"model_mapping:\n  m: {targets: [{provider: one, model: m}, {provider: two, model: m, tier: 2}]}\n", broken.URL, logs[0], up.URL, logs[1]))
		if _, answer := g.post(t, answerOfM); !strings.Contains(answer, "prompt-canary") {
			t.Errorf("the client gets %s", answer)
		}
		g.Server.Close() // so that all is logged
		log := g.log.String()
		if strings.Contains(log, "prompt-canary") != want || !strings.Contains(log, "request finished") {
			t.Errorf("with %v, the log shows it: %v, want %v\n%s", logs, !want, want, log)
		}
	}
}

// TestTheLogHasWhatAnAdapterSaysItself has a provider fail in the ways in which it is mostly
// configured wrong. The operator must learn from the log what the client is told.
func TestTheLogHasWhatAnAdapterSaysItself(t *testing.T) {
	for name, tc := range map[string]struct {
		plugin string
		answer mock.Answer
		want   []string
	}{
		"a path that isn't there":   {"openai", mock.Whole(404, "text/plain", "404 page not found prompt-canary"), []string{`"upstream_status":404`, "Check the provider's base_url", "it mostly ends in /v1"}},
		"a path that Ollama lacks":  {"ollama", mock.Whole(404, "text/plain", "404 page not found"), []string{`"upstream_status":404`, "base_url must be the root"}},
		"a refused key":             {"openai", mock.Whole(401, "application/json", `{"error":{"message":"prompt-canary"}}`), []string{`"upstream_status":401`, "Check the provider's api_key"}},
		"a refused key at Claude":   {"anthropic", mock.Whole(401, "application/json", `{"type":"error","error":{"type":"authentication_error","message":"prompt-canary"}}`), []string{`"upstream_status":401`, "Check the provider's api_key", "both log.level"}},
		"a failure":                 {"openai", mock.Whole(500, "application/json", `{"error":{"message":"prompt-canary"}}`), []string{`"upstream_status":500`, "The provider failed.", "both log.level"}},
		"an empty answer":           {"openai", mock.Whole(200, "application/json", ""), []string{`"upstream_status":200`, "sent an empty answer"}},
		"null in place of one":      {"openai", mock.Whole(200, "application/json", "null"), []string{`"upstream_status":200`, "sent an empty answer"}},
		"an answer without choices": {"openai", mock.Whole(200, "application/json", `{"choices":[]}`), []string{`"upstream_status":200`, "without any choice"}},
		"a refusal at OpenRouter":   {"openrouter", mock.Whole(401, "application/json", `{"error":{"code":401,"message":"prompt-canary"}}`), []string{`"upstream_status":401`, "Check the provider's api_key"}},
		"a path that Gemini lacks":  {"gemini", mock.Whole(404, "text/plain", ""), []string{`"upstream_status":404`, "it ends in /v1beta"}},
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, tc.answer)
			g := newGateway(t, fmt.Sprintf("providers:\n  up: {plugin: %s, base_url: %q, api_key: a}\nmodel_mapping:\n  m: {provider: up, model: m}\n", tc.plugin, up.URL))
			g.post(t, answerOfM)
			g.Server.Close() // so that all is logged
			log := g.log.String()
			for _, want := range tc.want {
				if !strings.Contains(log, want) {
					t.Errorf("the log lacks %q:\n%s", want, log)
				}
			}
			if strings.Contains(log, "prompt-canary") {
				t.Errorf("the log has what the provider said:\n%s", log)
			}
		})
	}
}
