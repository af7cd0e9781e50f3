package host_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestTrapAKeyIsSeenBeyondItsHeader sends keys in every way, right and wrong, and looks
// for them and their digests in what the upstream was asked, in answers, and in the log.
func TestTrapAKeyIsSeenBeyondItsHeader(t *testing.T) {
	up := mock.Start(t, says("hello"))
	g, _ := configured(t, fmt.Sprintf(`
providers: {up: {plugin: openai, base_url: %q, api_key: of-the-upstream}}
model_mapping: {m: {provider: up, model: m}}
auth:
  enabled: true
  api_keys: [{name: right, key: canary-right}, {name: gone, key: canary-gone, disabled: true}]
`, up.URL))
	keys := []string{"canary-right", "canary-gone", "canary-wrong", "sk-kai-" + strings.Repeat("canary", 6) + "ca"}
	seen := ""
	for _, key := range keys {
		for _, path := range []string{"/v1/chat/completions", "/v1/messages", "/v1/responses"} {
			body := answerOfM
			if path == "/v1/responses" {
				body = `{"model":"m","input":"x"}`
			}
			for _, header := range []string{"Authorization: Bearer ", "X-Api-Key: "} {
				status, answer := g.send(t, "POST", path, body, header+key, "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
				if status == http.StatusOK && key != "canary-right" {
					t.Errorf("%s lets %s in", path, key)
				}
				seen += answer
			}
		}
	}
	if len(up.Requests()) == 0 {
		t.Fatal("nothing reached the upstream")
	}
	for _, r := range up.Requests() {
		seen += fmt.Sprint(r.URI, r.Header, r.Body)
	}
	seen += g.log.String()
	for _, key := range keys {
		digest := sha256.Sum256([]byte(key))
		for _, trace := range []string{key, hex.EncodeToString(digest[:8])} {
			if strings.Contains(seen, trace) {
				t.Errorf("%s is seen beyond its header", trace)
			}
		}
	}
	for _, name := range []string{`"key":"right"`, `"key":"gone"`} { // who is refused is told to the operator
		if !strings.Contains(g.log.String(), name) {
			t.Errorf("the log has no %s", name)
		}
	}
}

// TestTrapARevokedKeyLivesOn takes keys away while a request of theirs runs.
func TestTrapARevokedKeyLivesOn(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	up := mock.Start(t, func(x *mock.Exchange) {
		x.Head(200, "text/event-stream")
		x.Send("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one \"}}]}\n\n")
		close(begun)
		x.Wait(finish)
		x.Send("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	})
	providers := fmt.Sprintf("providers: {up: {plugin: openai, base_url: %q, api_key: x}}\nmodel_mapping: {m: {provider: up, model: m}, demo: {provider: demo, model: demo}}\n", up.URL)
	end := testkit.Time.Add(time.Hour).UTC().Format(time.RFC3339)
	g, clock := configured(t, providers+"auth: {enabled: true, api_keys: [{name: stays, key: stays}, {name: goes, key: goes}, {name: ends, key: ends, expires: "+end+"}]}\n")
	ask := `{"model":"demo","messages":[{"role":"user","content":"x"}]}`
	wants := func(when, key string, want int) {
		t.Helper()
		if res, answer := g.postAs(t, key, ask); res.StatusCode != want {
			t.Errorf("%s, %s gets %d %s, want %d", when, key, res.StatusCode, answer, want)
		}
	}
	running := make(chan string)
	go func() {
		_, answer := g.postAs(t, "goes", `{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}`)
		running <- answer
	}()
	<-begun
	wants("before", "goes", 200)
	wants("before", "ends", 200)
	revoked := parse(t, providers+"auth: {enabled: true, api_keys: [{name: stays, key: stays}, {name: ends, key: ends, expires: "+end+"}]}\n")
	if err := g.host.Swap(t.Context(), revoked, testkit.Module); err != nil {
		t.Fatal(err)
	}
	wants("after the reload", "goes", 401)
	wants("after the reload", "stays", 200)
	close(finish)
	if answer := <-running; !strings.Contains(answer, "one ") || !strings.Contains(answer, "[DONE]") {
		t.Errorf("what ran already was cut: %s", answer)
	}
	wants("when its request has ended", "goes", 401)
	clock.pass(time.Hour)
	wants("when it expires, without a reload", "ends", 401)
	if _, answer := g.postAs(t, "ends", ask); !strings.Contains(answer, "expired on "+end) {
		t.Errorf("who has the key is not told why: %s", answer)
	}
}

// TestTrapAKeyIsUnlimitedByAccident asks every path for what a key may not do.
func TestTrapAKeyIsUnlimitedByAccident(t *testing.T) {
	g, _ := configured(t, `
model_mapping: {demo: {provider: demo, model: demo}, other: {provider: demo, model: demo}, alias: {targets: [{alias: other}]}}
auth:
  enabled: true
  groups: {g: {models: [demo, alias]}}
  api_keys: [{name: few, key: few, group: g}, {name: "off", key: "off", disabled: true}]
`)
	for path, body := range map[string]string{
		"/v1/chat/completions":      `{"model":%q,"messages":[{"role":"user","content":"x"}]}`,
		"/v1/messages":              `{"model":%q,"max_tokens":5,"messages":[{"role":"user","content":"x"}]}`,
		"/v1/messages/count_tokens": `{"model":%q,"messages":[{"role":"user","content":"x"}]}`,
		"/v1/responses":             `{"model":%q,"input":"x"}`,
		"/v1/embeddings":            `{"model":%q,"input":"x"}`,
	} {
		for _, key := range []string{"", "off", "wrong"} {
			if res, answer := g.postTo(t, path, key, fmt.Sprintf(body, "demo")); res.StatusCode != 401 {
				t.Errorf("%s with key %q: %d %s", path, key, res.StatusCode, answer)
			}
		}
		for _, alias := range []string{"other", "alias"} { // the second leads to the first
			if res, answer := g.postTo(t, path, "few", fmt.Sprintf(body, alias)); res.StatusCode != 403 {
				t.Errorf("%s with the model %q: %d %s", path, alias, res.StatusCode, answer)
			}
		}
	}
	for _, path := range []string{"/v1/models", "/v1/models/demo", "/v1/responses/resp_1", "/v1/nothing"} {
		if status, answer := g.send(t, "GET", path, "", "Authorization: Bearer off"); status != 401 {
			t.Errorf("GET %s with a disabled key: %d %s", path, status, answer)
		}
	}
	if _, answer := g.send(t, "GET", "/v1/models", "", "Authorization: Bearer few"); strings.Contains(answer, "other") || !strings.Contains(answer, `"demo"`) {
		t.Errorf("the list of models shows %s", answer)
	}
}
