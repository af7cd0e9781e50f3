package host_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"context"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/sdk/transcript"
)

const (
	nativeAsk    = `{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"hi"}]%s}`
	nativeWhole  = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"native"}],"stop_reason":"end_turn","usage":{"input_tokens":5,"output_tokens":2}%s}`
	nativeStart  = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\",\"content\":[],\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n"
	nativeText   = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n" + "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"native\"},\"novel\":1}\n\n"
	nativeEnd    = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}\n\n"
	nativeStop   = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	nativeStream = nativeStart + nativeText + nativeEnd + nativeStop
	overloaded   = `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`
)

// nativeGateway serves alias m by Anthropic's API, with more behind its section of the
// provider, and keys a, b and routing.
func nativeGateway(t *testing.T, more string) (*gateway, *mock.Upstream) {
	t.Helper()
	up := mock.Start(t, nil)
	return newGateway(t, fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a}, {name: b, key: key-b}, {name: r, key: key-r, provider_routing: true}]}
providers: {claude: {plugin: anthropic, base_url: %q, api_key: sk-upstream%s}}
model_mapping: {m: {provider: claude, model: claude-opus-4-8}}
`, up.URL, more)), up
}

// TestNativeRequests shows what of a request reaches a provider that speaks its API.
func TestNativeRequests(t *testing.T) {
	beta := func(v string) []string { return []string{"anthropic-beta", v} }
	for name, tc := range map[string]struct {
		more          string // of the request
		headers       []string
		options       string
		want, without []string
		beta, version string // the headers that the provider gets; version: default 2023-06-01
		body          string // instead of one with more
	}{
		"unknown fields":             {more: `,"context_management":{"edits":[{"type":"x"}]},"novel":[1.50]`, want: []string{`"context_management":{"edits":[{"type":"x"}]},"novel":[1.50]`}},
		"a server tool":              {more: `,"tools":[{"type":"web_search_20250305","name":"web_search"}]`, want: []string{`{"type":"web_search_20250305","name":"web_search"}`}},
		"MCP servers":                {more: `,"mcp_servers":[{"type":"url","url":"https://x.test"}]`, want: []string{`"url":"https://x.test"`}},
		"what is nobody's business":  {more: `,"safeguards":[{"home":"/home/jo"}],"metadata":{"user_id":"jo"}`, want: []string{`"user_id":"jo"`}, without: []string{"safeguards", "/home/jo"}},
		"safeguards as the first":    {more: `}`, want: []string{`"messages"`}},
		"ids in a tool's input":      {more: `,"tool_choice":{"input":{"file_id":"mine"}}`, want: []string{`"file_id":"mine"`}},
		"who asks":                   {more: `,"session_id":"canary-1","agent_id":["canary-2"],"user_profile_id":"canary-3"`, without: []string{"canary", "session_id", "agent_id"}},
		"a later version":            {headers: []string{"anthropic-version", "2026-10-21"}, version: "2026-10-21"},
		"no version":                 {headers: []string{"anthropic-version", ""}},
		"a version that is none":     {headers: []string{"anthropic-version", "2026-10-21, x"}},
		"an answer of no tokens":     {more: `}`, body: `{"model":"m","max_tokens":0,"messages":[{"role":"user","content":"hi"}]}`, want: []string{`"max_tokens":0`}},
		"features in beta":           {headers: beta("a-1,b-2"), beta: "a-1,b-2"},
		"features of both":           {headers: beta("a-1"), options: `, options: {anthropic_beta: [z-9]}`, beta: "z-9,a-1"},
		"a list that is none":        {headers: beta("a\"b"), beta: ""},
		"headers of other kinds":     {headers: []string{"x-claude-code-session-id", "s1", "x-app", "cli"}},
		"a long text":                {more: `,"system":"` + strings.Repeat("long ", 1000) + `"`, want: []string{strings.Repeat("long ", 1000)}},
		"a model in another place":   {more: `,"novel":{"model":"kept"}`, want: []string{`{"model":"kept"}`, `"model":"claude-opus-4-8"`}},
		"thinking that isn't chosen": {options: `, options: {thinking: {type: adaptive}}`, want: []string{`"thinking":{"type":"adaptive"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			g, up := nativeGateway(t, tc.options)
			var header http.Header
			up.Answer(mock.JSON(fmt.Sprintf(nativeWhole, `,"novel":0.10`)))
			body := fmt.Sprintf(nativeAsk, tc.more)
			if tc.more == `}` {
				body = `{"safeguards":[1],"model":"m","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}`
				tc.without = append(tc.without, "safeguards")
			}
			body = cmp.Or(tc.body, body)
			res, answer := g.anthropic(t, "POST", "/v1/messages", body, tc.headers...)
			if res.StatusCode != 200 || answer != strings.Replace(fmt.Sprintf(nativeWhole, `,"novel":0.10`), "claude-x", "m", 1) {
				t.Fatalf("%d %s", res.StatusCode, answer)
			}
			asked := up.Last()
			header = asked.Header
			if !json.Valid([]byte(asked.Body)) {
				t.Errorf("the provider got no JSON: %s", asked.Body)
			}
			for _, part := range tc.want {
				if !strings.Contains(asked.Body, part) {
					t.Errorf("%s is missing in %s", part, asked.Body)
				}
			}
			for _, part := range tc.without {
				if strings.Contains(asked.Body, part) || strings.Contains(g.log.String(), part) {
					t.Errorf("%s is in %s\nor in the log:\n%s", part, asked.Body, g.log)
				}
			}
			if got := strings.Join(header["Anthropic-Beta"], "|"); got != tc.beta {
				t.Errorf("anthropic-beta is %q, want %q", got, tc.beta)
			}
			if got, want := strings.Join(header["Anthropic-Version"], "|"), cmp.Or(tc.version, "2023-06-01"); got != want {
				t.Errorf("anthropic-version is %q, want %q", got, want)
			}
			for name := range header {
				if strings.HasPrefix(name, "X-Claude") || name == "X-App" {
					t.Errorf("the provider got the header %s", name)
				}
			}
			if !strings.Contains(g.log.String(), `"native":true`) {
				t.Errorf("the log doesn't say which way it went: %s", g.log)
			}
		})
	}
}

