package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/redis"
)

// step is a block of commands in a document with the output shown below it.
type step struct {
	line     int
	commands string
	output   string // "" if none is shown; … stands for anything
}

// steps reads the blocks marked sh and text. A comment "<!-- not run: why -->"
// before a block leaves it out.
func steps(t *testing.T, file string) []step {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []step
	kind, skip, block, from := "", false, "", 0
	for i, line := range strings.Split(string(data), "\n") {
		switch {
		case kind == "" && strings.HasPrefix(line, "<!-- not run:"):
			skip = true
		case kind == "" && strings.HasPrefix(line, "```"):
			kind, block, from = "#"+strings.TrimPrefix(line, "```"), "", i+2
		case line == "```":
			switch {
			case kind == "#sh" && !skip:
				all = append(all, step{line: from, commands: block})
			case kind == "#text" && len(all) > 0:
				all[len(all)-1].output = block
			}
			if kind == "#sh" {
				skip = false
			}
			kind = ""
		case kind != "":
			block += line + "\n"
		}
	}
	return all
}

// matches reports whether output is what a document shows, in which … stands for
// anything: within a line when it is part of one, else for any lines.
func matches(shown, output string) bool {
	pattern := regexp.QuoteMeta(strings.TrimSpace(shown))
	pattern = strings.ReplaceAll(pattern, "\n…\n", "\n(?:.*\n)*?")
	pattern = strings.TrimSuffix(pattern, "\n…")
	pattern = strings.TrimPrefix(pattern, "…\n")
	pattern = strings.ReplaceAll(pattern, "…", ".*")
	return regexp.MustCompile(`(?m)^` + pattern).MatchString(output)
}

// TestTutorial runs the commands of docs/plugins.md, one after the other in one
// shell, and compares what they print with what the document shows.
func TestTutorial(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles Go")
	}
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	for _, tool := range []string{"curl", "patch"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") != "true" {
			t.Skipf("there is no %s", tool)
		}
	}
	all := steps(t, "../../docs/plugins.md")
	if len(all) < 8 {
		t.Fatalf("the tutorial has %d steps", len(all))
	}
	// The ports of the document may be in use here.
	ports := strings.NewReplacer("9200", freePort(t), "7777", freePort(t))
	const mark = "@@ end of step"
	var script strings.Builder
	script.WriteString("set -eo pipefail\n")
	for i, s := range all {
		fmt.Fprintf(&script, "%s\necho '%s %d'\n", ports.Replace(s.commands), mark, i)
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, shell, "-c", script.String())
	cmd.Dir = dir
	bin, err := builtKai()
	if err != nil {
		t.Fatal(err)
	}
	goCache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "XDG_CACHE_HOME="+cacheHome, "XDG_RUNTIME_DIR="+filepath.Join(dir, "run"),
		"GOCACHE="+strings.TrimSpace(string(goCache)), "GOPROXY=off", "GOFLAGS=-mod=mod", "GOMODCACHE="+filepath.Join(dir, "modules"))
	// What it started in the background ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	file, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file // no pipe, which background processes would keep open
	failed := cmd.Run()
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)

	output, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	rest := string(output)
	for i, s := range all {
		got, after, done := strings.Cut(rest, fmt.Sprintf("%s %d\n", mark, i))
		if !done {
			log, _ := os.ReadFile(filepath.Join(dir, "kai.log"))
			t.Fatalf("docs/plugins.md:%d: the commands failed (%v):\n%s\nkai's log:\n%s", s.line, failed, got, log)
		}
		if shown := ports.Replace(s.output); shown != "" && !matches(shown, got) {
			t.Errorf("docs/plugins.md:%d: the document shows\n%s\nbut it is\n%s", s.line, shown, got)
		}
		rest = after
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(redis.Free(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestMatches holds the comparison of the tutorial's test.
func TestMatches(t *testing.T) {
	for name, tc := range map[string]struct {
		shown, output string
		want          bool
	}{
		"the same":                     {"a\nb\n", "a\nb\n", true},
		"more before and behind":       {"b\n", "a\nb\nc\n", true},
		"something in a line":          {"took … ms\n", "took 12 ms\n", true},
		"lines in between":             {"a\n…\nd\n", "a\nb\nc\nd\n", true},
		"no lines in between":          {"a\n…\nd\n", "a\nd\n", true},
		"a line that is not there":     {"a\nx\n", "a\nb\n", false},
		"a dot is a dot":               {"a.c\n", "abc\n", false},
		"an order that is another one": {"b\n…\na\n", "a\nb\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := matches(tc.shown, tc.output); got != tc.want {
				t.Errorf("matches(%q, %q) = %v, want %v", tc.shown, tc.output, got, tc.want)
			}
		})
	}
}
