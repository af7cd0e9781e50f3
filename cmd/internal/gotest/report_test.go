package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// moment is when the tests' reports begin.
var moment = time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)

// told gives what a report says of events, one a second.
func told(events ...string) string {
	var out bytes.Buffer
	r, now := newReport(&out, moment), moment
	for _, e := range events {
		r.line(strings.ReplaceAll(e, "PKG", "github.com/kai-gateway/kai/host"), now)
		now = now.Add(time.Second)
	}
	r.end(now)
	return out.String()
}

func TestReport(t *testing.T) {
	compiler := []string{`{"Action":"build-fail","ImportPath":"PKG"}`, `{"Action":"fail","Package":"PKG"}`}
	for i := range 50 {
		compiler = append([]string{fmt.Sprintf(`{"Action":"build-output","ImportPath":"PKG","Output":"x.go:%d: wrong\n"}`, 50-i)}, compiler...)
	}
	for name, tc := range map[string]struct {
		events []string
		want   string
	}{
		"a package that passes is a line": {
			[]string{
				`{"Action":"start","Package":"PKG"}`, `{"Action":"run","Package":"PKG","Test":"TestA"}`,
				`{"Action":"output","Package":"PKG","Test":"TestA","Output":"noise\n"}`,
				`{"Action":"pass","Package":"PKG","Test":"TestA","Elapsed":11}`, `{"Action":"pass","Package":"PKG","Elapsed":12.3}`,
			},
			"ok    host                           12.3s\nslow  host TestA: 11s\n1 tests passed in 5s\n",
		},
		"a failing test shows what it said": {
			[]string{
				`{"Action":"run","Package":"PKG","Test":"TestA/b"}`, `{"Action":"output","Package":"PKG","Test":"TestA/b","Output":"=== RUN   TestA/b\n"}`,
				`{"Action":"output","Package":"PKG","Test":"TestA/b","Output":"    a_test.go:1: bad\n"}`,
				`{"Action":"fail","Package":"PKG","Test":"TestA/b"}`, `{"Action":"fail","Package":"PKG","Test":"TestA"}`,
				`{"Action":"fail","Package":"PKG","Elapsed":1}`,
			},
			"FAIL  host TestA/b\n          a_test.go:1: bad\nFAIL  host TestA\nFAIL  host                            1.0s\n1 failed: host TestA/b\n",
		},
		"a package that breaks off shows the test that ran": {
			[]string{
				`{"Action":"run","Package":"PKG","Test":"TestA"}`, `{"Action":"output","Package":"PKG","Test":"TestA","Output":"panic: x\n"}`,
				`{"Action":"fail","Package":"PKG","Elapsed":1}`,
			},
			"FAIL  host                            1.0s\nFAIL  host TestA did not end\n      panic: x\n1 failed: host\n",
		},
		"what was skipped says why": {
			[]string{
				`{"Action":"output","Package":"PKG","Test":"TestA","Output":"    a_test.go:7: cargo is not installed\n"}`,
				`{"Action":"output","Package":"PKG","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}`,
				`{"Action":"skip","Package":"PKG","Test":"TestA"}`,
			},
			"skip  host TestA: cargo is not installed\n0 tests passed in 3s\n",
		},
		"a line that is no event is repeated": {
			[]string{"go: no such flag\n"}, "go: no such flag\n0 tests passed in 1s\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := told(tc.events...); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}

	got := told(compiler...)
	if !strings.Contains(got, "x.go:20: wrong\n") || strings.Contains(got, "x.go:21:") || !strings.Contains(got, "… and 30 lines more") {
		t.Errorf("of 50 lines of a compiler it shows\n%s", got)
	}
}

func TestSilenceIsBroken(t *testing.T) {
	var out bytes.Buffer
	r := newReport(&out, moment)
	for s := 0; s <= 60; s += 5 {
		if s == 25 {
			r.line(`{"Action":"run","Package":"github.com/kai-gateway/kai/host","Test":"TestSlow"}`, moment.Add(25*time.Second))
		}
		r.tick(moment.Add(time.Duration(s) * time.Second))
	}
	want := "      … 15s: compiling, 0 packages done\n      … 30s: host TestSlow (5s)\n      … 45s: host TestSlow (20s)\n      … 1m0s: host TestSlow (35s)\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