// TestNativeRequestsChooseNothing: what passes can't choose a model or a provider.
func TestNativeRequestsChooseNothing(t *testing.T) {
	g, up := nativeGateway(t, "")
	up.Answer(mock.Status(400))
	tools := []string{
		`"tools":[{"name":"f","input_schema":{"model":"x"}},{"type":"agent_20261101","name":"a","model":"canary"}]`,
		`"tools":[{"type":"novel","name":"a","tools":[{"type":"advisor_20260301","name":"canary"}]}]`,
		`"system":[{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"type":"novel","name":"a","model":"canary"}}}]`,
		`"system":[{"type":"tool_addition","tool":{"definition":{"type":"advisor_20260301","name":"canary"},"type":"tool_definition"}}]`,
		`"system":[{"type":"novel","tools":[{"type":"advisor_20260301","name":"canary"}]}]`,
	}
	for _, field := range append(tools, choosing...) {
		up.Forget()
		res, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, ","+field))
		for _, r := range up.Requests() {
			if strings.Contains(r.String(), "canary") || !strings.Contains(r.Body, `"claude-opus-4-8"`) {
				t.Errorf("%s: the provider got %s", field, r)
			}
		}
		if len(up.Requests()) == 0 && res.StatusCode != 403 && res.StatusCode != 400 {
			t.Errorf("%s: %d %s", field, res.StatusCode, answer)
		}
	}
	for field, place := range map[string]string{tools[0]: "tools.1.model", tools[2]: "tools"} {
		if res, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, ","+field)); res.StatusCode != 403 || !strings.Contains(answer, place) {
			t.Errorf("%s: %d %s", field, res.StatusCode, answer)
		}
	}
	up.Answer(mock.JSON(fmt.Sprintf(nativeWhole, "")))
	if res, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, `,"fallbacks":["x"]`), "x-api-key", "key-r"); res.StatusCode != 200 {
		t.Errorf("a key that may choose got %d: %s", res.StatusCode, answer)
	}
}

