package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

const (
	ownAsk     = `{"model":"m","input":"hi"%s}`
	ownObject  = `{"id":"resp_%s","object":"response","created_at":1756310000,"status":"%s","error":null,"model":"gpt-x","output":[%s],"usage":%s,"novel":0.10}`
	ownMessage = `{"id":"msg_%s","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"native","annotations":[],"logprobs":[]}]}`
	compaction = `{"id":"resp_c","object":"response.compaction","created_at":1,"output":[{"id":"cmp_1","type":"compaction","encrypted_content":"gAAA"}],"usage":{"input_tokens":139,"output_tokens":38,"total_tokens":177},"novel":1}`
	ownUsage   = `{"input_tokens":5,"input_tokens_details":{"cached_tokens":3},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":7}`
)

func ownEvent(name, data string) string {
	return "event: " + name + "\ndata: {\"type\":\"" + name + "\"," + data + "}\n\n"
}

// ownWhole is a whole answer of the API, and its events up to the first text, and behind it.
func ownWhole(id string) string {
	return fmt.Sprintf(ownObject, id, "completed", fmt.Sprintf(ownMessage, id), ownUsage)
}

func ownStart(id string) string {
	return ownEvent("response.created", `"sequence_number":0,"response":`+fmt.Sprintf(ownObject, id, "in_progress", "", "null")) +
		ownEvent("response.output_item.added", `"sequence_number":1,"output_index":0,"item":{"id":"msg_`+id+`","type":"message","role":"assistant","content":[]}`)
}

const ownText = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":2,\"item_id\":\"x\",\"output_index\":0,\"content_index\":0,\"delta\":\"native\",\"novel\":1}\n\n" +
	"event: response.novel\ndata: {\"type\":\"response.novel\",\"sequence_number\":3,\"model\":\"kept\"}\n\n"

func ownEnd(id string) string {
	return ownEvent("response.completed", `"sequence_number":4,"response":`+ownWhole(id))
}

func ownStream(id string) string { return ownStart(id) + ownText + ownEnd(id) }

// ownGateway serves alias m by OpenAI's Responses API, and keys a, b and r, which may choose.
func ownGateway(t *testing.T, more string) (*gateway, *mock.Upstream) {
	t.Helper()
	up := mock.Start(t, nil)
	return newGateway(t, fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a}, {name: b, key: key-b}, {name: r, key: key-r, provider_routing: true}]}
