package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/race"
)

// TestDevPutsOnlyWhatPassesInPlace saves a good, a failing and a broken adapter,
// one after the other.
func TestDevPutsOnlyWhatPassesInPlace(t *testing.T) {
	if race.Enabled {
		t.Skip("compiles one adapter after the other: make check runs it without the race detector")
	}
	if testing.Short() {
		t.Skip("compiles Go")
	}
	dir := filepath.Join(t.TempDir(), "parrot")
	var out, errs testkit.Log
	if code := run(t.Context(), []string{"plugin", "new", dir}, nil, &out, &errs); code != exitDone {
		t.Fatal(errs.String())
	}
	folder := t.TempDir()
	served := filepath.Join(folder, "parrot.wasm")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"plugin", "dev", dir, "--out", folder}, nil, &out, &errs)
	}()
	defer func() {
		cancel()
		if code := <-ended; code != exitDone {
			t.Errorf("exit code %d, want %d", code, exitDone)
		}
	}()
	wait := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(longWait); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("not so after %v: %s\n%s%s", longWait, what, out.String(), errs.String())
			}
		}
	}
	source := filepath.Join(dir, "adapter.go")
	original, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	save := func(old, new string) {
		t.Helper()
		text := strings.Replace(string(original), old, new, 1)
		if text == string(original) && old != new {
			t.Fatalf("%q is not in the adapter", old)
		}
		if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func() string {
		b, _ := os.ReadFile(served)
		return string(b)
	}

	wait("the first module is in place", func() bool { return read() != "" })
	first := read()
	save(`w.Key("prompt")`, `w.Key("pronto")`)
	wait("the transcripts fail", func() bool { return strings.Contains(out.String(), "5 of 5 transcripts failed") })
	save(`w.Key("prompt")`, `w.Kee("prompt")`)
	wait("the compiler complains", func() bool { return strings.Contains(errs.String(), "w.Kee undefined") })
	wait("it says what becomes of it", func() bool {
		return strings.Count(errs.String(), "kai: what is at "+folder+" stays; waiting for the next save\n") == 2
	})
	if read() != first {
		t.Error("what failed was put in place")
	}
	save(`"0.1.0"`, `"0.2.0"`)
	wait("the better module is in place", func() bool { return strings.Contains(errs.String(), "parrot 0.2.0, sha256") })
	if read() == first {
		t.Error("the better module is not in place")
	}

	// What failed lies where the other commands look for it, so the hint is a
	// command that works.
	save(`w.Key("prompt")`, `w.Key("message")`)
	hint := "kai plugin test " + filepath.Join(dir, "parrot.wasm") + " --update"
	wait("the hint is given", func() bool { return strings.Count(errs.String(), `"`+hint+`"`) == 2 })
	var told bytes.Buffer
	if code := run(t.Context(), strings.Fields(hint)[1:], nil, &told, &told); code != exitDone || !strings.Contains(told.String(), "written anew") {
		t.Errorf("%s: exit code %d\n%s", hint, code, told.String())
	}
	second := read()
	wait("what is meant so is in place", func() bool { return read() != second })
}

// TestDevRefuses has commands that could never come to something.
func TestDevRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "adapter.c"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tools := t.TempDir()
	for _, name := range []string{"clang", "wasm-ld"} {
		if err := os.WriteFile(filepath.Join(tools, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		args []string
		path string
		says string
	}{
		"no adapter":               {[]string{t.TempDir()}, tools, "holds no adapter"},
		"no compiler":              {[]string{dir}, t.TempDir(), "C needs clang, which is not installed: apt-get install clang"},
		"the adapter's own folder": {[]string{dir, "--out", dir}, tools, "is in the adapter's own folder, where every build goes"},
		"a file in it":             {[]string{dir, "--out", filepath.Join(dir, "x.wasm")}, tools, "is in the adapter's own folder"},
		"a file that is no module": {[]string{dir, "--out", filepath.Join(tools, "x")}, tools, "doesn't end in .wasm"},
		"two folders":              {[]string{dir, dir}, tools, "unexpected argument"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", tc.path)
			var out, errs bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			if code := run(ctx, append([]string{"plugin", "dev"}, tc.args...), nil, &out, &errs); code == exitDone || ctx.Err() != nil {
				t.Errorf("exit code %d, %v", code, ctx.Err())
			}
			if !strings.Contains(errs.String(), tc.says) {
				t.Errorf("it says %q, want %q", errs.String(), tc.says)
			}
		})
	}
}
