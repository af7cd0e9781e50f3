package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/race"
)

// TestBrokenAdapters breaks the example in C in one place at a time, as authors
// do, and looks for what "kai plugin test" says of it. The kit's own tests, in
// cmd/internal/conform, have more.
func TestBrokenAdapters(t *testing.T) {
	if race.Enabled {
		t.Skip("compiles one adapter after the other: make check runs it without the race detector")
	}
	if testing.Short() {
		t.Skip("runs compilers")
	}
	dir := filepath.Join(t.TempDir(), "polly")
	var stdout, stderr bytes.Buffer
	kai := func(args ...string) int {
		stdout.Reset()
		stderr.Reset()
		return run(t.Context(), append([]string{"plugin"}, args...), nil, &stdout, &stderr)
	}
	if code := kai("new", dir, "--lang", "c"); code != exitDone {
		t.Fatal(stderr.String())
	}
	source := filepath.Join(dir, "adapter.c")
	original, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	transcript := filepath.Join(dir, "testdata", "stream.txtar")
	recorded, err := os.ReadFile(transcript)
	if err != nil {
		t.Fatal(err)
	}
	const event = "    if (e->end || e->done || s->ended) return KAI_OK;"
	for name, tc := range map[string]struct {
		old, new string
		says     []string
		update   bool
	}{
		"it never returns": {
			event, "    for (volatile int i = 0; e->data.len; i++) {}\n" + event, []string{"kai_event: adapter ran out of fuel"}, false,
		},
		"it takes all memory": {
			event, "    while (e->data.len) kai_alloc(1 << 20);\n" + event, []string{"kai_event: adapter ran out of memory", "it logged: out of memory"}, false,
		},
		"it writes more ends than beginnings": {
			"    kai_write_end(&w);\n\n    kai_send", "    kai_write_end(&w);\n    kai_write_end(&w);\n    kai_send",
			[]string{"kai_request: adapter trapped", "it logged: kai_write_end: nothing is open"}, false,
		},
		"it fails without a word": {event, "    if (e->end) return KAI_FAILED;\n" + event, []string{"it returned 1", "without an ERROR that says why"}, false},
		"it cuts long prompts": {
			"kai_write_raw_string(&w, kai_added(&prompt))", "prompt.len = prompt.len > 60 ? 60 : prompt.len; kai_write_raw_string(&w, kai_added(&prompt))",
			[]string{"long content goes by reference:"}, false,
		},
		"it takes null for a value": {
			"kai_kind_of(tools) == KAI_ARRAY) {", "tools.len) {\n        if (kai_kind_of(tools) != KAI_ARRAY) return kai_fail((kai_error){.status = 400});",
			[]string{"the client sends null for what it leaves out:"}, false,
		},
		"it remembers": {
			"    kai_write_end(&w);\n\n    kai_send", "    static int64_t calls;\n    kai_write_key(&w, \"call\");\n    kai_write_int(&w, calls++);\n    kai_write_end(&w);\n    kai_send",
			[]string{"two instances agree:"}, true,
		},
		"it asks for what the gateway refuses": {
			`KAI("/v1/squawk")`, `KAI("v1/squawk")`, []string{"a gateway takes what the adapter does:", "an upstream request that is not allowed"}, true,
		},
		"it takes a broken line for nothing": {
			"        return fail_upstream(KAI(\"The answer is not what", "        return KAI_OK;\n    if (false) return fail_upstream(KAI(\"The answer is not what",
			[]string{"in the middle of its stream the upstream sends text:"}, false,
		},
		"nothing is wrong": {event, event, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(string(original), tc.old, tc.new, 1)
			if text == string(original) && tc.old != tc.new {
				t.Fatalf("%q is not in the adapter", tc.old)
			}
			// --update may have written it.
			if err := errors.Join(os.WriteFile(transcript, recorded, 0o644), os.WriteFile(source, []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
			if code := kai("build", dir); code != exitDone {
				text := stderr.String()
				if os.Getenv("CI") != "true" && strings.Contains(text, "which is not installed") {
					t.Skip(text)
				}
				t.Fatal(text)
			}
			args := []string{"test", filepath.Join(dir, "polly.wasm"), transcript}
			if tc.update {
				args = append(args, "--update")
			}
			want := exitFailed
			if tc.says == nil {
				want = exitDone
			}
			if code := kai(args...); code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
			for _, says := range tc.says {
				if !strings.Contains(stdout.String(), says) {
					t.Errorf("nothing says %q:\n%s%s", says, stdout.String(), stderr.String())
				}
			}
		})
	}
}