providers: {own: {plugin: openai, base_url: %q, api_key: sk-upstream, native: true%s}}
model_mapping: {m: {provider: own, model: gpt-x}}
`, up.URL, more)), up
}

// asks sends a request of the Responses API as a key.
func (g *gateway) asks(t testing.TB, key, more string) (status int, answer string) {
	t.Helper()
	return g.send(t, "POST", "/v1/responses", fmt.Sprintf(ownAsk, more), "Authorization: Bearer "+key)
}

// TestNativeResponses shows what of a request reaches a provider that speaks its API, and that
// the answer comes back but for its model.
func TestNativeResponses(t *testing.T) {
	for name, tc := range map[string]struct {
		more, options string
		want, without []string
	}{
		"built-in tools": {more: `,"tools":[{"type":"web_search","x":[1.50]},{"type":"code_interpreter","container":{"type":"auto"}},{"type":"mcp","server_label":"l","server_url":"https://x.test"},{"type":"image_generation"},{"type":"novel"}]`,
			want: []string{`{"type":"web_search","x":[1.50]}`, `"container":{"type":"auto"}`, `"server_url":"https://x.test"`, `{"type":"novel"}`}},
		"unknown fields":              {more: `,"novel":{"model":"kept"},"truncation":"auto"`, want: []string{`"novel":{"model":"kept"}`, `"model":"gpt-x"`}},
		"store and metadata":          {more: `,"store":false,"metadata":{"file_id":"x"}`, want: []string{`"store":false,"metadata":{"file_id":"x"}`}},
		"what is nobody's business":   {more: `,"client_metadata":{"installation":"canary"}`, without: []string{"client_metadata", "canary"}},
		"who asks":                    {more: `,"session_id":"canary","agent_id":"canary","safeguards":["canary"]`, without: []string{"session_id", "agent_id", "safeguards"}},
		"that as the only field":      {more: `}`, want: []string{`{"model":"gpt-x"}`}, without: []string{"canary"}},
		"ids in schemas":              {more: `,"text":{"format":{"type":"json_schema","name":"n","schema":{"file_id":"x"}}},"tools":[{"type":"function","name":"f","parameters":{"container":"x"}}]`, want: []string{`{"file_id":"x"}`, `{"container":"x"}`}},
		"a long text":                 {more: `,"instructions":"` + strings.Repeat("long ", 1000) + `"`, want: []string{strings.Repeat("long ", 1000)}},
		"what options drop":           {more: `,"service_tier":"flex"`, options: `, options: {drop: [service_tier], body: {reasoning_effort: low}}`, want: []string{`"reasoning":{"effort":"low"}`}, without: []string{"flex"}},
		"items that Kai doesn't know": {more: `,"unused":0`, want: []string{`"unused":0`}},
	} {
		t.Run(name, func(t *testing.T) {
			g, up := ownGateway(t, tc.options)
			up.Answer(mock.JSON(ownWhole("1")))
			body := fmt.Sprintf(ownAsk, tc.more)
			if tc.more == `}` {
				body = ` { "client_metadata" : {"a":"canary"} , "model" : "m" } `
				tc.want = []string{`"gpt-x"`}
			}
			status, answer := g.send(t, "POST", "/v1/responses", body, "Authorization: Bearer key-a", "X-Codex-Turn-Metadata: canary", "Session-Id: canary")
			if status != 200 || answer != strings.Replace(ownWhole("1"), "gpt-x", "m", 1) {
				t.Fatalf("%d %s", status, answer)
			}
			asked := up.Last()
			if asked.URI != "/responses" || !json.Valid([]byte(asked.Body)) {
				t.Errorf("the provider got %s", asked)
			}
			for _, part := range tc.want {
				if !strings.Contains(asked.Body, part) {
					t.Errorf("%s is missing in %s", part, asked.Body)
				}
			}
			for _, part := range append(tc.without, "canary", "key-a") {
				if strings.Contains(asked.Body, part) || strings.Contains(fmt.Sprint(asked.Header), part) || strings.Contains(g.log.String(), part) {
					t.Errorf("%s is in %s %v\nor in the log:\n%s", part, asked.Body, asked.Header, g.log)
				}
			}
			if !strings.Contains(g.log.String(), `"native":true`) || !strings.Contains(g.log.String(), `"prompt_tokens":5`) {
				t.Errorf("the log doesn't say which way it went, or what it cost: %s", g.log)
			}
		})
	}
}

// TestNativeResponsesChooseNothing: what passes can't choose a model or a provider.
func TestNativeResponsesChooseNothing(t *testing.T) {
	g, up := ownGateway(t, "")
	up.Answer(mock.JSON(ownWhole("1")))
	tools := []string{
		`"tools":[{"type":"function","name":"f"},{"type":"image_generation","model":"canary"}]`,
		`"tools":[{"type":"namespace","name":"n","tools":[{"type":"openrouter:canary"}]}]`,
		`"tools":[{"tools":[{"type":"openrouter:canary"}],"type":"namespace"}]`,
		`"tools":[{"type":"openrouter:canary","type":"function"}]`,
		`"unused":0,"INPUT":"canary"`,
	}
	for _, field := range append(tools, choosing...) {
		up.Forget()
		status, answer := g.asks(t, "key-a", ","+field)
		for _, r := range up.Requests() {
			if strings.Contains(r.String(), "canary") && !strings.Contains(field, "safeguards") || !strings.Contains(r.Body, `"gpt-x"`) {
				t.Errorf("%s: the provider got %s", field, r)
			}
		}
		if len(up.Requests()) == 0 && status != 403 && status != 400 {
			t.Errorf("%s: %d %s", field, status, answer)
		}
	}
	if status, answer := g.asks(t, "key-a", ","+tools[0]); status != 403 || errorIn(t, answer).Param != "tools[1].model" {
		t.Errorf("%d %s", status, answer)
	}
	if status, answer := g.asks(t, "key-r", ","+tools[0]); status != 200 {
		t.Errorf("a key that may choose got %d: %s", status, answer)
	}
	if status, answer := g.asks(t, "key-r", `,"background":true`); status != 400 || errorIn(t, answer).Param != "background" {
		t.Errorf("%d %s", status, answer)
	}
}

// TestNativeOpenRouterChoosesNothing: its own fields for routing are refused in its other APIs,
// too, and what the operator has set of them is sent.
func TestNativeOpenRouterChoosesNothing(t *testing.T) {
	up := mock.Start(t, func(x *mock.Exchange) {
		if x.URI == "/messages" {
			mock.JSON(fmt.Sprintf(nativeWhole, ""))(x)
			return
		}
		mock.JSON(ownWhole("1"))(x)
	})
	g := newGateway(t, fmt.Sprintf(`
