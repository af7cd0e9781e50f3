package host_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestTrapARefusalNamesNoLimitOrThatOfOthers gives limits to a key, its group, the group above, the alias
// and the gateway. All of them count a request that is let in, each of them can refuse the
// next one, and the refusal tells of limits of the key and its groups alone: in its words, and
// in its headers, which have the limit and what is left of it.
func TestTrapARefusalNamesNoLimitOrThatOfOthers(t *testing.T) {
	up := mock.Start(t, saysCounted("fine"))
	const many, one, none = "{requests: 100/d}", "{requests: 1/d}", "{}"
	for name, tc := range map[string]struct {
		key, team, company, alias, gateway string // "": many
		first                              int    // the status of the first request; 0: 200
		code                               string // "": rate_limit_exceeded
		says                               string
		requests, tokens                   string // limit and what is left of it; "": there are no such headers
	}{
		"the key's":                               {key: one, says: "The limit of 1 requests per day of key 'app' is reached.", requests: "1 0"},
		"its group's":                             {team: one, says: "The limit of 1 requests per day of group 'team' is reached.", requests: "1 0"},
		"that of the group above":                 {company: one, says: "The limit of 1 requests per day of group 'company' is reached.", requests: "1 0"},
		"the alias's":                             {alias: one, says: "The limit of requests per day of this gateway is reached.", requests: "100 99"},
		"the gateway's":                           {gateway: one, says: "The limit of requests per day of this gateway is reached.", requests: "100 99"},
		"a group's, of a key with none":           {key: none, team: one, says: "of group 'team' is reached.", requests: "1 0"},
		"the gateway's, of a key with none":       {key: none, team: "{requests: 50/d}", gateway: one, says: "of this gateway is reached.", requests: "50 49"},
		"the gateway's, of a key in free groups":  {key: none, team: none, company: none, gateway: one, says: "of this gateway is reached."},
		"tokens of the key":                       {key: "{requests: 9/d, tokens: 60/d}", says: "The limit of 60 tokens per day of key 'app' is reached.", requests: "9 8", tokens: "60 0"},
		"tokens of a group":                       {key: "{requests: 9/d}", team: "{tokens: 60/d}", says: "The limit of 60 tokens per day of group 'team' is reached.", requests: "9 8", tokens: "60 0"},
		"tokens of a group, of a key with enough": {key: "{tokens: 1M/d}", team: "{tokens: 60/d}", says: "tokens per day of group 'team' is reached.", requests: "100 99", tokens: "60 0"},
		"requests of a key that waits for tokens": {
			key: "{requests: 9/d, tokens: [2/d, 1M/h]}", first: 429, code: "request_too_large_for_limit", says: "more than twice what the limit of 2 tokens per day of key 'app' allows", requests: "9 9", tokens: "2 2",
		},
		"no requests at all": {team: "{requests: 0/d}", first: 429, says: "The limits of group 'team' allow no requests.", requests: "0 0"},
	} {
		t.Run(name, func(t *testing.T) {
			or := func(limits string) string {
				if limits == "" {
					return many
				}
				return limits
			}
			g := newGateway(t, fmt.Sprintf(`
providers: {up: {plugin: openai, base_url: %q, api_key: k}}
model_mapping: {m: {provider: up, model: small, limits: %s}}
limits: %s
auth:
  enabled: true
  groups: {company: {limits: %s}, team: {parent: company, limits: %s}}
  api_keys: [{name: app, key: app, group: team, limits: %s}]
`, up.URL, or(tc.alias), or(tc.gateway), or(tc.company), or(tc.team), or(tc.key)))
			counted := int64(0)
			if tc.first == 0 {
				if res, text := g.postAs(t, "app", answerOfM); res.StatusCode != 200 {
					t.Fatalf("the first one: %d %s", res.StatusCode, text)
				}
				counted = 1
			}
			res, text := g.postAs(t, "app", answerOfM)
			if tc.code == "" {
				tc.code = "rate_limit_exceeded"
			}
			if res.StatusCode != 429 || !strings.Contains(text, tc.says) || !strings.Contains(text, `"`+tc.code+`"`) {
				t.Errorf("%d %s, want %s and %q", res.StatusCode, text, tc.code, tc.says)
			}
			for unit, want := range map[string]string{"Requests": tc.requests, "Tokens": tc.tokens} {
				h := func(what string) string { return res.Header.Get("X-Ratelimit-" + what + "-" + unit) }
				if got := strings.TrimSpace(h("Limit") + " " + h("Remaining")); got != want || (h("Reset") != "") != (want != "") {
					t.Errorf("of %s, %q is told, reset %q, want %q", unit, got, h("Reset"), want)
				}
			}
			for id, limits := range map[string]string{"key app": tc.key, "group team": tc.team, "group company": tc.company, "alias m": tc.alias, "gateway ": tc.gateway} {
				if !strings.Contains(or(limits), "requests") {
					continue
				}
				if got := g.host.Counted(id + " requests 24h0m0s"); got != counted {
					t.Errorf("%s counts %d requests, want %d", id, got, counted)
				}
			}
		})
	}
}

