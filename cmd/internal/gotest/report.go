package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// How many lines are shown at most.
const (
	compilerLines = 20   // of a compiler's messages about one package
	testLines     = 1000 // of the output of a failing test
)

// event is a line of "go test -json" ("go doc test2json").
type event struct {
	Action     string
	Package    string
	ImportPath string // the package of build-output, perhaps with the test that it is compiled for
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

// report turns the events of a run into what a person wants to read.
type report struct {
	out   io.Writer
	start time.Time
	said  time.Time // when something was last printed

	running map[string]time.Time // since when tests and packages run
	output  map[string][]string  // output of running tests, of packages and of compilers
	ended   int                  // how many packages have ended
	tests   int                  // how many tests have ended
	failed  []string
	skipped []string
	slowest []timed
}

type timed struct {
	name    string
	seconds float64
}

func newReport(out io.Writer, now time.Time) *report {
	return &report{out: out, start: now, said: now, running: map[string]time.Time{}, output: map[string][]string{}}
}

// line processes one line of go test's output.
func (r *report) line(line string, now time.Time) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
		r.print(now, "%s", strings.TrimSuffix(line, "\n")) // go test itself failed
		return
	}
	name := strings.TrimPrefix(strings.TrimPrefix(e.Package, module), "/")
	if name == "" {
		name = "the root"
	}
	id := name
	if e.Test != "" {
		id += " " + e.Test
	}
	switch e.Action {
	case "run", "start":
		r.running[id] = now
	case "cont":
		r.running[id] = now // until now it waited for other tests
	case "pause":
		delete(r.running, id)
	case "output":
		if !strings.HasPrefix(e.Output, "=== ") {
			r.output[id] = append(r.output[id], e.Output)
		}
	case "build-output":
		r.output[e.ImportPath] = append(r.output[e.ImportPath], e.Output)
	case "build-fail":
		r.show(now, "can't compile "+e.ImportPath, e.ImportPath, compilerLines)
	case "pass", "fail", "skip":
		delete(r.running, id)
		if e.Test == "" {
			r.packageEnded(e, name, now)
		} else {
			r.testEnded(e, id, now)
		}
		delete(r.output, id)
	}
}

const module = "github.com/kai-gateway/kai"

func (r *report) testEnded(e event, id string, now time.Time) {
	r.tests++
	switch e.Action {
	case "fail":
		r.failed = append(r.failed, id)
		r.show(now, "FAIL  "+id, id, testLines)
	case "skip":
		r.skipped = append(r.skipped, id+": "+reason(r.output[id]))
	}
	if !strings.Contains(e.Test, "/") {
		r.slowest = append(r.slowest, timed{id, e.Elapsed})
	}
}

func (r *report) packageEnded(e event, name string, now time.Time) {
	r.ended++
	switch e.Action {
	case "pass":
		r.print(now, "ok    %-28s %6.1fs", name, e.Elapsed)
	case "fail":
		r.failed = append(r.failed, name)
		r.show(now, fmt.Sprintf("FAIL  %-28s %6.1fs", name, e.Elapsed), name, testLines)
	}
	// If a package broke off, some of its tests have not ended.
	for id := range r.running {
		if strings.HasPrefix(id, name+" ") {
			if e.Action == "fail" {
				r.show(now, "FAIL  "+id+" did not end", id, testLines)
			}
			delete(r.running, id)
		}
	}
}

// reason returns why a test was skipped: the last line that it printed, without file and
// line number.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "---") || strings.HasPrefix(line, "===") {
			continue
		}
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			_, line, _ = strings.Cut(text, ": ")
		}
		return line
	}
	return "no reason given"
}

// show prints a heading and below it the output of id, at most so many lines.
func (r *report) show(now time.Time, heading, id string, most int) {
	r.print(now, "%s", heading)
	lines := strings.Split(strings.TrimSuffix(strings.Join(r.output[id], ""), "\n"), "\n")
	for i, line := range lines {
		if i == most {
			r.print(now, "      … and %d lines more", len(lines)-most)
			break
		}
		if line != "" {
			r.print(now, "      %s", line)
		}
	}
	delete(r.output, id)
}

// tick says what is running, if nothing was printed for a while.
func (r *report) tick(now time.Time) {
	if now.Sub(r.said) < every-every/4 {
		return
	}
	var tests []string
	for id := range r.running {
		if strings.Contains(id, " Test") || strings.Contains(id, " Fuzz") || strings.Contains(id, " Example") {
			tests = append(tests, id)
		}
	}
	if len(tests) == 0 {
		r.print(now, "      … %s: compiling, %d packages done", r.since(r.start, now), r.ended)
		return
	}
	// In each package, the test that began last is the one that is running.
	slices.SortFunc(tests, func(a, b string) int { return r.running[b].Compare(r.running[a]) })
	shown, packages := []string{}, map[string]bool{}
	for _, id := range tests {
		name, _, _ := strings.Cut(id, " ")
		if !packages[name] && len(shown) < 3 {
			packages[name] = true
			shown = append(shown, fmt.Sprintf("%s (%s)", id, r.since(r.running[id], now)))
		}
	}
	r.print(now, "      … %s: %s", r.since(r.start, now), strings.Join(shown, ", "))
}

// end prints a summary.
func (r *report) end(now time.Time) {
	for _, s := range r.skipped {
		r.print(now, "skip  %s", s)
	}
	slices.SortFunc(r.slowest, func(a, b timed) int { return int(1000 * (b.seconds - a.seconds)) })
	for i, t := range r.slowest {
		if i == 3 || t.seconds < 10 {
			break
		}
		r.print(now, "slow  %s: %.0fs", t.name, t.seconds)
	}
	// A test that failed makes its package fail, and the test that it is a part of. Only
	// the test is named.
	failed := slices.DeleteFunc(slices.Clone(r.failed), func(name string) bool {
		return slices.ContainsFunc(r.failed, func(other string) bool {
			return strings.HasPrefix(other, name+" ") || strings.HasPrefix(other, name+"/")
		})
	})
	if len(failed) > 0 {
		r.print(now, "%d failed: %s", len(failed), strings.Join(failed, ", "))
		return
	}
	r.print(now, "%d tests passed in %s", r.tests-len(r.skipped), r.since(r.start, now))
}

func (r *report) since(t, now time.Time) string { return now.Sub(t).Round(time.Second).String() }

func (r *report) print(now time.Time, format string, args ...any) {
	r.said = now
	fmt.Fprintf(r.out, format+"\n", args...)
}
