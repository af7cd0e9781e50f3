package host_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestThinkingIsOnlyAWish: a model that can't think answers all the same, and from the
// second request on it isn't asked to.
func TestThinkingIsOnlyAWish(t *testing.T) {
	for name, tc := range map[string]struct {
		model, asks string // what of the upstream's request asks for thinking
		refusal     string // 400
		answer      string
	}{
		"Ollama": {"local", `"think":"high"`, `{"error":"\"m\" does not support thinking"}`,
			`{"model":"m","message":{"role":"assistant","content":"Hi"},"done":true,"done_reason":"stop","prompt_eval_count":1,"eval_count":1}` + "\n"},
		"OpenAI": {"fast", `"reasoning_effort":"high"`, `{"error":{"message":"Unrecognized request argument supplied: reasoning_effort","type":"invalid_request_error","param":null,"code":null}}`, wholeChat},
	} {
		for _, stream := range []bool{false, true} {
			if stream && name != "Ollama" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				g, u := messagesGateway(t, "{}")
				u.Answer(func(x *mock.Exchange) {
					answer := mock.JSON(tc.answer)
					if strings.Contains(x.Body, tc.asks) {
						answer = mock.Whole(400, "application/json", tc.refusal)
					}
					answer(x)
				})
				body := `{"model":"` + tc.model + `","max_tokens":50,"messages":[{"role":"user","content":"hi"}],"thinking":{"type":"adaptive"}}`
				if stream {
					body = strings.Replace(body, `"max_tokens"`, `"stream":true,"max_tokens"`, 1)
				}
				for range 2 {
					if res, answer := g.anthropic(t, "POST", "/v1/messages", body); res.StatusCode != 200 || !strings.Contains(answer, `Hi`) {
						t.Errorf("%d: %s", res.StatusCode, answer)
					}
				}
				var asked []bool // for thinking, by each request
				for _, r := range u.Requests() {
					asked = append(asked, strings.Contains(r.Body, tc.asks))
				}
				if want := []bool{true, false, false}; !slices.Equal(asked, want) {
					t.Errorf("the upstream was asked for thinking %v, want %v", asked, want)
				}
				if n := strings.Count(g.log.String(), `"attempt":1`); n < 2 {
					t.Errorf("%d requests took one attempt:\n%s", n, g.log)
				}
				// It is a condition where a client of chat completions asks for it.
				res, answer := g.postAs(t, "key-a", `{"model":"`+tc.model+`","messages":[{"role":"user","content":"hi"}],"reasoning_effort":"high"}`)
				if res.StatusCode != 400 || !strings.Contains(answer, `"param":"reasoning_effort"`) {
					t.Errorf("a chat completion got %d: %s", res.StatusCode, answer)
				}
			})
		}
	}
}

// TestWhatReachesWhichProvider: what only Anthropic has a place for reaches Anthropic, and
// nobody else; what Claude Code tells about its machine reaches nobody and is not logged.
func TestWhatReachesWhichProvider(t *testing.T) {
	const body = `{"max_tokens":50,"messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]},` +
		`{"role":"assistant","content":[{"type":"thinking","thinking":"Hm.","signature":"sig=="},{"type":"tool_use","id":"c1","name":"look","input":{}}]},` +
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","is_error":true,"content":[{"type":"text","text":"boom"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]}],` +
		`"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1;"},{"type":"text","text":"Be kind."}],"tools":[{"name":"look","input_schema":{"type":"object"}}],` +
		`"metadata":{"user_id":"device-of-jo"},"safeguards":[{"type":"dangerous_tool_use","classifier_context":{"home":"/home/secret-home"}}],"model":"`
	for model, tc := range map[string]struct{ with, without []string }{
		"claude": {
			[]string{`"user_id":"device-of-jo"`, `x-anthropic-billing-header`, `"is_error":true`, `"text":"boom"`, `"cache_control":{"type":"ephemeral"}`, `"signature":"sig=="`,
				`"tool_use_id":"c1","is_error":true,"content":[{"type":"text","text":"boom"},{"type":"image"`},
			[]string{"Error: boom", "from the result"},
		},
		"translated": {
			[]string{`"user_id":"device-of-jo"`, `x-anthropic-billing-header`, `"is_error":true`, `"text":"boom"`, `"cache_control":{"type":"ephemeral"}`, `"signature":"sig=="`,
				`"tool_use_id":"c1","content":[{"type":"text","text":"boom"},{"type":"image"`},
			[]string{"Error: boom", "from the result"},
		},
		"fast": {
			[]string{`"role":"system","content":"Be kind."`, `"safety_identifier":"`, `"content":"Error: boom"`, `[from the result of tool call c1]`, `"image_url"`},
			[]string{"device-of-jo", "x-anthropic-billing-header", "is_error", "cache_control"},
		},
		"local": {
			[]string{`"content":"Error: boom"`, `[from the result of tool call c1]`, `"images":["iVBORw0KGgo="]`, `"thinking":"Hm."`},
			[]string{"device-of-jo", "x-anthropic-billing-header", "is_error", "cache_control", "sig=="},
		},
	} {
		t.Run(model, func(t *testing.T) {
			g, u := messagesGateway(t, "{}")
			u.json(500, `{"error":{"message":"no"}}`)
			g.anthropic(t, "POST", "/v1/messages", body+model+`"}`)
			asked := u.Last().String()
			for _, part := range tc.with {
				if !strings.Contains(asked, part) {
					t.Errorf("%s is missing in\n%s", part, asked)
				}
			}
			for _, part := range append(tc.without, "safeguards", "secret-home", "classifier") {
				if strings.Contains(asked, part) {
					t.Errorf("%s is in\n%s", part, asked)
				}
			}
			for _, part := range []string{"safeguards", "secret-home", "device-of-jo", "boom"} {
				if strings.Contains(g.log.String(), part) {
					t.Errorf("%s is in the log:\n%s", part, g.log)
				}
			}
		})
	}
}

