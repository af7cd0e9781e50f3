// Package sdktest replays transcripts against an adapter in Go tests. Package transcript says
// what a transcript is, and replays transcripts elsewhere.
package sdktest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// Run replays every transcript that matches glob (for example
// "testdata/*.txtar") against p, each as a subtest, and compares the upstream
// requests and the emissions. With KAI_UPDATE=1 in the environment it rewrites
// them instead; read the difference before you keep it.
func Run(t *testing.T, p *sdk.Plugin, glob string) {
	t.Helper()
	RunCaller(t, transcript.Native{Plugin: p}, glob)
}

// RunCaller is Run for an adapter that runs elsewhere, such as in the sandbox.
func RunCaller(t *testing.T, c transcript.Caller, glob string) {
	t.Helper()
	for _, file := range matches(t, glob) {
		t.Run(nameOf(file), func(t *testing.T) {
			tr := read(t, file)
			got, err := tr.Run(c)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if os.Getenv("KAI_UPDATE") == "1" {
				update(t, file, tr, got)
				return
			}
			compare(t, file, tr, got)
		})
	}
}

// Each calls do with every transcript that matches glob, and its file's name without the ending.
// It is for tests that do more than Run.
func Each(t testing.TB, glob string, do func(name string, tr *transcript.Transcript)) {
	t.Helper()
	for _, file := range matches(t, glob) {
		do(nameOf(file), read(t, file))
	}
}

func matches(t testing.TB, glob string) []string {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts match %s (%v)", glob, err)
	}
	return files
}

func nameOf(file string) string { return strings.TrimSuffix(filepath.Base(file), ".txtar") }

func read(t testing.TB, file string) *transcript.Transcript {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := transcript.Parse(data)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return tr
}

func compare(t *testing.T, file string, tr *transcript.Transcript, got *transcript.Replay) {
	t.Helper()
	for _, d := range tr.Compare(got) {
		t.Errorf("%s: %s\n got:\n%s\nwant:\n%s", file, d, d.Got, d.Want)
	}
}

func update(t *testing.T, file string, tr *transcript.Transcript, got *transcript.Replay) {
	t.Helper()
	for i, r := range got.Requests {
		tr.Set(transcript.SectionRequest, i, r)
	}
	tr.Set(transcript.SectionEmissions, 0, got.Emissions())
	if err := os.WriteFile(file, tr.Format(), 0o644); err != nil {
		t.Fatal(err)
	}
}
