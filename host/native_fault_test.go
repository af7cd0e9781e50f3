package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// nativeAsks are requests that pass as they are, and a whole answer to each: method, path, body.
var nativeAsks = map[string]struct {
	method, path, body, answer string
}{
	"messages":       {"POST", "/v1/messages", `{"model":"c","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}`, fmt.Sprintf(nativeWhole, "")},
	"count_messages": {"POST", "/v1/messages/count_tokens", `{"model":"c","messages":[{"role":"user","content":"hi"}]}`, `{"input_tokens":5}`},
	"responses":      {"POST", "/v1/responses", `{"model":"m","input":"hi"}`, ownWhole("1")},
	"compacted":      {"POST", "/v1/responses/compact", `{"model":"m","input":"hi"}`, compaction},
	"stored":         {"GET", "/v1/responses/resp_1", "", ownWhole("1")},
	"deleted":        {"DELETE", "/v1/responses/resp_1", "", `{"id":"resp_1","object":"response","deleted":true}`},
}

// keptGateway serves alias m by OpenAI's API and c by Anthropic's, natively, in one attempt. The
// provider of m keeps the response resp_1.
func keptGateway(t *testing.T, timeouts string) (*gateway, *mock.Upstream) {
	t.Helper()
	up := mock.Start(t, mock.JSON(ownWhole("1")))
	g := newGateway(t, fmt.Sprintf(`
providers:
  own: {plugin: openai, base_url: %[1]q, api_key: k, native: true%[2]s}
  claude: {plugin: anthropic, base_url: %[1]q, api_key: k%[2]s}
model_mapping:
  m: {targets: [{provider: own, model: gpt-x}], routing: {attempts: 1}}
  c: {targets: [{provider: claude, model: claude-x}], routing: {attempts: 1}}
`, up.URL, timeouts))
	if status, answer := g.send(t, "POST", "/v1/responses", `{"model":"m","input":"hi"}`); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	up.Forget()
	return g, up
}

// TestNativeFaults: whatever comes instead of an answer, or of a stream, the client gets an error of
// its API that says nothing of what came, and the provider is asked once, but for a reset.
func TestNativeFaults(t *testing.T) {
	patient, itsUp := keptGateway(t, "") // no machine is too busy for its time-outs
	impatient, otherUp := keptGateway(t, ", timeouts: {first_byte: 500ms, idle: 500ms}")
	const canary = "canary-of-the-upstream"
	for fault, status := range map[string]int{"garbage": 502, "nothing": 502, "another object": 502, "a page": 502, "a redirect": 502, "silence": 504, "silence within": 504, "a cut": 502, "a reset": 502} {
		g, up := patient, itsUp
		if status == 504 {
			g, up = impatient, otherUp
		}
		for name, tc := range nativeAsks {
			for _, stream := range []bool{false, true} {
				if stream && name != "messages" && name != "responses" {
					continue
				}
				body, begin, contentType := tc.body, tc.answer[:len(tc.answer)-5], "application/json"
				if stream {
					begin, contentType = map[string]string{"messages": nativeStart, "responses": ownStart("1")}[name], "text/event-stream"
					body = strings.TrimSuffix(body, "}") + `,"stream":true}`
				}
				garbage := canary
				if stream {
					garbage = "data: " + canary + "\n\n"
				}
				up.Answer(map[string]mock.Answer{
					"garbage":        mock.Whole(200, contentType, garbage),
					"nothing":        mock.Whole(200, contentType, ""),
					"another object": mock.JSON(`{"` + canary + `":1}`),
					"a page":         mock.Whole(200, "text/html", "<html>"+canary),
					"a redirect":     mock.Steps(mock.Header("Location", "http://127.0.0.1/"), mock.Status(302)),
					"silence":        mock.Hang,
					"silence within": mock.Steps(mock.Stream(contentType, begin), mock.Hang),
					"a cut":          mock.Steps(mock.Stream(contentType, begin), mock.Cut),
					"a reset":        mock.Reset,
				}[fault])
				up.Forget()
				got, answer := g.send(t, tc.method, tc.path, body)
				var e struct {
					Type  string
					Error struct{ Type, Message string }
				}
				err := json.Unmarshal([]byte(answer), &e)
				if got != status || err != nil || e.Error.Message == "" || (e.Type == "error") != strings.Contains(tc.path, "messages") || strings.Contains(answer+g.log.String(), canary) {
					t.Errorf("%s instead of %s, streamed %v: %d %s, want a %d, and nothing of it in the log", fault, name, stream, got, answer, status)
				}
				// A connection that was used before may have been closed meanwhile, so that is tried once more.
				if n := len(up.Requests()); n != 1 && (fault != "a reset" || n != 2) {
					t.Errorf("%s instead of %s, streamed %v: the provider was asked %d times", fault, name, stream, n)
				}
			}
		}
	}
	for g, up := range map[*gateway]*mock.Upstream{patient: itsUp, impatient: otherUp} {
		up.Answer(mock.JSON(ownWhole("1")))
		if status, answer := g.send(t, "GET", "/v1/responses/resp_1", ""); status != 200 {
			t.Errorf("what was not deleted: %d %s", status, answer)
		}
	}
}

