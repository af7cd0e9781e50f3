package host_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// Mistakes that limits and budgets invite, and the tests that look for them:
//
//	checked before, counted after: a burst passes   TestTrapABurstPassesALimit, limit.TestManyAtOncePassNoLimit
//	a refusal counts, so that nobody recovers       limit.TestTrapARefusedRequestCounts
//	a reservation is more than the limit            limit.TestTrapAReservationIsMoreThanTheLimit
//	an answer settles as nothing, or as too much    TestWhatAnAnswerCosts, TestWhatOtherAnswersCost,
//	                                                TestWhatPassedAnswersCost, TestAHangUpPaysInEveryAPI
//	a debt is forgotten                             limit.TestTrapADebtIsForgotten
//	one request counts twice                        TestTrapARequestIsCountedTwice
//	a budget is checked, and charged later          limit.TestManyAtOncePassNoLimit, limit.TestRandomSchedules
//	a budget is checked at another price            TestTrapABudgetIsCheckedAtALowerPriceThanIsCharged
//	what runs is counted, and leaks                 TestTrapWhatRunsLeaks, TestAHangUpPaysForWhatItGot
//	a window ends too early, or never               limit.TestTrapAWindowEndsTooEarlyOrNever, limit.TestABudgetIsOfThePeriodOfTheCalendar
//	a key is seen beyond its header                 TestTrapAKeyIsSeenBeyondItsHeader
//	a revoked key lives on                          TestTrapARevokedKeyLivesOn
//	a path is outside of the limits                 TestTrapAPathIsOutsideOfTheLimits, TestTrapAKeyIsUnlimitedByAccident
//	what has no price is free                       config.TestTrapWhatHasNoPriceIsFree
//	a 429 names no limit, or that of another one    TestTrapARefusalNamesNoLimitOrThatOfOthers

// TestTrapABurstPassesALimit lets many requests come before any of them has ended.
func TestTrapABurstPassesALimit(t *testing.T) {
	for limits, want := range map[string]int64{
		"limits: {requests: 3/d}":        3,
		"limits: {concurrent: 4}":        4,
		"limits: {tokens: 1000/d}":       3, // two reserve 400 and their input, and the last one what is left
		"limits: {}, budget: {total: 1}": 2, // one reserves 0.8, and the last one what is left
	} {
		t.Run(limits, func(t *testing.T) {
			var passed atomic.Int64
			decided := make(chan struct{})
			up := mock.Start(t, func(x *mock.Exchange) {
				passed.Add(1)
				x.Wait(decided)
				saysCounted("fine")(x)
			})
			g := limited(t, up, limits, "")
			body := strings.Replace(answerOfM, "{", `{"max_completion_tokens":400,`, 1)
			if strings.Contains(limits, "budget") {
				body = strings.Replace(body, "400", "80000", 1)
			}
			const all = 30
			var refused atomic.Int64
			var clients sync.WaitGroup
			for range all {
				clients.Go(func() {
					if res, text := g.postAs(t, "app", body); res.StatusCode == 429 {
						refused.Add(1)
					} else if res.StatusCode != 200 {
						t.Errorf("%d %s", res.StatusCode, text)
					}
				})
			}
			eventually(t, "requests are refused or wait", int64(all), func() int64 { return refused.Load() + passed.Load() })
			close(decided)
			clients.Wait()
			if passed.Load() != want {
				t.Errorf("%d passed, want %d", passed.Load(), want)
			}
		})
	}
}

// TestTrapARequestIsCountedTwice lets targets fail before one answers, many times at once.
func TestTrapARequestIsCountedTwice(t *testing.T) {
	one, two := mock.Start(t, fails(500, "broken")), mock.Start(t, saysCounted("fine"))
	g := newGateway(t, fmt.Sprintf(`
providers: {one: {plugin: openai, base_url: %q, api_key: k}, two: {plugin: openai, base_url: %q, api_key: k}}
model_mapping:
  m: {targets: [{provider: one, model: a}, {provider: two, model: b, tier: 2}], price: {input: 1, output: 10}, routing: {cooldown: {failures: 0, error_rate: 0}, backoff: {base: 1ms, max: 1ms}}}
auth:
  enabled: true
  groups: {team: {limits: {concurrent: 100}}}
  api_keys: [{name: app, key: app, group: team, limits: {requests: 1k/d, tokens: 1M/d}, budget: {total: 5}}]
`, one.URL, two.URL))
	const all = 20
	var clients sync.WaitGroup
	for range all {
		clients.Go(func() {
			if res, text := g.postAs(t, "app", answerOfM); res.StatusCode != 200 {
				t.Errorf("%d %s", res.StatusCode, text)
			}
		})
	}
	clients.Wait()
	g.settled(t)
	if len(one.Requests()) < all {
		t.Fatalf("the first target was asked %d times", len(one.Requests()))
	}
	for id, want := range map[string]int64{"requests 24h0m0s": all, "tokens 24h0m0s": all * 150, "money total": all * (100*1000 + 50*10_000)} {
		if got := g.host.Counted("key app " + id); got != want {
			t.Errorf("%s: %d, want %d", id, got, want)
		}
	}
}

