package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// madeAnswer is a response that its provider keeps, with a container in it.
const madeAnswer = `{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"gpt-x","output":[` +
	`{"id":"ci_1","type":"code_interpreter_call","status":"completed","container_id":"cntr_1","code":"1","outputs":[]},` +
	`{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hi","annotations":[]}]}],` +
	`"usage":{"input_tokens":9,"output_tokens":2,"total_tokens":11}}`

// TestAKillLeavesWhatIsWhose kills a gateway after an answer told its client ids: after the next
// start, they are still that client's, and don't exist for another one, also when the key was
// taken out of the configuration in between.
func TestAKillLeavesWhatIsWhose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	up := mock.Start(t, mock.JSON(madeAnswer))
	yaml := func(keys string) string {
		return fmt.Sprintf(`
auth: {enabled: true, api_keys: [%s{name: b, key: key-b}]}
providers: {own: {plugin: openai, base_url: %q, api_key: sk-canary-upstream, native: true}}
model_mapping: {m: {provider: own, model: gpt-x}}
ledger: %q
`, keys, up.URL, path)
	}
	send := func(p *process, key, method, path, body string) int {
		t.Helper()
		req, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		io.Copy(io.Discard, res.Body)
		return res.StatusCode
	}
	check := func(p *process, key string, want int, what string) {
		t.Helper()
		for _, r := range [][3]string{
			{"POST", "/responses", `{"model":"m","input":"more","previous_response_id":"resp_1"}`},
			{"POST", "/responses", `{"model":"m","input":"more","tools":[{"type":"code_interpreter","container":"cntr_1"}]}`},
			{"GET", "/responses/resp_1", ""},
		} {
			got := send(p, key, r[0], r[1], r[2])
			if got == 400 && want == 404 && strings.Contains(r[2], "previous") {
				got = 404 // as OpenAI has it of a previous_response_id
			}
			if got != want {
				t.Errorf("%s, %s %s %s with %s: %d, want %d", what, r[0], r[1], r[2], key, got, want)
			}
		}
	}
	const keyA = "{name: a, key: key-a}, "
	p := start(t, yaml(keyA))
	if status := send(p, "key-a", "POST", "/responses", `{"model":"m","input":"canary prompt"}`); status != 200 {
		t.Fatal(status)
	}
	content := func() []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	eventually(t, "the ids are written", func() bool {
		for name, value := range written(t, path, "made 1") {
			if strings.Contains(name+string(value), "cntr_1") {
				return true
			}
		}
		return false
	})
	if bytes.Contains(content(), []byte("canary")) || bytes.Contains(content(), []byte(up.URL)) {
		t.Error("the ledger has what is nobody's business")
	}
	p.signal(syscall.SIGKILL)
	p.wait()

	p = start(t, yaml(keyA))
	check(p, "key-b", 404, "after a kill")
	check(p, "key-a", 200, "after a kill")
	p.signal(syscall.SIGKILL)
	p.wait()

	p = start(t, yaml(""))
	check(p, "key-a", 401, "without its key")
	check(p, "key-b", 404, "without its key")
	p.signal(syscall.SIGTERM)
	p.wait()

	check(start(t, yaml(keyA)), "key-a", 200, "with its key again")
}
