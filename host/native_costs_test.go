package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// meteredGateway serves alias m by OpenAI's API and alias c by Anthropic's, natively, to the key
// app, which has what is given.
func meteredGateway(t *testing.T, key string) (*gateway, *mock.Upstream) {
	t.Helper()
	up := mock.Start(t, nil)
	return newGateway(t, fmt.Sprintf(`
providers:
  own: {plugin: openai, base_url: %[1]q, api_key: k, native: true}
  claude: {plugin: anthropic, base_url: %[1]q, api_key: k}
model_mapping:
  m: {targets: [{provider: own, model: gpt-x}], routing: {attempts: 1}, price: {input: 1, output: 10, image: 0, speech: 0}}
  c: {targets: [{provider: claude, model: claude-x}], routing: {attempts: 1}, price: {input: 1, output: 10}}
  f: {targets: [{provider: own, model: gpt-x}], routing: {attempts: 1}, price: free}
auth:
  enabled: true
  groups: {team: {limits: {concurrent: 100}}}
  api_keys: [{name: app, key: app, group: team, %[2]s}]
`, up.URL, key)), up
}

const metered = "limits: {input_tokens: 1M/d, output_tokens: 1M/d}, budget: {total: 5}"

// counted returns the tokens that are counted of the key, once nothing runs any more.
func (g *gateway) counted(t *testing.T) (input, output int64) {
	t.Helper()
	g.settled(t)
	return g.host.Counted("key app input_tokens 24h0m0s"), g.host.Counted("key app output_tokens 24h0m0s")
}

// TestACutNativeResponseCostsItsText: what surrounds the text in events, and events that repeat
// it, cost nothing.
func TestACutNativeResponseCostsItsText(t *testing.T) {
	text := strings.Repeat("0123456789", 40) // 100 tokens
	long := strings.Repeat("a1b2", 50)
	stream := ownStart("1")
	for i := 0; i < len(text); i += 10 {
		stream += ownEvent("response.output_text.delta", `"sequence_number":2,"item_id":"msg_`+long+`","output_index":0,"content_index":0,"delta":"`+text[i:i+10]+`","logprobs":[],"obfuscation":"x1"`)
	}
	stream += ownEvent("response.output_text.done", `"sequence_number":3,"item_id":"msg_`+long+`","output_index":0,"content_index":0,"text":"`+text+`"`)
	g, up := meteredGateway(t, metered)
	up.Answer(mock.Steps(mock.SSE(stream), mock.Cut))
	g.postTo(t, "/v1/responses", "app", `{"model":"m","input":"hi","stream":true}`)
	if _, output := g.counted(t); output < 90 || output > 110 {
		t.Errorf("%d tokens of output are counted, want about 100", output)
	}
}

// TestACutTurnPaysForTheConversation: what a request only refers to is input, too.
func TestACutTurnPaysForTheConversation(t *testing.T) {
	g, up := meteredGateway(t, metered)
	up.Answer(mock.JSON(strings.NewReplacer(`"input_tokens":5,`, `"input_tokens":5000,`, `"total_tokens":7`, `"total_tokens":5002`).Replace(ownWhole("1"))))
	if res, answer := g.postTo(t, "/v1/responses", "app", `{"model":"m","input":"hi"}`); res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, answer)
	}
	first, _ := g.counted(t)
	up.Answer(mock.Steps(mock.SSE(ownStart("2")+ownText), mock.Cut))
	g.postTo(t, "/v1/responses", "app", `{"model":"m","input":"more","stream":true,"previous_response_id":"resp_1"}`)
	if input, _ := g.counted(t); first != 5000 || input-first < 5002 || input-first > 5100 {
		t.Errorf("the first turn costs %d tokens, and the second, which was cut, %d", first, input-first)
	}
}

// TestPicturesAndSpeechThatAreLeft: their length says nothing, and yet they are not free.
func TestPicturesAndSpeechThatAreLeft(t *testing.T) {
	for _, name := range []string{"images", "speech"} {
		t.Run(name, func(t *testing.T) {
			tc := passedStreams[name]
			g, up := meteredGateway(t, metered)
			up.Answer(mock.Steps(mock.SSE(tc.events[0]), mock.Cut))
			_, answer := g.postTo(t, tc.path, "app", as(tc.asked, "m"))
			input, output := g.counted(t)
			if !strings.Contains(answer, tc.events[0]) {
				t.Skip("it was cut before it came through")
			}
			if input <= 0 || output < 100 {
				t.Errorf("%d and %d tokens are counted; the client got %s", input, output, answer)
			}
		})
	}
}

