package host_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// sseChunk is a piece of OpenAI's stream with a text.
func sseChunk(text string) string {
	return fmt.Sprintf("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", text)
}

const (
	sseStop  = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
	sseUsage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":50,\"total_tokens\":150}}\n\n"
	sseDone  = "data: [DONE]\n\n"
	asked    = `{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}`
)

// limited is a gateway in front of an upstream, at which the key "app" of the group "team"
// may use and spend what is given.
func limited(t *testing.T, up *mock.Upstream, key, rest string) *gateway {
	return newGateway(t, fmt.Sprintf(`
providers: {openai: {base_url: %q, api_key: k}}
model_mapping:
  m: {provider: openai, model: small, price: {input: 1, output: 10, image: 0}}
  spare: {provider: demo, model: demo, price: free}
auth:
  enabled: true
  groups: {team: {limits: {concurrent: 100}}}
  api_keys: [{name: app, key: app, group: team, %s}, {name: other, key: other}]
%s`, up.URL, key, rest))
}

// settled waits until no request of the key's group runs any more.
func (g *gateway) settled(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		switch n := g.host.Counted("group team concurrent"); {
		case n == 0:
			return
		case n < 0:
			t.Fatal("the group 'team' has no limit of requests that run, which are waited for")
		case time.Now().After(end):
			t.Fatal("a request never ends")
		}
	}
}

func TestARequestTooManyIsNotSent(t *testing.T) {
	up := mock.Start(t, mock.SSE(sseChunk("a"), sseStop, sseUsage, sseDone))
	g := limited(t, up, "limits: {requests: [2/h, 100/d], tokens: 1M/d}", "")
	for i := range 2 {
		res, text := g.postAs(t, "app", asked)
		if res.StatusCode != 200 || res.Header.Get("X-Ratelimit-Limit-Requests") != "2" || res.Header.Get("X-Ratelimit-Remaining-Requests") != fmt.Sprint(1-i) ||
			res.Header.Get("X-Ratelimit-Limit-Tokens") != "1000000" || res.Header.Get("X-Ratelimit-Reset-Tokens") == "" {
			t.Fatalf("%d %s, %v", res.StatusCode, text, res.Header)
		}
	}
	up.Forget()
	res, text := g.postAs(t, "app", asked)
	if res.StatusCode != 429 || !strings.Contains(text, "The limit of 2 requests per hour of key 'app' is reached.") || !strings.Contains(text, `"rate_limit_exceeded"`) ||
		res.Header.Get("Retry-After") == "" || res.Header.Get("X-Should-Retry") != "false" || res.Header.Get("X-Ratelimit-Remaining-Requests") != "0" {
		t.Errorf("%d %s, %v", res.StatusCode, text, res.Header)
	}
	if got := up.Requests(); len(got) > 0 {
		t.Errorf("the upstream was asked: %v", got)
	}
	if got := g.host.Counted("key app requests 24h0m0s"); got != 2 {
		t.Errorf("%d requests are counted, want 2", got)
	}
	if res, text := g.postAs(t, "other", asked); res.StatusCode != 200 || res.Header.Get("X-Ratelimit-Limit-Requests") != "" {
		t.Errorf("another key: %d %s, %v", res.StatusCode, text, res.Header)
	}
}

