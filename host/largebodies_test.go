package host_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestLargeBodiesStayApart: 200 clients at once send large requests that all differ, and whose
// first target refuses them. What upstreams and clients get is never another one's. The
// buffers that the gateway uses again are poisoned meanwhile, see testkit.
func TestLargeBodiesStayApart(t *testing.T) {
	up := mock.Start(t, func(x *mock.Exchange) {
		if strings.HasPrefix(x.URI, "/busy") {
			mock.Whole(503, "application/json", `{"error":{"message":"busy"}}`)(x)
			return
		}
		var asked struct {
			Stream   bool
			Messages []struct{ Content string }
		}
		if err := json.Unmarshal([]byte(x.Body), &asked); err != nil || len(asked.Messages) != 2 {
			t.Errorf("the upstream got %d bytes that are no request: %v", len(x.Body), err)
			mock.Status(500)(x)
			return
		}
		says(asked.Messages[0].Content + asked.Messages[1].Content)(x)
	})
	g := newGateway(t, fmt.Sprintf(`
server: {max_memory: 1GiB}
providers:
  busy: {plugin: openai, base_url: "%[1]s/busy/v1", api_key: k}
  good: {plugin: openai, base_url: "%[1]s/good/v1", api_key: k}
model_mapping:
  m:
    targets:
      - {provider: busy, model: m}
      - {provider: good, model: m, tier: 2}
`, up.URL))
	paths := map[string]string{
		"/v1/chat/completions": `{"model":"m","messages":[{"role":"user","content":%q},{"role":"assistant","content":%q}]}`,
		"/v1/messages":         `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":%q},{"role":"assistant","content":%q}]}`,
		"/v1/responses":        `{"model":"m","input":[{"role":"user","content":%q},{"role":"assistant","content":%q}]}`,
	}
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			mark := fmt.Sprintf("client %d's\n\"text\" ", i)
			long, short := strings.Repeat(mark, 2000+100*(i%17)), strings.Repeat(mark, 3)
			for path, body := range paths {
				if i%3 == 0 && path != "/v1/chat/completions" {
					continue
				}
				body = fmt.Sprintf(body, long, short)
				if i%2 == 0 {
					body = strings.Replace(body, "{", `{"stream":true,`, 1)
				}
				res, answer := g.postTo(t, path, "", body)
				want, _ := json.Marshal(long + short)
				if res.StatusCode != http.StatusOK || !strings.Contains(answer, string(want[1:len(want)-1])) {
					t.Errorf("client %d at %s: status %d, and an answer of %d bytes that is not its own: %.200s", i, path, res.StatusCode, len(answer), answer)
				}
			}
		})
	}
	all.Wait()
}
