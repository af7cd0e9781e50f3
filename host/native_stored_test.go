package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// keeps answers as a provider that keeps its responses.
func keeps(x *mock.Exchange) {
	switch {
	case x.Method == "POST" && x.URI == "/responses":
		mock.JSON(ownWhole("1"))(x)
	case x.Method == "POST" && x.URI == "/responses/input_tokens":
		mock.JSON(`{"object":"response.input_tokens","input_tokens":11,"novel":1}`)(x)
	case x.Method == "POST" && x.URI == "/responses/compact":
		mock.JSON(compaction)(x)
	case x.Method == "POST":
		mock.JSON(wholeChat)(x)
	case x.Method == "GET" && x.URI == "/responses/resp_1":
		mock.JSON(ownWhole("1"))(x)
	case x.Method == "GET" && strings.HasPrefix(x.URI, "/responses/resp_1/input_items"):
		mock.JSON(`{"object":"list","data":[{"id":"msg_in","type":"message","role":"user","content":[]}],"model":"kept","novel":1}`)(x)
	case x.Method == "DELETE" && x.URI == "/responses/resp_1":
		mock.JSON(`{"id":"resp_1","object":"response","deleted":true}`)(x)
	default:
		mock.Whole(404, "application/json", `{"error":{"message":"Response not found.","type":"invalid_request_error","param":null,"code":null}}`)(x)
	}
}

// TestStoredResponses: what a provider keeps can be looked up, continued and deleted by who made
// it, and by nobody else, for whom it doesn't exist.
func TestStoredResponses(t *testing.T) {
	up := mock.Start(t, keeps)
	const yaml = `
auth: {enabled: true, api_keys: [{name: a, key: key-a}, {name: b, key: key-b}, {name: c, key: key-c, models: [other]}]}
providers: {own: {plugin: openai, base_url: %q, api_key: sk-upstream, native: true, options: {organization: org-1}}}
model_mapping: {m: {provider: own, model: gpt-x}, other: {provider: own, model: gpt-y}}
`
	g := newGateway(t, fmt.Sprintf(yaml, up.URL))
	const path = "/v1/responses/resp_1"
	send := func(method, path, key string) (int, string) {
		up.Forget()
		return g.send(t, method, path, "", "Authorization: Bearer "+key)
	}
	nowhere, missing := send("GET", path, "key-a")
	if nowhere != 404 || len(up.Requests()) > 0 {
		t.Fatalf("before it was made: %d %s", nowhere, missing)
	}
	if status, answer := g.asks(t, "key-a", ""); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	for name, tc := range map[string]struct{ method, path, want, asked string }{
		"the response":                      {"GET", path, strings.Replace(ownWhole("1"), "gpt-x", "m", 1), "/responses/resp_1"},
		"with a query":                      {"GET", path + "?include[]=a.b&limit=2&api_key=x&stream=false", "", "/responses/resp_1?include%5B%5D=a.b&limit=2"},
		"what was said before":              {"GET", path + "/input_items?order=asc", `{"object":"list","data":[{"id":"msg_in","type":"message","role":"user","content":[]}],"model":"m","novel":1}`, "/responses/resp_1/input_items?order=asc"},
		"another part":                      {"GET", path + "/events", "404", ""},
		"a part of a part":                  {"GET", path + "/input_items/x", "404", ""},
		"a part that is deleted":            {"DELETE", path + "/input_items", "405", ""},
		"its stream":                        {"GET", path + "?stream=true", "400", ""},
		"its message, which is no response": {"GET", "/v1/responses/msg_1", "404", "/responses/msg_1"},
		"a path":                            {"GET", "/v1/responses/resp_1%2f..%2fmodels", "404", ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := send(tc.method, tc.path, "key-a")
			if len(tc.want) == 3 && fmt.Sprint(status) != tc.want || len(tc.want) > 3 && (status != 200 || answer != tc.want) {
				t.Errorf("%d %s", status, answer)
			}
			if tc.asked == "" && len(up.Requests()) > 0 || tc.asked != "" && (up.Last().URI != tc.asked || up.Last().Header.Get("Openai-Organization") != "org-1" || up.Last().Body != "") {
				t.Errorf("the provider got %v", up.Requests())
			}
			want := missing
			if tc.asked == "" {
				want = answer // nobody learns more
			}
			for _, other := range []string{"key-b", "key-c"} {
				status, answer := send(tc.method, tc.path, other)
				if status == 200 || len(up.Requests()) > 0 {
					t.Errorf("another caller: %d %s", status, answer)
				}
				if answer != want {
					t.Errorf("another caller learns that it exists: %s", answer)
				}
			}
		})
	}
	if !strings.Contains(g.log.String(), `"native":true`) {
		t.Errorf("the log is %s", g.log)
	}

	// What was said before is the caller's, too.
	up.Forget()
	if status, answer := g.send(t, "POST", "/v1/responses", `{"model":"m","input":[{"type":"item_reference","id":"msg_in"}]}`, "Authorization: Bearer key-a"); status != 200 || up.Last().URI != "/responses" {
		t.Errorf("%d %s after %v", status, answer, up.Requests())
	}

	// After another configuration without the alias, it isn't there; with it, it is again.
	g.reload(t, strings.Replace(fmt.Sprintf(yaml, up.URL), "{m: {provider: own, model: gpt-x}, ", "{", 1), testkit.Module)
	if status, answer := send("GET", path, "key-a"); status == 200 || len(up.Requests()) > 0 {
		t.Errorf("without its alias: %d %s", status, answer)
	}
	g.reload(t, fmt.Sprintf(yaml, up.URL), testkit.Module)

	if status, answer := send("DELETE", path, "key-b"); status != 404 || len(up.Requests()) > 0 {
		t.Errorf("another caller deletes it: %d %s", status, answer)
	}
	if status, answer := send("DELETE", path, "key-a"); status != 200 || answer != `{"id":"resp_1","object":"response","deleted":true}` {
		t.Errorf("%d %s", status, answer)
	}
	for _, method := range []string{"GET", "DELETE"} {
		if status, answer := send(method, path, "key-a"); status != 404 || len(up.Requests()) > 0 || answer != missing {
			t.Errorf("after it was deleted, %s: %d %s", method, status, answer)
		}
	}
	if status, answer := g.asks(t, "key-a", `,"previous_response_id":"resp_1"`); status != 400 {
		t.Errorf("it is continued: %d %s", status, answer)
	}
}

