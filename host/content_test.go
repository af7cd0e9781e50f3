package host_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// contentCanaries are texts that may be seen by those alone whom they are for.
const (
	promptCanary   = "prompt-canary-7f3a"
	answerCanary   = "answer-canary-91bc"
	clientKey      = "key-canary-of-client-55d0"
	upstreamCanary = "sk-canary-of-upstream-e2f4"
)

// failingAnswers are an upstream's answers of every class, with the prompt in what they say.
func failingAnswers() map[string]mock.Answer {
	failure := func(status int, code string) mock.Answer {
		return mock.Whole(status, "application/json", fmt.Sprintf(`{"error":{"message":"You said %s, I say %s","type":"%s","param":"%s","code":%q}}`, promptCanary, answerCanary, promptCanary, promptCanary, code))
	}
	broken := `data: {"choices":[{"index":0,"delta":{"content":"` + answerCanary + `"}}]}` + "\n\n"
	answers := map[string]mock.Answer{
		"an answer":          says(answerCanary),
		"a broken stream":    mock.Steps(mock.SSE(broken), mock.Reset),
		"an error in it":     mock.SSE(broken, `data: {"error":{"message":"`+promptCanary+`","code":"`+promptCanary+`"}}`+"\n\n"),
		"no JSON":            mock.Whole(200, "application/json", promptCanary+answerCanary),
		"a page":             mock.Whole(502, "text/html", "<html>"+promptCanary+answerCanary),
		"an event of no API": mock.SSE("event: " + promptCanary + "\ndata: " + answerCanary + "\n\n"),
		"no status":          mock.Raw("HTTP/1.1 abc " + promptCanary + "\r\n\r\n"),
		"a redirect":         mock.Steps(mock.Header("Location", "http://elsewhere.example/?q="+promptCanary), mock.Status(302)),
		"its own code":       failure(400, promptCanary),
		"a transcription":    mock.JSON(`{"text":"` + answerCanary + `"}`),
		"plain text":         mock.Whole(200, "text/plain", answerCanary),
		"sound":              mock.Whole(200, "audio/mpeg", answerCanary),
		"a judgement":        mock.JSON(`{"id":"` + answerCanary + `","model":"` + answerCanary + `","results":[{"flagged":false,"` + answerCanary + `":1}]}`),
		"a picture":          mock.JSON(`{"created":1,"data":[{"b64_json":"` + answerCanary + `"}],"usage":{"input_tokens":5,"output_tokens":2}}`),
	}
	for status, code := range map[int]string{
		400: "context_length_exceeded", 401: "invalid_api_key", 402: "insufficient_quota", 403: "content_policy_violation", 404: "model_not_found",
		408: "", 409: "", 413: "request_too_large", 422: "invalid_value", 429: "rate_limit_exceeded", 500: "", 503: "overloaded", 504: "", 529: "",
	} {
		answers[fmt.Sprint(status)] = failure(status, code)
	}
	return answers
}

// askEverywhere asks for an answer at every endpoint with the prompt, as a stream and whole
// where there are both, and returns how many requests that were.
func askEverywhere(t *testing.T, g *gateway, check func(path, got string)) (asked int) {
	t.Helper()
	ask := func(path, contentType, body string) {
		t.Helper()
		_, got := g.postForm(t, path, clientKey, contentType, body)
		check(path, got)
		asked++
	}
	for _, api := range clientAPIs {
		for _, stream := range []bool{false, true} {
			ask(api.path, "application/json", api.asks(promptCanary, stream))
		}
	}
	for path, body := range map[string]string{
		"/v1/embeddings":         `{"model":"m","input":%q}`,
		"/v1/moderations":        `{"model":"m","input":[%q]}`,
		"/v1/rerank":             `{"model":"m","query":%[1]q,"documents":[%[1]q,"b"]}`,
		"/v1/images/generations": `{"model":"m","prompt":%q}`,
		speech:                   `{"model":"m","input":%q,"voice":"alloy"}`,
		"/v1/fim/completions":    `{"model":"m","prompt":%[1]q,"suffix":%[1]q}`,
	} {
		ask(path, "application/json", fmt.Sprintf(body, promptCanary))
		ask(path, "application/json", fmt.Sprintf(body, promptCanary)[:20]+promptCanary) // no JSON
	}
	ask(transcriptions, formOf, transcribe("m", fieldOf("prompt", promptCanary)+fieldOf(promptCanary, promptCanary), promptCanary))
	return asked
}

// refuseEverywhere sends what is refused before anybody is asked.
func refuseEverywhere(t *testing.T, g *gateway) (asked int) {
	t.Helper()
	for _, api := range clientAPIs {
		whole := api.asks(promptCanary, false)
		for _, body := range []string{
			strings.Replace(whole, `"model":"m"`, `"model":"m","temperature":"`+promptCanary+`","`+promptCanary+`":1`, 1),
			strings.Replace(whole, `"user"`, `"`+promptCanary+`"`, 1), api.asks(promptCanary, true)[:40], `{"model":"m","x":"` + promptCanary + `"`,
		} {
			g.postTo(t, api.path, clientKey, body)
			asked++
		}
		g.postTo(t, api.path, promptCanary, whole) // with a wrong key
		asked++
	}
	return asked
}

