package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// cold is a request whose answers are kept.
const cold = `{"model":"m","temperature":0,"messages":[{"role":"user","content":"x"}]}`

// counting is an upstream whose answers are numbered, and counted with all details.
func counting() mock.Answer {
	var n atomic.Int64
	return func(x *mock.Exchange) { saysCounted(fmt.Sprintf("answer %d", n.Add(1)))(x) }
}

// saysCounted answers with a text and its usage, as it was asked to.
func saysCounted(text string) mock.Answer {
	const usage = `{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":64},"completion_tokens_details":{"reasoning_tokens":7}}`
	return func(x *mock.Exchange) {
		if strings.Contains(x.Header.Get("Accept"), "event-stream") {
			pieces := []string{}
			for _, word := range strings.SplitAfter(text, " ") {
				pieces = append(pieces, sseChunk(word))
			}
			mock.SSE(append(pieces, sseStop, `data: {"choices":[],"usage":`+usage+"}\n\n", sseDone)...)(x)
			return
		}
		mock.JSON(fmt.Sprintf(`{"choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":%s}`, text, usage))(x)
	}
}

// keepingYAML is a configuration that keeps answers of the alias m. section is what stands
// in cache, and model what the alias has besides.
func keepingYAML(up *mock.Upstream, section, model string) string {
	return fmt.Sprintf(`
providers: {up: {plugin: openai, base_url: %q, api_key: k}}
model_mapping:
  m: {provider: up, model: small, price: {input: 1, output: 10}%s}
  other: {provider: up, model: small, price: free}
  lead: {targets: [{alias: other}]}
cache: {%s}
auth:
  enabled: true
  groups: {team: {limits: {concurrent: 100}}, rest: {models: [m, lead]}}
  api_keys:
    - {name: app, key: app, group: team, limits: {requests: 100/d, tokens: 1M/d}, budget: {total: 5}}
    - {name: mate, key: mate, group: team}
    - {name: "out", key: "out", group: rest}
    - {name: alone, key: alone}
    - {name: broad, key: broad, group: team, provider_routing: true}
`, up.URL, model, section)
}

func storage(t *testing.T, answer mock.Answer, section, model string) (*gateway, *mock.Upstream, *clock) {
	t.Helper()
	up := mock.Start(t, answer)
	g, clock := configured(t, keepingYAML(up, section, model))
	return g, up, clock
}

// askedWith sends a request with headers, and returns what the cache says of it and the answer.
func (g *gateway) askedWith(t *testing.T, path, key, body string, headers ...string) (result, answer string, status int) {
	t.Helper()
	res, answer := g.postForm(t, path, key, "application/json", body, headers...)
	if result = res.Header.Get("X-Kai-Cache"); result == "hit" && res.Header.Get("Age") == "" {
		t.Error("a hit doesn't say its age")
	}
	return result, answer, res.StatusCode
}

// chats asks the chat endpoint as a key, and fails unless the cache says what it should.
func (g *gateway) chats(t *testing.T, key, body, want string, headers ...string) string {
	t.Helper()
	result, answer, status := g.askedWith(t, "/v1/chat/completions", key, body, headers...)
	if status != 200 || result != want {
		t.Errorf("as %s, the cache says %q, want %q: %d %s", key, result, want, status, answer)
	}
	return textOf(answer)
}

// TestTrapAnswersReachOthers asks for the same as several keys, in every scope.
func TestTrapAnswersReachOthers(t *testing.T) {
	for scope, want := range map[string]string{ // whether who asks after app gets its answer
		"key":   "mate miss, out miss, alone miss, broad miss",
		"group": "mate hit, out miss, alone miss, broad miss",
		"all":   "mate hit, out hit, alone hit, broad miss",
	} {
		t.Run(scope, func(t *testing.T) {
			g, _, _ := storage(t, counting(), "scope: "+scope, "")
			canary := g.chats(t, "app", cold, "miss")
			if again := g.chats(t, "app", cold, "hit"); again != canary {
				t.Errorf("got %q and then %q", canary, again)
			}
			for _, other := range strings.Split(want, ", ") {
				key, result, _ := strings.Cut(other, " ")
				if got := g.chats(t, key, cold, result); (got == canary) != (result == "hit") {
					t.Errorf("%s gets %q; app got %q", key, got, canary)
				}
			}
		})
	}
}