// TestTrapWhatRunsLeaks ends requests in every way, and counts what still runs.
func TestTrapWhatRunsLeaks(t *testing.T) {
	for name, answer := range map[string]mock.Answer{
		"answers": saysCounted("fine"), "errors": fails(500, "broken"), "cut streams": mock.Steps(mock.SSE(sseChunk("a")), mock.Cut), "hang-ups": mock.Steps(mock.SSE(sseChunk("a")), mock.Hang), "silence": mock.Hang,
	} {
		t.Run(name, func(t *testing.T) {
			g := limited(t, mock.Start(t, answer), "limits: {concurrent: 3}", "")
			for range 9 { // three times as many as may run at one time
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				if strings.HasPrefix(name, "hang") || name == "silence" {
					ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
				}
				r, _ := http.NewRequestWithContext(ctx, "POST", g.URL+"/v1/chat/completions", strings.NewReader(asked))
				r.Header.Set("Authorization", "Bearer app")
				if res, err := http.DefaultClient.Do(r); err == nil {
					if res.StatusCode == 429 {
						t.Error("what has ended still counts")
					}
					for buf := make([]byte, 1000); err == nil; {
						_, err = res.Body.Read(buf)
					}
					res.Body.Close()
				}
				cancel()
				g.settled(t)
			}
			if n := g.host.Counted("key app concurrent"); n != 0 {
				t.Errorf("%d run still", n)
			}
		})
	}
}

// TestTrapAPathIsOutsideOfTheLimits asks every endpoint of a model with a key that may ask
// once. The refusal has the shape of the endpoint's API.
func TestTrapAPathIsOutsideOfTheLimits(t *testing.T) {
	up := mock.Start(t, mock.Status(500))
	paths := []struct{ model, path, body string }{{"claude", "/v1/messages", `{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":"x"}]}`}} // as it came
	for _, a := range asks {
		model := "m"
		if a.path == "/v1/responses/compact" {
			model = "native" // which is never translated
		}
		paths = append(paths, struct{ model, path, body string }{model, a.path, `{"model":"` + model + `",` + a.fields + "}"})
		if a.stream != "" {
			paths = append(paths, struct{ model, path, body string }{model, a.path, `{"model":"` + model + `",` + a.fields + a.stream + "}"})
		}
	}
	yaml := fmt.Sprintf("providers: {up: {plugin: openai, base_url: %q, api_key: k, options: {count_tokens: vllm}}, an: {plugin: anthropic, base_url: %[1]q, api_key: k}}\nmodel_mapping: {m: {provider: up, model: small}, native: {provider: up, model: small, native: true}, claude: {provider: an, model: claude}}\nauth:\n  enabled: true\n  api_keys:\n", up.URL)
	for i := range paths {
		yaml += fmt.Sprintf("    - {name: k%d, key: k%[1]d, limits: {requests: 1/d}}\n", i)
	}
	g := newGateway(t, yaml)
	for i, p := range paths {
		key := fmt.Sprintf("k%d", i)
		contentType := "application/json"
		if p.path == transcriptions {
			contentType, p.body = formOf, transcribe("m", "", "ID3")
		}
		if res, text := g.postForm(t, p.path, key, contentType, p.body); res.StatusCode == 429 || res.StatusCode == 400 {
			t.Errorf("%s: %d %s", p.path, res.StatusCode, text)
		}
		asked := len(up.Requests())
		res, text := g.postForm(t, p.path, key, contentType, p.body)
		shape := `{"error":{"message":"The limit of 1 requests per day of key '` + key + `' is reached.`
		code := `"type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}`
		if strings.HasPrefix(p.path, "/v1/messages") {
			shape, code = `{"type":"error","error":{"type":"rate_limit_error","message":"The limit of 1 requests per day of key '`+key+`' is reached.`, `"request_id":"req_`
		}
		if res.StatusCode != 429 || !strings.HasPrefix(text, shape) || !strings.Contains(text, code) || res.Header.Get("Content-Type") != "application/json" ||
			res.Header.Get("Retry-After") == "" || res.Header.Get("X-Should-Retry") != "false" || res.Header.Get("X-Ratelimit-Remaining-Requests") != "0" {
			t.Errorf("%s: %d %s %v", p.path, res.StatusCode, text, res.Header)
		}
		if n := g.host.Counted("key " + key + " requests 24h0m0s"); n != 1 || len(up.Requests()) != asked {
			t.Errorf("%s: %d requests are counted, and %d were sent after the first", p.path, n, len(up.Requests())-asked)
		}
	}
}