// TestRefusalsNameTheClientsPlaces, those of adapters too, and nothing is asked upstream.
func TestRefusalsNameTheClientsPlaces(t *testing.T) {
	g, u := messagesGateway(t, "{}")
	const (
		result = `{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"Read","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":[{"type":"text","text":"PDF"},{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}]}]}`
		thread = `{"type":"invalid_request_error","message":"thread: threads are not available through this gateway: leave it out, and send the whole conversation","details":{"error_code":"thread_unsupported_request","unsupported":["thread"]}}`
	)
	for name, tc := range map[string]struct{ body, want string }{
		"a server tool":               {`{"model":"local","max_tokens":1,"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"web_search_20250305","name":"web_search"}]}`, `"message":"tools.0: server tools are not available`},
		"a document for Ollama":       {`{"model":"local","max_tokens":1,"messages":[` + result + `]}`, `"message":"messages.2.content.0: Ollama takes no files`},
		"an image of another type":    {`{"model":"translated","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"base64","media_type":"image/tiff","data":"AAAA"}}]}]}`, `"message":"messages.0.content.1: Anthropic takes image/jpeg`},
		"a link that is none":         {`{"model":"translated","max_tokens":1,"metadata":{"user_id":"u"},"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"ftp://x"}}]}]}`, `"message":"messages.0.content.0: `},
		"a thread":                    {`{"model":"local","max_tokens":1,"messages":[{"role":"user","content":"hi"}],"thread":{}}`, thread},
		"an uploaded file":            {`{"model":"local","max_tokens":1,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]}`, `"message":"messages.0.content.0.source: files that were uploaded`},
		"a limit of 0 warms no cache": {`{"model":"translated","max_tokens":0,"messages":[{"role":"user","content":"hi"}]}`, `"message":"max_tokens: must be at least 1: only providers`},
	} {
		t.Run(name, func(t *testing.T) {
			u.Forget()
			u.json(500, `{"error":{"message":"no"}}`)
			res, answer := g.anthropic(t, "POST", "/v1/messages", tc.body)
			if res.StatusCode != 400 || !strings.Contains(answer, tc.want) || !strings.HasPrefix(answer, `{"type":"error","error":{"type":"invalid_request_error",`) {
				t.Errorf("%d: %s, want %s", res.StatusCode, answer, tc.want)
			}
			if asked := u.Requests(); len(asked) > 0 {
				t.Errorf("the upstream got %v", asked)
			}
		})
	}
}

// TestLongNamesOfToolsComeBackWhole, though the upstream sees none of more than 64.
func TestLongNamesOfToolsComeBackWhole(t *testing.T) {
	g, u := messagesGateway(t, "{}")
	name := "mcp__" + strings.Repeat("a_long_server__", 4) + "and_a_tool"
	u.Answer(func(x *mock.Exchange) {
		_, after, _ := strings.Cut(x.Body, `"function":{"name":"`)
		short, _, _ := strings.Cut(after, `"`)
		if len(short) > 64 {
			t.Errorf("the upstream sees %q", short)
		}
		mock.JSON(`{"choices":[{"message":{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"` + short + `","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`)(x)
	})
	_, answer := g.anthropic(t, "POST", "/v1/messages", `{"model":"fast","max_tokens":50,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"`+name+`"}]}`)
	if !strings.Contains(answer, `"name":"`+name+`"`) {
		t.Errorf("the client gets %s", answer)
	}
}

// TestRecordedSessionsWithTheDemo: what clients of Anthropic's API really sent, its tool
// rounds too, is answered by a provider that knows nothing of that API.
func TestRecordedSessionsWithTheDemo(t *testing.T) {
	g := newGateway(t, "providers: {demo: {}}\nmodel_mapping: {any: {provider: demo, model: any}}\n")
	names, err := filepath.Glob("dialect/messages/testdata/requests/*.json")
	if err != nil || len(names) < 30 {
		t.Fatalf("%d requests, %v", len(names), err)
	}
	model := regexp.MustCompile(`"model":"[^"]*"`)
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(name)
		path, status := "/v1/messages?beta=true", 200
		switch {
		case strings.HasPrefix(base, "count-"):
			path = "/v1/messages/count_tokens"
		case base == "claude-code-search-agent-files-03.json":
			status = 400 // a server tool
		}
		asked := model.ReplaceAllString(string(body), `"model":"any"`)
		if res, answer := g.anthropic(t, "POST", path, asked); res.StatusCode != status {
			t.Errorf("%s got %d: %.300s", base, res.StatusCode, answer)
		}
	}
}
