package host_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// metric returns the value of one of the gateway's series, "" if there is none.
func metric(t testing.TB, g *gateway, series string) string {
	t.Helper()
	for line := range strings.Lines(scrape(g)) {
		if v, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// counted waits until a series has a value: a client may have its whole answer a moment
// before the gateway counts it.
func counted(t testing.TB, g *gateway, series, want string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); metric(t, g, series) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s is %q, want %q", series, metric(t, g, series), want)
		}
	}
}

func scrape(g *gateway) string {
	w := httptest.NewRecorder()
	g.host.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// TestMetricsOfAGateway lets targets fail and answer, and then removes an alias.
func TestMetricsOfAGateway(t *testing.T) {
	one, two := mock.Start(t, fails(429, "rate_limit_exceeded", "Retry-After", "40")), mock.Start(t, says("fine"))
	providers := fmt.Sprintf("providers:\n  up0: {plugin: openai, base_url: %q, api_key: a}\n  up1: {plugin: openai, base_url: %q, api_key: b}\n", one.URL, two.URL)
	const m = "  m: {targets: [{provider: up0, model: m0}, {provider: up1, model: m1, tier: 2}]}\n"
	const open = "  \"or/*\": {provider: up1, model: \"*\"}\n"
	g := newGateway(t, providers+"model_mapping:\n"+m+open)
	g.post(t, answerOfM)
	g.post(t, answerOfM)
	for _, name := range []string{"or/a", "or/b", "none", "or/c"} {
		g.post(t, strings.Replace(streamOfM, `"m"`, strconv.Quote(name), 1))
	}
	counted(t, g, `kai_requests_total{alias="m",cache="",status="200"}`, "2")
	counted(t, g, `kai_requests_total{alias="_unknown",cache="",status="400"}`, "1")
	for series, want := range map[string]string{
		`kai_requests_total{alias="m",cache="",status="200"}`:         "2",
		`kai_requests_total{alias="or/*",cache="",status="200"}`:      "3",
		`kai_requests_total{alias="_unknown",cache="",status="400"}`:  "1",
		`kai_refusals_total{code="",kind="unknown_model"}`:            "1",
		`kai_inflight{alias="m"}`:                                     "0",
		`kai_attempts_total{class="rate",model="m0",provider="up0"}`:  "1",
		`kai_attempts_total{class="ok",model="m1",provider="up1"}`:    "2",
		`kai_attempts_total{class="ok",model="*",provider="up1"}`:     "3",
		`kai_cooldowns_total{class="rate",model="m0",provider="up0"}`: "1",
		`kai_target_state{model="m0",provider="up0"}`:                 "2",
		`kai_target_state{model="m1",provider="up1"}`:                 "0",
		`kai_adapter_calls_total{provider="up0",result="failed"}`:     "1",
		`kai_config_generation`:                                       "1",
		`kai_config_refused`:                                          "0",
	} {
		if got := metric(t, g, series); got != want {
			t.Errorf("%s is %q, want %q", series, got, want)
		}
	}
	for _, series := range []string{`kai_adapter_fuel_total{provider="up1"}`, `kai_adapter_instances{provider="up1"}`, `kai_adapter_calls_total{provider="up1",result="ok"}`} {
		if got := metric(t, g, series); got == "" || got == "0" {
			t.Errorf("%s is %q", series, got)
		}
	}
	if err := g.host.Swap(t.Context(), parse(t, providers+"model_mapping:\n"+open), testkit.Module); err != nil {
		t.Fatal(err)
	}
	all := scrape(g)
	if strings.Contains(all, `alias="m"`) || strings.Contains(all, `model="m0"`) {
		t.Error("a reload leaves series of the alias that it removed")
	}
	if got := metric(t, g, `kai_requests_total{alias="or/*",cache="",status="200"}`); got != "3" {
		t.Errorf("after a reload an alias that stays has %q requests", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.host.Swap(ended, parse(t, providers+"model_mapping:\n"+m), variant(t, "openai", 1)); err == nil {
		t.Fatal("a swap that has no time succeeds")
	}
	for series, want := range map[string]string{"kai_config_generation": "2", "kai_config_refused": "1", "kai_config_refusals_total": "1"} {
		if got := metric(t, g, series); got != want {
			t.Errorf("%s is %q, want %q", series, got, want)
		}
	}
}

// TestKeysHaveSeriesOnlyWhereTheConfigurationSaysSo counts tokens of a key, and of none.
func TestKeysHaveSeriesOnlyWhereTheConfigurationSaysSo(t *testing.T) {
	up := mock.Start(t, says("fine"))
	yaml := fmt.Sprintf("providers:\n  up: {plugin: openai, base_url: %q, api_key: a}\nmodel_mapping:\n  m: {provider: up, model: m}\n"+
		"auth: {enabled: true, api_keys: [{name: app, key: key-of-app-123456}]}\n", up.URL)
	for more, want := range map[string]bool{"": false, "admin: {key_metrics: true}\n": true} {
		g := newGateway(t, yaml+more)
		g.postAs(t, "key-of-app-123456", answerOfM)
		counted(t, g, `kai_requests_total{alias="m",cache="",status="200"}`, "1")
		if got := metric(t, g, `kai_key_tokens_total{key="app"}`) != ""; got != want {
			t.Errorf("with %q, a key has a series: %v, want %v", more, got, want)
		}
	}
}

// TestTrapTheFirstTokenIsARoleOrAKeepAlive has an upstream send its head, comments and a chunk
// without content long before it says something.
func TestTrapTheFirstTokenIsARoleOrAKeepAlive(t *testing.T) {
	const silence = 400 * time.Millisecond
	up := mock.Start(t, mock.Steps(
		mock.SSE(": alive\n\n", `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}`+"\n\n"), mock.Pause(silence),
		mock.Send(`data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}`+"\n\n", "data: [DONE]\n\n"),
	))
	started := testkit.Start(t, testkit.Options{Now: time.Now, Config: parse(t, fmt.Sprintf("server: {stream_head_wait: 0s}\nproviders:\n  up: {plugin: openai, base_url: %q, api_key: a}\nmodel_mapping:\n  m: {provider: up, model: m}\n", up.URL))})
	if err := started.Ready(t); err != nil {
		t.Fatal(err)
	}
	g := &gateway{started, started.Host, started.Log}
	_, answer := g.post(t, streamOfM)
	if textOf(answer) != "Hi" {
		t.Fatalf("got %s", answer)
	}
	seconds, err := strconv.ParseFloat(metric(t, g, `kai_first_token_seconds_sum{alias="m"}`), 64)
	if err != nil || seconds < silence.Seconds() {
		t.Errorf("the first token took %v s (%v), but nothing was said for %v", seconds, err, silence)
	}
}
