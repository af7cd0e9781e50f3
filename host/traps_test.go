package host_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// These are the traps that gateways with several upstreams are known to fall into. Each
// test is named after the one that it is about. docs/routing.md says what Kai does instead.

// configured serves a configuration by a clock that the test sets.
func configured(t *testing.T, yaml string) (*gateway, *clock) {
	t.Helper()
	c := &clock{now: testkit.Time}
	g := testkit.Start(t, testkit.Options{Config: parse(t, yaml), Now: c.Now})
	if err := g.Ready(t); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // before the gateway's own
		eventually(t, "bytes of requests that are held", 0, func() int64 { return g.Host.Held("up0")[1] })
	})
	return &gateway{g, g.Host, g.Log}, c
}

// leavesNothing checks at the end of a test, after all of its gateways and upstreams were
// closed, that no goroutine and no open file of them is left.
func leavesNothing(t *testing.T) {
	t.Helper()
	http.DefaultClient.CloseIdleConnections() // of earlier tests
	goroutines, files := runtime.NumGoroutine(), openFiles()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		eventually(t, "nothing is left", true, func() bool { return runtime.NumGoroutine() <= goroutines+2 && openFiles() <= files+2 })
	})
}

// wants sends a request and holds the answer's status and text against what it should be.
func (g *gateway) wants(t *testing.T, body string, status int, text string) (*http.Response, string) {
	t.Helper()
	res, answer := g.post(t, body)
	if res.StatusCode != status || text != "" && textOf(answer) != text {
		t.Fatalf("got %d %s, want %d %q", res.StatusCode, answer, status, text)
	}
	return res, answer
}

