package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// severalKinds answers a request with what suits its path.
func severalKinds(x *mock.Exchange) {
	switch {
	case strings.HasSuffix(x.URI, "/embeddings"):
		mock.JSON(`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.6,0.8]}],"usage":{"prompt_tokens":2}}`)(x)
	case strings.HasSuffix(x.URI, "/completions") && !strings.HasSuffix(x.URI, "/chat/completions"):
		mock.JSON(`{"choices":[{"index":0,"text":"fine","finish_reason":"stop"}]}`)(x)
	case strings.HasSuffix(x.URI, "/rerank"):
		mock.JSON(`{"results":[{"index":0,"relevance_score":0.5}]}`)(x)
	case strings.HasSuffix(x.URI, "/images/generations"):
		mock.JSON(`{"created":1,"data":[{"b64_json":"QQ=="}]}`)(x)
	default:
		says("fine")(x)
	}
}

// TestWhatIsTooLongGoesToALargerTarget: a server's way to say that a request is too long leads to
// a target that takes more, in every API, and counts against nobody.
func TestWhatIsTooLongGoesToALargerTarget(t *testing.T) {
	asks := map[string]string{
		"/v1/embeddings":       `{"model":"m","input":"a"}`,
		"/v1/completions":      `{"model":"m","prompt":"a"}`,
		"/v1/chat/completions": answerOfM,
		"/v1/messages":         `{"model":"m","max_tokens":16,"messages":[{"role":"user","content":"a"}]}`,
	}
	for name, tc := range map[string]struct {
		answer mock.Answer
		words  string // how the error of the Messages API begins
	}{
		"vLLM": {mock.Whole(400, "application/json", `{"error":{"message":"You passed 600 input tokens and requested 16 output tokens. However, the model's context length is only 512 tokens, resulting in a maximum input length of 496 tokens.","type":"BadRequestError","param":"input_tokens","code":400}}`), "prompt is too long: 600 tokens > 512 maximum"},
		"TEI":  {mock.Whole(413, "application/json", "{\"error\":\"Input validation error: `inputs` must have less than 512 tokens. Given: 600\"}"), "prompt is too long: 600 tokens > 512 maximum"},
		"llama.cpp": {mock.Whole(500, "application/json", `{"error":{"code":500,"message":"input (600 tokens) is too large to process. increase the physical batch size (current batch size: 512)","type":"server_error"}}`),
			"prompt is too long: 600 tokens > 512 maximum"},
		"OpenAI": {mock.Whole(400, "application/json", `{"error":{"message":"Invalid 'input[0]': maximum input length is 8192 tokens.","type":"invalid_request_error","param":null,"code":null}}`), "prompt is too long: "},
	} {
		t.Run(name, func(t *testing.T) {
			small, large := mock.Start(t, tc.answer), mock.Start(t, severalKinds)
			g := newGateway(t, fmt.Sprintf(`
providers:
  small: {plugin: openai, base_url: %q, api_key: a}
  large: {plugin: openai, base_url: %q, api_key: b}
model_mapping:
  m: {targets: [{provider: small, model: s, context: 1k}, {provider: large, model: l, tier: 2, context: 128k}]}
  alone: {targets: [{provider: small, model: s, context: 1k}]}
`, small.URL, large.URL))
			for path, body := range asks {
				for range 4 {
					if res, answer := g.postTo(t, path, "", body); res.StatusCode != 200 {
						t.Errorf("%s: %d %s", path, res.StatusCode, answer)
					}
				}
				res, answer := g.postTo(t, path, "", strings.Replace(body, `"m"`, `"alone"`, 1))
				want := `"code":"context_length_exceeded"`
				if path == "/v1/messages" {
					want = `"message":"` + tc.words
				}
				if res.StatusCode != 400 || !strings.Contains(answer, want) {
					t.Errorf("%s, alone: %d %s, want %s", path, res.StatusCode, answer, want)
				}
			}
			if n := len(small.Requests()); n != 5*len(asks) {
				t.Errorf("the small one was asked %d times, want %d: something is counted against it", n, 5*len(asks))
			}
		})
	}
}

