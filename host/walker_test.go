package host_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// walkerGateway has an adapter whose calls never end by themselves and miss every
// cache, for as long as limits let them, and the demo beside it.
func walkerGateway(t *testing.T, limits string) *gateway {
	t.Helper()
	path, err := filepath.Abs("wasm/testdata/hostile/walker.wasm")
	if err != nil {
		t.Fatal(err)
	}
	g, err := newHostileGateway(t, fmt.Sprintf(`
providers:
  walker: {plugin: %q, base_url: "http://127.0.0.1:9", limits: %s}
model_mapping:
  walk: {provider: walker, model: m}
  demo: {provider: demo, model: demo}
auth: {enabled: false, allow_no_auth: true}
`, path, limits))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *gateway) ask(ctx context.Context, model, content string) (status int, body string, err error) {
	r, err := http.NewRequestWithContext(ctx, "POST", g.URL+"/v1/chat/completions",
		strings.NewReader(fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%s}]}`, model, content)))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

func TestOthersAreServedBesideAWalker(t *testing.T) {
	g := walkerGateway(t, "{time: 1h}")
	ctx, hangUp := context.WithCancel(t.Context())
	const walkers = 3
	ended := make(chan error, walkers)
	for range walkers {
		go func() {
			status, body, err := g.ask(ctx, "walk", `"go"`)
			if err == nil {
				err = fmt.Errorf("status %d, %s", status, body)
			}
			ended <- err
		}()
	}
	for range 10 {
		runtime.GC()
		if got := g.get(t, "/livez"); !strings.Contains(got, "alive") {
			t.Errorf("/livez: %q", got)
		}
		if status, body, err := g.ask(t.Context(), "demo", `"hi"`); err != nil || status != 200 {
			t.Fatalf("the demo answered %d, %s, %v", status, body, err)
		}
	}
	if len(ended) > 0 {
		t.Fatalf("a walk came to an end: %v", <-ended)
	}
	hangUp()
	for range walkers {
		<-ended
	}
	// The gateway gives them up, too: their requests are finished.
	for strings.Count(g.log.String(), `"model":"walk"`) < walkers {
		runtime.Gosched()
	}
	if log := g.log.String(); strings.Contains(log, "adapter call failed") {
		t.Errorf("the adapter is blamed:\n%s", log)
	}
}

func TestTimeOfAGuest(t *testing.T) {
	g := walkerGateway(t, "{time: 50ms}")
	status, body, err := g.ask(t.Context(), "walk", `"go"`)
	if err != nil || status != 502 || !strings.Contains(body, `"code":"adapter_error"`) {
		t.Errorf("got %d, %s, %v; want 502", status, body, err)
	}
	if want := "adapter ran out of time: it needs more than 50ms of a processor (limits.time)"; !strings.Contains(g.log.String(), want) {
		t.Errorf("the log lacks %q:\n%s", want, g.log.String())
	}
	// Of a large request it may be the client's fault: as many don't pause the adapter.
	for i := range 6 {
		parts := strings.Repeat(`{"type":"text","text":"a"},`, 300<<10/27)
		status, body, err = g.ask(t.Context(), "walk", fmt.Sprintf(`[%s{"type":"text","text":"%d"}]`, parts, i))
		if err != nil || status != 413 || !strings.Contains(body, "it needs more time (limits.time) than a call may have") {
			t.Fatalf("large request %d: got %d, %s, %v; want 413", i, status, body, err)
		}
	}
}
