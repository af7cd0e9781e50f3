package host_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/race"
)

// loaded counts how often an adapter was loaded, each with an instance of its own.
func (g *gateway) loaded() int { return strings.Count(g.log.String(), `"msg":"adapter ready"`) }

// reload swaps to a configuration, given as YAML, with the shipped modules.
func (g *gateway) reload(t testing.TB, yaml string, module func(string) ([]byte, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if err := g.host.Swap(ctx, parse(t, yaml), module); err != nil {
		t.Fatal(err)
	}
}

// TestReloadsKeepConnections has a thousand reloads change everything but the
// provider, which must not notice: no connection is opened anew, no adapter loaded,
// no instance lost, and nothing left behind.
func TestReloadsKeepConnections(t *testing.T) {
	wait := make(chan struct{})
	up := mock.Start(t, mock.Steps(mock.Wait(wait), mock.NDJSON(line("one")+lastLine)))
	yaml := func(n int) string { // the provider's place in the file changes, too
		return fmt.Sprintf("%sserver: {max_body: %dMiB, workers: 4}\nproviders: {ollama: {base_url: %q}}\nmodel_mapping: {m: {provider: ollama, model: m}, m%d: {provider: ollama, model: m}}\n",
			strings.Repeat("\n", n%7), 16+n%3, up.URL, n%5)
	}
	g := newGateway(t, yaml(0))
	ask := func() {
		if res, answer := g.post(t, wholly); res.StatusCode != 200 {
			t.Errorf("%d %s", res.StatusCode, answer)
		}
	}
	const atOnce = 4
	var begun sync.WaitGroup
	for range atOnce {
		begun.Go(ask)
	}
	eventually(t, "connections", atOnce, up.Opened)
	close(wait)
	begun.Wait()
	kept, instances := g.host.Kept("ollama"), g.loaded()
	if kept == 0 || instances != 1 {
		t.Fatalf("%d bytes of instances are kept, %d were loaded", kept, instances)
	}

	configs := make([]*config.Config, 105)
	for n := range configs {
		configs[n] = parse(t, yaml(n+1))
	}
	goroutines, files := runtime.NumGoroutine(), openFiles()
	memory := resident(t)
	reloads := 1000
	if testing.Short() || race.Enabled {
		reloads = 100
	}
	for n := range reloads {
		if err := g.host.Swap(t.Context(), configs[n%len(configs)], testkit.Module); err != nil {
			t.Fatal(err)
		}
		if now := g.host.Kept("ollama"); n == 0 && now < kept {
			t.Errorf("instances of %d bytes are kept, %d before the first reload", now, kept)
		}
		if n%10 == 0 {
			ask()
		}
	}
	if n := up.Opened(); n != atOnce {
		t.Errorf("%d connections were opened, %d of them before the reloads", n, atOnce)
	}
	if n := g.loaded(); n != instances {
		t.Errorf("%d adapters were loaded by the reloads", n-instances)
	}
	if n := g.host.Providers(); n != 1 {
		t.Errorf("%d providers are there, want 1", n)
	}
	settle(t, goroutines, files)
	up.Forget()
	checkMemory(t, memory)
}

// TestReloadsKeepHealth: what is known of an upstream and of an adapter that breaks
// isn't forgotten because something else was changed.
func TestReloadsKeepHealth(t *testing.T) {
	gone := mock.Nowhere(t)
	g := newGateway(t, ollamaAt(gone))
	g.post(t, wholly)
	const failed = `"provider:ollama":{"name":"ollama","status":"unhealthy","message":"The last request got no answer"}`
	for n, yaml := range []string{"", "default_model: m\n", "cors: {enabled: true}\n"} {
		if n > 0 {
			g.reload(t, ollamaAt(gone)+yaml, testkit.Module)
		}
		if h := g.get(t, "/health"); !strings.Contains(h, failed) || !strings.Contains(h, `"status":"degraded"`) {
			t.Errorf("after %d reloads: %s", n, h)
		}
	}
	g.reload(t, strings.Replace(ollamaAt(gone), "}}", ", timeouts: {connect: 3s}}}", 1), testkit.Module)
	if h := g.get(t, "/health"); strings.Contains(h, failed) {
		t.Errorf("the provider was changed, and what is new about it hasn't failed: %s", h)
	}
}

// TestReloadsKeepPauses breaks an adapter on four different inputs, reloads, and
// breaks it on a fifth: that pauses it.
func TestReloadsKeepPauses(t *testing.T) {
	u := startPuppetUpstream(t)
	g := newPuppetGateway(t, puppetAt(t, u.URL))
	for n := range 5 {
		if strings.Contains(g.log.String(), "adapter paused") {
			t.Fatalf("paused after %d inputs", n)
		}
		c, err := testkit.Parse(puppetAt(t, u.URL) + fmt.Sprintf("cors: {enabled: %v}\n", n%2 == 0))
		if err != nil {
			t.Fatal(err)
		}
		if err := g.host.Swap(t.Context(), c, testkit.Module); err != nil {
			t.Fatal(err)
		}
		g.post(t, askFor(atRequest, fmt.Sprintf("T%d", n), false))
	}
	if !strings.Contains(g.log.String(), "adapter paused") {
		t.Errorf("the reloads between them made five broken calls look like one each: %.3000s", g.log)
	}
}

// TestReloadsReplaceWhatChanges changes one thing about a provider at a time. The old
// one is closed when the last request to it has ended.
func TestReloadsReplaceWhatChanges(t *testing.T) {
	up := mock.Start(t, nil)
	const served = "model_mapping: {m: {provider: p, model: m}}\n"
	provider := func(settings string) string { return "providers: {p: {" + settings + "}}\n" }
	before := provider(fmt.Sprintf("plugin: openrouter, base_url: %q, api_key: one", up.URL))
	for name, tc := range map[string]struct {
		after  string
		module func(string) ([]byte, error)
		kept   bool
	}{
		"nothing":           {after: before, kept: true},
		"another provider":  {after: strings.TrimSuffix(before, "}\n") + ", demo: {}}\n", kept: true},
		"its models":        {after: before + "default_model: m\n", kept: true},
		"its place":         {after: "# It moved.\n\n" + before, kept: true},
		"its key":           {after: strings.Replace(before, "one", "two", 1)},
		"its address":       {after: strings.Replace(before, `", api_key`, `/x", api_key`, 1)},
		"its options":       {after: strings.Replace(before, "}}\n", ", options: {app_title: x}}}\n", 1)},
		"a limit":           {after: strings.Replace(before, "}}\n", ", limits: {fuel: 70000000}}}\n", 1)},
		"its share":         {after: strings.Replace(before, "}}\n", ", limits: {share: 100MiB}}}\n", 1)},
		"a time-out":        {after: strings.Replace(before, "}}\n", ", timeouts: {idle: 7s}}}\n", 1)},
		"its log":           {after: strings.Replace(before, "}}\n", ", log: error}}\n", 1)},
		"its isolation":     {after: strings.Replace(before, "}}\n", ", isolation: request}}\n", 1)},
		"its module":        {after: before, module: variant(t, "openrouter", 1)},
		"its plugin":        {after: strings.Replace(before, "openrouter", "openai", 1)},
		"how many it keeps": {after: before + "server: {workers: 7}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, before+served)
			if tc.module == nil {
				tc.module = testkit.Module
			}
			end := make(chan struct{})
			up.Answer(mock.Steps(mock.SSE("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one\"}}]}\n\n"), mock.Wait(end),
				mock.Send("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")))
			res, err := http.Post(g.URL+"/v1/chat/completions", "application/json", strings.NewReader(streamed))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			others := strings.Count(tc.after, "demo")
			g.reload(t, tc.after+served, tc.module)
			want := 1
			if tc.kept {
				want = 0
			}
			if n := g.loaded() - 1 - others; n != want {
				t.Errorf("%d adapters were loaded anew, want %d", n, want)
			}
			if n := g.host.Providers() - others; n != 1+want {
				t.Errorf("%d providers are there while a request runs, want %d", n, 1+want)
			}
			close(end)
			if answer, err := io.ReadAll(res.Body); err != nil || !strings.HasSuffix(string(answer), "data: [DONE]\n\n") {
				t.Errorf("the answer that had begun: %q, %v", answer, err)
			}
			eventually(t, "providers in the end", 1, func() int { return g.host.Providers() - others })
		})
	}
}

// TestAnAdapterThatFailedIsTriedAgain: nobody has to change a provider's
// configuration to have it loaded once more.
func TestAnAdapterThatFailedIsTriedAgain(t *testing.T) {
	c := parse(t, "model_mapping: {m: {provider: demo, model: m}}\n")
	broken := func(string) ([]byte, error) { return []byte("\x00asm\x01\x00\x00\x00"), nil }
	log := &testkit.Log{}
	h, err := host.New(host.Options{Config: c, Module: broken, Logger: slog.New(slog.NewJSONHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.WaitReady(t.Context()); err == nil {
		t.Error("a broken module was taken")
	}
	for range 2 {
		if err := h.Swap(t.Context(), c, broken); err == nil {
			t.Error("a broken module was taken")
		}
	}
	if n := strings.Count(log.String(), "adapter failed to load"); n != 3 {
		t.Errorf("it was tried %d times, want 3", n)
	}
	if n := h.Providers(); n != 1 {
		t.Errorf("%d providers are there, want 1", n)
	}
}