// TestTrapAStreamsAnswerIsAnother asks for one answer whole and streamed, in all orders.
func TestTrapAStreamsAnswerIsAnother(t *testing.T) {
	g, up, _ := storage(t, saysCounted("one two three"), "", "")
	id := regexp.MustCompile(`"id":"chatcmpl-[A-Z2-7]+"`)
	whole := func(n int) string { return strings.Replace(cold, `"x"`, fmt.Sprintf(`"%d"`, n), 1) }
	stream := func(n int) string {
		return strings.Replace(whole(n), `{`, `{"stream":true,"stream_options":{"include_usage":true},`, 1)
	}
	ask := func(body, want string) string {
		t.Helper()
		result, answer, _ := g.askedWith(t, "/v1/chat/completions", "app", body)
		if result != want {
			t.Fatalf("the cache says %q, want %q: %s", result, want, answer)
		}
		if ids := id.FindAllString(answer, -1); len(ids) == 0 {
			t.Fatalf("no id in %s", answer)
		}
		return id.ReplaceAllString(answer, `"id":""`)
	}
	made, first := ask(whole(1), "miss"), ask(stream(2), "miss")
	up.Forget()
	for body, want := range map[string]string{whole(1): made, stream(2): first, whole(2): made} {
		if got := ask(body, "hit"); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	burst := ask(stream(1), "hit")
	if content(t, burst) != "one two three" || !strings.HasSuffix(burst, sseDone) || lastUsage(t, burst) != lastUsage(t, first) || lastUsage(t, first) != lastUsage(t, made) {
		t.Errorf("got\n%s\nand once\n%s", burst, first)
	}
	if asked := up.Requests(); len(asked) > 0 {
		t.Errorf("the upstream was asked: %v", asked)
	}
	one, _, _ := g.askedWith(t, "/v1/chat/completions", "app", whole(1))
	if _, a, _ := g.askedWith(t, "/v1/chat/completions", "app", whole(1)); one != "hit" || id.FindString(a) == id.FindString(made) {
		t.Error("two answers have one id")
	}
}

// lastUsage returns the last usage in an answer.
func lastUsage(t *testing.T, answer string) (usage string) {
	t.Helper()
	for line := range strings.Lines(answer) {
		var v struct{ Usage json.RawMessage }
		if json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &v) == nil && len(v.Usage) > 4 {
			usage = string(v.Usage)
		}
	}
	return usage
}

// TestEveryAPIAnswersFromOneEntry has an API keep an answer that the others give.
func TestEveryAPIAnswersFromOneEntry(t *testing.T) {
	g, up, _ := storage(t, saysCounted("the canary"), "scope: group", "")
	for _, stream := range []string{"", `,"stream":true`} {
		for path, body := range map[string]string{
			"/v1/chat/completions": `{"model":"m","temperature":0,"max_completion_tokens":90,"messages":[{"role":"user","content":"x"}]` + stream + "}",
			"/v1/responses":        `{"model":"m","temperature":0,"max_output_tokens":90,"input":"x"` + stream + "}",
			"/v1/messages":         `{"model":"m","temperature":0,"max_tokens":90,"messages":[{"role":"user","content":"x"}]` + stream + "}",
		} {
			result, answer, status := g.askedWith(t, path, "mate", body)
			if status != 200 || !strings.Contains(strings.NewReplacer("the ", "", `"the `, "").Replace(answer), "canary") {
				t.Errorf("%s: %d %s", path, status, answer)
			}
			if len(up.Requests()) > 1 {
				t.Errorf("%s%s: the cache says %q after %d requests to the upstream", path, stream, result, len(up.Requests()))
			}
		}
	}
	if n := len(up.Requests()); n != 1 {
		t.Errorf("the upstream was asked %d times, want once", n)
	}
}

