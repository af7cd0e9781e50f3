package host_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/redis"
)

// member is a configuration of a gateway in a fleet, at which the key "app" has limits.
func member(up, redis, key, rest string) string {
	return fmt.Sprintf(`
providers: {openai: {base_url: %q, api_key: k}}
model_mapping: {m: {provider: openai, model: small, price: {input: 1, output: 10}}}
auth: {enabled: true, api_keys: [{name: canary-app, key: app, %s}]}
shared: {url: %q, secret: canary-secret-0123456789, timeout: 2s%s}
`, up, key, "redis://"+redis, rest)
}

func TestAFleetLetsInWhatOneGatewayWould(t *testing.T) {
	up := mock.Start(t, mock.SSE(sseChunk("a"), sseStop, sseUsage, sseDone))
	r := redis.Start(t)
	var fleet []*gateway
	for range 3 {
		fleet = append(fleet, newGateway(t, member(up.URL, r.Address, "limits: {requests: 60/d, concurrent: 30}, budget: {total: 0.024}", "")))
	}
	var passed, refused atomic.Int64
	var all sync.WaitGroup
	for i := range 9 {
		all.Go(func() {
			for range 10 {
				res, text := fleet[i%3].postAs(t, "app", asked)
				switch {
				case res.StatusCode == 200:
					passed.Add(1)
				case res.StatusCode == 429 && strings.Contains(text, "budget_exceeded"):
					refused.Add(1)
				default:
					t.Errorf("%d %s", res.StatusCode, text)
				}
			}
		})
	}
	all.Wait()
	// A request costs 0.0006 in the end, so that 40 fit. Before that, more is reserved:
	// those that run at once keep others out.
	for i := 0; passed.Load() < 40; i++ {
		if res, text := fleet[i%3].postAs(t, "app", asked); res.StatusCode != 200 {
			t.Fatalf("after %d: %d %s", passed.Load(), res.StatusCode, text)
		}
		passed.Add(1)
	}
	for _, g := range fleet {
		if res, text := g.postAs(t, "app", asked); res.StatusCode != 429 || !strings.Contains(text, "budget_exceeded") || res.Header.Get("Retry-After") != "" {
			t.Errorf("%d %s", res.StatusCode, text)
		}
	}
	if passed.Load() != 40 {
		t.Errorf("%d passed, want the 40 that one gateway would let in", passed.Load())
	}
	if health := fleet[0].get(t, "/health"); !strings.Contains(health, `"The shared store answers"`) {
		t.Errorf("health: %s", health)
	}
}

func TestTrapAStoreThatWasNeverThere(t *testing.T) {
	up := mock.Start(t, mock.SSE(sseChunk("a"), sseStop, sseUsage, sseDone))
	nowhere := strings.TrimPrefix(mock.Nowhere(t), "http://")
	for outage, tc := range map[string]struct {
		passed int
		says   string
	}{
		"local": {2, "enforces its share"}, "deny": {0, "are refused"}, "allow": {5, "are not enforced"},
	} {
		t.Run(outage, func(t *testing.T) {
			g := newGateway(t, member(up.URL, nowhere, "limits: {requests: 2/d}", ", on_outage: "+outage))
			passed := 0
			for range 5 {
				begun := time.Now()
				res, text := g.postAs(t, "app", asked)
				if took := time.Since(begun); took > 5*time.Second {
					t.Errorf("a request takes %v", took)
				}
				if res.StatusCode == 200 {
					passed++
				} else if outage == "deny" && (res.StatusCode != 503 || !strings.Contains(text, `"limits_unavailable"`) || !strings.Contains(text, `"server_error"`) || res.Header.Get("Retry-After") != "1") {
					t.Errorf("%d %s %v", res.StatusCode, text, res.Header)
				}
			}
			if passed != tc.passed {
				t.Errorf("%d passed, want %d", passed, tc.passed)
			}
			if health := g.get(t, "/health"); !strings.Contains(health, tc.says) || !strings.Contains(health, `"status":"degraded"`) {
				t.Errorf("health: %s", health)
			}
			if n := strings.Count(g.log.String(), "the shared store can't be reached"); n != 1 {
				t.Errorf("the log says it %d times", n)
			}
		})
	}
}

// TestTheSharedStoreHasNothingInTheClear searches what the store writes to its disk for
// names, the secret, prompts and answers.
func TestTheSharedStoreHasNothingInTheClear(t *testing.T) {
	up := mock.Start(t, mock.SSE(sseChunk("canary-answer"), sseStop, sseUsage, sseDone))
	r := redis.Start(t)
	g := newGateway(t, member(up.URL, r.Address, "limits: {requests: 9/d, tokens: 1M/d, concurrent: 5}, budget: {day: 5}", ""))
	for path, body := range map[string]string{
		"/v1/chat/completions": `{"model":"m","messages":[{"role":"user","content":"canary-prompt"}]}`,
		"/v1/responses":        `{"model":"m","stream":true,"input":"canary-prompt ` + strings.Repeat("canary-prompt ", 100) + `"}`,
	} {
		if res, text := g.postTo(t, path, "app", body); res.StatusCode != 200 {
			t.Fatalf("%s: %d %s", path, res.StatusCode, text)
		}
	}
	dump := string(r.Dump())
	if !strings.Contains(dump, "{kai}:b:") {
		t.Fatal("the dump has nothing of what was counted")
	}
	if i := strings.Index(dump, "canary"); i >= 0 {
		t.Errorf("the dump has %q", dump[max(0, i-60):min(len(dump), i+60)])
	}
}
