package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// soundGateway serves models with prices, to a key with a budget and to one without.
func soundGateway(t testing.TB, up *mock.Upstream) *gateway {
	t.Helper()
	return newGateway(t, fmt.Sprintf(`
providers: {oa: {plugin: openai, base_url: "%s/v1", api_key: k}}
model_mapping:
  whisper: {provider: oa, model: whisper-1, price: {input: 0, output: 0, audio_hour: 0.36}}
  tokens: {provider: oa, model: gpt-4o-transcribe, price: {input: 2.5, output: 10, audio_hour: 0}}
  unpriced: {provider: oa, model: whisper-1, price: {input: 2.5, output: 10}}
  free: {provider: oa, model: whisper-1, price: free}
auth:
  enabled: true
  api_keys:
    - {name: a, key: key-a, budget: {day: 0.015}}
    - {name: b, key: key-b}
`, up.URL))
}

// TestBudgetsPayForSound: what is billed by its length is paid out of the budget, and nothing
// is transcribed that a budget can't pay for.
func TestBudgetsPayForSound(t *testing.T) {
	const hundred = `{"text":"Hello","usage":{"type":"duration","seconds":100}}` // costs 0.01
	counted := mock.JSON(`{"text":"Hello","usage":{"type":"tokens","input_tokens":1000,"output_tokens":1000}}`)
	for name, tc := range map[string]struct {
		model, key string
		file       string
		answer     mock.Answer
		statuses   []int // of requests one after the other
		logs       string
	}{
		"by its length":         {"whisper", "key-a", "ID3", mock.JSON(hundred), []int{200, 200, 429}, `"audio_seconds":100`},
		"of a verbose answer":   {"whisper", "key-a", "ID3", mock.JSON(`{"text":"Hello","duration":"100.0"}`), []int{200, 200, 429}, `"audio_seconds":100`},
		"by tokens":             {"tokens", "key-a", "ID3", counted, []int{200, 200, 429}, `"prompt_tokens":1000`},
		"of which nobody tells": {"whisper", "key-a", strings.Repeat("x", 400_000), mock.Whole(200, "text/vtt", "WEBVTT"), []int{200, 429}, `"estimated":true`},
		"in events": {
			"whisper", "key-a", "ID3", mock.SSE("data: {\"type\":\"transcript.text.delta\",\"delta\":\"Hello\"}\n\n", `data: {"type":"transcript.text.done","text":"Hello","usage":{"type":"duration","seconds":100}}`+"\n\n"),
			[]int{200, 200, 429}, `"audio_seconds":100`,
		},
		"for nothing":              {"free", "key-a", "ID3", mock.JSON(hundred), []int{200, 200, 200}, `"audio_seconds":100`},
		"without a price":          {"unpriced", "key-a", "ID3", mock.JSON(hundred), []int{400}, "audio_hour"},
		"without a budget":         {"unpriced", "key-b", "ID3", mock.JSON(hundred), []int{200, 200, 200}, `"audio_seconds":100`},
		"a length that can't be":   {"whisper", "key-a", "ID3", mock.JSON(`{"text":"Hello","usage":{"seconds":-5}}`), []int{200, 200, 200}, `"estimated":true`},
		"a length that nobody has": {"whisper", "key-a", strings.Repeat("x", 400_000), mock.JSON(`{"text":"Hello","usage":{"seconds":1e99}}`), []int{200, 429}, `"estimated":true`},
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, tc.answer)
			g := soundGateway(t, up)
			more := ""
			if name == "in events" {
				more = fieldOf("stream", "true")
			}
			for i, want := range tc.statuses {
				res, answer := g.postForm(t, transcriptions, tc.key, formOf, transcribe(tc.model, more, tc.file))
				if res.StatusCode != want {
					t.Fatalf("request %d: the client got %d %s, want %d", i+1, res.StatusCode, answer, want)
				}
				if want == 429 && !strings.Contains(answer, "budget_exceeded") || want == 400 && !strings.Contains(answer, "audio_hour") {
					t.Errorf("request %d: the client got %s", i+1, answer)
				}
			}
			if !strings.Contains(g.log.String(), tc.logs) {
				t.Errorf("the log has no %s: %s", tc.logs, g.log)
			}
		})
	}
}
