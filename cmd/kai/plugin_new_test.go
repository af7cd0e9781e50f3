package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/cmd/internal/author"
	"github.com/kai-gateway/kai/internal/testkit/race"
)

// TestNewInEveryLanguage makes, builds and tests a project in each language. A
// tool chain that is not here is skipped, except in CI.
func TestNewInEveryLanguage(t *testing.T) {
	if race.Enabled {
		t.Skip("compiles one adapter after the other: make check runs it without the race detector")
	}
	if testing.Short() {
		t.Skip("runs compilers")
	}
	for _, lang := range author.Languages() {
		t.Run(lang, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "polly-2")
			var stdout, stderr bytes.Buffer
			kai := func(args ...string) int {
				stdout.Reset()
				stderr.Reset()
				return run(t.Context(), append([]string{"plugin"}, args...), nil, &stdout, &stderr)
			}
			if code := kai("new", dir, "--lang", lang); code != exitDone {
				t.Fatal(stderr.String())
			}
			if lang == "assemblyscript" {
				// What npm install would bring, if the repository has it.
				modules, err := filepath.Abs("../../examples/adapters/assemblyscript/node_modules")
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
					t.Fatal(err)
				}
			}
			if code := kai("build", dir); code != exitDone {
				text := stderr.String()
				if os.Getenv("CI") != "true" && (strings.Contains(text, "which is not installed") || strings.Contains(text, "there is no target")) {
					t.Skip(text)
				}
				t.Fatal(beginning(text))
			}
			if code := kai("test", filepath.Join(dir, "polly-2.wasm")); code != exitDone {
				t.Errorf("exit code %d\n%s", code, beginning(stdout.String()+stderr.String()))
			}
			if !strings.Contains(stdout.String(), "polly-2 0.1.0: all 5 transcripts passed") {
				t.Errorf("the report is\n%s", stdout.String())
			}
		})
	}
}