// TestStoredResponsesCostNothing: looking up a response is a request, and no tokens.
func TestStoredResponsesCostNothing(t *testing.T) {
	up := mock.Start(t, keeps)
	g := newGateway(t, fmt.Sprintf(`
auth: {enabled: true, groups: {team: {limits: {concurrent: 100}}}, api_keys: [{name: a, key: key-a, group: team, limits: {requests: 3/h, tokens: 1000000/h}}]}
providers: {own: {plugin: openai, base_url: %q, api_key: k, native: true}}
model_mapping: {m: {provider: own, model: gpt-x}}
`, up.URL))
	g.asks(t, "key-a", "")
	g.settled(t)
	used := g.host.Counted("key a tokens 1h0m0s")
	for n, want := range []int{200, 200, 429} {
		if status, answer := g.send(t, "GET", "/v1/responses/resp_1", "", "Authorization: Bearer key-a"); status != want {
			t.Errorf("request %d: %d %s", n, status, answer)
		}
	}
	g.settled(t)
	if now := g.host.Counted("key a tokens 1h0m0s"); used <= 0 || now != used {
		t.Errorf("%d tokens are counted, and after the lookups %d", used, now)
	}
}

// TestTokensOfResponses: who serves the API counts, and what it has told one caller isn't counted for
// another; without such a server the translation is counted, if that can be.
func TestTokensOfResponses(t *testing.T) {
	up := mock.Start(t, keeps)
	g := newGateway(t, fmt.Sprintf(`
auth: {enabled: true, groups: {team: {limits: {concurrent: 100}}}, api_keys: [{name: a, key: key-a, group: team, limits: {tokens: 1000000/h}}, {name: b, key: key-b}]}
providers:
  own: {plugin: openai, base_url: %q, api_key: sk-upstream, native: true}
  llama: {plugin: openai, base_url: %[1]q, api_key: k, native: true, options: {count_tokens: llama.cpp}}
  chat: {plugin: openai, base_url: %[1]q, api_key: k}
model_mapping: {m: {provider: own, model: gpt-x}, l: {provider: llama, model: local}, c: {provider: chat, model: gpt-y}}
`, up.URL))
	count := func(key, model, more string) (int, string) {
		up.Forget()
		return g.send(t, "POST", "/v1/responses/input_tokens", `{"model":"`+model+`","input":"hi"`+more+`}`, "Authorization: Bearer "+key)
	}
	const novel = `,"tools":[{"type":"code_interpreter","container":{"type":"auto"}}],"novel":1`
	if status, answer := count("key-a", "m", novel); status != 200 || answer != `{"object":"response.input_tokens","input_tokens":11,"novel":1}` ||
		up.Last().URI != "/responses/input_tokens" || up.Last().Body != `{"model":"gpt-x","input":"hi"`+novel+`}` {
		t.Errorf("%d %s after %v", status, answer, up.Requests())
	}
	if status, answer := count("key-a", "c", ""); status != 404 || errorIn(t, answer).Code != "unsupported_operation" || len(up.Requests()) > 0 {
		t.Errorf("a server that counts nothing: %d %s", status, answer)
	}
	if status, answer := count("key-a", "m", `,"background":true`); status != 400 || errorIn(t, answer).Param != "background" {
		t.Errorf("in the background: %d %s", status, answer)
	}

	// What was said before is counted for whose it is.
	const goesOn = `,"previous_response_id":"resp_1"`
	if status, answer := count("key-a", "m", goesOn); status == 200 || len(up.Requests()) > 0 {
		t.Errorf("before it was made: %d %s", status, answer)
	}
	if status, answer := g.asks(t, "key-a", ""); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	if status, answer := count("key-a", "m", goesOn); status != 200 || !strings.Contains(up.Last().Body, "resp_1") {
		t.Errorf("%d %s", status, answer)
	}
	if status, answer := count("key-b", "m", goesOn); status == 200 || len(up.Requests()) > 0 {
		t.Errorf("for another caller: %d %s", status, answer)
	}

	// A server that serves the API and doesn't count is asked for a count in translation, and still
	// for answers as it is.
	up.Answer(func(x *mock.Exchange) {
		switch x.URI {
		case "/responses":
			mock.JSON(ownWhole("2"))(x)
		case "/chat/completions/input_tokens":
			mock.JSON(`{"object":"response.input_tokens","input_tokens":7}`)(x)
		default:
			mock.Whole(404, "application/json", `{"detail":"Not Found"}`)(x)
		}
	})
	for n, want := range []int{2, 1} {
		if status, answer := count("key-a", "l", ""); status != 200 || answer != `{"object":"response.input_tokens","input_tokens":7}` || len(up.Requests()) != want {
			t.Errorf("count %d: %d %s after %v", n, status, answer, up.Requests())
		}
	}
	up.Forget()
	if status, answer := g.send(t, "POST", "/v1/responses", `{"model":"l","input":"hi"}`, "Authorization: Bearer key-a"); status != 200 || up.Last().URI != "/responses" {
		t.Errorf("%d %s after %v", status, answer, up.Requests())
	}
	if status, answer := count("key-a", "m", novel); status != 404 || !strings.Contains(errorIn(t, answer).Message, "/responses/input_tokens") {
		t.Errorf("what can't be translated: %d %s", status, answer)
	}
	g.settled(t)
	if used := g.host.Counted("key a tokens 1h0m0s"); used != 14 { // of two answers
		t.Errorf("%d tokens are counted", used)
	}
}

