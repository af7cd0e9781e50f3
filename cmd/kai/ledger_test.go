package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/limit/ledger"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// aDaysRequests is what the key of ledgerYAML may ask in a day.
const aDaysRequests = 1_000_000

// ledgerYAML is a configuration that counts the requests of a key in a ledger.
func ledgerYAML(path string) string {
	return fmt.Sprintf(`
model_mapping:
  m: {provider: demo, model: demo, price: {input: 1, output: 1}}
providers:
  demo: {plugin: demo}
auth:
  enabled: true
  api_keys:
    - {name: app, key: test-key, limits: {requests: %d/d}, budget: {month: 1000000}}
ledger: %q
`, aDaysRequests, path)
}

// used asks once and tells how many requests of the key have been counted, this one
// among them. It is 0 if the gateway gave no answer.
func (p *process) used() int {
	req, err := http.NewRequest("POST", p.url+"/chat/completions", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer test-key")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	left, err := strconv.Atoi(res.Header.Get("X-Ratelimit-Remaining-Requests"))
	if err != nil || res.StatusCode != 200 {
		p.t.Errorf("status %d, remaining %q", res.StatusCode, res.Header.Get("X-Ratelimit-Remaining-Requests"))
	}
	return aDaysRequests - left
}

// TestAKillLosesNothingThatWasWritten kills a gateway in the middle of requests, again
// and again: the file stays whole, and what it had before the last write is counted on.
func TestAKillLosesNothingThatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	yaml := ledgerYAML(path)
	before := 0
	for round := range 3 {
		p := start(t, yaml)
		first := p.used()
		if first <= before {
			t.Fatalf("round %d: %d requests are counted; want more than the %d that were written before the kill", round, first, before)
		}
		counted := first
		for range 20 {
			counted = p.used()
		}
		// What is counted now is written with the second write that ends after it: the first
		// may have begun before. A write changes the file twice, and counts with the last byte.
		const count = "key app requests 24h0m0s"
		for range 2 {
			var at []byte
			eventually(t, "the ledger has a count", func() bool { at = written(t, path, "counts 1")[count]; return at != nil })
			eventually(t, "the ledger is written", func() bool {
				p.used()
				now := written(t, path, "counts 1")[count]
				return now != nil && !bytes.Equal(now, at)
			})
		}
		before = counted
		asking := make(chan int)
		go func() {
			last := 0
			for n := p.used(); n > 0; n = p.used() {
				last = n
			}
			asking <- last
		}()
		time.Sleep(time.Duration(round) * 137 * time.Millisecond) // at another moment of the writer's second
		p.signal(syscall.SIGKILL)
		p.wait()
		if last := <-asking; last != 0 && last < before {
			t.Errorf("round %d: the last answer counts %d requests, an earlier one %d", round, last, before)
		}
	}
	if last := start(t, yaml).used(); last <= before {
		t.Errorf("%d requests are counted; want more than %d", last, before)
	}
}

// TestAKillLeavesTheInputOfWhatRan kills a gateway while a stream runs that has reserved a
// whole budget and most of a limit. What its input will cost is left of it, and nothing of
// what its answer might have.
func TestAKillLeavesTheInputOfWhatRan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	up := mock.Start(t, mock.Steps(mock.SSE("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"), mock.Hang))
	const limit, output = 8000, 5000
	yaml := fmt.Sprintf(`
model_mapping: {m: {provider: openai, model: small, price: {input: 1, output: 1000}}}
providers: {openai: {base_url: %q, api_key: k}}
auth: {enabled: true, api_keys: [{name: app, key: test-key, limits: {tokens: %d/d}, budget: {total: 5}}]}
ledger: %q
`, up.URL, limit, path)
	// ask begins a stream, and tells how many tokens of the limit are left while it runs.
	ask := func(p *process) int {
		t.Helper()
		body := fmt.Sprintf(`{"model":"m","stream":true,"max_tokens":%d,"messages":[{"role":"user","content":"hi"}]}`, output)
		req, err := http.NewRequestWithContext(t.Context(), "POST", p.url+"/chat/completions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer test-key")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		left, err := strconv.Atoi(res.Header.Get("X-Ratelimit-Remaining-Tokens"))
		if err != nil || res.StatusCode != 200 {
			text, _ := io.ReadAll(res.Body)
			t.Fatalf("status %d, %s", res.StatusCode, text)
		}
		return left
	}
	p := start(t, yaml)
	input := limit - output - ask(p)
	if input <= 0 {
		t.Fatalf("the input is estimated as %d tokens", input)
	}
	eventually(t, "the ledger has the request", func() bool { return written(t, path, "counts 1")["key app tokens 24h0m0s"] != nil })
	p.signal(syscall.SIGKILL)
	p.wait()
	if left, want := ask(start(t, yaml)), limit-output-2*input; left != want {
		t.Errorf("after the kill %d tokens are left beside one such stream, want %d", left, want)
	}
}

// written is what is for good in a set of a ledger that a gateway has open. It is nil if the
// gateway wrote meanwhile.
func written(t *testing.T, path, set string) map[string][]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	copied := filepath.Join(filepath.Dir(path), "copy.db")
	if err == nil {
		err = os.WriteFile(copied, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	file, all, err := ledger.Open(copied, set)
	if err != nil {
		return nil
	}
	file.Close()
	return all[0]
}

// TestAnEndLosesNothing ends a gateway as a service manager does: each request is counted
// by the next one.
func TestAnEndLosesNothing(t *testing.T) {
	yaml := ledgerYAML(filepath.Join(t.TempDir(), "ledger.db"))
	p := start(t, yaml)
	for range 5 {
		p.used()
	}
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Fatalf("it ended with %d", code)
	}
	if n := start(t, yaml).used(); n != 6 {
		t.Errorf("%d requests are counted; want 6", n)
	}
}

// TestALedgerHasOneProcess starts a second gateway with the ledger of the first, which is
// refused with a way out and harms nothing.
func TestALedgerHasOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	yaml := ledgerYAML(path)
	p := start(t, yaml)
	p.used()
	file := filepath.Join(t.TempDir(), "kai.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := kaiCommand(t, p.cmd.Path, nil, "serve", "--config", file, "--port", "0")
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 2 {
		t.Errorf("the second gateway ended with %d, want 2:\n%s", cmd.ProcessState.ExitCode(), out)
	}
	for _, part := range []string{path, "another process has it open", "each gateway needs a file of its own"} {
		if !strings.Contains(string(out), part) {
			t.Errorf("the second gateway does not say %q:\n%s", part, out)
		}
	}
	if n := p.used(); n != 2 {
		t.Errorf("%d requests are counted by the first; want 2", n)
	}
}
