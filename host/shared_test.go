package host_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/internal/testkit"
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

// TestHealthTellsARefusalFromSilence: whoever reads it knows whether to look at the password or
// at the network.
func TestHealthTellsARefusalFromSilence(t *testing.T) {
	const key = "limits: {requests: 40/d}"
	for address, want := range map[string]string{
		redis.Start(t, "--requirepass", "pw").Address:  "The shared store refuses this gateway: check shared.password, and the user in shared.url; this gateway enforces its share of each limit",
		strings.TrimPrefix(mock.Nowhere(t), "http://"): "The shared store does not answer; this gateway enforces its share of each limit",
	} {
		if got := newGateway(t, member("http://127.0.0.1:1", address, key, "")).get(t, "/health"); !strings.Contains(got, want) {
			t.Errorf("/health says %s, want %q", got, want)
		}
	}
}

func TestAFleetLetsInWhatOneGatewayWould(t *testing.T) {
	up := mock.Start(t, mock.SSE(sseChunk("a"), sseStop, sseUsage, sseDone))
	r := redis.Start(t)
	var fleet []*gateway
	for range 3 {
		fleet = append(fleet, newGateway(t, member(up.URL, r.Address, "limits: {requests: 40/d, concurrent: 30}, budget: {total: 5}", "")))
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
				case res.StatusCode == 429 && strings.Contains(text, "The limit of 40 requests per day of key 'canary-app' is reached."):
					refused.Add(1)
				default:
					t.Errorf("%d %s", res.StatusCode, text)
				}
			}
		})
	}
	all.Wait()
	if passed.Load() != 40 || refused.Load() != 50 {
		t.Errorf("%d passed and %d were refused, want the 40 that one gateway would let in", passed.Load(), refused.Load())
	}
	// Each costs 0.0006. The last ones may be settled a moment after their answers.
	for end := time.Now().Add(time.Minute); fleet[1].host.Counted("key canary-app money total") != 40*600_000; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d is spent, want 40 times 600000", fleet[1].host.Counted("key canary-app money total"))
		}
	}
	if health := fleet[0].get(t, "/health"); !strings.Contains(health, `"The shared store answers"`) {
		t.Errorf("health: %s", health)
	}
}

// TestAFleetSpendsABudgetOnce asks one gateway after the other until the budget is spent.
func TestAFleetSpendsABudgetOnce(t *testing.T) {
	up := mock.Start(t, mock.SSE(sseChunk("a"), sseStop, sseUsage, sseDone))
	r := redis.Start(t)
	key := "limits: {concurrent: 30}, budget: {total: 0.0036}" // of which a request costs a sixth
	fleet := []*gateway{newGateway(t, member(up.URL, r.Address, key, "")), newGateway(t, member(up.URL, r.Address, key, ""))}
	for i := range 6 {
		if res, text := fleet[i%2].postAs(t, "app", asked); res.StatusCode != 200 {
			t.Fatalf("request %d: %d %s", i+1, res.StatusCode, text)
		}
		for end := time.Now().Add(time.Minute); fleet[i%2].host.Counted("key canary-app concurrent") > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it never ends")
			}
		}
	}
	for _, g := range fleet {
		if res, text := g.postAs(t, "app", asked); res.StatusCode != 429 || !strings.Contains(text, "budget_exceeded") || res.Header.Get("Retry-After") != "" {
			t.Errorf("%d %s", res.StatusCode, text)
		}
	}
	if n := strings.Count(fleet[0].log.String()+fleet[1].log.String(), "budget nearly spent"); n != 1 {
		t.Errorf("it is warned of %d times in the fleet, want once", n)
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
				if took := time.Since(begun); took > time.Minute {
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

// TestAPipeInPlaceOfCertificates: the start doesn't wait for somebody to write them.
func TestAPipeInPlaceOfCertificates(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "ca.pem")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	yaml := fmt.Sprintf("model_mapping: {m: {provider: demo, model: m}}\nshared: {url: \"rediss://127.0.0.1:1\", secret: secret-0123456789abcdef, ca: %q}\n", pipe)
	c, err := config.Parse("kai.yaml", []byte(yaml), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := host.New(host.Options{Config: c, Module: testkit.Module}); err == nil {
		h.Close()
		t.Error("it starts")
	} else if !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
}