// TestAConversationGoesOnFromAHit: a kept answer is remembered under its own id, as any is.
func TestAConversationGoesOnFromAHit(t *testing.T) {
	g, up, _ := storage(t, saysCounted("the canary"), "", "")
	for _, stream := range []string{"", `"stream":true,`} {
		ids := map[string]bool{}
		for _, want := range []string{"miss", "hit"} {
			if stream != "" {
				want = "hit"
			}
			result, answer, _ := g.askedWith(t, "/v1/responses", "mate", `{`+stream+`"model":"m","temperature":0,"input":"x"}`)
			id := regexp.MustCompile(`resp_[^"]+`).FindString(answer)
			if result != want || id == "" || ids[id] {
				t.Fatalf("the cache says %q, want %q, of %q: %s", result, want, id, answer)
			}
			ids[id] = true
			up.Forget()
			result, answer, status := g.askedWith(t, "/v1/responses", "mate", `{"model":"m","temperature":0,"input":"more `+id+`","previous_response_id":"`+id+`"}`)
			if status != 200 || result != "miss" || !strings.Contains(up.Last().Body, "the canary") {
				t.Errorf("after %q: %d %q %s", id, status, result, answer)
			}
		}
	}
}

// TestTrapWhatMattersIsLeftOutOfTheKey changes one thing at a time, in the request and by
// a reload.
func TestTrapWhatMattersIsLeftOutOfTheKey(t *testing.T) {
	g, up, _ := storage(t, counting(), "when: always", "")
	g.chats(t, "app", cold, "miss")
	for change, with := range map[string][2]string{
		"another temperature":  {`"temperature":0`, `"temperature":0.5`},
		"a system prompt":      {`[{"role":"user"`, `[{"role":"system","content":"s"},{"role":"user"`},
		"another word":         {`"content":"x"`, `"content":"y"`},
		"a tool":               {`"temperature":0`, `"temperature":0,"tools":[{"type":"function","function":{"name":"f"}}]`},
		"an unknown field":     {`"temperature":0`, `"temperature":0,"x_of_tomorrow":1`},
		"another model":        {`"model":"m"`, `"model":"other"`},
		"a long text":          {`"content":"x"`, `"content":"` + strings.Repeat("a", 5000) + `"`},
		"another long text":    {`"content":"x"`, `"content":"` + strings.Repeat("a", 4999) + `b"`},
		"a long text, escaped": {`"content":"x"`, `"content":"` + strings.Repeat("a", 4999) + `\u0061"`},
	} {
		body := strings.Replace(cold, with[0], with[1], 1)
		if g.chats(t, "app", body, "miss"); !t.Failed() {
			g.chats(t, "app", body, "hit")
		} else {
			t.Fatal(change)
		}
	}
	for _, same := range []string{`{"stream":true,`, `{"user":"u",`, `{"metadata":{"a":"b"},`, `{"prompt_cache_key":"p",`, `{"safety_identifier":"s",`} {
		g.chats(t, "app", strings.Replace(cold, "{", same, 1), "hit")
	}
	yaml := keepingYAML(up, "when: always", "")
	for _, reload := range []struct {
		change, yaml string
		modules      func(string) ([]byte, error)
		want         string
	}{
		{"nothing", yaml, testkit.Module, "hit"},
		{"the model at the provider", strings.Replace(yaml, "model: small", "model: large", 1), testkit.Module, "miss"},
		{"back", yaml, testkit.Module, "hit"},
		{"the address of the provider", strings.Replace(yaml, up.URL, up.URL+"/v2", 1), testkit.Module, "miss"},
		{"the adapter", yaml, variant(t, "openai", 1), "miss"},
		{"the key of the provider", strings.Replace(yaml, "api_key: k", "api_key: k2", 1), testkit.Module, "hit"},
		{"an option", strings.Replace(yaml, "api_key: k", "api_key: k, options: {developer_role: system}", 1), testkit.Module, "miss"},
	} {
		g.reload(t, reload.yaml, reload.modules)
		if g.chats(t, "app", cold, reload.want); t.Failed() {
			t.Fatalf("after a change of %s", reload.change)
		}
	}
}