// TestTrapContentIsTold has clients ask with a prompt at every endpoint, and upstreams
// answer with another text or fail in every way with the client's prompt in what they say.
// Neither text nor any key is in the metrics, also those for a collector, the spans, the
// audit, the log, or any answer of the admin listener.
func TestTrapContentIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	collector := mock.Start(t, mock.Status(200))
	up := mock.Start(t, nil)
	started := testkit.Start(t, testkit.Options{Now: time.Now, Level: slog.LevelInfo, Config: parse(t, fmt.Sprintf(
		"admin: {key_metrics: true, console: true}\nproviders:\n  up: {plugin: openai, base_url: %q, api_key: %s, trace: true}\nmodel_mapping:\n  m: {provider: up, model: m, price: {input: 1, output: 1, audio_hour: 1, image: 0.01, speech: 1}}\n"+
			"auth: {enabled: true, api_keys: [{name: app, key: %s, limits: {requests: 9000/m}, budget: {day: 500}}]}\naudit: {file: %q}\n"+
			"telemetry: {traces: {endpoint: %q}, metrics: {endpoint: %q, interval: 1s}, conventions: both}\n", up.URL, upstreamCanary, clientKey, path, collector.URL, collector.URL))})
	if err := started.Ready(t); err != nil {
		t.Fatal(err)
	}
	g := &gateway{started, started.Host, started.Log}
	console := withAdmin(t, g, nil)
	live := liveRequests(t, console.URL)
	asked, passed := 0, map[string]bool{}
	for name, answer := range failingAnswers() {
		up.Answer(answer)
		asked += askEverywhere(t, g, func(path, got string) {
			if name == "an answer" && path == "/v1/chat/completions" && !strings.Contains(got, answerCanary) {
				t.Errorf("%s: the client gets %s", path, got)
			}
			passed[path] = passed[path] || strings.Contains(got, answerCanary) && !strings.Contains(got, `"error":{`)
		})
	}
	for _, path := range []string{"/v1/moderations", "/v1/images/generations", speech, transcriptions, "/v1/messages", "/v1/responses", "/v1/completions"} {
		if !passed[path] {
			t.Errorf("no answer to %s reached the client", path)
		}
	}
	asked += refuseEverywhere(t, g)
	var audited []byte
	for end := time.Now().Add(time.Minute); bytes.Count(audited, []byte("\n")) < asked && time.Now().Before(end); time.Sleep(time.Millisecond) {
		audited, _ = os.ReadFile(path)
	}
	if n := bytes.Count(audited, []byte("\n")); n != asked {
		t.Errorf("the audit has %d lines of %d requests", n, asked)
	}
	told := map[string]string{"metrics": scrape(g), "audit": string(audited)}
	for _, path := range []string{"/admin/v1/state", "/admin/v1/requests", "/admin/v1/series", "/admin/v1/series?model=m", "/admin/v1/usage?by=key,alias,target", "/metrics", "/"} {
		status, body := adminAsks(t, "GET", console.URL+path)
		if told[path] = body; status != 200 {
			t.Errorf("%s is %d %s", path, status, body)
		}
	}
	told["live requests"] = live(asked)
	told["spans"] = sentTo(t, collector, "/v1/traces", "gen_ai.request.model")
	told["metrics for a collector"] = sentTo(t, collector, "/v1/metrics", "kai_attempts_total")
	started.Server.Close() // so that nothing is logged any more
	if told["log"] = g.log.String(); !strings.Contains(told["metrics"], "kai_attempts_total") || strings.Count(told["log"], "request finished") != asked {
		t.Errorf("the metrics or the log don't have the %d requests", asked)
	}
	for where, text := range told {
		for line := range strings.Lines(text) {
			if at := strings.Index(line, "canary"); at >= 0 {
				t.Errorf("the %s: …%s…", where, line[max(0, at-200):min(len(line), at+100)])
				break
			}
		}
	}
}

// liveRequests follows the requests live. The function that it returns waits for so many
// and returns all that came.
func liveRequests(t *testing.T, admin string) (came func(n int) string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, "GET", admin+"/admin/v1/requests?live=1", nil)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text := &testkit.Log{}
	go func() {
		defer res.Body.Close()
		io.Copy(text, res.Body)
	}()
	return func(n int) string {
		// Of those that come too fast some are missing, but never the last.
		for end := time.Now().Add(time.Minute); !strings.Contains(text.String(), fmt.Sprintf(`"number":%d,`, n)) && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
		if !strings.Contains(text.String(), `"model":"m"`) {
			t.Error("the live answer has no request")
		}
		return text.String()
	}
}
