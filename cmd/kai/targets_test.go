package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// exitOf returns the exit code of a program that has ended.
func exitOf(err error) int {
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return ended.ExitCode()
	}
	return exitDone
}

// TestTargetsCommand sees a running gateway leave a target alone, and has it ask again.
func TestTargetsCommand(t *testing.T) {
	up := mock.Start(t, mock.Whole(402, "application/json", `{"error":{"message":"pay first","code":"insufficient_quota"}}`))
	p := start(t, fmt.Sprintf(`providers:
  up: {plugin: openai, base_url: %q, api_key: sk-canary}
model_mapping:
  m: {targets: [{provider: up, model: some/model}, {provider: demo, model: demo, tier: 2}]}
  short: {provider: demo, model: demo}
  any/*: {provider: up, model: "*"}
`, up.URL))
	post := func() string {
		t.Helper()
		res, err := http.Post(p.url+"/chat/completions", "application/json", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"Hello!"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		if res.StatusCode != 200 {
			t.Errorf("got %d %s", res.StatusCode, b)
		}
		return string(b)
	}
	shows := func(pattern string) {
		t.Helper()
		out, stderr, err := p.kai("targets")
		if err != nil || !regexp.MustCompile(`^`+pattern+`$`).MatchString(out) {
			t.Errorf("kai targets: %v, %s%s\nwant %s", err, stderr, out, pattern)
		}
		if strings.Contains(out, "canary") || strings.Contains(out, up.URL) {
			t.Errorf("it tells a key or an address: %s", out)
		}
	}
	const head = `TARGET +STATE +CLASS +WAIT +ALIASES\n`
	shows(head + `demo/demo +well +- +- +m, short\nup/\* +well +- +- +any/\*\nup/some/model +well +- +- +m\n`)
	post()
	post()
	if n := len(up.Requests()); n != 1 {
		t.Errorf("asked %d times before somebody paid, want once", n)
	}
	shows(head + `demo/demo +well +- +- +m, short\nup/\* +cooling, asked nevertheless +quota +(10m0s|9m5\ds) +any/\*\nup/some/model +cooling +quota +(10m0s|9m5\ds) +m\n`)

	for name, hint := range map[string]string{"up/some/modl": `did you mean "up/some/model"?`, "upp": `did you mean "up"?`, "x": `"kai targets" lists them`} {
		if out, stderr, err := p.kai("targets", "--reset", name); exitOf(err) != exitUsage || !strings.Contains(stderr, hint) {
			t.Errorf("--reset %s: %v, %s%s; want %s", name, err, out, stderr, hint)
		}
	}
	if out, stderr, err := p.kai("targets", "--reset", "demo/demo"); err != nil || out+stderr != "" {
		t.Errorf("--reset demo/demo: %v, %s%s", err, out, stderr)
	}
	post()
	if n := len(up.Requests()); n != 1 {
		t.Errorf("asked %d times after another was reset, want once", n)
	}
	up.Answer(mock.JSON(`{"choices":[{"index":0,"message":{"role":"assistant","content":"thanks"},"finish_reason":"stop"}]}`))
	if out, stderr, err := p.kai("targets", "--reset", "up"); err != nil || out+stderr != "" {
		t.Errorf("--reset up: %v, %s%s", err, out, stderr)
	}
	if answer := post(); !strings.Contains(answer, "thanks") || len(up.Requests()) != 2 {
		t.Errorf("after the reset it is not asked: %s", answer)
	}
	shows(head + `demo/demo +well +- +- +m, short\nup/\* +well +- +- +any/\*\nup/some/model +well +- +- +m\n`)
}

// TestTargetsSayWhatOfThemCools: the operations, or the names behind a *, if it is not all.
func TestTargetsSayWhatOfThemCools(t *testing.T) {
	for want, state := range map[string]host.TargetState{
		"cooling for embeddings, images":             {State: "cooling", Only: "embeddings, images"},
		"cooling for embeddings, asked nevertheless": {State: "cooling", Only: "embeddings", Always: true},
		"well, but not a, b":                         {State: "well", But: []string{"a", "b"}},
		"well, but not a, asked nevertheless":        {State: "well", But: []string{"a"}, Always: true},
		"well":                                       {State: "well", But: []string{}},
	} {
		state.Target = "up/x"
		var out strings.Builder
		if code := printTargets([]host.TargetState{state}, &out); code != exitDone || !strings.Contains(out.String(), "up/x    "+want+"  ") {
			t.Errorf("%+v is shown as %q, want %q", state, &out, want)
		}
	}
}