// TestHangUpEndsANativeAnswer: the upstream's connection is closed when the client leaves before its
// whole answer.
func TestHangUpEndsANativeAnswer(t *testing.T) {
	g, up := keptGateway(t, "")
	for name, tc := range nativeAsks {
		for at, begin := range map[string]mock.Answer{"before the upstream's head": mock.Steps(), "within its answer": mock.Stream("application/json", tc.answer[:10])} {
			t.Run(name+" "+at, func(t *testing.T) {
				asked, gone := make(chan bool), make(chan bool, 1)
				up.Answer(mock.Steps(begin, func(*mock.Exchange) { close(asked) }, mock.Hang, func(*mock.Exchange) { gone <- true }))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				req, _ := http.NewRequestWithContext(ctx, tc.method, g.URL+tc.path, strings.NewReader(tc.body))
				req.Header.Set("Content-Type", "application/json")
				hangUpOnceAsked(req, asked, cancel)
				wantGone(t, gone)
			})
		}
	}
	left := func() int { return strings.Count(g.log.String(), `"native":true,"status":499`) }
	for begin := time.Now(); left() < 2*len(nativeAsks); time.Sleep(time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("%d of %d are told in the log as such", left(), 2*len(nativeAsks))
		}
	}
}

// TestWhatOneProviderKeepsIsTranslatedNowhere: a request that names what a provider keeps goes there
// and nowhere else, even if it could be translated without what it names.
func TestWhatOneProviderKeepsIsTranslatedNowhere(t *testing.T) {
	own, claude, chats := mock.Start(t, mock.JSON(fmt.Sprintf(ownObject, "1", "completed", `{"id":"ci_1","type":"code_interpreter_call","container_id":"cntr_1","outputs":[{"file_id":"file_1"}]}`, ownUsage))),
		mock.Start(t, mock.JSON(strings.Replace(fmt.Sprintf(nativeWhole, `,"container":{"id":"cntr_1"}`), `"content":[`, `"content":[`+madeBlocks[0]+`,`, 1))), mock.Start(t, mock.JSON(wholeChat))
	g := newGateway(t, fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a}, {name: b, key: key-b}]}
providers:
  own: {plugin: openai, base_url: %q, api_key: k, native: true}
  claude: {plugin: anthropic, base_url: %q, api_key: k}
  chats: {plugin: openai, base_url: %q, api_key: k}
model_mapping:
  m: {targets: [{provider: own, model: x}, {provider: chats, model: y, tier: 2}], routing: {attempts: 2}}
  c: {targets: [{provider: claude, model: x}, {provider: chats, model: y, tier: 2}], routing: {attempts: 2}}
