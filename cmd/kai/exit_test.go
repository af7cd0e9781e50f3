package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExitCodes: what isn't there, or isn't what is meant, is wrong usage, and not a failure.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, d := range []string{"empty", "unbuilt"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{
		"unbuilt/go.mod": "module unbuilt\n", "hello.wasm": "hello", "there.txtar": "", "audit.jsonl": "no line of an audit\n",
		"api.yaml": "providers: {ollama: {base_url: \"http://127.0.0.1:9\"}}\nmodel_mapping: {m: {provider: ollama, model: m}}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		args  string
		stdin string
		code  int
		says  string
	}{
		"a folder to build that isn't there":    {"plugin build nodir", "", exitUsage, "there is no nodir: name the folder of an adapter"},
		"an empty folder to build":              {"plugin build empty", "", exitUsage, "empty holds no adapter"},
		"a file to build":                       {"plugin build hello.wasm", "", exitUsage, "hello.wasm is a file"},
		"a name that no module has":             {"plugin build -o polly.txt", "", exitUsage, "-o polly.txt is no folder"},
		"a folder to test that isn't there":     {"plugin test nodir", "", exitUsage, "nodir is neither"},
		"a folder to test without a module":     {"plugin test unbuilt", "", exitUsage, "unbuilt holds no module yet"},
		"a module to test that isn't there":     {"plugin test no.wasm", "", exitUsage, "there is no no.wasm"},
		"transcripts that aren't there":         {"plugin test demo nodir", "", exitUsage, "there is no nodir: name the folder of the transcripts"},
		"a folder to watch that isn't there":    {"plugin dev nodir", "", exitUsage, "there is no nodir"},
		"an adapter to look at that isn't any":  {"plugin inspect nope", "", exitUsage, "nope is neither"},
		"a module to look at that isn't any":    {"plugin inspect hello.wasm", "", exitUsage, "hello.wasm is no WebAssembly module"},
		"a name that no transcript has":         {"plugin record -o x.json", "", exitUsage, "-o x.json must end in .txtar"},
		"a transcript that is there":            {"plugin record -o there.txtar", "", exitFailed, "there.txtar is there already"},
		"a request that is none":                {"plugin record --config api.yaml --model m", "{", exitUsage, "the request on standard input: "},
		"an upstream that isn't there":          {"plugin record --config api.yaml --model m", `{"messages":[{"role":"user","content":"x"}]}`, exitFailed, "kai plugin record: "},
		"the hash of nothing":                   {"keys hash", "\n", exitUsage, "one key and nothing else"},
		"the hash of two keys":                  {"keys hash", "a\nb\n", exitUsage, "one key and nothing else"},
		"an audit that isn't there":             {"usage none.jsonl", "", exitUsage, "none.jsonl: no such file"},
		"an audit that is none":                 {"usage audit.jsonl", "", exitUsage, "audit.jsonl is no audit"},
		"a configuration that isn't there":      {"validate none.yaml", "", exitUsage, "none.yaml: no such file"},
		"a configuration in which nothing is":   {"keys list --config there.txtar", "", exitUsage, "there.txtar:1:1"},
		"a gateway that doesn't run":            {"reload --port 1", "", exitFailed, "no gateway on port 1 answers"},
		"a key that no list has":                {"keys rotate nobody --config api.yaml", "", exitUsage, "there is no key of this name"},
		"a port that is no number":              {"serve --port x", "", exitUsage, `kai serve: --port "x" must be a whole number; `},
		"a port of nothing":                     {"serve --port", "", exitUsage, "kai serve: --port needs a value; "},
		"a time that is none":                   {"plugin record --timeout soon", "{}", exitUsage, `--timeout "soon" must be a time such as 10s; `},
		"a yes that is none":                    {"plugin test --update=maybe", "", exitUsage, `--update "maybe" must be true or false; `},
		"help for what isn't there":             {"help serve x", "", exitUsage, `kai help: unexpected argument "x"`},
		"help for a part that isn't there":      {"help keys x", "", exitUsage, `kai help: unexpected argument "x"`},
		"a configuration that is named, and ''": {"validate --config=", "", exitUsage, "--config is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), strings.Fields(tc.args), strings.NewReader(tc.stdin), &stdout, &stderr)
			if code != tc.code || !strings.Contains(stderr.String(), tc.says) || stdout.Len() > 0 {
				t.Errorf("kai %s ends with %d, want %d, and says %q, %q; want %q", tc.args, code, tc.code, &stdout, &stderr, tc.says)
			}
		})
	}
}
