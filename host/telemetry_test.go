package host_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/admin"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// sentTo waits until a collector got something at a path, and returns all of it.
func sentTo(t *testing.T, collector *mock.Upstream, path, has string) string {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		var all strings.Builder
		for _, r := range collector.Requests() {
			if r.URI == path {
				all.WriteString(r.Body)
			}
		}
		if strings.Contains(all.String(), has) {
			return all.String()
		}
		if time.Now().After(end) {
			t.Fatalf("the collector got no %q at %s", has, path)
		}
	}
}

// TestTracesGoOnOnlyWhereAllowed asks providers that may know of the trace and one that may
// not, with and without a collector.
func TestTracesGoOnOnlyWhereAllowed(t *testing.T) {
	const client = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	collector := mock.Start(t, mock.Status(200))
	for name, tc := range map[string]struct {
		yaml, parent string
		want         string // how the header begins that the allowed provider gets
	}{
		"with a collector":              {fmt.Sprintf("telemetry: {traces: {endpoint: %q}}\n", collector.URL), client, client[:36]},
		"a trace that begins here":      {fmt.Sprintf("telemetry: {traces: {endpoint: %q}}\n", collector.URL), "", "00-"},
		"without a collector":           {"", client, client},
		"without a collector or parent": {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			broken, up := mock.Start(t, mock.Status(500)), mock.Start(t, says("fine"))
			g := newGateway(t, fmt.Sprintf("providers:\n  secret: {plugin: openai, base_url: %q, api_key: a}\n  told: {plugin: openai, base_url: %q, api_key: b, trace: true}\n"+
				"model_mapping:\n  m: {targets: [{provider: secret, model: m0}, {provider: told, model: m1, tier: 2}]}\n", broken.URL, up.URL)+tc.yaml)
			r, _ := http.NewRequest("POST", g.URL+"/v1/chat/completions", strings.NewReader(answerOfM))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Tracestate", "vendor=x")
			r.Header.Set("Baggage", "user=x")
			if tc.parent != "" {
				r.Header.Set("Traceparent", tc.parent)
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("%v %v", res, err)
			}
			res.Body.Close()
			for _, asked := range append(broken.Requests(), up.Requests()...) {
				for _, header := range []string{"Tracestate", "Baggage"} {
					if asked.Header.Get(header) != "" {
						t.Errorf("a provider got %s", header)
					}
				}
			}
			if got := broken.Requests()[0].Header.Get("Traceparent"); got != "" {
				t.Errorf("a provider that may not know of the trace got %q", got)
			}
			got := up.Requests()[0].Header.Get("Traceparent")
			if !strings.HasPrefix(got, tc.want) || tc.want == "" && got != "" || tc.yaml != "" && got == tc.parent {
				t.Errorf("the provider got %q, want %q…", got, tc.want)
			}
		})
	}
}

// TestTrapAPromptIsInASpan sends the same request with keys and
// configurations that want content in traces, and ones that don't.
func TestTrapAPromptIsInASpan(t *testing.T) {
	t.Parallel() // it waits until spans or metrics are sent
	const asked, spoken = "prompt-canary-\"61c8", "answer-canary-7d02"
	answer := mock.SSE(
		`data: {"choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"hm"}}]}`+"\n\n",
		`data: {"choices":[{"index":0,"delta":{"content":"`+spoken+` \u00e9\ud83d\ude00"}}]}`+"\n\n",
		`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"tool_calls"}]}`+"\n\n",
		"data: [DONE]\n\n")
	up := mock.Start(t, answer)
	for name, tc := range map[string]struct {
		all, key bool
		want     bool
	}{
		"by nobody": {false, false, false}, "by the key alone": {false, true, false}, "for all alone": {true, false, false}, "twice": {true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collector := mock.Start(t, mock.Status(200))
			g := newGateway(t, fmt.Sprintf("providers:\n  up: {plugin: openai, base_url: %q, api_key: a}\nmodel_mapping:\n  m: {provider: up, model: m}\n"+
				"auth: {enabled: true, api_keys: [{name: app, key: key-of-app-123456, content: %v}]}\ntelemetry: {content: %v, traces: {endpoint: %q}}\n", up.URL, tc.key, tc.all, collector.URL))
			g.postAs(t, "key-of-app-123456", fmt.Sprintf(`{"model":"m","stream":true,"messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":%q},{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}}]}]}`, asked))
			spans := sentTo(t, collector, "/v1/traces", "gen_ai.request.model")
			quoted, _ := json.Marshal(asked)
			for _, has := range []string{
				string(quoted), spoken + ` \u00e9\ud83d\ude00`, `{"role":"system","parts":[{"type":"text","content":"be brief"}]}`, `{"type":"image_url"}`, `{"type":"reasoning","content":"hm"}`,
				`{"type":"tool_call","id":"call_1","name":"f","arguments":"{\"a\":1}"}],"finish_reason":"tool_calls"}]`,
			} {
				if strings.Contains(spans, has) != tc.want {
					t.Errorf("the spans have %s: %v, want %v\n%q", has, !tc.want, tc.want, spans)
				}
			}
			if strings.Contains(spans, "QUJD") {
				t.Error("the spans have a picture")
			}
			if told := g.log.String() + scrape(g); strings.Contains(told, "canary") {
				t.Errorf("the log or the metrics have content:\n%s", told)
			}
		})
	}
}

