package host_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestNothingTellsContent has clients ask with a prompt, and upstreams answer with
// another text or fail in every way with the client's prompt in what they say. Neither
// text nor any key is in the metrics, the audit, the log or the spans.
func TestNothingTellsContent(t *testing.T) {
	const prompt, spoken, clientKey, upstreamKey = "prompt-canary-7f3a", "answer-canary-91bc", "key-canary-of-client-55d0", "sk-canary-of-upstream-e2f4"
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	failure := func(status int, code string) mock.Answer {
		return mock.Whole(status, "application/json", fmt.Sprintf(`{"error":{"message":"You said %s, I say %s","type":"%s","param":"%s","code":%q}}`, prompt, spoken, prompt, prompt, code))
	}
	broken := `data: {"choices":[{"index":0,"delta":{"content":"` + spoken + `"}}]}` + "\n\n"
	answers := map[string]mock.Answer{
		"an answer":          says(spoken),
		"a broken stream":    mock.Steps(mock.SSE(broken), mock.Reset),
		"an error in it":     mock.SSE(broken, `data: {"error":{"message":"`+prompt+`","code":"`+prompt+`"}}`+"\n\n"),
		"no JSON":            mock.Whole(200, "application/json", prompt+spoken),
		"a page":             mock.Whole(502, "text/html", "<html>"+prompt+spoken),
		"an event of no API": mock.SSE("event: " + prompt + "\ndata: " + spoken + "\n\n"),
		"no status":          mock.Raw("HTTP/1.1 abc " + prompt + "\r\n\r\n"),
		"a redirect":         mock.Steps(mock.Header("Location", "http://elsewhere.example"), mock.Status(302)),
		"its own code":       failure(400, prompt),
	}
	for status, code := range map[int]string{
		400: "context_length_exceeded", 401: "invalid_api_key", 402: "insufficient_quota", 403: "content_policy_violation", 404: "model_not_found",
		408: "", 409: "", 413: "request_too_large", 422: "invalid_value", 429: "rate_limit_exceeded", 500: "", 503: "overloaded", 504: "", 529: "",
	} {
		answers[fmt.Sprint(status)] = failure(status, code)
	}
	collector := mock.Start(t, mock.Status(200))
	up := mock.Start(t, nil)

	started := testkit.Start(t, testkit.Options{Now: time.Now, Level: slog.LevelInfo, Config: parse(t, fmt.Sprintf(
		"providers:\n  up: {plugin: openai, base_url: %q, api_key: %s}\nmodel_mapping:\n  m: {provider: up, model: m}\n"+
			"auth: {enabled: true, api_keys: [{name: app, key: %s}]}\naudit: {file: %q}\ntelemetry: {traces: {endpoint: %q}}\n", up.URL, upstreamKey, clientKey, path, collector.URL))})
	if err := started.Ready(t); err != nil {
		t.Fatal(err)
	}
	g := &gateway{started, started.Host, started.Log}
	asked := 0
	for name, answer := range answers {
		up.Answer(answer)
		for _, api := range clientAPIs {
			for _, stream := range []bool{false, true} {
				_, got := g.postTo(t, api.path, clientKey, api.asks(prompt, stream))
				asked++
				if name == "an answer" && !strings.Contains(got, spoken) {
					t.Errorf("%s: the client gets %s", api.name, got)
				}
			}
		}
		g.postTo(t, "/v1/embeddings", clientKey, fmt.Sprintf(`{"model":"m","input":%q}`, prompt))
		asked++
	}
	for _, api := range clientAPIs { // what is refused before anybody is asked
		for _, body := range []string{
			strings.Replace(api.asks(prompt, false), `"model":"m"`, `"model":"m","temperature":"`+prompt+`","`+prompt+`":1`, 1),
			strings.Replace(api.asks(prompt, false), `"user"`, `"`+prompt+`"`, 1), api.asks(prompt, true)[:40], `{"model":"m","x":"` + prompt + `"`,
		} {
			g.postTo(t, api.path, clientKey, body)
			asked++
		}
		g.postTo(t, api.path, prompt, api.asks(prompt, false)) // with a wrong key
		asked++
	}
	var audited []byte
	for end := time.Now().Add(10 * time.Second); bytes.Count(audited, []byte("\n")) < asked && time.Now().Before(end); time.Sleep(time.Millisecond) {
		audited, _ = os.ReadFile(path)
	}
	if n := bytes.Count(audited, []byte("\n")); n != asked {
		t.Errorf("the audit has %d lines of %d requests", n, asked)
	}
	started.Server.Close() // so that nothing is logged any more
	var spans strings.Builder
	for end := time.Now().Add(10 * time.Second); len(collector.Requests()) == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	for _, r := range collector.Requests() {
		spans.WriteString(r.Body)
	}
	if !strings.Contains(spans.String(), "gen_ai.request.model") {
		t.Error("the collector has no spans of attempts")
	}
	metrics := scrape(g)
	if !strings.Contains(metrics, "kai_attempts_total") || strings.Count(g.log.String(), "request finished") != asked {
		t.Errorf("the metrics or the log don't have the %d requests", asked)
	}
	for where, told := range map[string]string{"metrics": metrics, "audit": string(audited), "log": g.log.String(), "spans": spans.String()} {
		for line := range strings.Lines(told) {
			for _, canary := range []string{"canary", prompt, spoken} {
				if strings.Contains(line, canary) {
					t.Errorf("the %s: %s", where, line)
					break
				}
			}
		}
	}
}