providers: {own: {plugin: openrouter, base_url: %q, api_key: k, options: {messages: true, responses: true, provider: {zdr: true}}}}
model_mapping: {m: {provider: own, model: the-model}}
`, up.URL))
	for _, path := range []string{"/v1/responses", "/v1/messages"} {
		ask := func(more string) (int, string) {
			up.Forget()
			if path == "/v1/responses" {
				return g.asks(t, "any", more)
			}
			res, answer := g.anthropic(t, "POST", path, fmt.Sprintf(nativeAsk, more))
			return res.StatusCode, answer
		}
		if status, answer := ask(`,"metadata":{"user_id":"jo"}`); status != 200 || up.Last().URI != strings.TrimPrefix(path, "/v1") ||
			!strings.Contains(up.Last().Body, `"provider":{"zdr":true}`) || !strings.Contains(up.Last().Body, `"the-model"`) || !strings.Contains(answer, "native") {
			t.Errorf("%s: %d %s after %v", path, status, answer, up.Requests())
		}
		if path == "/v1/messages" && strings.Contains(up.Last().Body, "jo") {
			t.Errorf("who the user is was sent: %s", up.Last())
		}
		for _, field := range choosing {
			status, answer := ask("," + field)
			for _, r := range up.Requests() {
				if strings.Contains(r.String(), "canary") && !strings.Contains(field, "safeguards") {
					t.Errorf("%s, %s: the provider got %s", path, field, r)
				}
			}
			if len(up.Requests()) == 0 && status != 403 && status != 400 {
				t.Errorf("%s, %s: %d %s", path, field, status, answer)
			}
		}
	}
}

// TestNativeResponsesWhereTheyAreSure: without being told to, only OpenAI itself is asked in its
// own API.
func TestNativeResponsesWhereTheyAreSure(t *testing.T) {
	up := mock.Start(t, nil)
	for name, tc := range map[string]struct {
		provider, model string
		native          bool
	}{
		"another server":                   {"", "", false},
		"where the provider says so":       {", native: true", "", true},
		"where the alias says so":          {"", ", native: true", true},
		"not where the alias says no":      {", native: true", ", native: false", false},
		"where the alias says yes, though": {", native: false", ", native: true", true},
	} {
		t.Run(name, func(t *testing.T) {
			up.Answer(func(x *mock.Exchange) {
				if x.URI == "/responses" {
					mock.JSON(ownWhole("1"))(x)
					return
				}
				mock.JSON(wholeChat)(x)
			})
			g := newGateway(t, fmt.Sprintf("providers: {own: {plugin: openai, base_url: %q, api_key: k%s}}\nmodel_mapping: {m: {provider: own, model: gpt-x%s}}\n", up.URL, tc.provider, tc.model))
			status, answer := g.asks(t, "any", "")
			if status != 200 || strings.Contains(answer, `"text":"native"`) != tc.native {
				t.Errorf("%d %s", status, answer)
			}
		})
	}
}

func TestWhoseAddressItIs(t *testing.T) {
	const home = "https://api.openai.com/v1"
	for base, want := range map[string]bool{
		home: true, "https://api.openai.com": true, "https://API.OpenAI.com/v1": true, "https://eu.api.openai.com/v1": true, "http://api.openai.com/v1": false,
		"https://api.openai.com.evil.test/v1": false, "https://xapi.openai.com/v1": false, "https://evil.test/api.openai.com/v1": false,
		"https://api.openai.com:444/v1": false, "http://localhost:8000/v1": false, "": false,
	} {
		if got := host.IsAt(base, home); got != want {
			t.Errorf("%s is %v", base, got)
		}
	}
	if host.IsAt("", "") || host.IsAt(home, "") {
		t.Error("without an address it is somewhere")
	}
}

// TestNativeResponsesAreTranslatedElsewhere: what the server doesn't serve in its own API is
// asked in translation, at once, and from then on. What can't be translated is the error.
func TestNativeResponsesAreTranslatedElsewhere(t *testing.T) {
	for name, refusal := range map[string]string{
		"no such API":            `{"detail":"Not Found"}`,
		"a model only for chats": `{"error":{"message":"This model is only supported in v1/chat/completions and not in v1/responses.","type":"invalid_request_error","param":"model","code":null}}`,
	} {
		t.Run(name, func(t *testing.T) {
			g, up := ownGateway(t, "")
			up.Answer(func(x *mock.Exchange) {
				if x.URI == "/responses" {
					mock.Whole(404, "application/json", refusal)(x)
					return
				}
				mock.JSON(wholeChat)(x)
			})
			for n, want := range []int{2, 1} {
				up.Forget()
				if status, answer := g.asks(t, "key-a", ""); status != 200 || !strings.Contains(answer, `"text":"Hi"`) || len(up.Requests()) != want {
					t.Errorf("request %d: %d %s after %v", n, status, answer, up.Requests())
				}
			}
			if status, answer := g.asks(t, "key-a", `,"tools":[{"type":"code_interpreter"}]`); status != 404 {
				t.Errorf("what can't be translated: %d %s", status, answer)
			}
			if told := strings.Count(g.log.String(), "doesn't serve the API natively"); told != 1 {
				t.Errorf("the log tells it %d times: %s", told, g.log)
			}
		})
	}
}

// TestNoRefusalOfOneRequestEndsPassage: what a provider doesn't have of one request, or repeats of
// it, says nothing about others.
func TestNoRefusalOfOneRequestEndsPassage(t *testing.T) {
	for name, tc := range map[string]struct {
		status  int
		refusal string
	}{
		"an item that was not stored": {404, `{"error":{"message":"Item with id 'rs_1' not found. Items are not persisted when 'store' is set to false.","type":"invalid_request_error","param":"input","code":null}}`},
		"a name that says no route":   {404, `{"error":{"message":"Thing with id 'no route' not found.","type":"invalid_request_error","param":null,"code":null}}`},
		"something without a name":    {404, `{"error":{"message":"Nothing of that kind is left.","type":"invalid_request_error","param":null,"code":null}}`},
		"words that the client wrote": {400, `{"error":{"message":"Invalid value: 'only supported in v1/chat/completions'.","type":"invalid_request_error","param":"include[0]","code":"invalid_value"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			g, up := ownGateway(t, "")
			up.Answer(mock.Whole(tc.status, "application/json", tc.refusal))
			for range 2 {
				up.Forget()
				status, answer := g.asks(t, "key-a", "")
				if got := up.Requests(); len(got) != 1 || got[0].URI != "/responses" || status == 200 {
					t.Errorf("%d %s after %v", status, answer, got)
				}
				if strings.Contains(tc.refusal, "with id") && (status != 404 || !strings.Contains(answer, "does not have something that the request names")) {
					t.Errorf("%d %s", status, answer)
				}
			}
		})
	}
}