// TestTrapAFallbacksAnswerIsKept lets the first target fail.
func TestTrapAFallbacksAnswerIsKept(t *testing.T) {
	first, second := mock.Start(t, fails(503, "overloaded")), mock.Start(t, saysCounted("the weaker one"))
	g, _ := configured(t, fmt.Sprintf(`
providers:
  one: {plugin: openai, base_url: %q, api_key: k}
  two: {plugin: openai, base_url: %q, api_key: k}
model_mapping: {m: {targets: [{provider: one, model: a}, {provider: two, model: b, tier: 2}], routing: {backoff: {base: 1ms, max: 1ms}}}}
cache: {}
`, first.URL, second.URL))
	for range 2 {
		if got := g.chats(t, "", cold, "miss"); got != "the weaker one" {
			t.Errorf("got %q", got)
		}
	}
	first.Answer(saysCounted("the good one"))
	g.host.ResetTarget("one/a")
	g.host.ResetTarget("one")
	if got := g.chats(t, "", cold, "miss"); got != "the good one" {
		t.Errorf("got %q", got)
	}
	first.Answer(fails(503, "overloaded"))
	if got := g.chats(t, "", cold, "hit"); got != "the good one" {
		t.Errorf("got %q", got)
	}
}

// TestTrapHalfAnswersAreKept asks twice for answers of which none is good.
func TestTrapHalfAnswersAreKept(t *testing.T) {
	whole := func(reason, more string) mock.Answer {
		return mock.JSON(fmt.Sprintf(`{"choices":[{"index":0,"message":{"role":"assistant","content":"half"%s},"finish_reason":%q}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`, more, reason))
	}
	for name, answer := range map[string]mock.Answer{
		"an error":              fails(500, "broken"),
		"an error in a stream":  mock.SSE(sseChunk("half"), "data: {\"error\":{\"message\":\"no\"}}\n\n"),
		"a stream that was cut": mock.Steps(mock.SSE(sseChunk("half")), mock.Cut),
		"cut by its length":     whole("length", ""),
		"filtered":              whole("content_filter", ""),
		"refused":               whole("stop", `,"refusal":"No."`),
		"nobody counted it":     mock.SSE(sseChunk("half"), sseStop, sseDone),
	} {
		t.Run(name, func(t *testing.T) {
			g, up, _ := storage(t, answer, "", "")
			body := cold
			if !strings.Contains(name, "length") && name != "filtered" && name != "refused" {
				body = strings.Replace(cold, "{", `{"stream":true,`, 1)
			}
			for range 2 {
				if result, answer, _ := g.askedWith(t, "/v1/chat/completions", "mate", body); result != "miss" {
					t.Errorf("the cache says %q: %s", result, answer)
				}
			}
			if n := len(up.Requests()); n < 2 {
				t.Errorf("the upstream was asked %d times", n)
			}
		})
	}
}

// TestToolCallsAreKept: they are complete answers, too.
func TestToolCallsAreKept(t *testing.T) {
	g, _, _ := storage(t, mock.JSON(`{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`), "", "")
	g.chats(t, "app", cold, "miss")
	_, answer, _ := g.askedWith(t, "/v1/chat/completions", "app", strings.Replace(cold, "{", `{"stream":true,`, 1))
	for _, part := range []string{`"call_1"`, `"name":"f"`, `{\"a\":1}`, `"finish_reason":"tool_calls"`} {
		if !strings.Contains(answer, part) {
			t.Errorf("%s is missing in %s", part, answer)
		}
	}
}