// TestBudgetsPayForNoToolOfUnknownCost: tools that a provider runs and bills apart from tokens
// are refused where a budget pays, and only there.
func TestBudgetsPayForNoToolOfUnknownCost(t *testing.T) {
	paid, up := meteredGateway(t, metered)
	unpaid, other := meteredGateway(t, "limits: {tokens: 1M/d}")
	for _, tc := range []struct{ path, tool, refused string }{
		{"/v1/responses", `{"type":"web_search_preview"}`, "tools[1].type"},
		{"/v1/responses", `{"type":"File_search","vector_store_ids":[]}`, "tools[1].type"},
		{"/v1/responses", `{"type":"code_interpreter","container":{"type":"auto"}}`, "tools[1].type"},
		{"/v1/responses", `{"type":"image_generation"}`, "tools[1].type"},
		{"/v1/responses", `{"type":"shell","environment":{"type":"container_auto"}}`, "tools[1].type"},
		{"/v1/responses", `{"type":"shell","environment":{"type":"local"}}`, ""},
		{"/v1/responses", `{"type":"shell"}`, ""},
		{"/v1/responses", `{"type":"local_shell"}`, ""},
		{"/v1/responses", `{"type":"custom","name":"web_search"}`, ""},
		{"/v1/messages", `{"type":"web_search_20250305","name":"web_search"}`, "tools.1.type"},
		{"/v1/messages", `{"type":"code_execution_20250825","name":"code_execution"}`, "tools.1.type"},
		{"/v1/messages", `{"type":"bash_20250124","name":"bash"}`, ""},
		{"/v1/messages", `{"type":"text_editor_20250728","name":"str_replace_based_edit_tool"}`, ""},
	} {
		body := `{"model":"m","input":"hi","tools":[{"type":"function","name":"f","parameters":{}},` + tc.tool + `]}`
		answer := mock.JSON(ownWhole("1"))
		if tc.path == "/v1/messages" {
			body = `{"model":"c","max_tokens":50,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","input_schema":{"type":"object"}},` + tc.tool + `]}`
			answer = mock.JSON(fmt.Sprintf(nativeWhole, ""))
		}
		up.Answer(answer)
		other.Answer(answer)
		up.Forget()
		res, text := paid.postTo(t, tc.path, "app", body)
		switch {
		case tc.refused == "" && res.StatusCode != 200:
			t.Errorf("%s, which costs nothing: %d %s", tc.tool, res.StatusCode, text)
		case tc.refused != "" && (res.StatusCode != 400 || !strings.Contains(text, tc.refused+": a budget pays for this request, and what this tool costs is not known") || len(up.Requests()) > 0):
			t.Errorf("%s: %d %s", tc.tool, res.StatusCode, text)
		}
		if res, text := unpaid.postTo(t, tc.path, "app", body); res.StatusCode != 200 {
			t.Errorf("%s without a budget: %d %s", tc.tool, res.StatusCode, text)
		}
	}
	const inMessage = `{"model":"c","max_tokens":50,"messages":[{"role":"user","content":"hi"},{"role":"system","content":[{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"type":"web_search_20250305","name":"w"}}}]}]}`
	if res, text := paid.postTo(t, "/v1/messages", "app", inMessage); res.StatusCode != 400 || !strings.Contains(text, "what this tool costs is not known") {
		t.Errorf("a tool in a message: %d %s", res.StatusCode, text)
	}
	const searched = `{"model":"c","max_tokens":50,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"web_search_tool_result","tool_use_id":"a","content":[{"type":"web_search_result"}]},{"type":"text","text":"x"}]},{"role":"user","content":"hi"}]}`
	if res, text := paid.postTo(t, "/v1/messages", "app", searched); res.StatusCode != 200 {
		t.Errorf("what a tool has found before: %d %s", res.StatusCode, text)
	}
}