// TestNativeResponsesCutAtEveryByte: a stream is a success exactly when its last event came,
// and what the client gets is what the provider sent so far.
func TestNativeResponsesCutAtEveryByte(t *testing.T) {
	g, up := ownGateway(t, "")
	stream := ownStream("1")
	want := strings.ReplaceAll(stream, "gpt-x", "m")
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n", len(stream))
	for cut := range len(stream) + 1 {
		up.Answer(mock.Raw(head + stream[:cut]))
		_, answer := g.asks(t, "key-a", `,"stream":true`)
		switch {
		case cut == len(stream):
			if answer != want {
				t.Fatalf("cut at %d: %s", cut, answer)
			}
		case cut < len(ownStart("1")) || !strings.Contains(stream[len(ownStart("1")):cut], "\n\n"):
			if !strings.HasPrefix(answer, `{"error":`) {
				t.Fatalf("cut at %d, before any content: %s", cut, answer)
			}
		default:
			events, failure, ok := strings.Cut(answer, "event: error\n")
			if !ok || !strings.HasPrefix(want, events) || strings.Contains(answer, "response.completed") {
				t.Fatalf("cut at %d: %s", cut, answer)
			}
			next := fmt.Sprintf(`"sequence_number":%d,`, strings.Count(events, "data: "))
			if !strings.Contains(failure, next) || !strings.Contains(failure, `"type":"response.failed"`) || !strings.Contains(failure, `{"id":"resp_1",`) || !strings.HasSuffix(failure, "\n\n") {
				t.Fatalf("cut at %d, the failure is %s", cut, failure)
			}
		}
	}
}