`, own.URL, claude.URL, chats.URL))
	content := func(block string) string {
		return `{"model":"c","max_tokens":50,"messages":[{"role":"user","content":[{"type":"text","text":"sum up"},` + block + `]}]}`
	}
	for name, tc := range map[string]struct{ path, body string }{
		"a file for the container":   {"/v1/messages", content(`{"type":"container_upload","file_id":"file_1"}`)},
		"a block that nobody knows":  {"/v1/messages", content(`{"type":"novel","source":{"file_id":"file_1"}}`)},
		"a field that nobody knows":  {"/v1/messages", strings.Replace(content(`{"type":"text","text":"x"}`), "{", `{"context_management":{"edits":[]},"attachments":[{"file_id":"file_1"}],`, 1)},
		"only a file":                {"/v1/messages", `{"model":"c","max_tokens":50,"messages":[{"role":"user","content":[{"type":"container_upload","file_id":"file_1"}]}]}`},
		"a file in a result":         {"/v1/messages", content(`{"type":"tool_result","tool_use_id":"t","content":[{"type":"novel","file_id":"file_1"}]}`)},
		"a mask":                     {"/v1/responses", `{"model":"m","input":"hi","tools":[{"type":"web_search"},{"type":"image_generation","input_image_mask":{"file_id":"file_1"}}]}`},
		"a call of the interpreter":  {"/v1/responses", `{"model":"m","input":[{"role":"user","content":"x"},{"type":"code_interpreter_call","id":"ci_9","container_id":"cntr_1","code":"","outputs":[]}]}`},
		"a container, and a thought": {"/v1/responses", `{"model":"m","input":[{"role":"user","content":"x"},{"type":"reasoning","id":"ci_1","summary":[]}],"tools":[{"type":"novel","container":"cntr_1"}]}`},
		"another field of the input": {"/v1/responses", `{"model":"m","input":[{"role":"user","content":"x","novel":{"file_ids":["file_1"]}}]}`},
		"a list that nobody knows":   {"/v1/responses", `{"model":"m","input":"x","novel":{"vector_store_ids":["file_1"]}}`},
	} {
		up := map[string]*mock.Upstream{"/v1/messages": claude, "/v1/responses": own}[tc.path]
		if status, answer := g.send(t, "POST", tc.path, tc.body, "Authorization: Bearer key-a"); status != 404 || len(up.Requests())+len(chats.Requests()) > 0 {
			t.Errorf("%s, before it was made: %d %s", name, status, answer)
		}
	}
	g.send(t, "POST", "/v1/messages", content(`{"type":"text","text":"x"}`), "Authorization: Bearer key-a")
	g.send(t, "POST", "/v1/responses", `{"model":"m","input":"hi"}`, "Authorization: Bearer key-a")
	for path, body := range map[string]string{
		"/v1/messages":  content(`{"type":"container_upload","file_id":"file_1"}`),
		"/v1/responses": `{"model":"m","input":"hi","tools":[{"type":"web_search"},{"type":"image_generation","input_image_mask":{"file_id":"file_1"}}]}`,
	} {
		up := map[string]*mock.Upstream{"/v1/messages": claude, "/v1/responses": own}[path]
		up.Forget()
		if status, answer := g.send(t, "POST", path, body, "Authorization: Bearer key-a"); status != 200 || !strings.Contains(up.Last().Body, "file_1") {
			t.Errorf("its owner, %s: %d %s", path, status, answer)
		}
		if status, answer := g.send(t, "POST", path, body, "Authorization: Bearer key-b"); status != 404 {
			t.Errorf("another caller, %s: %d %s", path, status, answer)
		}
		up.Answer(fails(500, ""))
		if status, answer := g.send(t, "POST", path, body, "Authorization: Bearer key-a"); status == 200 || len(chats.Requests()) > 0 {
			t.Errorf("where its provider fails, %s: %d %s after %v", path, status, answer, chats.Requests())
		}
	}
}

// TestAnAnswerOfNoTokens fills the cache of a provider that speaks this API, and is refused where it
// would have to be translated.
func TestAnAnswerOfNoTokens(t *testing.T) {
	const ask = `{"model":"m","max_tokens":%s,"messages":[{"role":"user","content":"hi"}]}`
	whole := strings.NewReplacer(`[{"type":"text","text":"native"}]`, `[]`, "end_turn", "max_tokens").Replace(fmt.Sprintf(nativeWhole, ""))
	for name, tc := range map[string]struct {
		more, tokens string
		status       int
	}{
		"natively":              {"", "0", 200},
		"in translation":        {", native: false", "0", 400},
		"less than none":        {"", "-1", 400},
		"a fraction of a token": {"", "0.5", 400},
	} {
		g, up := nativeGateway(t, tc.more)
		up.Answer(mock.JSON(whole))
		res, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(ask, tc.tokens))
		if res.StatusCode != tc.status || tc.status == 400 && !strings.Contains(answer, "max_tokens: ") || tc.status == 200 && answer != strings.Replace(whole, "claude-x", "m", 1) {
			t.Errorf("%s: %d %s", name, res.StatusCode, answer)
		}
	}
}

// TestAResponseThatFailedSaysWhy: the code with which a response failed reaches the client, with the
// status that belongs to it, and decides who is to blame.
func TestAResponseThatFailedSaysWhy(t *testing.T) {
	for plugin, options := range map[string]string{"openai": "api_key: k, native: true", "ollama": "options: {responses: true}", "openrouter": "api_key: k, options: {responses: true}"} {
		own, other := mock.Start(t, nil), mock.Start(t, mock.JSON(wholeChat))
		g := newGateway(t, fmt.Sprintf(`
providers:
  own: {plugin: %s, base_url: %q, %s}
  other: {plugin: openai, base_url: %q, api_key: k}
model_mapping:
  m: {provider: own, model: gpt-x}
  two: {targets: [{provider: own, model: gpt-y}, {provider: other, model: gpt-x, tier: 2}]}
`, plugin, own.URL, options, other.URL))
		for code, status := range map[string]int{
			"invalid_prompt": 400, "cyber_policy": 400, "image_content_policy_violation": 400, "invalid_image_url": 400, "image_parse_error": 400, "failed_to_download_image": 400,
			"server_is_overloaded": 503, "slow_down": 503, "rate_limit_exceeded": 429, "vector_store_timeout": 504,
		} {
			t.Run(plugin+" "+code, func(t *testing.T) {
				object := strings.Replace(fmt.Sprintf(ownObject, "1", "failed", "", "null"), `"error":null`, `"error":{"code":"`+code+`","message":"no"}`, 1)
				failed := ownEvent("response.failed", `"sequence_number":4,"response":`+object)
				for how, tc := range map[string]struct {
					answer mock.Answer
					more   string
				}{
					"whole":                       {mock.JSON(object), ""},
					"in a stream":                 {mock.SSE(ownStart("1"), failed), `,"stream":true`},
					"in a stream, as an error":    {mock.SSE(ownStart("1"), ownEvent("error", `"code":"`+code+`","message":"no","param":null`)), `,"stream":true`},
					"in a stream, error in error": {mock.SSE(ownStart("1"), ownEvent("error", `"error":{"code":"`+code+`","message":"no"}`)), `,"stream":true`},
				} {
					own.Answer(tc.answer)
					if got, answer := g.asks(t, "any", tc.more); got != status || errorIn(t, answer).Code != code {
						t.Errorf("%s: %d %s, want %d", how, got, answer, status)
					}
				}
				own.Answer(mock.SSE(ownStart("1"), ownText, failed))
				_, answer := g.asks(t, "any", `,"stream":true`)
				if _, end, _ := strings.Cut(answer, "event: error\n"); strings.Count(end, `"code":"`+code+`"`) != 3 {
					t.Errorf("after content: %s", answer)
				}
				if status != 400 {
					return
				}
				own.Answer(mock.JSON(object))
				own.Forget()
				other.Forget()
				for range 4 {
					g.send(t, "POST", "/v1/responses", `{"model":"two","input":"hi"}`)
				}
				if len(own.Requests()) != 4 || len(other.Requests()) != 0 {
					t.Errorf("asked %d times, and another provider %d times", len(own.Requests()), len(other.Requests()))
				}
			})
		}
	}
}
