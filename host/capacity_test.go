package host_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/redis"
)

// bearing is a configuration whose model m leads to one target that bears so much.
func bearing(up, capacity, rest string) string {
	return fmt.Sprintf("providers: {up: {plugin: openai, base_url: %q, api_key: k}}\nmodel_mapping: {m: {targets: [{provider: up, model: small, capacity: {%s}}]}}\n%s", up, capacity, rest)
}

// whileBusy sends requests until the model takes one, or time is up.
func whileBusy(t *testing.T, g *gateway, want int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		res, text := g.post(t, answerOfM)
		if res.StatusCode == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d %s, want %d", res.StatusCode, text, want)
		}
	}
}

// TestAFleetFillsATargetTogether: three gateways that share a store ask a target no oftener
// than it bears, and none beside another one if it bears one at a time.
func TestAFleetFillsATargetTogether(t *testing.T) {
	up := mock.Start(t, says("one"))
	r := redis.Start(t)
	rest := fmt.Sprintf("shared: {url: %q, secret: secret-0123456789abcdef, timeout: 2s}\n", "redis://"+r.Address)
	var fleet []*gateway
	for range 3 {
		fleet = append(fleet, newGateway(t, bearing(up.URL, "requests: 10/d, tokens: 1M/d", rest)))
	}
	var passed atomic.Int64
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			for range 5 {
				res, text := fleet[i%3].post(t, answerOfM)
				switch {
				case res.StatusCode == 200:
					passed.Add(1)
				case res.StatusCode != 429 || !strings.Contains(text, "capacity"):
					t.Errorf("%d %s", res.StatusCode, text)
				}
			}
		})
	}
	all.Wait()
	if n := len(up.Requests()); passed.Load() != 10 || n != 10 {
		t.Errorf("%d passed and the target was asked %d times, want the 10 that it bears", passed.Load(), n)
	}
}

func TestAFleetAsksATargetOneByOne(t *testing.T) {
	release := make(chan struct{})
	up := mock.Start(t, func(x *mock.Exchange) { <-release; says("one")(x) })
	r := redis.Start(t)
	rest := fmt.Sprintf("shared: {url: %q, secret: secret-0123456789abcdef, timeout: 2s}\n", "redis://"+r.Address)
	a, b := newGateway(t, bearing(up.URL, "concurrent: 1", rest)), newGateway(t, bearing(up.URL, "concurrent: 1", rest))
	first := make(chan int)
	go func() {
		res, _ := a.post(t, answerOfM)
		first <- res.StatusCode
	}()
	for end := time.Now().Add(time.Minute); len(up.Requests()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the target was not asked")
		}
	}
	if res, text := b.post(t, answerOfM); res.StatusCode != 429 || res.Header.Get("Retry-After") != "1" {
		t.Errorf("while the other gateway asks: %d %s", res.StatusCode, text)
	}
	close(release)
	if status := <-first; status != 200 {
		t.Errorf("the first: %d", status)
	}
	whileBusy(t, b, 200)
}

// TestWithoutTheStoreATargetBearsItsShare: what happens is what on_outage says.
func TestWithoutTheStoreATargetBearsItsShare(t *testing.T) {
	nowhere := strings.TrimPrefix(mock.Nowhere(t), "http://")
	for outage, want := range map[string]int{"local": 2, "deny": 0, "allow": 5} {
		t.Run(outage, func(t *testing.T) {
			up := mock.Start(t, says("one"))
			g := newGateway(t, bearing(up.URL, "requests: 2/d", fmt.Sprintf("shared: {url: %q, secret: secret-0123456789abcdef, on_outage: %s}\n", "redis://"+nowhere, outage)))
			passed := 0
			for range 5 {
				res, text := g.post(t, answerOfM)
				if res.StatusCode == 200 {
					passed++
				} else if outage == "deny" && (res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, "limits_unavailable")) {
					t.Errorf("%d %s", res.StatusCode, text)
				}
			}
			if passed != want {
				t.Errorf("%d of 5 passed, want %d", passed, want)
			}
		})
	}
}

// TestAnEstimateKeepsNoRequestFromATarget: a request that seems to need far more tokens than
// the target bears is asked if nothing else was, and counts as what it used.
func TestAnEstimateKeepsNoRequestFromATarget(t *testing.T) {
	usage := `"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}`
	up := mock.Start(t, mock.JSON(`{"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],`+usage+`}`))
	g := newGateway(t, bearing(up.URL, "tokens: 100/d", ""))
	long := strings.Replace(answerOfM, `"x"`, `"`+strings.Repeat("word ", 1000)+`"`, 1)
	if res, text := g.post(t, long); res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		n := g.host.Counted("target m up small tokens 24h0m0s")
		if n == 5 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d tokens are counted, want the 5 that were used", n)
		}
	}
	if res, text := g.post(t, long); res.StatusCode != 429 {
		t.Errorf("beside what was used: %d %s", res.StatusCode, text)
	}
}