// TestNativeResponsesStandIn: before the first content, a target that translates takes the
// place of one that speaks the client's API, and the reverse.
func TestNativeResponsesStandIn(t *testing.T) {
	failed := ownEvent("response.failed", `"response":{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"no"}}`)
	for name, tc := range map[string]struct {
		first, second string // providers
		failure       mock.Answer
		stream        bool
		want          string
		native        bool
	}{
		"to a translating one":                          {"own", "up", fails(500, ""), false, `"text":"Hi"`, false},
		"to a translating one, after an error":          {"own", "up", mock.SSE(ownStart("1"), failed), true, `"delta":"Hi"`, false},
		"to a translating one, after a reset":           {"own", "up", mock.Steps(mock.SSE(ownStart("1")), mock.Reset), true, `"delta":"Hi"`, false},
		"to a translating one, after no stream":         {"own", "up", mock.JSON(ownWhole("1")), true, `"delta":"Hi"`, false},
		"to a translating one, after a stream":          {"own", "up", mock.SSE(ownStream("1")), false, `"text":"Hi"`, false},
		"to a translating one, after a 200 that failed": {"own", "up", mock.JSON(fmt.Sprintf(ownObject, "1", "failed", "", "null")), false, `"text":"Hi"`, false},
		"to a native one":                               {"up", "own", fails(500, ""), false, `"text":"native"`, true},
		"to a native one, streamed":                     {"up", "own", mock.Steps(mock.SSE(": hello\n\n"), mock.Reset), true, `"delta":"native"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			ups := map[string]*mock.Upstream{"own": mock.Start(t, mock.JSON(ownWhole("1"))), "up": mock.Start(t, mock.JSON(wholeChat))}
			if tc.stream {
				ups["own"].Answer(mock.SSE(ownStream("1")))
				ups["up"].Answer(mock.SSE("data: " + chatHi + "\n\ndata: " + chatFinish + "\n\ndata: [DONE]\n\n"))
			}
			ups[tc.first].Answer(tc.failure)
			g := newGateway(t, fmt.Sprintf(`
providers:
  own: {plugin: openai, base_url: %q, api_key: k, native: true}
  up: {plugin: openai, base_url: %q, api_key: k}
model_mapping:
  m: {targets: [{provider: %s, model: x}, {provider: %s, model: y, tier: 2}]}
`, ups["own"].URL, ups["up"].URL, tc.first, tc.second))
			status, answer := g.asks(t, "any", fmt.Sprintf(`,"stream":%v`, tc.stream))
			if status != 200 || !strings.Contains(answer, tc.want) || strings.Count(answer, "event: response.created\n") > 1 || strings.Contains(answer, `"native"`) != tc.native {
				t.Errorf("%d %s\nlog: %s", status, answer, g.log)
			}
			if !strings.Contains(g.log.String(), fmt.Sprintf(`"native":%v`, tc.native)) {
				t.Errorf("the log says %s", g.log)
			}
		})
	}
}

// TestWhatIsKaisIsTranslated: what only Kai can read, or keeps, goes to no provider as it is.
func TestWhatIsKaisIsTranslated(t *testing.T) {
	g, up := ownGateway(t, "")
	up.Answer(func(x *mock.Exchange) {
		if x.URI == "/responses" {
			mock.JSON(ownWhole("1"))(x)
			return
		}
		mock.JSON(wholeChat)(x)
	})
	for name, tc := range map[string]struct {
		input  string
		native bool
	}{
		"a plain text":              {`"hi"`, true},
		"what Kai has sealed":       {`[{"role":"user","content":"hi"},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"kai1.AAAA"}]`, false},
		"what the provider has":     {`[{"role":"user","content":"hi"},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAA"}]`, true},
		"a thought that is nowhere": {`[{"role":"user","content":"hi"},{"type":"reasoning","id":"rs_1","summary":[]}]`, false},
		"a message of another's":    {`[{"role":"user","content":"hi"},{"type":"message","id":"msg_9","role":"assistant","content":"x"}]`, true},
		"a type that comes twice":   {`[{"role":"user","content":"hi"},{"type":"reasoning","id":"rs_1","summary":[],"type":"message"}]`, false},
		"an id that comes twice":    {`[{"role":"user","content":"hi"},{"id":"msg_9","type":"message","role":"assistant","content":"x","id":"msg_8"}]`, true},
	} {
		t.Run(name, func(t *testing.T) {
			up.Forget()
			status, answer := g.send(t, "POST", "/v1/responses", `{"model":"m","input":`+tc.input+`}`, "Authorization: Bearer key-a")
			if status != 200 && !tc.native && len(up.Requests()) == 0 {
				return // a translation may refuse it
			}
			if status != 200 || (up.Last().URI == "/responses") != tc.native || !json.Valid([]byte(up.Last().Body)) {
				t.Errorf("%d %s: the provider got %s", status, answer, up.Last())
			}
			for _, id := range []string{"msg_9", "msg_8", `"rs_1"`} {
				if strings.Contains(up.Last().Body, id) {
					t.Errorf("the provider got the id %s: %s", id, up.Last())
				}
			}
		})
	}
}

// TestNativeResponsesBelongToWhoMadeThem: two callers of one upstream key can't use each
// other's responses, items and containers, nor tell whether they exist.
func TestNativeResponsesBelongToWhoMadeThem(t *testing.T) {
	const item = `{"id":"ig_1","type":"image_generation_call","status":"completed","result":"AAAA"},{"id":"ci_1","type":"code_interpreter_call","container_id":"cntr_1","code":"","outputs":[{"type":"image","file_id":"cfile_out"}]},` +
		`{"id":"fs_1","type":"file_search_call","queries":[],"results":[{"file_id":"file_found"}]},` +
		`{"id":"mcp_1","type":"mcp_call","outputs":[{"file_id":"file_8"}],"results":[{"file_id":"file_8"}],"file_id":"file_8"},` +
		`{"id":"ts_1","type":"tool_search_call","arguments":{"container_id":"cntr_2"}},` +
		`{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"native","annotations":[{"type":"container_file_citation","container_id":"cntr_1","file_id":"cfile_1"}]}]}`
	object := strings.Replace(fmt.Sprintf(ownObject, "1", "completed", item, ownUsage), `"novel"`, `"metadata":{"file_id":"file_9"},"tools":[{"container":"cntr_9"}],"novel"`, 1)
	for name, answer := range map[string]mock.Answer{
		"whole":    mock.JSON(object),
		"streamed": mock.SSE(ownStart("1") + ownText + ownEvent("response.completed", `"response":`+object)),
	} {
		t.Run(name, func(t *testing.T) {
			g, up := ownGateway(t, "")
			up.Answer(answer)
			asks := func(key, more string) (int, string) {
				up.Forget()
				body := fmt.Sprintf(ownAsk, fmt.Sprintf(`,"stream":%v`, name == "streamed")+more)
				if strings.HasPrefix(more, `,"input"`) {
					body = strings.Replace(body, `,"input":"hi"`, "", 1)
				}
				return g.send(t, "POST", "/v1/responses", body, "Authorization: Bearer "+key)
			}
			const (
				previous  = `,"previous_response_id":"resp_1"`
				reference = `,"input":[{"role":"user","content":"x"},{"type":"item_reference","id":"msg_1"}]`
				untyped   = `,"input":[{"role":"user","content":"x"},{"id":"msg_1"}]`
				container = `,"tools":[{"type":"code_interpreter","container":"cntr_1"}]`
				shell     = `,"tools":[{"type":"shell","environment":{"type":"container_reference","container_id":"cntr_1"}}]`
				file      = `,"tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["cfile_1"]}}]`
				image     = `,"input":[{"role":"user","content":[{"type":"input_image","file_id":"cfile_1"}]}]`
				mask      = `,"tools":[{"type":"image_generation","input_image_mask":{"file_id":"cfile_out"}}]`
				found     = `,"input":[{"role":"user","content":[{"type":"input_file","file_id":"file_found"}]}]`
				called    = `,"input":[{"role":"user","content":"x"},{"type":"code_interpreter_call","id":"ci_1","container_id":"cntr_1","code":"","outputs":[]}]`
				picture   = `,"input":[{"role":"user","content":"make it blue"},{"type":"image_generation_call","id":"ig_1"}],"tools":[{"type":"image_generation"}]`
			)
			mine := []string{previous, reference, container, shell, file, image, mask, found, called, picture}
			for _, more := range append(mine, untyped) {
				if status, answer := asks("key-a", more); status == 200 || len(up.Requests()) > 0 {
					t.Errorf("before it was made, %s: %d %s", more, status, answer)
				}
			}
			if status, answer := asks("key-a", ""); status != 200 {
				t.Fatalf("%d %s", status, answer)
			}
			for _, more := range mine {
				if status, answer := asks("key-a", more); status != 200 || !strings.Contains(up.Last().Body, more) {
					t.Errorf("its owner, %s: %d %s: %v", more, status, answer, up.Requests())
				}
				status, answer := asks("key-b", more)
				if status == 200 || len(up.Requests()) > 0 {
					t.Errorf("another caller, %s: %d %s", more, status, answer)
				}
				missing, never := asks("key-b", strings.NewReplacer("resp_1", "resp_2", "msg_1", "msg_2", "cntr_1", "cntr_3", "cfile_1", "cfile_2", "cfile_out", "cfile_2", "file_found", "file_2", "ci_1", "ci_2", "ig_1", "ig_2").Replace(more))
				if missing != status || strings.NewReplacer("_2'", "_1'").Replace(never) != answer {
					t.Errorf("one that exists is told apart: %s, %s", answer, never)
				}
			}
			for _, more := range []string{
				`,"tools":[{"type":"code_interpreter","container":"cntr_2"}]`,                              // what a model called a tool with
				`,"tools":[{"type":"code_interpreter","container":"cntr_9"}]`,                              // what was only repeated
				`,"tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["file_9"]}}]`, // the same
				`,"tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]`, `,"conversation":"conv_1"`, `,"conversation":{"id":"conv_1"}`,
				`,"prompt":{"id":"pmpt_1"}`,
				`,"input":[{"role":"user","content":[{"type":"input_file","file_id":"file_8"}]}]`, // what somebody's tool answered
				`,"tools":[{"type":"web_search"},{"type":"image_generation","input_image_mask":{"file_id":"file_8"}}]`,
				`,"tools":[{"type":"shell","environment":{"type":"container_auto","skills":[{"type":"skill_reference","skill_id":"skill_1"}]}}]`,
			} {
				if status, answer := asks("key-a", more); status == 200 || len(up.Requests()) > 0 {
					t.Errorf("what nobody made, %s: %d %s", more, status, answer)
				}
			}
			if status, answer := asks("key-a", `,"tools":[{"type":"shell","environment":{"type":"container_auto","skills":[{"type":"skill_reference","skill_id":"openai-spreadsheets"}]}}]`); status != 200 {
				t.Errorf("a skill that everybody has: %d %s", status, answer)
			}
			asks("key-b", "") // whose answer has the same id, which doesn't take it away
			if status, _ := asks("key-b", previous); status == 200 {
				t.Error("the id was taken over")
			}
		})
	}
}

// TestNativeResponsesGoWhereTheyAre: a response is continued where it was made, wherever that
// target stands.
func TestNativeResponsesGoWhereTheyAre(t *testing.T) {
	first, second := mock.Start(t, fails(500, "")), mock.Start(t, mock.JSON(ownWhole("2")))
	g := newGateway(t, fmt.Sprintf(`
providers:
  first: {plugin: openai, base_url: %q, api_key: k, native: true}
  second: {plugin: openai, base_url: %q, api_key: k, native: true}
model_mapping: {m: {targets: [{provider: first, model: x}, {provider: second, model: y, tier: 2}]}}
`, first.URL, second.URL))
	if status, answer := g.asks(t, "any", ""); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	first.Answer(mock.JSON(ownWhole("1")))
	first.Forget()
	if status, answer := g.asks(t, "any", `,"previous_response_id":"resp_2"`); status != 200 || !strings.Contains(answer, "resp_2") || len(first.Requests()) > 0 {
		t.Errorf("%d %s; the other one got %v", status, answer, first.Requests())
	}
	second.Answer(fails(500, ""))
	if status, answer := g.asks(t, "any", `,"previous_response_id":"resp_2"`); status == 200 || len(first.Requests()) > 0 {
		t.Errorf("%d %s; the other one got %v", status, answer, first.Requests())
	}
}

// TestManyNativeResponses: 200 at once don't mix, and each client gets its own.
func TestManyNativeResponses(t *testing.T) {
	g, up := ownGateway(t, "")
	up.Answer(func(x *mock.Exchange) {
		_, id, _ := strings.Cut(x.Body, `"user":"`)
		id, _, _ = strings.Cut(id, `"`)
		mock.SSE(ownStart(id), ownText, ownEnd(id))(x)
	})
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			id := fmt.Sprint("n", n)
			status, answer := g.asks(t, "key-a", `,"stream":true,"user":"`+id+`"`)
			if status != 200 || answer != strings.ReplaceAll(ownStream(id), "gpt-x", "m") {
				t.Errorf("%d %s", status, answer)
			}
		})
	}
	all.Wait()
}

// TestHangUpEndsANativeResponse: the upstream's connection is closed when the client leaves.
func TestHangUpEndsANativeResponse(t *testing.T) {
	gone := make(chan bool)
	up := mock.Start(t, mock.Steps(mock.SSE(ownStart("1")+ownText), mock.Hang, func(*mock.Exchange) { close(gone) }))
	g := newGateway(t, fmt.Sprintf("providers: {own: {plugin: openai, base_url: %q, api_key: k, native: true}}\nmodel_mapping: {m: {provider: own, model: gpt-x}}\n", up.URL))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "POST", g.URL+"/v1/responses", strings.NewReader(fmt.Sprintf(ownAsk, `,"stream":true`)))
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, len(ownStart("1"))-len("gpt-x")+len("m"))); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Error("the upstream's connection stays open")
	}
}