// TestTrapTheAllowListIsNotAskedOnHits asks with a key that may not use what is kept.
func TestTrapTheAllowListIsNotAskedOnHits(t *testing.T) {
	g, _, _ := storage(t, counting(), "scope: all", "")
	toOther, toLead := strings.Replace(cold, `"m"`, `"other"`, 1), strings.Replace(cold, `"m"`, `"lead"`, 1)
	g.chats(t, "alone", toOther, "miss")
	g.chats(t, "alone", toLead, "miss")
	g.chats(t, "alone", toLead, "hit")
	for _, body := range []string{toOther, toLead} { // the second leads to the first
		if result, answer, status := g.askedWith(t, "/v1/chat/completions", "out", body); status != 403 || result == "hit" {
			t.Errorf("the cache says %q: %d %s", result, status, answer)
		}
	}
	routed := strings.Replace(cold, "{", `{"models":["a"],`, 1)
	g, _, _ = storage(t, counting(), "scope: all", "")
	_, _, with := g.askedWith(t, "/v1/chat/completions", "broad", routed)
	if result, answer, without := g.askedWith(t, "/v1/chat/completions", "mate", routed); result == "hit" {
		t.Errorf("who may not choose at the upstream gets what another one has chosen: %d, %d %s", with, without, answer)
	}
}

// TestTrapHitsArePricedAsCalls counts what hits take.
func TestTrapHitsArePricedAsCalls(t *testing.T) {
	g, _, _ := storage(t, counting(), "", "")
	g.chats(t, "app", cold, "miss")
	tokens, money := g.host.Counted("key app tokens 24h0m0s"), g.host.Counted("key app money total")
	if tokens != 150 || money <= 0 {
		t.Fatalf("the miss took %d tokens and %d", tokens, money)
	}
	for range 3 {
		g.chats(t, "app", cold, "hit")
	}
	g.settled(t)
	if n, m := g.host.Counted("key app tokens 24h0m0s"), g.host.Counted("key app money total"); n != tokens || m != money {
		t.Errorf("after hits, %d tokens and %d are counted, want %d and %d", n, m, tokens, money)
	}
	if n := g.host.Counted("key app requests 24h0m0s"); n != 4 {
		t.Errorf("%d requests are counted, want 4", n)
	}
	log := g.log.String()
	last := log[strings.LastIndex(strings.TrimSpace(log), "\n")+1:]
	if !strings.Contains(last, `"cache":"hit"`) || strings.Contains(last, "tokens") || strings.Contains(last, `"provider"`) {
		t.Errorf("the log has %s", last)
	}
}

// TestHitsCountAsRequests: a limit of requests holds for them, and a spent budget doesn't.
func TestHitsCountAsRequests(t *testing.T) {
	up := mock.Start(t, counting())
	yaml := strings.NewReplacer("100/d", "3/d", "total: 5", "total: 0.0005").Replace(keepingYAML(up, "", ""))
	g, _ := configured(t, yaml)
	g.chats(t, "app", cold, "miss") // which costs more than there is
	if result, answer, status := g.askedWith(t, "/v1/chat/completions", "app", strings.Replace(cold, `"x"`, `"y"`, 1)); status != 429 || result == "hit" {
		t.Errorf("%s %d %s", result, status, answer)
	}
	g.chats(t, "app", cold, "hit")
	g.chats(t, "app", cold, "hit")
	if result, answer, status := g.askedWith(t, "/v1/chat/completions", "app", cold); status != 429 || result == "hit" || !strings.Contains(answer, "3 requests per day") {
		t.Errorf("%q %d %s", result, status, answer)
	}
}