func TestTrapOneClientsRequestCoolsATargetForAll(t *testing.T) {
	leavesNothing(t)
	for name, answer := range map[string]mock.Answer{
		"400":                             fails(400, "invalid_value"),
		"413":                             fails(413, "request_too_large"),
		"422":                             fails(422, ""),
		"content":                         fails(400, "content_filter"),
		"content, with 403":               mock.Whole(403, "application/json", `{"code":"no permission","error":"Content violates usage guidelines. Failed check: X"}`),
		"a request over any limit":        mock.Whole(429, "application/json", `{"error":{"message":"Request too large for m on tokens per min (TPM): Limit 10, Requested 12.","code":"rate_limit_exceeded"}}`),
		"a request over any limit (Groq)": mock.Whole(413, "application/json", "{\"error\":{\"message\":\"Request too large for model `m` on tokens per minute (TPM): Limit 10\",\"code\":\"rate_limit_exceeded\"}}"),
		"words of the client":             mock.Whole(400, "application/json", `{"error":{"message":"unknown variant 'Model Not Exist'","code":"invalid_value"}}`),
		"a file that is named so":         mock.Whole(404, "application/json", `{"error":{"message":"No such File object: model"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			one, two := mock.Start(t, answer), mock.Start(t, says("two"))
			g, _ := several(t, "", one, two)
			for range 5 {
				if res, got := g.post(t, answerOfM); res.StatusCode < 400 || res.StatusCode >= 500 {
					t.Fatalf("got %d %s", res.StatusCode, got)
				}
			}
			one.Answer(says("one"))
			g.wants(t, answerOfM, 200, "one")
			if n := len(two.Requests()); n != 0 {
				t.Errorf("the second was asked %d times", n)
			}
		})
	}
	t.Run("and a 400 that is the gateway's own fault does", func(t *testing.T) {
		one, two := mock.Start(t, mock.Whole(400, "application/json", `{"error":"Incorrect API key provided: xa***42."}`)), mock.Start(t, says("two"))
		g, _ := several(t, "", one, two)
		for range 3 {
			g.wants(t, answerOfM, 200, "two")
		}
		if n := len(one.Requests()); n != 1 {
			t.Errorf("the first was asked %d times, want once", n)
		}
	})
}

func TestTrapASoleTargetCools(t *testing.T) {
	leavesNothing(t)
	one := mock.Start(t, fails(500, ""))
	g, _ := several(t, "", one)
	for range 5 {
		g.wants(t, answerOfM, 502, "")
	}
	one.Answer(says("back"))
	g.wants(t, answerOfM, 200, "back") // without any time for it to recover

	// Only its own word is a reason to leave it alone, and that is no failure of its.
	one.Answer(fails(429, "rate_limit_exceeded", "Retry-After", "30"))
	g.wants(t, answerOfM, 429, "")
	one.Answer(says("back"))
	for range 5 {
		g.wants(t, answerOfM, 429, "")
	}
	if n := len(one.Requests()); n != 7 {
		t.Errorf("asked %d times, want 7", n)
	}
}

func TestTrapCoolingAgainShortens(t *testing.T) {
	leavesNothing(t)
	var both sync.WaitGroup
	both.Add(2)
	waits := make(chan string, 2)
	waits <- "60"
	waits <- "1"
	one := mock.Start(t, func(x *mock.Exchange) {
		both.Done()
		both.Wait() // both are on their way
		fails(429, "rate_limit_exceeded", "Retry-After", <-waits)(x)
	})
	two := mock.Start(t, says("two"))
	g, clock := several(t, "", one, two)
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() { g.post(t, answerOfM) })
	}
	clients.Wait()
	one.Answer(says("one"))
	clock.pass(59 * time.Second)
	g.wants(t, answerOfM, 200, "two")
	clock.pass(2 * time.Second)
	g.wants(t, answerOfM, 200, "one")
}

func TestTrapAttemptsMultiply(t *testing.T) {
	leavesNothing(t)
	var members []*mock.Upstream
	var yaml, inner, outer strings.Builder
	var clock *clock
	slow := func(x *mock.Exchange) {
		clock.pass(50 * time.Second)
		fails(500, "")(x)
	}
	yaml.WriteString("providers:\n")
	for i := range 9 {
		m := mock.Start(t, fails(500, ""))
		members = append(members, m)
		fmt.Fprintf(&yaml, "  up%d: {plugin: openai, base_url: %q, api_key: sk-%d}\n", i, m.URL, i)
		if i < 6 {
			fmt.Fprintf(&inner, "      - {provider: up%d, model: m, tier: %d}\n", i, i/3+1)
		} else {
			fmt.Fprintf(&outer, "      - {provider: up%d, model: m, tier: 2}\n", i)
		}
	}
	yaml.WriteString("model_mapping:\n  m:\n    targets:\n      - {alias: a}\n" + outer.String() + "    routing: {attempts: 5}\n")
	yaml.WriteString("  a: {targets: [{alias: b}]}\n  b:\n    targets:\n" + inner.String() + "    routing: {attempts: 9}\n")
	g, c := configured(t, yaml.String())
	clock = c
	count := func() (n int) {
		for _, m := range members {
			n += len(m.Requests())
		}
		return n
	}
	g.wants(t, answerOfM, 502, "")
	if n := count(); n != 5 {
		t.Errorf("%d attempts over tiers and aliases, want 5", n)
	}
	for _, m := range members {
		m.Answer(slow)
	}
	before := count()
	g.wants(t, answerOfM, 502, "")
	if n := count() - before; n != 3 {
		t.Errorf("%d attempts of 50 s within the deadline of 2 m, want 3", n)
	}
}

// Pieces of a stream of a server of OpenAI's kind.
const (
	headOnly  = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
	midError  = "data: {\"error\":{\"message\":\"broken\",\"code\":502}}\n\n"
	usageOnly = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":0}}\n\n"
)

func TestTrapHeadersArriveAndTokensDoNot(t *testing.T) {
	leavesNothing(t)
	for _, api := range clientAPIs {
		for name, events := range map[string]string{"comments": ": alive\n\n", "heads": headOnly, "usage": usageOnly} {
			t.Run(api.name+" "+name, func(t *testing.T) {
				one, two := mock.Start(t, hangs(events)), mock.Start(t, says("fine"))
				g, _ := configured(t, fmt.Sprintf("server: {stream_head_wait: 20ms}\nproviders:\n  up0: {plugin: openai, base_url: %q, api_key: a, timeouts: {first_token: 200ms}}\n  up1: {plugin: openai, base_url: %q, api_key: b}\n"+
					"model_mapping:\n  m: {targets: [{provider: up0, model: m}, {provider: up1, model: m, tier: 2}]}\n", one.URL, two.URL))
				res, answer := g.postTo(t, api.path, "", api.asks("x", true))
				if res.StatusCode != 200 || !api.succeeded(answer) || api.text(t, answer) != "fine" {
					t.Errorf("got %d %s", res.StatusCode, answer)
				}
				// The answer of the first target left no trace, although the client was kept waiting.
				if n := strings.Count(answer, `"role":"assistant"`); api.name == "chat" && n != 1 {
					t.Errorf("the answer begins %d times: %s", n, answer)
				}
				if !strings.Contains(g.log.String(), `"class":"slow"`) {
					t.Errorf("the log doesn't say that it was slow: %s", g.log)
				}
			})
		}
	}
	t.Run("the head doesn't come", func(t *testing.T) {
		one, two := mock.Start(t, mock.Hang), mock.Start(t, says("fine"))
		g, _ := configured(t, fmt.Sprintf("providers:\n  up0: {plugin: openai, base_url: %q, api_key: a, timeouts: {first_byte: 200ms}}\n  up1: {plugin: openai, base_url: %q, api_key: b}\n"+
			"model_mapping:\n  m: {targets: [{provider: up0, model: m}, {provider: up1, model: m, tier: 2}]}\n", one.URL, two.URL))
		g.wants(t, answerOfM, 200, "fine")
		g.wants(t, streamOfM, 200, "fine")
	})
}

func TestTrapAnotherTargetGoesOnAfterContent(t *testing.T) {
	leavesNothing(t)
	for _, api := range clientAPIs {
		for name, first := range map[string]struct {
			answer   mock.Answer
			timeouts string // that are waited for, after a beginning that even a busy machine has in time
		}{
			"a reset":  {mock.Steps(mock.SSE(event), mock.Cut), ""},
			"an error": {mock.SSE(event + midError), ""},
			"silence":  {mock.Steps(mock.Raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"+event), mock.Hang), ", timeouts: {idle: 600ms, first_token: 500ms}"},
		} {
			t.Run(api.name+" "+name, func(t *testing.T) {
				one, two := mock.Start(t, first.answer), mock.Start(t, says("fine"))
				g, _ := configured(t, fmt.Sprintf("providers:\n  up0: {plugin: openai, base_url: %q, api_key: a%s}\n  up1: {plugin: openai, base_url: %q, api_key: b}\n"+
					"model_mapping:\n  m: {targets: [{provider: up0, model: m}, {provider: up1, model: m, tier: 2}]}\n", one.URL, first.timeouts, two.URL))
				res, answer := g.postTo(t, api.path, "", api.asks("x", true))
				if res.StatusCode != 200 || !strings.Contains(answer, api.failed) || api.succeeded(answer) || api.text(t, answer) != "begun" {
					t.Errorf("got %d %s", res.StatusCode, answer)
				}
				if n := len(two.Requests()); n != 0 {
					t.Error("the second was asked")
				}
				// It was counted: two more and it is left alone.
				for range 2 {
					g.postTo(t, api.path, "", api.asks("x", true))
				}
				if _, answer := g.postTo(t, api.path, "", api.asks("x", true)); api.text(t, answer) != "fine" {
					t.Errorf("after three failures in a row, it is asked: %s", answer)
				}
			})
		}
	}
}

func TestTrapAnErrorInsideOf200IsASuccess(t *testing.T) {
	leavesNothing(t)
	for _, api := range clientAPIs {
		for name, first := range map[string]struct {
			stream bool
			answer mock.Answer
		}{
			"first event":          {true, mock.SSE(midError)},
			"after a head":         {true, mock.SSE(": hello\n\n" + headOnly + usageOnly + midError)},
			"whole":                {false, mock.Whole(200, "application/json", `{"error":{"message":"broken","code":502}}`)},
			"whole for a stream":   {true, mock.Whole(200, "application/json", `{"error":{"message":"broken","code":502}}`)},
			"cut in the middle":    {false, mock.Reset},
			"a reset after a head": {true, mock.Steps(mock.SSE(headOnly), mock.Cut)},
		} {
			t.Run(api.name+" "+name, func(t *testing.T) {
				one, two := mock.Start(t, first.answer), mock.Start(t, says("fine"))
				g, _ := several(t, "", one, two)
				for range 4 {
					res, answer := g.postTo(t, api.path, "", api.asks("x", first.stream))
					if res.StatusCode != 200 || !strings.Contains(answer, "fine") || strings.Contains(answer, "broken") || first.stream && (!api.succeeded(answer) || api.text(t, answer) != "fine") {
						t.Fatalf("got %d %s", res.StatusCode, answer)
					}
				}
				if n := len(one.Requests()); n != 3 {
					t.Errorf("the first was asked %d times, want 3: then it is left alone", n)
				}
			})
		}
	}
}

func TestTrapRetryAfterIsLost(t *testing.T) {
	leavesNothing(t)
	for wait, should := range map[string]string{"20": "", "120": "false"} {
		one := mock.Start(t, fails(429, "rate_limit_exceeded", "Retry-After", wait))
		two := mock.Start(t, fails(429, "rate_limit_exceeded", "Retry-After", "600"))
		g, _ := several(t, "", one, two)
		for _, api := range clientAPIs {
			for range 2 { // also when nobody is asked any more
				res, answer := g.postTo(t, api.path, "", api.asks("x", true))
				if res.StatusCode != 429 || res.Header.Get("Retry-After") != wait || res.Header.Get("X-Should-Retry") != should {
					t.Errorf("%s: got %d, Retry-After %q, X-Should-Retry %q: %s", api.name, res.StatusCode, res.Header.Get("Retry-After"), res.Header.Get("X-Should-Retry"), answer)
				}
			}
		}
		if n := len(one.Requests()) + len(two.Requests()); n != 2 {
			t.Errorf("asked %d times, want once each", n)
		}
	}
}

// TestAllAskedToBeLeftAlone: whatever it was that an upstream said with a Retry-After, the
// client is told of a limit or of an upstream that has no room, by this gateway.
func TestAllAskedToBeLeftAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		answer mock.Answer
		status int
		code   string
	}{
		"a rate limit":  {fails(429, "rate_limit_exceeded", "Retry-After", "20"), 429, "rate_limit_exceeded"},
		"no room":       {fails(529, "", "Retry-After", "20"), 503, "overloaded"},
		"not available": {fails(503, "", "Retry-After", "20"), 503, "overloaded"},
		"failing":       {fails(500, "", "Retry-After", "20"), 503, "overloaded"},
	} {
		t.Run(name, func(t *testing.T) {
			one := mock.Start(t, tc.answer)
			g, _ := several(t, "", one)
			g.post(t, answerOfM)
			res, answer := g.wants(t, answerOfM, tc.status, "")
			if len(one.Requests()) != 1 || res.Header.Get("Retry-After") != "20" || !strings.Contains(answer, `"`+tc.code+`"`) {
				t.Errorf("asked %d times, Retry-After %q: %s", len(one.Requests()), res.Header.Get("Retry-After"), answer)
			}
		})
	}
}

func TestTrapFailoverGoesAroundTheAllowList(t *testing.T) {
	leavesNothing(t)
	one, two := mock.Start(t, fails(400, "context_length_exceeded")), mock.Start(t, says("secret"))
	g, _ := configured(t, fmt.Sprintf("providers:\n  up0: {plugin: openai, base_url: %q, api_key: x}\n  up1: {plugin: openai, base_url: %q, api_key: y}\n"+
		"auth: {enabled: true, api_keys: [{name: a, key: key-a, models: [m]}, {name: b, key: key-b}]}\n"+
		"model_mapping:\n  m: {targets: [{provider: up0, model: m, context: 10k}, {alias: dear, tier: 2}]}\n  dear: {targets: [{provider: up1, model: m, context: 1M}]}\n", one.URL, two.URL))
	for _, answer := range []mock.Answer{fails(400, "context_length_exceeded"), fails(500, ""), fails(401, "")} {
		one.Answer(answer)
		if res, answer := g.postAs(t, "key-a", answerOfM); res.StatusCode == 200 || len(two.Requests()) != 0 {
			t.Errorf("with a key for m alone: %d %s", res.StatusCode, answer)
		}
	}
	if _, answer := g.postAs(t, "key-b", answerOfM); textOf(answer) != "secret" {
		t.Errorf("with a key for both: %s", answer)
	}
}

func TestTrapOrderMeansLessThanPeopleThink(t *testing.T) {
	leavesNothing(t)
	one, two, three := mock.Start(t, says("one")), mock.Start(t, says("two")), mock.Start(t, says("three"))
	g, clock := configured(t, fmt.Sprintf("providers:\n  up0: {plugin: openai, base_url: %q, api_key: x}\n  up1: {plugin: openai, base_url: %q, api_key: y}\n  up2: {plugin: openai, base_url: %q, api_key: z}\n"+
		"model_mapping:\n  m: {targets: [{provider: up0, model: m}, {provider: up1, model: m, weight: 0}, {provider: up2, model: m, tier: 2}]}\n", one.URL, two.URL, three.URL))
	for range 5 {
		g.wants(t, answerOfM, 200, "one")
	}
	one.Answer(fails(401, ""))
	for range 3 {
		g.wants(t, answerOfM, 200, "two") // without weight, but before the next tier
	}
	two.Answer(fails(401, ""))
	g.wants(t, answerOfM, 200, "three")
	one.Answer(says("one"))
	clock.pass(11 * time.Minute)
	g.wants(t, answerOfM, 200, "one")
}

func TestTrapTheProbeIsLost(t *testing.T) {
	leavesNothing(t)
	one, two := mock.Start(t, fails(500, "")), mock.Start(t, says("two"))
	g, clock := several(t, "", one, two)
	for range 3 {
		g.wants(t, answerOfM, 200, "two")
	}
	clock.pass(time.Minute)
	for range 3 { // who looks takes nothing
		g.send(t, "GET", "/health", "")
		g.Host.Targets()
	}
	entered := make(chan bool)
	one.Answer(func(x *mock.Exchange) {
		entered <- true
		x.Hang()
	})
	ctx, hangUp := context.WithCancel(t.Context())
	gone := make(chan bool)
	go func() {
		r, err := http.NewRequestWithContext(ctx, "POST", g.URL+"/v1/chat/completions", strings.NewReader(answerOfM))
		if err == nil {
			r.Header.Set("Content-Type", "application/json")
			var res *http.Response
			if res, err = http.DefaultClient.Do(r); err == nil {
				res.Body.Close()
			}
		}
		close(gone)
	}()
	<-entered
	g.wants(t, answerOfM, 200, "two") // the permit is taken
	hangUp()
	<-gone
	one.Answer(says("one"))
	eventually(t, "the permit is back", true, func() bool {
		_, answer := g.post(t, answerOfM)
		return textOf(answer) == "one"
	})
}

func TestTrapAClientThatHangsUpCounts(t *testing.T) {
	leavesNothing(t)
	entered := make(chan bool)
	hanging := func(x *mock.Exchange) {
		entered <- true
		x.Hang()
	}
	one, two := mock.Start(t, hanging), mock.Start(t, says("two"))
	g, _ := several(t, "", one, two)
	hangUp := func() {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan bool)
		go func() {
			defer close(done)
			r, err := http.NewRequestWithContext(ctx, "POST", g.URL+"/v1/chat/completions", strings.NewReader(streamOfM))
			if err != nil {
				return
			}
			r.Header.Set("Content-Type", "application/json")
			if res, err := http.DefaultClient.Do(r); err == nil {
				res.Body.Close()
			}
		}()
		<-entered
		cancel()
		<-done
	}
	finished := func(n int) {
		eventually(t, "the log has all requests", true, func() bool { return strings.Count(g.log.String(), "request finished") >= n })
	}
	for range 5 {
		hangUp()
	}
	finished(5)
	if s := g.Host.Targets(); s[0].State != "well" {
		t.Errorf("it counts as a failure: %+v", s)
	}
	// It is no success either: two failures, a client that hangs up, and a third failure.
	one.Answer(fails(500, ""))
	g.wants(t, answerOfM, 200, "two")
	g.wants(t, answerOfM, 200, "two")
	one.Answer(hanging)
	hangUp()
	finished(8)
	one.Answer(fails(500, ""))
	g.wants(t, answerOfM, 200, "two")
	if s := g.Host.Targets(); s[0].State != "cooling" {
		t.Errorf("it counts as a success: %+v", s)
	}
}

func TestTrapARefusedKeyIsTriedAgain(t *testing.T) {
	leavesNothing(t)
	one, two := mock.Start(t, fails(401, "invalid_api_key")), mock.Start(t, says("two"))
	g, _ := configured(t, fmt.Sprintf("providers:\n  up0: {plugin: openai, base_url: %q, api_key: x}\n  up1: {plugin: openai, base_url: %q, api_key: y}\n"+
		"model_mapping:\n  m: {targets: [{provider: up0, model: a}, {provider: up0, model: b, tier: 2}, {provider: up1, model: m, tier: 3}]}\n  alone: {targets: [{provider: up0, model: c}]}\n", one.URL, two.URL))
	for range 3 {
		g.wants(t, answerOfM, 200, "two")
	}
	if n := len(one.Requests()); n != 1 {
		t.Errorf("the key that was refused was used %d times, want once: it is the same for all models", n)
	}
	_, health := g.send(t, "GET", "/health", "")
	if !strings.Contains(health, "The provider is left alone for a while") || strings.Contains(health, one.URL) {
		t.Errorf("/health says nothing of it, or an address: %s", health)
	}
	res, answer := g.wants(t, strings.Replace(answerOfM, `"m"`, `"alone"`, 1), 502, "")
	if !strings.Contains(answer, "upstream_auth") || res.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("the client is told that its own key is wrong, or to try again: %s", answer)
	}
}

func TestTrapAReloadForgetsOrKeepsTooMuch(t *testing.T) {
	leavesNothing(t)
	one, two := mock.Start(t, fails(401, "")), mock.Start(t, says("two"))
	other := mock.Start(t, says("other"))
	config := func(address, key, more string) string {
		return fmt.Sprintf("providers:\n  up0: {plugin: openai, base_url: %q, api_key: %s}\n  up1: {plugin: openai, base_url: %q, api_key: y}\n"+
			"model_mapping:\n  m: {targets: [{provider: up0, model: m}, {provider: up1, model: m, tier: 2}]}\n%s", address, key, two.URL, more)
	}
	swap := func(g *gateway, yaml string) {
		t.Helper()
		if err := g.host.Swap(t.Context(), parse(t, yaml), testkit.Module); err != nil {
			t.Fatal(err)
		}
	}
	g, _ := configured(t, config(one.URL, "old", ""))
	g.wants(t, answerOfM, 200, "two")
	one.Answer(says("one"))
	swap(g, config(one.URL, "old", "  another: {provider: demo, model: demo}\n"))
	g.wants(t, answerOfM, 200, "two") // it still cools
	swap(g, config(one.URL, "new", ""))
	g.wants(t, answerOfM, 200, "one") // with another key it is another one
	swap(g, config(one.URL, "old", ""))
	one.Answer(fails(401, ""))
	g.wants(t, answerOfM, 200, "two")
	swap(g, config(other.URL, "old", ""))
	g.wants(t, answerOfM, 200, "other") // and so it is at another address
}

func TestTrapAConversationIsSplit(t *testing.T) {
	leavesNothing(t)
	var yaml strings.Builder
	yaml.WriteString("providers:\n")
	for i := range 3 {
		m := mock.Start(t, says(fmt.Sprint(i)))
		fmt.Fprintf(&yaml, "  up%d: {plugin: openai, base_url: %q, api_key: sk-%d}\n", i, m.URL, i)
	}
	yaml.WriteString("model_mapping:\n  m: {routing: {sticky: conversation}, targets: [{provider: up0, model: m}, {provider: up1, model: m}, {provider: up2, model: m}]}\n")
	one, _ := configured(t, yaml.String())
	two, _ := configured(t, yaml.String())
	seen := map[string]bool{}
	for i := range 30 {
		first := fmt.Sprintf(`{"role":"user","content":"question %d"}`, i)
		turn := func(g *gateway, more string) string {
			t.Helper()
			_, answer := g.post(t, `{"model":"m","messages":[`+first+more+`]}`)
			return textOf(answer)
		}
		at := turn(one, "")
		seen[at] = true
		for _, g := range []*gateway{one, two} {
			if next := turn(g, `,{"role":"assistant","content":"a"},{"role":"user","content":"and then?"}`); next != at {
				t.Errorf("conversation %d began at %s and went on at %s", i, at, next)
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("30 conversations used %d of 3 targets", len(seen))
	}
}

func TestTrapARequestWithConsequencesIsRepeated(t *testing.T) {
	leavesNothing(t)
	for name, tc := range map[string]struct {
		body  string
		first mock.Answer
		want  int
		two   int
	}{
		"store after slow":         {`{"model":"m","stream":true,"store":true,"messages":[{"role":"user","content":"x"}]}`, hangs(": x\n\n"), 504, 0},
		"no store after slow":      {streamOfM, hangs(": x\n\n"), 200, 1},
		"store after a rate limit": {`{"model":"m","stream":true,"store":true,"messages":[{"role":"user","content":"x"}]}`, fails(429, ""), 200, 1},
	} {
		t.Run(name, func(t *testing.T) {
			one, two := mock.Start(t, tc.first), mock.Start(t, says("two"))
			g, _ := configured(t, fmt.Sprintf("providers:\n  up0: {plugin: openai, base_url: %q, api_key: x, timeouts: {first_token: 200ms}}\n  up1: {plugin: openai, base_url: %q, api_key: y}\n"+
				"model_mapping:\n  m: {targets: [{provider: up0, model: m}, {provider: up1, model: m, tier: 2}]}\n", one.URL, two.URL))
			res, answer := g.post(t, tc.body)
			if res.StatusCode != tc.want || len(two.Requests()) != tc.two {
				t.Errorf("got %d %s, and the second was asked %d times", res.StatusCode, answer, len(two.Requests()))
			}
		})
	}
}

// TestWeightsAreKeptByAWholeGateway: of 1,000 requests over 6:2:2, 600, 200 and 200 go to
// each, give or take one, with several clients at a time.
func TestWeightsAreKeptByAWholeGateway(t *testing.T) {
	leavesNothing(t)
	var members []*mock.Upstream
	var yaml strings.Builder
	yaml.WriteString("providers:\n")
	for i := range 3 {
		m := mock.Start(t, says("x"))
		members = append(members, m)
		fmt.Fprintf(&yaml, "  up%d: {plugin: openai, base_url: %q, api_key: sk-%d}\n", i, m.URL, i)
	}
	yaml.WriteString("model_mapping:\n  m: {targets: [{provider: up0, model: m, weight: 6}, {provider: up1, model: m, weight: 2}, {provider: up2, model: m, weight: 2}]}\n")
	g, _ := configured(t, yaml.String())
	held := g.host.Held("up0")
	var clients sync.WaitGroup
	for range 10 {
		clients.Go(func() {
			for range 100 {
				if res, answer := g.post(t, answerOfM); res.StatusCode != 200 {
					t.Errorf("got %d %s", res.StatusCode, answer)
				}
			}
		})
	}
	clients.Wait()
	for i, want := range []int{600, 200, 200} {
		if n := len(members[i].Requests()); n < want-1 || n > want+1 {
			t.Errorf("target %d got %d of 1,000, want %d", i, n, want)
		}
	}
	eventually(t, "all memory is back", true, func() bool { return g.host.Held("up0") == held })
}

// TestTheRequestIsKeptUntilTheFirstContent: as long as another target may be asked, the
// body is held; then its memory is free, while the stream goes on.
func TestTheRequestIsKeptUntilTheFirstContent(t *testing.T) {
	headed, spoken := make(chan struct{}), make(chan struct{})
	one := mock.Start(t, mock.Steps(mock.SSE(headOnly), mock.Wait(headed), mock.Send(event), mock.Wait(spoken),
		mock.Send("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")))
	two := mock.Start(t, says("two"))
	g, _ := several(t, "", one, two)
	const size = 4 << 20
	before := g.host.Held("up0")[0]
	body := strings.Replace(streamOfM, `"x"`, `"`+strings.Repeat("x", size)+`"`, 1)
	got := make(chan string)
	go func() {
		_, answer := g.post(t, body)
		got <- answer
	}()
	eventually(t, "the first is asked", true, func() bool { return len(one.Requests()) == 1 })
	if held := g.host.Held("up0")[0] - before; held < size {
		t.Errorf("before the first content only %d bytes are held, so no other target can be asked", held)
	}
	close(headed)
	eventually(t, "the body's memory is free", true, func() bool { return g.host.Held("up0")[0]-before < size/2 })
	close(spoken)
	if answer := <-got; textOf(answer) != "begun" {
		t.Errorf("got %s", answer)
	}
	eventually(t, "all memory is free", true, func() bool { return g.host.Held("up0")[0] == before })
}

// TestAModelThatAClientNamesIsMissingForItAlone: behind a *, a name that the provider
// doesn't know cools nothing, neither for other names nor for itself.
func TestAModelThatAClientNamesIsMissingForItAlone(t *testing.T) {
	one := mock.Start(t, fails(404, "model_not_found"))
	g, _ := configured(t, fmt.Sprintf("providers:\n  up: {plugin: openai, base_url: %q, api_key: x}\n  other: {plugin: openai, base_url: %[1]q, api_key: y}\n"+
		"model_mapping:\n  any/*: {targets: [{provider: up, model: \"*\"}, {provider: other, model: \"*\", tier: 2}]}\n  fixed: {targets: [{provider: up, model: known}]}\n", one.URL))
	ask := func(model string, status int, text string) {
		t.Helper()
		g.wants(t, strings.Replace(answerOfM, `"m"`, `"`+model+`"`, 1), status, text)
	}
	for range 5 {
		ask("any/typo", 404, "")
	}
	one.Answer(says("here"))
	before := len(one.Requests())
	ask("any/typo", 200, "here")
	ask("any/known", 200, "here")
	ask("fixed", 200, "here")
	if n := len(one.Requests()) - before; n != 3 {
		t.Errorf("asked %d times for three requests", n)
	}
}