// TestSkillsOfTheAccountBelongToNobody: those that everybody has can be named.
func TestSkillsOfTheAccountBelongToNobody(t *testing.T) {
	g, up := nativeGateway(t, "")
	up.Answer(mock.JSON(fmt.Sprintf(nativeWhole, "")))
	for skill, want := range map[string]int{"pptx": 200, "skill_01AbC": 404} {
		up.Forget()
		res, answer := g.anthropic(t, "POST", "/v1/messages", fmt.Sprintf(nativeAsk, `,"container":{"skills":[{"type":"custom","skill_id":"`+skill+`","version":"latest"}]}`))
		if res.StatusCode != want || len(up.Requests()) != map[int]int{200: 1}[want] {
			t.Errorf("%s: %d %s", skill, res.StatusCode, answer)
		}
	}
}

// TestBudgetsPayForNoDearerTokens: what makes tokens dearer than the configured price says is
// refused where a budget pays, in every API, and only there.
func TestBudgetsPayForNoDearerTokens(t *testing.T) {
	paid, up := meteredGateway(t, metered)
	unpaid, other := meteredGateway(t, "limits: {tokens: 1M/d}")
	asked := map[string]string{
		"/v1/responses":        `{"model":"%s","input":"hi",@}`,
		"/v1/messages":         `{"model":"%s","max_tokens":50,"messages":[{"role":"user","content":"hi"}],@}`,
		"/v1/chat/completions": `{"model":"%s","messages":[{"role":"user","content":"hi"}],@}`,
		"/v1/completions":      `{"model":"%s","prompt":"hi",@}`,
	}
	answers := map[string]mock.Answer{
		"/v1/responses m":        mock.JSON(ownWhole("1")),
		"/v1/responses f":        mock.JSON(ownWhole("1")),
		"/v1/messages c":         mock.JSON(fmt.Sprintf(nativeWhole, "")),
		"/v1/chat/completions m": mock.JSON(`{"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`),
		"/v1/completions m":      mock.JSON(`{"choices":[{"index":0,"text":"x","finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`),
	}
	for _, tc := range []struct{ path, model, with, refused string }{
		{"/v1/messages", "c", `"speed":"fast"`, "speed"},
		{"/v1/messages", "c", `"speed":"standard"`, ""},
		{"/v1/messages", "c", `"sp\u0065ed":"f\u0061st"`, "speed"},
		{"/v1/messages", "c", `"inference_geo":"us"`, "inference_geo"},
		{"/v1/messages", "c", `"inference_geo":"global","service_tier":"auto"`, ""},
		{"/v1/messages", "c", `"service_tier":"standard_only"`, ""},
		{"/v1/messages", "c", `"service_tier":"priority"`, "service_tier"},
		{"/v1/messages", "m", `"speed":"fast"`, "speed"},
		{"/v1/responses", "m", `"service_tier":"priority"`, "service_tier"},
		{"/v1/responses", "m", `"service_tier":"flex"`, ""},
		{"/v1/responses", "m", `"service_tier":null`, ""},
		{"/v1/responses", "m", `"service_tier":"default","metadata":{"speed":"fast"}`, ""},
		{"/v1/responses", "c", `"service_tier":"priority"`, "service_tier"},
		{"/v1/responses", "f", `"service_tier":"priority"`, ""},
		{"/v1/chat/completions", "m", `"service_tier":"priority"`, "service_tier"},
		{"/v1/chat/completions", "m", `"service_tier":"auto"`, ""},
		{"/v1/completions", "m", `"service_tier":"priority"`, "service_tier"},
		{"/v1/completions", "m", `"service_tier":"default"`, ""},
	} {
		t.Run(tc.path+" "+tc.model+" "+tc.with, func(t *testing.T) {
			request := strings.Replace(as(asked[tc.path], tc.model), "@", tc.with, 1)
			answer := answers[tc.path+" "+tc.model]
			up.Answer(answer)
			up.Forget()
			res, text := paid.postTo(t, tc.path, "app", request)
			switch {
			case tc.refused == "" && res.StatusCode != 200:
				t.Errorf("what costs no more: %d %s", res.StatusCode, text)
			case tc.refused != "" && (res.StatusCode != 400 || !strings.Contains(text, tc.refused+": a budget pays for this request, and what it costs with this value is not known") || len(up.Requests()) > 0):
				t.Errorf("what costs more: %d %s", res.StatusCode, text)
			}
			if answer == nil {
				return
			}
			other.Answer(answer)
			if res, text := unpaid.postTo(t, tc.path, "app", request); res.StatusCode != 200 {
				t.Errorf("without a budget: %d %s", res.StatusCode, text)
			}
		})
	}
}