// TestTrapAHitThatCantBeToldIsFree: a blank answer is a complete one, but no summary of a
// conversation. Who wants that asks a model, so a spent budget refuses it.
func TestTrapAHitThatCantBeToldIsFree(t *testing.T) {
	up := mock.Start(t, saysCounted(" "))
	g, _ := configured(t, strings.Replace(keepingYAML(up, "scope: all, when: always", ""), "total: 5", "total: 0.0005", 1))
	const compact = `{"model":"m","input":[{"type":"message","role":"user","content":"x"},{"type":"compaction_trigger"}]}`
	if result, answer, status := g.askedWith(t, "/v1/responses", "alone", compact); result != "miss" || status != 502 {
		t.Fatalf("a blank summary: %q %d %s", result, status, answer)
	}
	same := strings.Replace(up.Last().Body, `"small"`, `"m"`, 1)
	g.chats(t, "alone", same, "miss")
	g.chats(t, "app", same, "hit") // so the budget is not spent yet
	up.Forget()
	if result, answer, status := g.askedWith(t, "/v1/responses", "app", compact); result != "miss" || status != 502 || len(up.Requests()) == 0 {
		t.Fatalf("%q %d %s", result, status, answer)
	}
	g.settled(t)
	up.Forget()
	for _, stream := range []string{"", `"stream":true,`} {
		result, answer, status := g.askedWith(t, "/v1/responses", "app", strings.Replace(compact, "{", "{"+stream, 1))
		if result != "miss" || status != 429 || !strings.Contains(answer, "budget_exceeded") || len(up.Requests()) > 0 {
			t.Errorf("with a spent budget: %q %d %s, after %d requests to the upstream", result, status, answer, len(up.Requests()))
		}
	}
}

// TestTrapAnAnswerSpeaksOfWhatOnlyAnotherMayUse: the demo names the models that a caller may use.
func TestTrapAnAnswerSpeaksOfWhatOnlyAnotherMayUse(t *testing.T) {
	up := mock.Start(t, counting())
	yaml := strings.NewReplacer(
		"providers: {", "providers: {de: {plugin: demo}, ",
		"model_mapping:\n", "model_mapping:\n  d: {provider: de, model: demo, price: free}\n",
		"[m, lead]", "[m, lead, d]",
	).Replace(keepingYAML(up, "scope: all", ""))
	g, _ := configured(t, yaml)
	body := strings.Replace(cold, `"m"`, `"d"`, 1)
	g.chats(t, "alone", body, "miss")
	g.chats(t, "alone", body, "hit")
	g.chats(t, "app", body, "hit")  // may use the same
	g.chats(t, "out", body, "miss") // may not use one of them
	g.chats(t, "out", body, "hit")
}

// TestTrapAHitRateThatNobodySees reads the metrics.
func TestTrapAHitRateThatNobodySees(t *testing.T) {
	g, _ := configured(t, "admin: {console: true}\n"+keepingYAML(mock.Start(t, counting()), "", ""))
	g.chats(t, "app", cold, "miss")
	g.chats(t, "app", cold, "hit")
	g.chats(t, "app", cold, "hit")
	counted(t, g, `kai_cache_requests_total{alias="m",result="hit"}`, "2")
	counted(t, g, `kai_cache_requests_total{alias="m",result="miss"}`, "1")
	counted(t, g, "kai_cache_entries", "1")
	a := httptest.NewServer(g.host.Admin(true, nil))
	t.Cleanup(a.Close)
	shown := adminState(t, a).Cache
	if shown == nil || shown.Entries != 1 || shown.Requests["hit"] != 2 || shown.Requests["miss"] != 1 || shown.Memory.Used < 100 || shown.Memory.Max != 256<<20 {
		t.Errorf("the console shows %+v", shown)
	}
}