// TestWhatAnAnswerCosts cuts answers at every stage, in every API, and compares what is
// charged with what was delivered.
func TestWhatAnAnswerCosts(t *testing.T) {
	ten := strings.Repeat("0123456789", 4) // 10 tokens of text
	for stage, tc := range map[string]struct {
		answer    mock.Answer
		estimated bool
		output    int64 // tokens
		nothing   bool
	}{
		"complete":                  {answer: mock.SSE(sseChunk(ten), sseStop, sseUsage, sseDone), output: 50},
		"complete, without a count": {answer: mock.SSE(sseChunk(ten), sseStop, sseDone), estimated: true, output: 10},
		"usage beside a choice": {
			answer: mock.SSE(sseChunk(ten), strings.Replace(strings.TrimSpace(sseUsage), `"choices":[]`, `"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]`, 1)+"\n\n", sseDone), output: 50,
		},
		"cut after the head":       {answer: mock.Steps(func(x *mock.Exchange) { x.Head(200, "text/event-stream") }, mock.Cut), nothing: true},
		"cut in the text":          {answer: mock.Steps(mock.SSE(sseChunk(ten), sseChunk(ten)), mock.Cut), estimated: true, output: -1},
		"an error in the text":     {answer: mock.SSE(sseChunk(ten), "data: {\"error\":{\"message\":\""+ten+ten+"\"}}\n\n"), estimated: true, output: 10},
		"an error at once":         {answer: mock.Whole(500, "application/json", `{"error":{"message":"`+ten+`"}}`), nothing: true},
		"an error inside of a 200": {answer: mock.SSE("data: {\"error\":{\"message\":\"" + ten + "\"}}\n\n"), nothing: true},
	} {
		for path, body := range map[string]string{
			"/v1/chat/completions": asked,
			"/v1/responses":        `{"model":"m","stream":true,"input":"x"}`,
			"/v1/messages":         `{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"x"}]}`,
		} {
			t.Run(stage+path, func(t *testing.T) {
				g := limited(t, mock.Start(t, tc.answer), "limits: {input_tokens: 1M/d, output_tokens: 1M/d, requests: 9/d}, budget: {total: 5}", "")
				_, delivered := g.postTo(t, path, "app", body)
				if tc.output < 0 { // however much of it came through
					tc.output = int64(strings.Count(delivered, ten)) * 10
				}
				g.settled(t)
				input, output, money := g.host.Counted("key app input_tokens 24h0m0s"), g.host.Counted("key app output_tokens 24h0m0s"), g.host.Counted("key app money total")
				switch {
				case g.host.Counted("key app requests 24h0m0s") != 1:
					t.Error("the request is not counted")
				case tc.nothing && (input != 0 || output != 0 || money != 0):
					t.Errorf("a failure costs %d and %d tokens, and %d", input, output, money)
				case tc.nothing:
				case output != tc.output || !tc.estimated && input != 100 || tc.estimated && (input < 10 || input > 60):
					t.Errorf("%d tokens of input and %d of output are counted, want %d", input, output, tc.output)
				case money != input*1000+output*10_000:
					t.Errorf("%d and %d tokens cost %d", input, output, money)
				}
			})
		}
	}
}

func TestAHangUpPaysForWhatItGot(t *testing.T) {
	up := mock.Start(t, mock.Steps(mock.SSE(sseChunk(strings.Repeat("0123456789", 40))), mock.Hang))
	g := limited(t, up, "limits: {tokens: 1M/d, concurrent: 1}, budget: {day: 5}", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "POST", g.URL+"/v1/chat/completions", strings.NewReader(asked))
	r.Header.Set("Authorization", "Bearer app")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := res.Body.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	// Its room is taken to the end of its stream, not of its head.
	if res, text := g.postAs(t, "app", asked); res.StatusCode != 429 || !strings.Contains(text, "concurrency_limit_exceeded") || res.Header.Get("Retry-After") != "1" {
		t.Errorf("a second one runs beside it: %d %s", res.StatusCode, text)
	}
	cancel()
	g.settled(t)
	if got := g.host.Counted("key app tokens 24h0m0s"); got < 110 || got > 170 {
		t.Errorf("%d tokens are counted, want 100 for the text and some for the question", got)
	}
	if got := g.host.Counted("key app concurrent"); got != 0 {
		t.Errorf("%d requests run still", got)
	}
}