// TestWhatOtherAnswersCost cuts completions and embeddings, and compares what is charged with
// what was delivered.
func TestWhatOtherAnswersCost(t *testing.T) {
	ten := strings.Repeat("0123456789", 4) // 10 tokens of text
	text := func(s string) string {
		return fmt.Sprintf("data: {\"choices\":[{\"index\":0,\"text\":%q}]}\n\n", s)
	}
	const end = "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n"
	const completion = `{"model":"m","stream":true,"prompt":"` + "0123456789012345678901234567890123456789" + `"}`
	const embed = `{"model":"m","input":["` + "0123456789012345678901234567890123456789" + `"]}`
	for name, tc := range map[string]struct {
		path, body    string
		answer        mock.Answer
		input, output int64 // tokens; below 0: estimated
	}{
		"a completion":                    {"/v1/completions", completion, mock.SSE(text(ten), end, sseUsage, sseDone), 100, 50},
		"a completion that nobody counts": {"/v1/completions", completion, mock.SSE(text(ten), end, sseDone), -1, 10},
		"a completion with an error":      {"/v1/completions", completion, mock.SSE(text(ten), "data: {\"error\":{\"message\":\""+ten+ten+"\"}}\n\n"), -1, 10},
		"a completion that fails":         {"/v1/completions", completion, fails(500, "broken"), 0, 0},
		"a cut completion":                {"/v1/completions", completion, mock.Steps(mock.SSE(text(ten)), mock.Cut), -1, 10},
		"for editors":                     {"/v1/fim/completions", completion, mock.SSE(text(ten), end, sseUsage, sseDone), 100, 50},
		"for editors, cut":                {"/v1/fim/completions", completion, mock.Steps(mock.SSE(text(ten)), mock.Cut), -1, 10},
		"vectors":                         {"/v1/embeddings", embed, mock.JSON(`{"data":[{"index":0,"embedding":[1]}],"usage":{"prompt_tokens":7,"total_tokens":7}}`), 7, 0},
		"vectors that nobody counts":      {"/v1/embeddings", embed, mock.JSON(`{"data":[{"index":0,"embedding":[1]}]}`), -1, 0},
		"cut vectors":                     {"/v1/embeddings", embed, mock.Steps(func(x *mock.Exchange) { x.Head(200, "application/json"); x.Send(`{"data":[{"index":0,`) }, mock.Cut), -1, 0},
		"vectors that fail":               {"/v1/embeddings", embed, fails(500, "broken"), 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := limited(t, mock.Start(t, tc.answer), "limits: {input_tokens: 1M/d, output_tokens: 1M/d, requests: 9/d}, budget: {total: 5}", "")
			_, answer := g.postTo(t, tc.path, "app", tc.body)
			g.settled(t)
			input, output, money := g.host.Counted("key app input_tokens 24h0m0s"), g.host.Counted("key app output_tokens 24h0m0s"), g.host.Counted("key app money total")
			if tc.output > 0 && tc.input < 0 && !strings.Contains(answer, ten) {
				tc.output = 0 // it was cut before it came through
			}
			if output != tc.output || tc.input >= 0 && input != tc.input || tc.input < 0 && (input < 10 || input > 40) || money != input*1000+output*10_000 {
				t.Errorf("%d and %d tokens are counted, which cost %d; want %d and %d; the client got %s", input, output, money, tc.input, tc.output, answer)
			}
			if g.host.Counted("key app requests 24h0m0s") != 1 {
				t.Error("the request is not counted")
			}
		})
	}
}

