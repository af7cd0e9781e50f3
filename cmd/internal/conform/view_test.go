package conform_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/cmd/internal/conform"
	"github.com/kai-gateway/kai/internal/testkit"
)

// TestKitChecksViews has the kit write what clients of the other APIs get, and then find
// what differs from that.
func TestKitChecksViews(t *testing.T) {
	module := conform.Build(t, "./testdata/naughty")
	file := filepath.Join(t.TempDir(), "a.txtar")
	run := func(text string, update bool) conform.Result {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := conform.Run(t.Context(), conform.Options{Module: module, CacheDir: testkit.CacheDir, Update: update}, []string{file})
		if err != nil {
			t.Fatal(err)
		}
		return r.Results[0]
	}
	const asksMessages = "-- client-request.messages.json --\n" + `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}` + "\n"
	wanted := fmt.Sprintf(naughtyTranscript, "nothing") + asksMessages + "-- client-response.responses --\n-- client-response.messages --\n"
	if r := run(wanted, true); len(r.Failures) > 0 {
		t.Fatalf("failures: %v", r.Failures)
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(written)
	at := 0
	for _, want := range []string{
		"-- client-response --\nHTTP 200\ncontent-type: text/event-stream\n\ndata: ", "data: [DONE]\n",
		"-- client-response.responses --\nHTTP 200\ncontent-type: text/event-stream\n\nevent: response.created\n", `"delta":"Hel"`, "event: response.completed\n",
		"-- client-response.messages --\nHTTP 200\ncontent-type: application/json\n\n{\"id\":\"msg_0\",", `"text":"Hello"`,
	} {
		n := strings.Index(text[at:], want)
		if n < 0 {
			t.Fatalf("no %q where it belongs in\n%s", want, text)
		}
		at += n
	}
	if r := run(text, false); len(r.Failures) > 0 {
		t.Errorf("what was written fails: %v", r.Failures)
	}
	for name, tc := range map[string]struct{ old, new, check, says string }{
		"another text in Responses":    {`"text":"Hello","annotations"`, `"text":"Hullo","annotations"`, "client response responses", "Hullo"},
		"another reason in Messages":   {`"stop_reason":"end_turn"`, `"stop_reason":"max_tokens"`, "client response messages", "max_tokens"},
		"an event too few":             {"event: response.in_progress\n", "event: response.progress\n", "client response responses", "response.progress"},
		"another chunk":                {`"content":"Hel"`, `"content":"Hal"`, "client response", "Hal"},
		"a view that is empty":         {text[strings.Index(text, "-- client-response.messages --\n"):], "-- client-response.messages --\n", "client response messages", "msg_0"},
		"a view of an API there isn't": {"-- client-response.messages --", "-- client-response.message --", "the transcript can be read", `"client-response.message"`},
		"a request that is none":       {asksMessages, "-- client-request.messages.json --\n{\"model\":\"m\"}\n", "client response messages", "HTTP 400"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(text, tc.old, tc.new, 1)
			if changed == text {
				t.Fatalf("there is no %q", tc.old)
			}
			r := run(changed, false)
			if len(r.Failures) != 1 || r.Failures[0].Check != tc.check || !strings.Contains(r.Failures[0].Text, tc.says) {
				t.Errorf("the failures are %v, want one of %q with %q", r.Failures, tc.check, tc.says)
			}
		})
	}
}