// TestCompactedConversations: a provider that speaks the API makes a conversation shorter, of whose it
// is, and what it makes is that caller's, too; it is paid for as an answer is. Of models that can't,
// the error names those that can.
func TestCompactedConversations(t *testing.T) {
	up := mock.Start(t, keeps)
	g := newGateway(t, fmt.Sprintf(`
auth: {enabled: true, groups: {team: {limits: {concurrent: 100}}}, api_keys: [{name: a, key: key-a, group: team, limits: {tokens: 1000000/h}}, {name: b, key: key-b, models: [c, d]}]}
providers:
  own: {plugin: openai, base_url: %q, api_key: sk-upstream, native: true, options: {body: {reasoning_effort: low}, drop: [dropped]}}
  chat: {plugin: openai, base_url: %[1]q, api_key: k}
model_mapping: {m: {provider: own, model: gpt-x}, c: {provider: chat, model: gpt-y}, d: {provider: demo, model: demo}, both: {targets: [{provider: chat, model: gpt-y}, {provider: own, model: gpt-x}]}}
`, up.URL))
	send := func(key, body string) (int, string) {
		up.Forget()
		return g.send(t, "POST", "/v1/responses/compact", body, "Authorization: Bearer "+key)
	}
	const novel = `"input":[{"role":"user","content":"hi"}],"novel":[1.50]`
	for model, asked := range map[string]string{"m": "gpt-x", "both": "gpt-x"} {
		status, answer := send("key-a", `{"model":"`+model+`",`+novel+`,"client_metadata":{"a":1},"dropped":1}`)
		if status != 200 || answer != compaction || len(up.Requests()) != 1 || up.Last().URI != "/responses/compact" || up.Last().Body != `{"model":"`+asked+`",`+novel+`}` {
			t.Errorf("%s: %d %s after %v", model, status, answer, up.Requests())
		}
	}
	g.settled(t)
	if used := g.host.Counted("key a tokens 1h0m0s"); used != 2*177 {
		t.Errorf("%d tokens are counted, want those of two compactions", used)
	}
	for what, tc := range map[string]struct {
		key, body string
		status    int
		says      string
	}{
		"a model that translates":       {"key-a", `{"model":"c","input":"hi"}`, 400, "The model 'c' can't compact a conversation; these can: m, both"},
		"one without an upstream":       {"key-b", `{"model":"d","input":"hi"}`, 400, "no model that is configured here and that this key may use can"},
		"a stream":                      {"key-a", `{"model":"m","input":"hi","stream":true}`, 400, "stream: not supported"},
		"in the background":             {"key-a", `{"model":"m","input":"hi","background":true}`, 400, "background"},
		"a response that isn't there":   {"key-a", `{"model":"m","previous_response_id":"resp_9"}`, 404, "does not exist"},
		"another model at the upstream": {"key-a", `{"model":"m","input":"hi","Fallbacks":["x"]}`, 403, "fallbacks"},
	} {
		if status, answer := send(tc.key, tc.body); status != tc.status || !strings.Contains(answer, tc.says) || len(up.Requests()) > 0 {
			t.Errorf("%s: %d %s after %v", what, status, answer, up.Requests())
		}
	}

	// The response is named alone, as the agents SDK does, and the compacted items come back.
	if status, answer := g.asks(t, "key-a", ""); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	if status, answer := send("key-a", `{"model":"m","previous_response_id":"resp_1"}`); status != 200 || up.Last().Body != `{"model":"gpt-x","previous_response_id":"resp_1"}` {
		t.Errorf("%d %s after %v", status, answer, up.Requests())
	}
	up.Forget()
	const goesOn = `[{"id":"cmp_1","type":"compaction","encrypted_content":"gAAA"},{"role":"user","content":"more"}]`
	if status, answer := g.send(t, "POST", "/v1/responses", `{"model":"m","input":`+goesOn+`}`, "Authorization: Bearer key-a"); status != 200 || !strings.Contains(up.Last().Body, goesOn) {
		t.Errorf("%d %s after %v", status, answer, up.Requests())
	}

	// A server that has the API and compacts nothing says so.
	up.Answer(mock.Whole(404, "application/json", `{"detail":"Not Found"}`))
	if status, answer := send("key-a", `{"model":"m","input":"hi"}`); status != 404 || errorIn(t, answer).Code != "unsupported_operation" || !strings.Contains(answer, "/responses/compact") {
		t.Errorf("%d %s", status, answer)
	}
}

// TestNothingToCancel: that a response can't be cancelled is told to whose it is.
func TestNothingToCancel(t *testing.T) {
	up := mock.Start(t, keeps)
	g := newGateway(t, fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a}, {name: b, key: key-b}]}
providers: {own: {plugin: openai, base_url: %q, api_key: k, native: true}}
model_mapping: {m: {provider: own, model: gpt-x}}
`, up.URL))
	if status, answer := g.asks(t, "key-a", ""); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	up.Forget()
	for key, want := range map[string]int{"key-a": 400, "key-b": 404} {
		status, answer := g.send(t, "POST", "/v1/responses/resp_1/cancel", "", "Authorization: Bearer "+key)
		if status != want || want == 400 && !strings.Contains(answer, "closes the connection") || len(up.Requests()) > 0 {
			t.Errorf("%s: %d %s", key, status, answer)
		}
	}
}