// TestContentOfAnswersThatPassIsTraced has a provider that speaks the client's API answer,
// whole and as a stream.
func TestContentOfAnswersThatPassIsTraced(t *testing.T) {
	t.Parallel() // it waits until spans or metrics are sent
	up, collector := mock.Start(t, nil), mock.Start(t, mock.Status(200))
	g := newGateway(t, fmt.Sprintf("providers:\n  claude: {plugin: anthropic, base_url: %q, api_key: a}\nmodel_mapping:\n  m: {provider: claude, model: m}\n"+
		"auth: {enabled: true, api_keys: [{name: app, key: key-of-app-123456, content: true}]}\ntelemetry: {content: true, traces: {endpoint: %q}}\n", up.URL, collector.URL))
	for i, answer := range []mock.Answer{mock.JSON(fmt.Sprintf(nativeWhole, "")), mock.SSE(nativeStream)} {
		collector.Forget()
		up.Answer(answer)
		if res, got := g.postTo(t, "/v1/messages", "key-of-app-123456", fmt.Sprintf(nativeAsk, fmt.Sprintf(`,"stream":%v`, i == 1))); res.StatusCode != 200 {
			t.Fatalf("the answer is %d %s", res.StatusCode, got)
		}
		spans := sentTo(t, collector, "/v1/traces", "gen_ai.output.messages")
		for _, has := range []string{`[{"role":"user","parts":[{"type":"text","content":"hi"}]}]`, `[{"role":"assistant","parts":[{"type":"text","content":"native"}],"finish_reason":"stop"}]`} {
			if !strings.Contains(spans, has) {
				t.Errorf("the spans don't have %s: %q", has, spans)
			}
		}
	}
}

// TestSpansTellOfAskingAndAnswer asks for an answer in numbers, and looks for them and for what
// the provider calls its answer.
func TestSpansTellOfAskingAndAnswer(t *testing.T) {
	t.Parallel() // it waits until spans or metrics are sent
	const id, version = "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "m-2026-01-01"
	head := `"id":"` + id + `","model":"` + version + `","choices":[{"index":0,"finish_reason":"length",`
	for name, answer := range map[string]mock.Answer{
		"whole":  mock.JSON(`{"object":"chat.completion",` + head + `"message":{"role":"assistant","content":"Hi"}}]}`),
		"stream": mock.SSE(`data: {"object":"chat.completion.chunk",`+head+`"delta":{"content":"Hi"}}]}`+"\n\n", "data: [DONE]\n\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up, collector := mock.Start(t, answer), mock.Start(t, mock.Status(200))
			g := newGateway(t, fmt.Sprintf("providers:\n  up: {plugin: openai, base_url: %q, api_key: a}\nmodel_mapping:\n  m: {provider: up, model: m}\ntelemetry: {traces: {endpoint: %q}}\n", up.URL, collector.URL))
			g.post(t, fmt.Sprintf(`{"model":"m","stream":%v,"temperature":0.25,"top_p":0.5,"max_tokens":9,"messages":[{"role":"user","content":"x"}]}`, name == "stream"))
			spans := sentTo(t, collector, "/v1/traces", "gen_ai.request.model")
			for _, has := range []string{id, version, "length", "gen_ai.request.max_tokens", "gen_ai.request.temperature", "gen_ai.request.top_p", "server.address", "127.0.0.1"} {
				if !strings.Contains(spans, has) {
					t.Errorf("the spans don't have %s: %q", has, spans)
				}
			}
		})
	}
}

// TestLongContentIsCut sends and gets more text than a span has room for.
func TestLongContentIsCut(t *testing.T) {
	t.Parallel() // it waits until spans or metrics are sent
	up := mock.Start(t, says(strings.Repeat("é", 200<<10)))
	collector := mock.Start(t, mock.Status(200))
	g := newGateway(t, fmt.Sprintf("providers:\n  up: {plugin: openai, base_url: %q, api_key: a}\nmodel_mapping:\n  m: {provider: up, model: m}\n"+
		"auth: {enabled: true, api_keys: [{name: app, key: key-of-app-123456, content: true}]}\ntelemetry: {content: true, traces: {endpoint: %q}}\n", up.URL, collector.URL))
	g.postAs(t, "key-of-app-123456", `{"model":"m","messages":[{"role":"user","content":"`+strings.Repeat("ä", 300<<10)+`"},{"role":"user","content":"more"}]}`)
	spans := sentTo(t, collector, "/v1/traces", "gen_ai.output.messages")
	if a, e := strings.Count(spans, "ä"), strings.Count(spans, "é"); a != 32<<10 || e > 32<<10 || e < 31<<10 {
		t.Errorf("the spans have %d characters of the question and %d of the answer, want %d of both", a, e, 32<<10)
	}
}

