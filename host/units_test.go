package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestBudgetsPayForPicturesAndSpeech: what is billed by the picture or by the character is paid out
// of the budget, and nothing is made that a budget can't pay for.
func TestBudgetsPayForPicturesAndSpeech(t *testing.T) {
	const images = "/v1/images/generations"
	two := `{"model":"%s","prompt":"p","n":2}`
	said := `{"model":"%s","input":"` + strings.Repeat(`a\u00e9\n€`, 1000) + `","voice":"alloy"}`
	drawn, counted := mock.JSON(`{"data":[{"url":"u"},{"url":"v"}]}`), mock.JSON(`{"data":[{"b64_json":"AA=="}],"usage":{"input_tokens":0,"output_tokens":5000}}`)
	for name, tc := range map[string]struct {
		path, model, key, asked string
		answer                  mock.Answer
		statuses                []int // of requests one after the other
		says, logs              string
	}{
		"by the picture":                  {images, "units", "key-a", two, drawn, []int{200, 429}, "budget_exceeded", `"pictures":2,"estimated":true,"cost":0.08`},
		"by the picture, if tokens are 0": {images, "units", "key-a", two, counted, []int{200, 429}, "budget_exceeded", `"pictures":2,"cost":0.08`},
		"by the character":                {speech, "units", "key-a", said, mock.Whole(200, "audio/mpeg", "ID3"), []int{200, 429}, "budget_exceeded", `"characters":4000,"estimated":true,"cost":0.06`},
		"by tokens":                       {images, "tokens", "key-a", two, counted, []int{200, 200, 429}, "budget_exceeded", `"completion_tokens":5000,"pictures":2,"cost":0.05`},
		"pictures without a price":        {images, "unpriced", "key-a", two, drawn, []int{400}, "price.image", ""},
		"speech without a price":          {speech, "unpriced", "key-a", said, mock.Whole(200, "audio/mpeg", "ID3"), []int{400}, "price.speech", ""},
		"without a budget":                {images, "unpriced", "key-b", two, drawn, []int{200, 200, 200}, "", `"pictures":2`},
		"for nothing":                     {images, "free", "key-a", two, drawn, []int{200, 200, 200}, "", `"pictures":2`},
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, tc.answer)
			g := newGateway(t, fmt.Sprintf(`
providers: {oa: {plugin: openai, base_url: "%s/v1", api_key: k}}
model_mapping:
  units: {provider: oa, model: m, price: {input: 0, output: 0, image: 0.04, speech: 15}}
  tokens: {provider: oa, model: m, price: {input: 1, output: 10, image: 0, speech: 0}}
  unpriced: {provider: oa, model: m, price: {input: 1, output: 10}}
  free: {provider: oa, model: m, price: free}
auth:
  enabled: true
  api_keys:
    - {name: a, key: key-a, budget: {day: 0.09}}
    - {name: b, key: key-b}
`, up.URL))
			for i, want := range tc.statuses {
				if res, answer := g.postTo(t, tc.path, tc.key, as(tc.asked, tc.model)); res.StatusCode != want || want != 200 && !strings.Contains(answer, tc.says) {
					t.Fatalf("request %d: the client got %d %s, want %d", i+1, res.StatusCode, answer, want)
				}
			}
			if !strings.Contains(g.log.String(), tc.logs) {
				t.Errorf("the log has no %s: %s", tc.logs, g.log)
			}
		})
	}
}
