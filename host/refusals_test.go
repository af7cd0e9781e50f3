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