// TestMetricsOfAGatewayForACollector has a gateway send what /metrics has.
func TestMetricsOfAGatewayForACollector(t *testing.T) {
	t.Parallel() // it waits until spans or metrics are sent
	up, collector := mock.Start(t, says("fine")), mock.Start(t, mock.Status(200))
	g := newGateway(t, fmt.Sprintf("providers:\n  up: {plugin: openai, base_url: %q, api_key: a}\nmodel_mapping:\n  m: {provider: up, model: m}\n"+
		"telemetry: {metrics: {endpoint: %q, interval: 1s}}\n", up.URL, collector.URL))
	g.post(t, answerOfM)
	sentTo(t, collector, "/v1/metrics", "gen_ai.client.inference.usage.input_tokens")
	if all := sentTo(t, collector, "/v1/metrics", "kai_attempts_total"); strings.Contains(all, "gen_ai.client.operation.duration") {
		t.Error("the collector gets metrics by names that it was not asked for")
	}
}

// TestWhoSpendsWhat has keys of a group use up a budget, and asks everybody who knows.
func TestWhoSpendsWhat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	up := mock.Start(t, mock.JSON(`{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":1000,"total_tokens":2000}}`))
	g := newGateway(t, fmt.Sprintf(`
admin: {key_metrics: true}
audit: {file: %q}
pricing: {currency: EUR}
providers: {up: {plugin: openai, base_url: %q, api_key: a}}
model_mapping: {m: {provider: up, model: m, price: {input: 1000, output: 1500}}}
auth:
  enabled: true
  groups: {team: {budget: {month: 100}}}
  api_keys:
    - {name: app, key: key-of-app-123456, group: team, limits: {requests: 20/h}, budget: {day: 5}}
    - {name: idle, key: key-of-idle-12345}
`, path, up.URL))
	a := withAdmin(t, g, nil)
	g.postAs(t, "key-of-app-123456", answerOfM)
	counted(t, g, `kai_requests_total{alias="m",cache="",status="200"}`, "1")
	for series, want := range map[string]string{
		`kai_budget_used_ratio{owner="key app",period="day"}`: "0.5", `kai_budget_used_ratio{owner="group team",period="month"}`: "0.025",
	} {
		if got := metric(t, g, series); got != want {
			t.Errorf("%s is %q, want %q", series, got, want)
		}
	}
	s := adminState(t, a)
	if fmt.Sprint(s.Keys[0].Limits) != "[{ requests hour 1 20 0} { money day 2.5 5 4}]" || s.Keys[0].Group != "team" || len(s.Keys[1].Limits) != 0 || s.Currency != "EUR" {
		t.Errorf("the keys are %+v, in %s", s.Keys, s.Currency)
	}
	if fmt.Sprint(s.Groups) != "[{team  [{ money month 2.5 100 80}]}]" {
		t.Errorf("the groups are %+v", s.Groups)
	}
	if r := s.Targets[0].Recent; r.Attempts != 1 || r.Failed != 0 {
		t.Errorf("the target has done %+v", r)
	}
	if log := g.log.String(); !strings.Contains(log, `"key":"app","group":"team","model":"m"`) || !strings.Contains(log, `"cost":2.5,`) {
		t.Errorf("the log is %s", log)
	}
	if _, body := adminAsks(t, "GET", a.URL+"/admin/v1/requests"); !strings.Contains(body, `"key":"app","group":"team",`) {
		t.Errorf("the requests are %s", body)
	}
	// A file that logrotate left, and one that is too old.
	line, _ := os.ReadFile(path)
	for end := time.Now().Add(time.Minute); len(line) == 0 && time.Now().Before(end); line, _ = os.ReadFile(path) {
	}
	if err := os.WriteFile(path+".1", append(line, "no line\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	old := fmt.Sprint(path, ".2")
	if err := os.WriteFile(old, line, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(old, time.Unix(0, 0), time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	status, body := adminAsks(t, "GET", a.URL+"/admin/v1/usage?since=2023-11-01&by="+url.QueryEscape("group,key,alias"))
	var spent admin.Spent
	if err := json.Unmarshal([]byte(body), &spent); status != 200 || err != nil {
		t.Fatalf("the usage is %d %s (%v)", status, body, err)
	}
	if fmt.Sprint(spent.Rows) != "[{[team app m] 2 0 2000 0 2000 0 0 5.00 0}]" || spent.Currency != "EUR" || spent.Partial || spent.Unread != 1 {
		t.Errorf("the usage is %+v", spent)
	}
	for query, want := range map[string]int{"?by=client": 400, "?since=yesterday": 400, "?since=1999-01-01": 400, "": 200} {
		if status, body := adminAsks(t, "GET", a.URL+"/admin/v1/usage"+query); status != want {
			t.Errorf("%s is %d %s", query, status, body)
		}
	}
	none := newGateway(t, "admin: {}\nmodel_mapping: {m: {provider: demo, model: m}}\n")
	if status, body := adminAsks(t, "GET", withAdmin(t, none, nil).URL+"/admin/v1/usage"); status != 200 || !strings.Contains(body, `"rows":[],"missing":"There is no audit`) {
		t.Errorf("without an audit the usage is %d %s", status, body)
	}
}
