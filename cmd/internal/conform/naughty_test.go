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

// naughtyTranscript is an exchange that testdata/naughty serves well, but for
// what the options tell it to do wrong.
const naughtyTranscript = `Made up for the kit's own tests.
-- options.json --
{"do":%q}
-- client-request.json --
{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}
-- upstream-response --
HTTP/1.1 200 OK
Content-Type: application/x-ndjson

{"text":"Hel"}
{"text":"lo"}
{"done":true,"usage":{"prompt_tokens":3,"completion_tokens":2}}
`

// TestKitNotices has an adapter do one thing wrong at a time.
func TestKitNotices(t *testing.T) {
	module := conform.Build(t, "./testdata/naughty")
	for do, want := range map[string][]string{ // the checks that fail, by a part of their names
		"nothing":  nil,
		"count":    {"two instances agree"},
		"measure":  {"long content"},
		"strict":   {"unknown field", "null for what it leaves out"},
		"early":    {"nothing comes after FINISH"},
		"made-up":  {"no early success"},
		"skip":     {"in the middle of its stream"},
		"panic":    {"200 and null", "the middle of its stream the upstream sends null"},
		"greedy":   {"counts no tokens"},
		"hopeful":  {`answers 500`},
		"mute":     {"answers 429", "answers 500"},
		"blaming":  {"answers 429", "answers 500"},
		"verbatim": {"answers 401"},
	} {
		t.Run(do, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "a.txtar")
			if err := os.WriteFile(file, fmt.Appendf(nil, naughtyTranscript, do), 0o600); err != nil {
				t.Fatal(err)
			}
			o := conform.Options{Module: module, CacheDir: testkit.CacheDir, Update: true}
			r, err := conform.Run(t.Context(), o, []string{file})
			if err != nil {
				t.Fatal(err)
			}
			if want == nil && r.Failed() {
				t.Errorf("failures: %v", r.Results[0].Failures)
			}
			for _, name := range want {
				if !hasFailure(r.Results[0], name) {
					t.Errorf("%q is not among the failures: %v", name, r.Results[0].Failures)
				}
			}
			if r.Results[0].Cost.Fuel == 0 || r.Results[0].Variations == 0 {
				t.Errorf("nothing was measured or varied: %+v", r.Results[0])
			}
		})
	}
}

// countTranscript is of a request to count tokens; %s is what the adapter does wrong, and
// what its options say besides.
const countTranscript = `Hand-written.
-- op --
count
-- options.json --
{"do":"%s"%s}
-- client-request.json --
{"model":"m","messages":[{"role":"user","content":"Hi"}]}
-- upstream-response --
HTTP/1.1 200 OK
Content-Type: application/json

{"n":3}
`

// TestKitKnowsOperations replays a request for something else than a chat completion.
func TestKitKnowsOperations(t *testing.T) {
	module := conform.Build(t, "./testdata/naughty")
	for name, tc := range map[string]struct {
		do, options string
		fails       string // a part of the check's name, or of what it says; "": all is well
	}{
		"a count":                        {"nothing", `,"counts":true`, ""},
		"two results":                    {"twice", `,"counts":true`, "a second RESULT"},
		"facts of a chat":                {"talk", `,"counts":true`, "TEXT is not allowed here"},
		"an operation it doesn't have":   {"nothing", "", "the manifest has the operation"},
		"one that an option turns off":   {"nothing", `,"counts":false`, "the manifest has the operation"},
		"a failure that isn't its own":   {"verbatim", `,"counts":true`, "answers 401"},
		"an instance that can't be sure": {"count", `,"counts":true`, "two instances agree"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.txtar")
			if err := os.WriteFile(file, fmt.Appendf(nil, countTranscript, tc.do, tc.options), 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := conform.Run(t.Context(), conform.Options{Module: module, CacheDir: testkit.CacheDir, Update: true}, []string{file})
			if err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprint(r.Results[0].Failures)
			if tc.fails == "" && r.Failed() || !strings.Contains(text, tc.fails) {
				t.Errorf("the failures are %s, want %q", text, tc.fails)
			}
			written, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if tc.fails == "" && (!strings.Contains(string(written), "-- emissions --\nRESULT {\"input_tokens\":3}\n") || strings.Contains(string(written), "client-response")) {
				t.Errorf("the transcript is\n%s", written)
			}
		})
	}
}

func hasFailure(r conform.Result, name string) bool {
	for _, f := range r.Failures {
		if strings.Contains(f.Check, name) {
			return true
		}
	}
	return false
}