// TestWhatPassedAnswersCost cuts answers that pass as they come at every stage, whole and
// streamed, and compares what is charged with what was delivered.
func TestWhatPassedAnswersCost(t *testing.T) {
	messages := func(stream string) string {
		return `{"model":"claude","max_tokens":50,"messages":[{"role":"user","content":"hi"}],"mcp_servers":[]` + stream + `}`
	}
	const streamed = `,"stream":true`
	long := strings.Replace(nativeText, `"text":"native"`, `"text":"`+strings.Repeat("0123456789", 40)+`"`, 1) // 100 tokens
	for name, tc := range map[string]struct {
		body          string
		answer        mock.Answer
		input, output int64 // tokens, estimated where they are many; below 0: at least so many
	}{
		"whole":                   {messages(""), mock.JSON(fmt.Sprintf(nativeWhole, "")), 5, 2},
		"a stream":                {messages(streamed), mock.SSE(nativeStream), 5, 2},
		"cut before its start":    {messages(streamed), mock.Steps(mock.SSE(": ping\n\n"), mock.Cut), -1, 0},
		"cut behind its start":    {messages(streamed), mock.Steps(mock.SSE(nativeStart), mock.Cut), 5, 1},
		"cut in its text":         {messages(streamed), mock.Steps(mock.SSE(nativeStart+long), mock.Cut), 5, 100},
		"cut behind its end":      {messages(streamed), mock.Steps(mock.SSE(nativeStart+long+nativeEnd), mock.Cut), 5, 2},
		"an error in its text":    {messages(streamed), mock.SSE(nativeStart + long + "event: error\ndata: " + overloaded + "\n\n"), 5, 100},
		"an error before it":      {messages(streamed), mock.Whole(529, "application/json", overloaded), 0, 0},
		"a whole one that is cut": {messages(""), mock.Steps(func(x *mock.Exchange) { x.Head(200, "application/json"); x.Send(nativeWhole[:40]) }, mock.Cut), -1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, fmt.Sprintf(`
providers: {an: {plugin: anthropic, base_url: %q, api_key: k}}
model_mapping: {claude: {targets: [{provider: an, model: claude-x}], routing: {attempts: 1}, price: {input: 1, output: 10}}}
auth:
  enabled: true
  groups: {team: {limits: {concurrent: 100}}}
  api_keys: [{name: app, key: app, group: team, limits: {input_tokens: 1M/d, output_tokens: 1M/d}, budget: {total: 5}}]
`, mock.Start(t, tc.answer).URL))
			_, answer := g.postTo(t, "/v1/messages", "app", tc.body)
			g.settled(t)
			input, output, money := g.host.Counted("key app input_tokens 24h0m0s"), g.host.Counted("key app output_tokens 24h0m0s"), g.host.Counted("key app money total")
			if off := max(output-tc.output, tc.output-output); off > tc.output/10 || tc.input >= 0 && input != tc.input || tc.input < 0 && (input < -tc.input || input > 60) || money != input*1000+output*10_000 {
				t.Errorf("%d and %d tokens are counted, which cost %d; want %d and %d; the client got %s", input, output, money, tc.input, tc.output, answer)
			}
		})
	}
}