// TestFailedAttemptsGiveTheirRoomBack: an error, and a client that hangs up, end what they took.
func TestFailedAttemptsGiveTheirRoomBack(t *testing.T) {
	up := mock.Start(t, mock.InTurn(mock.Status(400), says("one")))
	g := newGateway(t, bearing(up.URL, "concurrent: 1", ""))
	if res, text := g.post(t, answerOfM); res.StatusCode != 400 {
		t.Errorf("%d %s", res.StatusCode, text)
	}
	whileBusy(t, g, 200)
	whileBusy(t, g, 200)
}

// TestAReloadKeepsWhatATargetBore: a change of its capacity keeps the count.
func TestAReloadKeepsWhatATargetBore(t *testing.T) {
	up := mock.Start(t, says("one"))
	g := newGateway(t, bearing(up.URL, "requests: 2/d", ""))
	for i, want := range []int{200, 200, 429} {
		if res, text := g.post(t, answerOfM); res.StatusCode != want {
			t.Errorf("request %d: %d %s", i, res.StatusCode, text)
		}
	}
	g.reload(t, bearing(up.URL, "requests: 3/d", ""), testkit.Module)
	for i, want := range []int{200, 429} {
		res, text := g.post(t, answerOfM)
		if res.StatusCode != want {
			t.Errorf("request %d after the reload: %d %s", i, res.StatusCode, text)
		}
		if want == 429 && res.Header.Get("Retry-After") == "1" {
			t.Errorf("Retry-After 1, but the day is long")
		}
	}
}

// TestWhatUsesNoTokensTakesNone: counting tokens, and a connection that was refused, leave a
// target its tokens.
func TestWhatUsesNoTokensTakesNone(t *testing.T) {
	usage := `,"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}`
	up := mock.Start(t, mock.InTurn(mock.JSON(`{"object":"response.input_tokens","input_tokens":11}`), mock.JSON(`{"object":"response.input_tokens","input_tokens":11}`),
		mock.JSON(`{"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]`+usage+`}`)))
	g := newGateway(t, fmt.Sprintf(`
providers:
  up: {plugin: openai, base_url: %q, api_key: k, native: true}
  gone: {plugin: openai, base_url: %q, api_key: k}
model_mapping:
  m: {targets: [{provider: up, model: small, capacity: {tokens: 1000/d}}]}
  gone: {targets: [{provider: gone, model: small, capacity: {tokens: 1000/d}}], routing: {attempts: 1}}
`, up.URL, mock.Nowhere(t)))
	text := strings.Repeat("word ", 700)
	for range 2 {
		if status, answer := g.send(t, "POST", "/v1/responses/input_tokens", `{"model":"m","input":"`+text+`"}`); status != 200 {
			t.Fatalf("counting: %d %s", status, answer)
		}
		if res, answer := g.post(t, `{"model":"gone","messages":[{"role":"user","content":"`+text+`"}]}`); res.StatusCode != 502 {
			t.Errorf("nobody is there: %d %s", res.StatusCode, answer)
		}
	}
	if res, answer := g.post(t, `{"model":"m","messages":[{"role":"user","content":"`+text+`"}]}`); res.StatusCode != 200 {
		t.Errorf("a request that the target bears: %d %s", res.StatusCode, answer)
	}
}

// TestAFullTargetIsTriedSoonerThanOneThatCools: the client is told when the first of them is
// worth asking, whatever keeps it from being asked now.
func TestAFullTargetIsTriedSoonerThanOneThatCools(t *testing.T) {
	release := make(chan struct{})
	busy := mock.Start(t, mock.Steps(mock.Wait(release), says("busy")))
	cools := mock.Start(t, mock.Steps(mock.Header("Retry-After", "3000"), mock.Status(429)))
	g := newGateway(t, fmt.Sprintf(`
providers: {busy: {plugin: openai, base_url: %q, api_key: k}, cools: {plugin: openai, base_url: %q, api_key: k}}
model_mapping: {m: {targets: [{provider: busy, model: x, capacity: {concurrent: 1}}, {provider: cools, model: x, tier: 2}]}}
`, busy.URL, cools.URL))
	var running sync.WaitGroup
	defer running.Wait()
	defer close(release)
	running.Go(func() { g.post(t, answerOfM) })
	for end := time.Now().Add(time.Minute); len(busy.Requests()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the first target isn't asked")
		}
	}
	for _, when := range []string{"as the second begins to cool", "while it cools"} {
		if res, answer := g.post(t, answerOfM); res.StatusCode != 429 || res.Header.Get("Retry-After") != "1" || res.Header.Get("X-Should-Retry") == "false" {
			t.Errorf("%s: %d, Retry-After %s, %s", when, res.StatusCode, res.Header.Get("Retry-After"), answer)
		}
	}
}