// TestWhatAModelLacksTakesNothingFromChats: a request for what a model doesn't have, or what the
// gateway's account may not do with it, goes to the next target, and chats to the first one still.
func TestWhatAModelLacksTakesNothingFromChats(t *testing.T) {
	const (
		embeddings, completions, rerank, images = "/v1/embeddings", "/v1/completions", "/v1/rerank", "/v1/images/generations"

		lacks = `"param":"model","code":"unsupported_operation"`
	)
	asks := map[string]string{
		embeddings: `{"model":"m","input":"a"}`, completions: `{"model":"m","prompt":"a"}`,
		rerank: `{"model":"m","query":"q","documents":["a"]}`, images: `{"model":"m","prompt":"a"}`,
	}
	chats := map[string]mock.Answer{
		"openai": says("well"), "openrouter": says("well"),
		"gemini": mock.JSON(`{"candidates":[{"content":{"parts":[{"text":"well"}]},"finishReason":"STOP"}]}`),
		"ollama": mock.JSON(`{"message":{"role":"assistant","content":"well"},"done":true,"done_reason":"stop"}`),
	}
	for name, tc := range map[string]struct {
		plugin, path string
		status       int
		body         string
		asked        int    // how often, of three times, until it is left alone in that
		alone        int    // what the client gets where no other target is
		says         string // in that
		all          bool   // it is left alone in everything
	}{
		"OpenAI: no model for embeddings": {"openai", embeddings, 403, `{"error":{"message":"You are not allowed to generate embeddings from this model","type":"invalid_request_error","param":null,"code":null}}`, 3, 400, lacks, false},
		"OpenAI: a chat model":            {"openai", completions, 404, `{"error":{"message":"This is a chat model and not supported in the v1/completions endpoint. Did you mean to use v1/chat/completions?","type":"invalid_request_error","param":"model","code":null}}`, 3, 400, lacks, false},
		"Azure: another operation":        {"openai", embeddings, 400, `{"error":{"code":"OperationNotSupported","message":"The embeddings operation does not work with the specified model, gpt-x. Please choose different model and try again."}}`, 3, 400, lacks, false},
		"vLLM: a chat model":              {"openai", embeddings, 400, `{"object":"error","message":"The model does not support Embeddings API","type":"BadRequestError","param":null,"code":400}`, 3, 400, lacks, false},
		"vLLM: no such path":              {"openai", embeddings, 404, `{"detail":"Not Found"}`, 3, 400, lacks, false},
		"vLLM: no path to rank":           {"openai", rerank, 404, `{"detail":"Not Found"}`, 3, 400, lacks, false},
		"llama.cpp: started otherwise":    {"openai", embeddings, 501, "{\"error\":{\"code\":501,\"message\":\"This server does not support embeddings. Start it with `--embeddings`\",\"type\":\"not_supported_error\"}}", 3, 400, lacks, false},
		"llama.cpp: to rank, too":         {"openai", rerank, 501, "{\"error\":{\"code\":501,\"message\":\"This server does not support reranking. Start it with `--reranking`\",\"type\":\"not_supported_error\"}}", 3, 400, lacks, false},
		"Gemini: a chat model":            {"gemini", embeddings, 404, `{"error":{"code":404,"message":"models/gemini-x is not found for API version v1beta, or is not supported for embedContent. Call ListModels to see the list.","status":"NOT_FOUND"}}`, 3, 400, lacks, false},
		"OpenRouter: a chat model":        {"openrouter", embeddings, 404, `{"error":{"message":"No endpoints found that support embeddings for x/y","code":404}}`, 3, 400, lacks, false},
		"Ollama: a chat model":            {"ollama", embeddings, 501, `{"error":"this model does not support embeddings"}`, 3, 400, lacks, false},
		"Ollama: a model for embeddings":  {"ollama", completions, 400, `{"error":"\"nomic\" does not support generate"}`, 3, 400, lacks, false},

		"OpenAI: not verified":         {"openai", images, 403, "{\"error\":{\"message\":\"Your organization must be verified to use the model `gpt-image-1`.\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}", 1, 502, `"code":"upstream_auth"`, false},
		"a right that was taken away":  {"openai", embeddings, 403, `{"error":{"message":"You may not do that.","type":"permission_error"}}`, 1, 502, `"code":"upstream_auth"`, false},
		"Gemini: a right, too":         {"gemini", embeddings, 403, `{"error":{"code":403,"message":"The caller does not have permission.","status":"PERMISSION_DENIED"}}`, 1, 502, `"code":"upstream_auth"`, false},
		"a model that isn't there":     {"openai", completions, 404, "{\"error\":{\"message\":\"The model `x` does not exist\",\"code\":\"model_not_found\"}}", 1, 404, `"code":"model_not_found"`, false},
		"a server that fails at it":    {"openai", embeddings, 500, `{"error":{"message":"no"}}`, 3, 502, `"code":"upstream_error"`, false},
		"a status that nobody expects": {"openai", rerank, 501, `{"error":{"message":"no"}}`, 3, 502, `"code":"upstream_error"`, false},

		"a wrong key": {"openai", embeddings, 401, `{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}`, 1, 502, `"code":"upstream_auth"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			one, two := mock.Start(t, nil), mock.Start(t, severalKinds)
			var asked int
			one.Answer(func(x *mock.Exchange) {
				if strings.Contains(x.URI, "chat") || strings.Contains(x.URI, "generateContent") {
					chats[tc.plugin](x)
					return
				}
				asked++
				mock.Whole(tc.status, "application/json", tc.body)(x)
			})
			g := newGateway(t, fmt.Sprintf(`
providers:
  one: {plugin: %s, base_url: %q, api_key: a}
  two: {plugin: openai, base_url: %q, api_key: b}
model_mapping:
  m: {targets: [{provider: one, model: x}, {provider: two, model: y, tier: 2}]}
  alone: {targets: [{provider: one, model: x}]}
`, tc.plugin, one.URL, two.URL))
			for range 3 {
				if res, answer := g.postTo(t, tc.path, "", asks[tc.path]); res.StatusCode != 200 {
					t.Errorf("%d %s, where another target is", res.StatusCode, answer)
				}
			}
			if asked != tc.asked {
				t.Errorf("the first target was asked %d times, want %d", asked, tc.asked)
			}
			if _, answer := g.post(t, answerOfM); (textOf(answer) == "well") == tc.all {
				t.Errorf("the chat got %s", answer)
			}
			res, answer := g.postTo(t, tc.path, "", strings.Replace(asks[tc.path], `"m"`, `"alone"`, 1))
			if res.StatusCode != tc.alone || !strings.Contains(answer, tc.says) {
				t.Errorf("alone: %d %s, want %d with %s", res.StatusCode, answer, tc.alone, tc.says)
			}
			states, only := g.host.Targets(), strings.TrimSuffix(strings.TrimPrefix(tc.path, "/v1/"), "/generations")
			if cools := tc.alone != 400; (states[0].State == "cooling") != cools || cools && (states[0].Only == only) == tc.all {
				t.Errorf("its state is %+v", states[0])
			}
		})
	}
}

// TestTrapARightThatIsMissingTakesNoOtherModel: a 403 says what the gateway's account may do with
// a model, which a client may have named, so the provider's other models are asked as before. A
// key that is refused concerns all of them.
func TestTrapARightThatIsMissingTakesNoOtherModel(t *testing.T) {
	for name, tc := range map[string]struct {
		plugin string
		status int
		body   string
		all    bool // the other models are left alone, too
	}{
		"OpenAI: no access":     {"openai", 403, `{"error":{"message":"You are not allowed to sample from this model","type":"invalid_request_error","param":null,"code":null}}`, false},
		"OpenAI: another key":   {"openai", 401, `{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}`, true},
		"Anthropic: no access":  {"anthropic", 403, `{"type":"error","error":{"type":"permission_error","message":"Your API key does not have permission to use the specified resource."}}`, false},
		"Anthropic: wrong key":  {"anthropic", 401, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`, true},
		"OpenRouter: no access": {"openrouter", 403, `{"error":{"code":403,"message":"You do not have access to this model."}}`, false},
	} {
		for alias, asks := range map[string][2]string{"by aliases": {"x", "z"}, "by names of clients": {"any/x", "any/z"}} {
			t.Run(name+", "+alias, func(t *testing.T) {
				one, two := mock.Start(t, nil), mock.Start(t, says("two"))
				one.Answer(func(x *mock.Exchange) {
					if strings.Contains(x.Body, `"model":"x"`) {
						mock.Whole(tc.status, "application/json", tc.body)(x)
						return
					}
					if tc.plugin == "anthropic" {
						mock.JSON(`{"id":"a","type":"message","role":"assistant","model":"z","content":[{"type":"text","text":"one"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}`)(x)
						return
					}
					says("one")(x)
				})
				g := newGateway(t, fmt.Sprintf(`
providers:
  one: {plugin: %s, base_url: %q, api_key: a}
  two: {plugin: openai, base_url: %q, api_key: b}
model_mapping:
  x: {targets: [{provider: one, model: x}, {provider: two, model: y, tier: 2}]}
  z: {targets: [{provider: one, model: z}, {provider: two, model: y, tier: 2}]}
  any/*: {targets: [{provider: one, model: "*"}, {provider: two, model: "*", tier: 2}]}
`, tc.plugin, one.URL, two.URL))
				asked := func(model string) string {
					_, answer := g.post(t, strings.Replace(answerOfM, `"m"`, `"`+model+`"`, 1))
					return textOf(answer)
				}
				for range 2 {
					if got := asked(asks[0]); got != "two" {
						t.Errorf("what one refuses is answered by %q", got)
					}
				}
				if n := len(one.Requests()); n != 1 {
					t.Errorf("it was asked %d times for what it refuses, want once", n)
				}
				want := map[bool]string{false: "one", true: "two"}[tc.all]
				if got := asked(asks[1]); got != want {
					t.Errorf("its other model is answered by %q, want %q", got, want)
				}
			})
		}
	}
}