// TestAHangUpPaysInEveryAPI hangs up after the first words.
func TestAHangUpPaysInEveryAPI(t *testing.T) {
	words := strings.Repeat("0123456789", 40) // 100 tokens
	for path, body := range map[string]string{
		"/v1/responses": `{"model":"m","stream":true,"input":"x"}`,
		"/v1/messages":  `{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"x"}]}`,
	} {
		t.Run(path, func(t *testing.T) {
			g := limited(t, mock.Start(t, mock.Steps(mock.SSE(sseChunk(words)), mock.Hang)), "limits: {output_tokens: 1M/d}, budget: {day: 5}", "")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, _ := http.NewRequestWithContext(ctx, "POST", g.URL+path, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer app")
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			for seen, buf := "", make([]byte, 4096); !strings.Contains(seen, words); {
				n, err := res.Body.Read(buf)
				if seen += string(buf[:n]); err != nil {
					t.Fatalf("%v after %s", err, seen)
				}
			}
			cancel()
			g.settled(t)
			if n := g.host.Counted("key app output_tokens 24h0m0s"); n != 100 {
				t.Errorf("%d tokens are counted, want 100", n)
			}
			if n := g.host.Counted("key app money day"); n <= 100*10_000 {
				t.Errorf("it costs %d, which has no input in it", n)
			}
		})
	}
}

// TestWhatRequestsReserve looks at what counts while a request runs.
func TestWhatRequestsReserve(t *testing.T) {
	for name, tc := range map[string]struct {
		path, body   string
		least, below int64
	}{
		"a chat that says how long":      {"/v1/chat/completions", `{"model":"m","max_completion_tokens":3000,"messages":[{"role":"user","content":"x"}]}`, 3000, 3100},
		"a chat that doesn't":            {"/v1/chat/completions", answerOfM, 500, 600},
		"a completion":                   {"/v1/completions", `{"model":"m","prompt":"x","max_tokens":2000}`, 2000, 2100},
		"a completion for editors":       {"/v1/fim/completions", `{"model":"m","prompt":"x"}`, 256, 350},
		"a message as it came":           {"/v1/messages", `{"model":"claude","max_tokens":3000,"messages":[{"role":"user","content":"x"}]}`, 500, 3100},
		"a message that only passes":     {"/v1/messages", `{"model":"claude","max_tokens":3000,"messages":[{"role":"user","content":"x"}],"mcp_servers":[{"type":"url","url":"https://x.test"}]}`, 500, 600},
		"a picture":                      {"/v1/images/generations", `{"model":"m","prompt":"p"}`, 500, 600},
		"vectors, which are no tokens":   {"/v1/embeddings", `{"model":"m","input":"a text of some length"}`, 5, 100},
		"a ranking, which has no tokens": {"/v1/rerank", `{"model":"m","query":"q","documents":["a text of some length"]}`, 5, 100},
	} {
		t.Run(name, func(t *testing.T) {
			asking, finish := make(chan struct{}), make(chan struct{})
			up := mock.Start(t, func(x *mock.Exchange) { close(asking); x.Wait(finish); mock.Status(500)(x) })
			g := newGateway(t, fmt.Sprintf(`
providers: {up: {plugin: openai, base_url: %q, api_key: k}, an: {plugin: anthropic, base_url: %[1]q, api_key: k}}
model_mapping: {m: {provider: up, model: small}, claude: {provider: an, model: claude}}
auth: {enabled: true, api_keys: [{name: app, key: app, limits: {tokens: 1M/d}}]}
`, up.URL))
			done := make(chan struct{})
			go func() { defer close(done); g.postTo(t, tc.path, "app", tc.body) }()
			<-asking
			if n := g.host.Counted("key app tokens 24h0m0s"); n < tc.least || n >= tc.below {
				t.Errorf("%d tokens are reserved, want %d to %d", n, tc.least, tc.below)
			}
			close(finish)
			<-done
		})
	}
}

// TestABudgetIsNeverRepeatedFor asks half a minute before a budget begins anew.
func TestABudgetIsNeverRepeatedFor(t *testing.T) {
	up := mock.Start(t, saysCounted("fine"))
	g, clock := configured(t, fmt.Sprintf(`
providers: {up: {plugin: openai, base_url: %q, api_key: k}}
model_mapping: {m: {provider: up, model: small, price: {input: 1, output: 10}}}
auth: {enabled: true, api_keys: [{name: app, key: app, budget: {day: 0.0005}}]}
`, up.URL))
	midnight := clock.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	clock.pass(midnight.Add(-30 * time.Second).Sub(clock.Now()))
	g.postAs(t, "app", answerOfM)
	res, text := g.postAs(t, "app", answerOfM)
	if res.StatusCode != 429 || !strings.Contains(text, "budget_exceeded") || res.Header.Get("Retry-After") != "30" || res.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("%d %s %v", res.StatusCode, text, res.Header)
	}
	counted(t, g, `kai_budget_warnings_total{owner="key"}`, "1")
	clock.pass(30 * time.Second)
	if res, text := g.postAs(t, "app", answerOfM); res.StatusCode != 200 {
		t.Errorf("the next day: %d %s", res.StatusCode, text)
	}
}