// TestKitNamesWrongFraming has the transcripts of an adapter that states one framing
// and is answered in another, and of one that is once.
func TestKitNamesWrongFraming(t *testing.T) {
	module := conform.Build(t, "./testdata/naughty")
	const lines = `it begins with {"text":"Hel"}): state the framing NDJSON (in Go abi.NDJSON, in Rust Framing::Ndjson, in C KAI_NDJSON, in AssemblyScript Framing.NDJSON)`
	for name, tc := range map[string]struct {
		do      []string // of each transcript
		asEvent []bool   // its answer comes as server-sent events
		says    []string // for each; "" for nothing
	}{
		"as it says":                      {[]string{"nothing"}, []bool{false}, []string{""}},
		"lines for SSE":                   {[]string{"say-sse"}, []bool{false}, []string{"it says SSE, but the answer looks like NDJSON, a JSON value in each line (" + lines}},
		"lines for a whole answer":        {[]string{"say-whole"}, []bool{false}, []string{"it says whole, but the answer looks like NDJSON, a JSON value in each line (" + lines}},
		"events for lines":                {[]string{"nothing"}, []bool{true}, []string{`it says NDJSON, but the answer looks like server-sent events (it begins with data: {"text":"Hel"}): state the framing SSE (in Go abi.SSE`}},
		"once what an upstream shouldn't": {[]string{"nothing", "nothing"}, []bool{true, false}, []string{"", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			var files []string
			for i, do := range tc.do {
				text := fmt.Sprintf(naughtyTranscript, do)
				if tc.asEvent[i] {
					text = strings.NewReplacer("\n{\"text", "\ndata: {\"text", "\n{\"done", "\ndata: {\"done", "}\n{", "}\n\n{", "x-ndjson", "octet-stream").Replace(text)
					text = strings.ReplaceAll(text, "}\ndata", "}\n\ndata") + "\n"
				}
				file := filepath.Join(t.TempDir(), fmt.Sprint(i, ".txtar"))
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				files = append(files, file)
			}
			r, err := conform.Run(t.Context(), conform.Options{Module: module, CacheDir: testkit.CacheDir, Update: true}, files)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range tc.says {
				got := ""
				for _, f := range r.Results[i].Failures {
					if f.Check == conform.FramingCheck {
						got += f.Text
					}
				}
				if (want == "") != (got == "") || !strings.HasPrefix(got, want) {
					t.Errorf("transcript %d: it says %q, want %q", i, got, want)
				}
			}
		})
	}
}

// TestUpdate writes the expectations of a transcript, after which it passes, and
// tells a wrong one by a readable difference.
func TestUpdate(t *testing.T) {
	module := conform.Build(t, "./testdata/naughty")
	file := filepath.Join(t.TempDir(), "a.txtar")
	if err := os.WriteFile(file, fmt.Appendf(nil, naughtyTranscript, "nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(update bool) conform.Result {
		t.Helper()
		r, err := conform.Run(t.Context(), conform.Options{Module: module, CacheDir: testkit.CacheDir, Update: update}, []string{file})
		if err != nil {
			t.Fatal(err)
		}
		return r.Results[0]
	}
	if r := run(false); !hasFailure(r, "upstream request") || !hasFailure(r, "emissions") {
		t.Errorf("what a transcript doesn't expect is no failure: %v", r.Failures)
	}
	if r := run(true); !r.Updated || len(r.Failures) > 0 {
		t.Errorf("update: %+v", r)
	}
	written, _ := os.ReadFile(file)
	var order []string
	for line := range strings.Lines(string(written)) {
		if strings.HasPrefix(line, "-- ") {
			order = append(order, strings.Trim(line, "- \n"))
		}
	}
	if got, want := strings.Join(order, " "), "options.json client-request.json upstream-request upstream-response emissions client-response"; got != want {
		t.Errorf("sections are %s, want %s", got, want)
	}
	if !strings.Contains(string(written), `"delta":{"content":"lo"}`) || !strings.Contains(string(written), "data: [DONE]") {
		t.Errorf("the client's bytes are missing:\n%s", written)
	}
	if r := run(true); r.Updated {
		t.Error("a second update writes the file again")
	}
	if r := run(false); len(r.Failures) > 0 {
		t.Errorf("after the update: %v", r.Failures)
	}
	os.WriteFile(file, []byte(strings.Replace(string(written), `TEXT 0 "lo"`, `TEXT 0 "la"`, 1)), 0o600)
	if r := run(false); len(r.Failures) != 1 || !strings.Contains(r.Failures[0].Text, "- TEXT 0 \"la\"\n+ TEXT 0 \"lo\"") {
		t.Errorf("the difference is not shown: %v", r.Failures)
	}
}