// TestNativeCanBeTurnedOff: then, requests are translated, and what can't be is refused.
func TestNativeCanBeTurnedOff(t *testing.T) {
	g, up := nativeGateway(t, ", native: false")
	up.Answer(mock.JSON(fmt.Sprintf(nativeWhole, "")))
	if res, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, `,"novel":1`)); res.StatusCode != 200 || strings.Contains(up.Last().Body, "novel") || strings.Contains(answer, "msg_1") {
		t.Errorf("%d %s: the provider got %s", res.StatusCode, answer, up.Last().Body)
	}
	up.Forget()
	res, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, `,"tools":[{"type":"web_search_20250305","name":"web_search"}]`))
	if res.StatusCode != 400 || !strings.Contains(answer, "server tools are not available") || len(up.Requests()) > 0 {
		t.Errorf("%d %s: the provider got %v", res.StatusCode, answer, up.Requests())
	}
	if !strings.Contains(g.log.String(), `"native":false`) {
		t.Errorf("the log doesn't say which way it went: %s", g.log)
	}
}

// TestNativeStreamsCutAtEveryByte: a stream is a success exactly when its stop reason came,
// and what the client gets is what the provider sent so far.
func TestNativeStreamsCutAtEveryByte(t *testing.T) {
	g, up := nativeGateway(t, "")
	want := strings.Replace(nativeStream, "claude-x", "m", 1)
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n", len(nativeStream))
	complete := len(nativeStart + nativeText + nativeEnd)
	for cut := range len(nativeStream) + 1 {
		up.Answer(mock.Raw(head + nativeStream[:cut]))
		_, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, `,"stream":true`))
		switch {
		case cut >= complete:
			if answer != want {
				t.Fatalf("cut at %d of %d: %s", cut, len(nativeStream), answer)
			}
		case cut < len(nativeStart+nativeText):
			if !strings.HasPrefix(answer, `{"type":"error"`) {
				t.Fatalf("cut at %d, before any content: %s", cut, answer)
			}
		default:
			events, failure, ok := strings.Cut(answer, "event: error\n")
			if !ok || !strings.HasPrefix(want, events) || !strings.HasSuffix(failure, "\n\n") || strings.Contains(answer, "message_stop") {
				t.Fatalf("cut at %d: %s", cut, answer)
			}
		}
	}
}