func TestAHangUpBeforeTheFirstWordPaysForItsInput(t *testing.T) {
	asking := make(chan struct{})
	up := mock.Start(t, func(x *mock.Exchange) { close(asking); x.Hang() })
	g := limited(t, up, "limits: {tokens: 1M/d}, budget: {day: 5}", "")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asking; cancel() }()
	r, _ := http.NewRequestWithContext(ctx, "POST", g.URL+"/v1/chat/completions", strings.NewReader(asked))
	r.Header.Set("Authorization", "Bearer app")
	if res, err := http.DefaultClient.Do(r); err == nil {
		res.Body.Close()
	}
	g.settled(t)
	if got := g.host.Counted("key app money day"); got <= 0 {
		t.Errorf("it costs %d", got)
	}
}

func TestASpentBudget(t *testing.T) {
	up := mock.Start(t, mock.SSE(sseChunk("a"), sseStop, sseUsage, sseDone))
	audit := filepath.Join(t.TempDir(), "audit.jsonl")
	spend := func(key string) (*gateway, *http.Response, string) {
		g := limited(t, up, key, fmt.Sprintf("audit: {file: %q}\n", audit))
		for range 2 { // a request costs 0.0006
			if res, text := g.postAs(t, "app", asked); res.StatusCode != 200 {
				t.Fatalf("%d %s", res.StatusCode, text)
			}
		}
		if !strings.Contains(g.log.String(), `"msg":"budget nearly spent"`) {
			t.Error("nobody is warned")
		}
		res, text := g.postAs(t, "app", asked)
		return g, res, text
	}
	_, res, text := spend("budget: {total: 0.001}")
	if res.StatusCode != 429 || !strings.Contains(text, "The budget of key 'app' for all time is spent.") || !strings.Contains(text, `"budget_exceeded"`) ||
		res.Header.Get("Retry-After") != "" || res.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("%d %s %v", res.StatusCode, text, res.Header)
	}
	_, res, text = spend("budget: {month: 0.001}")
	if res.StatusCode != 429 || !strings.Contains(text, "The next one begins at 20") || res.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s %v", res.StatusCode, text, res.Header)
	}
	g, res, text := spend("budget: {total: 0.001, then: spare}")
	if res.StatusCode != 200 || !strings.Contains(text, `"model":"spare"`) {
		t.Errorf("it doesn't go where it should then: %d %s", res.StatusCode, text)
	}
	if got := g.host.Counted("key app money total"); got != 1_200_000 {
		t.Errorf("%d is spent, want twice 600000", got)
	}
	if log := g.log.String(); strings.Count(log, `"model":"m","instead":"spare"`) != 1 {
		t.Errorf("the log doesn't say of one request that another alias served it: %s", log)
	}
	eventually(t, "lines of the audit that say which alias served them", int64(1), func() int64 {
		b, _ := os.ReadFile(audit) // which is written in the background
		return int64(strings.Count(string(b), `"alias":"m","instead":"spare"`))
	})
	res, text = g.postTo(t, "/v1/images/generations", "app", `{"model":"m","prompt":"p"}`)
	if res.StatusCode != 429 || !strings.Contains(text, `"budget_exceeded"`) {
		t.Errorf("what the other alias can't serve: %d %s", res.StatusCode, text)
	}
}

func TestAReloadKeepsCounts(t *testing.T) {
	up := mock.Start(t, mock.SSE(sseChunk("a"), sseStop, sseUsage, sseDone))
	g := limited(t, up, "limits: {requests: 1/d}", "")
	g.postAs(t, "app", asked)
	yaml := fmt.Sprintf("providers: {openai: {base_url: %q, api_key: k}}\nmodel_mapping: {m: {provider: openai, model: small}}\nauth: {enabled: true, api_keys: [{name: app, key: app, limits: {requests: 2/d}}]}\n", up.URL)
	g.reload(t, yaml, testkit.Module)
	for i, want := range []int{200, 429} {
		if res, text := g.postAs(t, "app", asked); res.StatusCode != want {
			t.Errorf("request %d after the reload: %d %s, want %d", i+1, res.StatusCode, text, want)
		}
	}
}