// TestWhichRequestsTakePart goes through what the configuration and clients say.
func TestWhichRequestsTakePart(t *testing.T) {
	warm := strings.Replace(cold, `"temperature":0`, `"temperature":1`, 1)
	unsaid := strings.Replace(cold, `"temperature":0,`, "", 1)
	for name, tc := range map[string]struct {
		section, model, body string
		headers              []string
		want                 string // for the second of two
	}{
		"without randomness":                    {"", "", cold, nil, "hit"},
		"with a zero that is written at length": {"", "", strings.Replace(cold, ":0,", ":0.0,", 1), nil, "hit"},
		"with randomness":                       {"", "", warm, nil, ""},
		"with the provider's randomness":        {"", "", unsaid, nil, ""},
		"always":                                {"when: always", "", warm, nil, "hit"},
		"always, of this alias":                 {"", ", cache: {when: always}", unsaid, nil, "hit"},
		"never, of this alias":                  {"when: always", ", cache: false", cold, nil, ""},
		"asked, and nobody does":                {"when: asked", "", cold, nil, ""},
		"asked, and somebody does":              {"when: asked", "", warm, []string{"X-Kai-Cache: use"}, "hit"},
		"nothing that is kept is wanted":        {"", "", cold, []string{"Cache-Control: max-age=0, No-Cache"}, "miss"},
		"nothing shall be kept":                 {"", "", cold, []string{"Cache-Control: no-cache", "Cache-Control: no-store"}, ""},
		"a large answer":                        {"max_entry: 10B", "", cold, nil, "miss"},
	} {
		t.Run(name, func(t *testing.T) {
			g, _, _ := storage(t, counting(), tc.section, tc.model)
			first := tc.want
			if first == "hit" {
				first = "miss"
			}
			g.chats(t, "mate", tc.body, first, tc.headers...)
			g.chats(t, "mate", tc.body, tc.want, tc.headers...)
		})
	}
	t.Run("a fresh answer takes the place of the one before", func(t *testing.T) {
		g, _, _ := storage(t, counting(), "", "")
		g.chats(t, "mate", cold, "miss")
		g.chats(t, "mate", cold, "miss", "Cache-Control: no-cache")
		if got := g.chats(t, "mate", cold, "hit"); got != "answer 2" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("without the section", func(t *testing.T) {
		up := mock.Start(t, counting())
		g, _ := configured(t, strings.Replace(keepingYAML(up, "", ""), "cache: {}", "", 1))
		g.chats(t, "mate", cold, "")
		g.chats(t, "mate", cold, "")
	})
}

// TestHowLongAnswersAreKept moves the clock, and shortens the time by a reload.
func TestHowLongAnswersAreKept(t *testing.T) {
	g, up, clock := storage(t, counting(), "ttl: 10m", "")
	g.chats(t, "mate", cold, "miss")
	clock.pass(5 * time.Minute)
	r, _ := http.NewRequest("POST", g.URL+"/v1/chat/completions", strings.NewReader(cold))
	r.Header.Set("Authorization", "Bearer mate")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.Header.Get("Age") != "300" || res.Header.Get("X-Kai-Cache") != "hit" {
		t.Errorf("after five minutes: %v", res.Header)
	}
	g.reload(t, keepingYAML(up, "ttl: 10m", ", cache: {ttl: 1m}"), testkit.Module)
	g.chats(t, "mate", cold, "miss")
	g.chats(t, "mate", cold, "hit")
	clock.pass(time.Minute)
	g.chats(t, "mate", cold, "miss")
	g.reload(t, strings.Replace(keepingYAML(up, "", ""), "cache: {}", "", 1), testkit.Module)
	g.chats(t, "mate", cold, "")
	g.reload(t, keepingYAML(up, "ttl: 10m", ""), testkit.Module)
	g.chats(t, "mate", cold, "miss") // what was kept is gone with the section
}

// TestVectorsAreKept: of requests in parts, too.
func TestVectorsAreKept(t *testing.T) {
	up := mock.Start(t, nil)
	g, _ := configured(t, fmt.Sprintf("providers: {up: {plugin: openai, base_url: %q, api_key: k}}\nmodel_mapping: {m: {provider: up, model: small}}\ncache: {}\n", up.URL))
	up.Answer(func(x *mock.Exchange) {
		mock.JSON(`{"data":[{"index":0,"embedding":[0.5,-0.25]},{"index":1,"embedding":[1,2]}],"usage":{"prompt_tokens":4,"total_tokens":4}}`)(x)
	})
	const body = `{"model":"m","input":["a","b"]}`
	first, made, _ := g.askedWith(t, "/v1/embeddings", "", body)
	second, again, _ := g.askedWith(t, "/v1/embeddings", "", body)
	if first != "miss" || second != "hit" || made != again {
		t.Errorf("%s %s\n%s %s", first, made, second, again)
	}
	if result, _, _ := g.askedWith(t, "/v1/embeddings", "", strings.Replace(body, `"b"`, `"c"`, 1)); result != "miss" {
		t.Errorf("another input: %s", result)
	}
}

// TestKeptAnswersGiveWay: what requests need is taken from what is kept.
func TestKeptAnswersGiveWay(t *testing.T) {
	up := mock.Start(t, saysCounted(strings.Repeat("word ", 1000)))
	g, _ := configured(t, "server: {max_memory: 64MiB, max_body: 8MiB}\n"+keepingYAML(up, "", ""))
	before := g.host.Held("up")[0] // which frees idle instances
	g.chats(t, "mate", cold, "miss")
	g.chats(t, "mate", cold, "hit")
	g.settled(t)
	if held := g.host.Held("up")[0] - before; held < 5000 || held > 10_000 {
		t.Errorf("an answer of 5000 bytes takes %d", held)
	}
	needs := g.host.Memory().Grant()
	if err := needs.Hold(g.host.Memory().Max() - before); err != nil {
		t.Errorf("a request doesn't get what is only kept: %v", err)
	}
	needs.Drop(needs.Used())
	g.chats(t, "mate", cold, "miss")
	g.chats(t, "mate", cold, "hit")
}

// TestHitsWhileReloadsRun asks at once from many clients, of several keys, over reloads
// that change what the answers depend on. Nobody may get what is another's.
func TestHitsWhileReloadsRun(t *testing.T) {
	up := mock.Start(t, func(x *mock.Exchange) {
		var asked struct {
			Model    string
			Messages []struct{ Content string }
		}
		json.Unmarshal([]byte(x.Body), &asked)
		saysCounted(asked.Model + " " + asked.Messages[0].Content)(x)
	})
	yaml := keepingYAML(up, "size: 64KiB", "")
	other := strings.Replace(yaml, "model: small", "model: large", 1)
	g, _ := configured(t, yaml)
	var hits atomic.Int64
	var clients sync.WaitGroup
	stop, cancel := context.WithCancel(t.Context())
	for i, key := range []string{"mate", "out", "alone", "broad"} {
		for n := range 3 {
			clients.Go(func() {
				for round := 0; stop.Err() == nil || round < 20; round++ {
					word := fmt.Sprintf("%s-%d", key, (n+round)%7)
					body := strings.Replace(cold, `"x"`, `"`+word+`"`, 1)
					if (i+round)%2 == 0 {
						body = strings.Replace(body, "{", `{"stream":true,`, 1)
					}
					result, answer, status := g.askedWith(t, "/v1/chat/completions", key, body)
					if got := textOf(answer); status != 200 || got != "small "+word && got != "large "+word {
						t.Errorf("%s gets %d %s", word, status, answer)
						return
					}
					if result == "hit" {
						hits.Add(1)
					}
				}
			})
		}
	}
	for n := range 20 {
		g.reload(t, []string{other, yaml}[n%2], testkit.Module)
	}
	cancel()
	clients.Wait()
	if hits.Load() == 0 {
		t.Error("nothing was kept")
	}
	if got := g.chats(t, "app", cold, "miss"); got != "small x" {
		t.Errorf("after all reloads, %q answers", got)
	}
}