// spent is a gateway in front of an upstream whose key has a budget for one request, and
// goes on with the alias spare.
func spent(t *testing.T, up *mock.Upstream, models string) (*gateway, *clock) {
	return configured(t, fmt.Sprintf(`
providers: {up: {plugin: openai, base_url: %q, api_key: k}}
model_mapping:
  m: {provider: up, model: small, price: {input: 1, output: 10}}
  spare: {provider: up, model: spare, price: free}
cache: {ttl: 1h}
auth:
  enabled: true
  groups: {team: {budget: {day: 0.0005, then: spare}}}
  api_keys: [{name: app, key: app, group: team, models: [%s]}]
`, up.URL, models))
}

func TestASpentBudgetLeadsNobodyToWhatItsKeyMayNotUse(t *testing.T) {
	up := mock.Start(t, saysCounted("fine"))
	g, _ := spent(t, up, "m")
	g.postAs(t, "app", answerOfM)
	if res, text := g.postAs(t, "app", answerOfM); res.StatusCode != 429 || !strings.Contains(text, "The budget of group 'team' for the day is spent.") {
		t.Errorf("%d %s", res.StatusCode, text)
	}
	if n := len(up.Requests()); n != 1 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// TestWhatIsServedInsteadIsNotKept asks for what is kept, while a budget is spent and when it
// has begun anew.
func TestWhatIsServedInsteadIsNotKept(t *testing.T) {
	up := mock.Start(t, counting())
	g, clock := spent(t, up, "m, spare")
	midnight := clock.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	clock.pass(midnight.Add(-30 * time.Second).Sub(clock.Now()))
	g.postAs(t, "app", answerOfM)
	if _, answer, _ := g.askedWith(t, "/v1/chat/completions", "app", cold); !strings.Contains(answer, `"model":"spare"`) {
		t.Fatalf("the budget is not spent: %s", answer)
	}
	clock.pass(time.Minute)
	if result, answer, _ := g.askedWith(t, "/v1/chat/completions", "app", cold); result != "miss" || !strings.Contains(answer, "answer 3") || !strings.Contains(answer, `"model":"m"`) {
		t.Errorf("on the next day, the answer of the other alias is a %s: %s", result, answer)
	}
}

// waits is an upstream that tells of each request and answers when it is told to.
func waits(t *testing.T, answer mock.Answer) (up *mock.Upstream, asked, finish chan struct{}) {
	asked, finish = make(chan struct{}), make(chan struct{})
	return mock.Start(t, func(x *mock.Exchange) {
		asked <- struct{}{}
		x.Wait(finish)
		answer(x)
	}), asked, finish
}

// TestTrapABudgetIsCheckedAtALowerPriceThanIsCharged looks at what counts while the cheap target
// is asked first.
func TestTrapABudgetIsCheckedAtALowerPriceThanIsCharged(t *testing.T) {
	up, asked, finish := waits(t, saysCounted("fine"))
	g := newGateway(t, fmt.Sprintf(`
providers: {up: {plugin: openai, base_url: %q, api_key: k}}
model_mapping:
  m:
    targets:
      - {provider: up, model: cheap, price: {input: 1, output: 1}}
      - {provider: up, model: dear, price: {input: 1, output: 50}, tier: 2}
      - {provider: up, model: middle, price: {input: 30, output: 2}, tier: 3}
auth: {enabled: true, api_keys: [{name: app, key: app, limits: {input_tokens: 1M/d}, budget: {total: 5}}]}
`, up.URL))
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.postAs(t, "app", strings.Replace(answerOfM, "{", `{"max_completion_tokens":400,`, 1))
	}()
	<-asked
	input := g.host.Counted("key app input_tokens 24h0m0s")
	if got, want := g.host.Counted("key app money total"), input*30_000+400*50_000; got != want || input == 0 {
		t.Errorf("%d is reserved, want %d for %d and 400 tokens", got, want, input)
	}
	finish <- struct{}{}
	<-done
	if got := g.host.Counted("key app money total"); got != 150*1000 {
		t.Errorf("%d is spent, want %d", got, 150*1000)
	}
}

// TestReservationsLearnFromAnswers compares what two requests reserve that are the same: the
// first one's input was taken for less than it had, and its answer for more.
func TestReservationsLearnFromAnswers(t *testing.T) {
	up, asked, finish := waits(t, saysCounted("fine"))
	g := newGateway(t, fmt.Sprintf(`
providers: {up: {plugin: openai, base_url: %q, api_key: k}}
model_mapping: {m: {provider: up, model: small}}
auth: {enabled: true, api_keys: [{name: app, key: app, limits: {input_tokens: 1M/d, output_tokens: 1M/d}}]}
`, up.URL))
	var input, output [2]int64
	for i := range 2 {
		done := make(chan struct{})
		before := [2]int64{g.host.Counted("key app input_tokens 24h0m0s"), g.host.Counted("key app output_tokens 24h0m0s")}
		go func() { defer close(done); g.postAs(t, "app", answerOfM) }()
		<-asked
		input[i], output[i] = g.host.Counted("key app input_tokens 24h0m0s")-before[0], g.host.Counted("key app output_tokens 24h0m0s")-before[1]
		finish <- struct{}{}
		<-done
	}
	if input[1] <= input[0] || output[1] >= output[0] {
		t.Errorf("the first one reserves %d and %d tokens, the second one %d and %d; it has learnt nothing", input[0], output[0], input[1], output[1])
	}
}