// TestNativeTargetsStandInForEachOther: before the first content, a target that translates
// takes the place of one that speaks the client's API, and the reverse.
func TestNativeTargetsStandInForEachOther(t *testing.T) {
	for name, tc := range map[string]struct {
		first, second string // providers
		failure       mock.Answer
		stream        bool
		want          string
		native        bool
	}{
		"to a translating one":                  {"claude", "up", mock.Whole(529, "application/json", overloaded), false, `"text":"Hi"`, false},
		"to a translating one, streamed":        {"claude", "up", mock.SSE(nativeStart, "event: error\ndata: "+overloaded+"\n\n"), true, `"text":"Hi"`, false},
		"to a translating one, after a reset":   {"claude", "up", mock.Steps(mock.SSE(nativeStart), mock.Reset), true, `"text":"Hi"`, false},
		"to a translating one, after no stream": {"claude", "up", mock.JSON(fmt.Sprintf(nativeWhole, "")), true, `"text":"Hi"`, false},
		"to a translating one, after a stream":  {"claude", "up", mock.SSE(nativeStream), false, `"text":"Hi"`, false},
		"to a native one":                       {"up", "claude", fails(500, ""), false, `"text":"native"`, true},
		"to a native one, streamed":             {"up", "claude", mock.Steps(mock.SSE(": hello\n\n"), mock.Reset), true, `"text":"native"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			ups := map[string]*mock.Upstream{"claude": mock.Start(t, mock.JSON(fmt.Sprintf(nativeWhole, ""))), "up": mock.Start(t, mock.JSON(wholeChat))}
			if tc.stream {
				ups["claude"].Answer(mock.SSE(nativeStream))
				ups["up"].Answer(mock.SSE("data: " + chatHi + "\n\ndata: " + chatFinish + "\n\ndata: [DONE]\n\n"))
			}
			ups[tc.first].Answer(tc.failure)
			g := newGateway(t, fmt.Sprintf(`
providers:
  claude: {plugin: anthropic, base_url: %q, api_key: k}
  up: {plugin: openai, base_url: %q, api_key: k}
model_mapping:
  m: {targets: [{provider: %s, model: x}, {provider: %s, model: y, tier: 2}]}
`, ups["claude"].URL, ups["up"].URL, tc.first, tc.second))
			res, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, fmt.Sprintf(`,"stream":%v`, tc.stream)))
			if res.StatusCode != 200 || !strings.Contains(answer, tc.want) || strings.Count(answer, `"role":"assistant"`) != 1 {
				t.Errorf("%d %s\nlog: %s", res.StatusCode, answer, g.log)
			}
			if !strings.Contains(g.log.String(), fmt.Sprintf(`"native":%v`, tc.native)) {
				t.Errorf("the log says %s", g.log)
			}
		})
	}
}

// TestNoOtherTargetAfterNativeContent: once the client saw content, a failure ends the
// stream.
func TestNoOtherTargetAfterNativeContent(t *testing.T) {
	claude, up := mock.Start(t, mock.Steps(mock.SSE(nativeStart+nativeText), mock.Reset)), mock.Start(t, mock.Status(500))
	g := newGateway(t, fmt.Sprintf(`
providers:
  claude: {plugin: anthropic, base_url: %q, api_key: k}
  up: {plugin: openai, base_url: %q, api_key: k}
model_mapping: {m: {targets: [{provider: claude, model: x}, {provider: up, model: y, tier: 2}]}}
`, claude.URL, up.URL))
	_, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, `,"stream":true`))
	if !strings.Contains(answer, `"text":"native"`) || !strings.Contains(answer, "event: error\n") || len(up.Requests()) > 0 {
		t.Errorf("%s; the other target got %v", answer, up.Requests())
	}
}

// TestOnlyServerToolsGoAround: a request that can't be translated goes to the target that
// takes it, wherever that stands.
func TestOnlyServerToolsGoAround(t *testing.T) {
	claude, up := mock.Start(t, mock.JSON(fmt.Sprintf(nativeWhole, ""))), mock.Start(t, mock.JSON(wholeChat))
	g := newGateway(t, fmt.Sprintf(`
providers:
  claude: {plugin: anthropic, base_url: %q, api_key: k}
  up: {plugin: openai, base_url: %q, api_key: k}
model_mapping: {m: {targets: [{provider: up, model: y}, {provider: claude, model: x, tier: 2}]}}
`, claude.URL, up.URL))
	res, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, `,"tools":[{"type":"web_search_20250305","name":"web_search"}]`))
	if res.StatusCode != 200 || !strings.Contains(answer, "native") || len(up.Requests()) > 0 {
		t.Errorf("%d %s", res.StatusCode, answer)
	}
}

// madeBlocks are blocks of an answer: one of them tells the id of a file that the provider made, and
// the others tell ids that anybody could write.
var madeBlocks = []string{
	`{"type":"bash_code_execution_tool_result","tool_use_id":"s","content":{"type":"bash_code_execution_result","stdout":"","content":[{"type":"bash_code_execution_output","file_id":"file_1"}]}}`,
	`{"type":"tool_use","id":"t","name":"f","input":{"file_id":"file_2","content":{"content":[{"file_id":"file_2"}]}}}`,
	`{"type":"mcp_tool_result","tool_use_id":"u","file_id":"file_3","container":{"id":"container_3"},"content":{"file_id":"file_3","content":[{"type":"code_execution_output","file_id":"file_3"}]}}`,
	`{"type":"mcp_tool_result","tool_use_id":"v","content":[{"type":"code_execution_tool_result","file_id":"file_3","content":{"content":[{"file_id":"file_3"}]}}]}`,
}

// TestIDsBelongToWhoMadeThem: two callers of one upstream key can't use each other's ids, nor
// tell whether they exist.
func TestIDsBelongToWhoMadeThem(t *testing.T) {
	container := `"container":{"id":"container_1"}`
	started := ""
	for n, block := range madeBlocks {
		started += fmt.Sprintf("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":%d,\"content_block\":%s}\n\n", n+5, block)
	}
	for name, answer := range map[string]mock.Answer{
		"whole":    mock.JSON(strings.Replace(fmt.Sprintf(nativeWhole, ","+container), `"content":[`, `"content":[`+strings.Join(madeBlocks, ",")+`,`, 1)),
		"streamed": mock.SSE(nativeStart + nativeText + started + strings.Replace(nativeEnd, `"stop_sequence":null`, `"stop_sequence":null,`+container, 1) + nativeStop),
	} {
		t.Run(name, func(t *testing.T) {
			g, up := nativeGateway(t, "")
			up.Answer(answer)
			asks := func(key, more string) (int, string) {
				up.Forget()
				res, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, fmt.Sprintf(`,"stream":%v`, name == "streamed")+more), "x-api-key", key)
				return res.StatusCode, answer
			}
			const (
				container = `,"container":"container_1"`
				object    = `,"container":{"id":"container_1","skills":[]}`
				unknown   = `,"container":"container_2"`
				file      = `,"system":[{"type":"document","source":{"type":"file","file_id":"file_1"}}]`
				inInput   = `,"system":[{"type":"document","source":{"type":"file","file_id":"file_2"}}]`
				fromMCP   = `,"system":[{"type":"document","source":{"type":"file","file_id":"file_3"}}]`
			)
			for _, more := range []string{container, object, file} {
				if status, answer := asks("key-a", more); status == 200 || len(up.Requests()) > 0 {
					t.Errorf("before it was made, %s: %d %s", more, status, answer)
				}
			}
			if status, answer := asks("key-a", ""); status != 200 {
				t.Fatalf("%d %s", status, answer)
			}
			for _, more := range []string{container, object, file} {
				if status, answer := asks("key-a", more); status != 200 || !strings.Contains(up.Last().Body, more) {
					t.Errorf("its owner, %s: %d %s", more, status, answer)
				}
			}
			_, missing := asks("key-b", unknown)
			for _, more := range []string{container, object, file, inInput, fromMCP} {
				status, answer := asks("key-b", more)
				if len(up.Requests()) > 0 || status != 404 {
					t.Errorf("another caller, %s: %d %s", more, status, answer)
				}
				if more == container && withoutID(answer) != withoutID(missing) {
					t.Errorf("one that exists is told apart: %s, %s", answer, missing)
				}
			}
			for _, more := range []string{inInput, fromMCP, strings.Replace(container, "_1", "_3", 1)} {
				if status, _ := asks("key-a", more); status != 404 {
					t.Errorf("what a model called a tool with, or somebody's tool answered, became the caller's: %s", more)
				}
			}
			// More ids than are looked at are refused, whoever has the last one.
			documents := func(n int) string {
				return `,"system":[` + strings.TrimPrefix(strings.Repeat(`,{"type":"document","source":{"type":"file","file_id":"file_1"}}`, n), ",") + `]`
			}
			if status, answer := asks("key-a", documents(1000)); status != 200 {
				t.Errorf("one file, a thousand times: %d %s", status, answer)
			}
			many := documents(1)
			for n := range 300 {
				many = strings.TrimSuffix(many, "]") + fmt.Sprintf(`,{"type":"document","source":{"type":"file","file_id":"other_%d"}}]`, n)
			}
			if status, answer := asks("key-a", many); status == 200 || len(up.Requests()) > 0 {
				t.Errorf("300 files: %d %s", status, answer)
			}
			// The other one's answer has the same id, and doesn't take it away.
			asks("key-b", "")
			if status, _ := asks("key-b", container); status != 404 {
				t.Errorf("the id was taken over: %d", status)
			}
		})
	}
}

// withoutID removes the request's id from an error.
func withoutID(answer string) string { return strings.Split(answer, `,"request_id"`)[0] }

// TestNativeThinkingIsAWish: a model that doesn't think, or not as it was asked to, is asked in
// translation, at once, and from then on.
func TestNativeThinkingIsAWish(t *testing.T) {
	g, up := nativeGateway(t, "")
	refuses := mock.Whole(400, "application/json", `{"type":"error","error":{"type":"invalid_request_error","message":"adaptive thinking is not supported on this model"}}`)
	up.Answer(mock.InTurn(refuses, mock.JSON(fmt.Sprintf(nativeWhole, ""))))
	const thinks = `,"thinking":{"type":"adaptive"}`
	if res, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, thinks)); res.StatusCode != 200 || len(up.Requests()) != 2 {
		t.Errorf("%d %s after %v", res.StatusCode, answer, up.Requests())
	}
	up.Forget()
	up.Answer(mock.JSON(fmt.Sprintf(nativeWhole, "")))
	if res, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, thinks)); res.StatusCode != 200 || len(up.Requests()) != 1 || strings.Contains(answer, "msg_1") {
		t.Errorf("the next one: %d %s after %v", res.StatusCode, answer, up.Requests())
	}
	if _, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, "")); !strings.Contains(answer, "msg_1") {
		t.Errorf("without thinking it is translated, too: %s", answer)
	}
}

// TestNativeUsageIsMetered: whichever way a request takes, what it used is the same.
func TestNativeUsageIsMetered(t *testing.T) {
	for _, file := range []string{"native-stream", "native-whole", "native-cut-complete"} {
		data, err := os.ReadFile("../testdata/transcripts/anthropic/" + file + ".txtar")
		if err != nil {
			t.Fatal(err)
		}
		tr, err := transcript.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		stream := file != "native-whole"
		var metered []string
		for _, more := range []string{"", ", native: false"} {
			g, up := nativeGateway(t, more)
			up.Answer(play(tr.Responses()[0], cutters["whole"]()))
			if res, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, fmt.Sprintf(`,"stream":%v`, stream))); res.StatusCode != 200 {
				t.Fatalf("%d %s", res.StatusCode, answer)
			}
			var line struct {
				Prompt     int `json:"prompt_tokens"`
				Completion int `json:"completion_tokens"`
			}
			for l := range strings.Lines(g.log.String()) {
				if strings.Contains(l, "request finished") {
					json.Unmarshal([]byte(l), &line)
				}
			}
			metered = append(metered, fmt.Sprint(line))
		}
		if metered[0] != metered[1] || metered[0] == "{0 0}" {
			t.Errorf("%s: natively %s are counted, and translated %s", file, metered[0], metered[1])
		}
	}
}

// TestHangUpEndsANativeStream: the upstream's connection is closed when the client leaves.
func TestHangUpEndsANativeStream(t *testing.T) {
	gone := make(chan bool)
	up := mock.Start(t, mock.Steps(mock.SSE(nativeStart+nativeText), mock.Hang, func(*mock.Exchange) { close(gone) }))
	g := newGateway(t, fmt.Sprintf("providers: {claude: {plugin: anthropic, base_url: %q, api_key: k}}\nmodel_mapping: {m: {provider: claude, model: x}}\n", up.URL))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "POST", g.URL+"/v1/messages", strings.NewReader(fmt.Sprintf(nativeAsk, `,"stream":true`)))
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, len(nativeStart)-len("claude-x")+len("m"))); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Error("the upstream's connection stays open")
	}
}

// TestNativeMemoryIsGivenBack: however a native answer ends, what was held for it is given
// back.
func TestNativeMemoryIsGivenBack(t *testing.T) {
	up := mock.Start(t, nil)
	c := parse(t, fmt.Sprintf("providers: {claude: {plugin: anthropic, base_url: %q, api_key: k}}\nmodel_mapping: {m: {provider: claude, model: x}}\n", up.URL))
	kit := testkit.Start(t, testkit.Options{Config: c})
	if err := kit.Ready(t); err != nil {
		t.Fatal(err)
	}
	g := &gateway{kit, kit.Host, kit.Log}
	long := strings.Repeat("x", 1<<20)
	ping := "event: ping\ndata: {\"type\":\"ping\",\"p\":\"" + long + "\"}\n\n"
	ask := func(stream bool, answer mock.Answer) string {
		up.Answer(answer)
		_, got := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, fmt.Sprintf(`,"stream":%v,"system":%q`, stream, long)))
		return got
	}
	ask(true, mock.SSE(nativeStream))
	before := g.host.Memory().Used()
	for name, answer := range map[string]mock.Answer{
		"large events before the content": mock.SSE(nativeStart, ping, ping, ping, nativeText+nativeEnd+nativeStop),
		"large events and no content":     mock.SSE(nativeStart, ping, ping, ping),
		"large events and a reset":        mock.Steps(mock.SSE(nativeStart, ping, ping), mock.Reset),
		"too much before the content":     mock.SSE(nativeStart + strings.Repeat(ping, 70)),
	} {
		if got := ask(true, answer); strings.Contains(name, "before the content") != strings.Contains(got, "native") && !strings.HasPrefix(name, "too much") {
			t.Errorf("%s: %.300s", name, got)
		}
		if held := g.host.Memory().Used(); held > before+8<<20 {
			t.Errorf("%s: %d bytes are held, and before it %d", name, held, before)
		}
	}
}
