package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// The tests of this file replay ../../testdata/cases: answers and requests that
// people met, each with what is right. The README.md there has the format.
// cases_expect_test.go reads expect.json and compares, cases_answer_test.go reads
// an answer as a client does, cases_wire_test.go has both ends of the wire.

const (
	casesDir     = "../../testdata/cases"
	caseProvider = "127.0.0.1:18801" // stands in configurations for the provider

	// A case states seconds of a quiet machine. Only their order matters, so all of
	// them are stretched for a busy one.
	patience     = 5
	defaultLimit = 20 // seconds
)

// stretched gives the time for a case's seconds.
func stretched(seconds float64) time.Duration {
	return time.Duration(seconds * patience * float64(time.Second))
}

// fieldCase is a folder below testdata/cases.
type fieldCase struct {
	name   string
	config string
	expect expectation
}

// read gives a file of the case, which must be there.
func (c fieldCase) read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(casesDir, c.name, file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readIfAny gives a file of the case, or nothing if it has none.
func (c fieldCase) readIfAny(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(casesDir, c.name, file))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return b
}

// gateway tells apart cases that can't share one.
func (c fieldCase) gateway() string { return fmt.Sprintf("%s\n%v", c.config, c.expect.Env) }

// env gives the variables that the case wants for the gateway.
func (c fieldCase) env() (env []string) {
	for _, name := range slices.Sorted(maps.Keys(c.expect.Env)) {
		env = append(env, name+"="+c.expect.Env[name])
	}
	return env
}

func readCases(t *testing.T) (cases []fieldCase) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(casesDir, "*", "expect.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s (%v)", casesDir, err)
	}
	readme, err := os.ReadFile(filepath.Join(casesDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		c := fieldCase{name: filepath.Base(filepath.Dir(file))}
		c.config = string(c.read(t, "config.yaml"))
		if c.expect, err = readExpectation(c.read(t, "expect.json")); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(bytes.TrimSpace(c.read(t, "source.txt"))) == 0 {
			t.Errorf("%s: source.txt says nothing", c.name)
		}
		if !strings.Contains(string(readme), "\n| `"+c.name+"` | ") {
			t.Errorf("README.md does not list the case %s", c.name)
		}
		cases = append(cases, c)
	}
	return cases
}

func TestCases(t *testing.T) {
	cases := readCases(t)
	slices.SortStableFunc(cases, func(a, b fieldCase) int { return cmp.Compare(a.gateway(), b.gateway()) })
	provider := mock.Start(t, nil)
	var g *caseGateway
	for i, c := range cases {
		if i == 0 || cases[i-1].gateway() != c.gateway() {
			g.stop()
			g = &caseGateway{provider: provider, config: strings.ReplaceAll(c.config, caseProvider, provider.Listener.Addr().String()), env: c.env()}
		}
		t.Run(c.name, func(s *testing.T) {
			g.said()
			for _, problem := range g.replay(s, t, c) {
				s.Error(problem)
			}
			if s.Failed() {
				s.Logf("kai's log:\n%s", g.said())
			}
		})
	}
	g.stop()
}

// caseGateway is the program with one configuration, for all cases that have it.
// It runs from the first case that sends something.
type caseGateway struct {
	provider *mock.Upstream
	config   string
	env      []string
	running  *process
	read     int // how much of its log was shown
	err      error
}

func (g *caseGateway) stop() {
	if g != nil && g.running != nil {
		g.running.cmd.Process.Kill()
	}
}

// said gives the log since it was asked for last.
func (g *caseGateway) said() string {
	if g.running == nil {
		return ""
	}
	all := g.running.text()
	since := all[g.read:]
	g.read = len(all)
	return since
}

// run starts the program unless it runs, until parent ends.
func (g *caseGateway) run(parent *testing.T) (*process, error) {
	if g.running == nil && g.err == nil {
		if g.running, g.err = launch(parent, builtProgram(parent), g.config, g.env...); g.err == nil {
			g.err = g.running.becomeReady()
		}
	}
	return g.running, g.err
}

// becomeReady waits until the program's adapters are compiled.
func (p *process) becomeReady() error {
	status := ""
	for deadline := time.Now().Add(longWait); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		res, err := http.Get(strings.TrimSuffix(p.url, "/v1") + "/readyz")
		if err != nil {
			return err
		}
		res.Body.Close()
		if status = res.Status; res.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("kai does not become ready: %s\n%s", status, p.text())
}

// replay gives what is not as the case wants it.
func (g *caseGateway) replay(t, parent *testing.T, c fieldCase) []string {
	if v := c.expect.Validate; v != nil {
		if problems := g.validate(t, v); v.Exit != 0 || len(problems) > 0 {
			return problems
		}
	}
	p, err := g.run(parent)
	if err != nil {
		return []string{err.Error()}
	}
	if len(c.expect.Steps) == 0 {
		return g.exchange(t, p, c, c.expect.exchange)
	}
	var problems []string
	for _, step := range c.expect.Steps {
		for _, problem := range g.exchange(t, p, c, step) {
			problems = append(problems, cmp.Or(step.Name, step.request()[0])+": "+problem)
		}
	}
	return problems
}

// validate runs "kai validate", and "kai serve" where that must end as well.
func (g *caseGateway) validate(t *testing.T, want *validateWant) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(g.config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := kaiCommand(t, builtProgram(t), g.env, "validate", file)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var d differences
	d.equal("kai validate: exit", cmd.ProcessState.ExitCode(), want.Exit)
	d.words("stderr", stderr.String(), want.Contains, want.Lacks, want.Matches)
	if want.Exit == 0 {
		return d
	}
	switch p, err := launch(t, builtProgram(t), g.config, g.env...); {
	case err == nil:
		d.add("kai serve: serves, want exit %d", want.Exit)
	case p == nil || p.cmd.ProcessState == nil:
		t.Fatal(err)
	default:
		d.equal("kai serve: exit", p.cmd.ProcessState.ExitCode(), want.Exit)
		d.words("kai serve's stderr", p.text(), want.Contains, want.Lacks, want.Matches)
	}
	return d
}

// exchange sends one request and gives what is not as want says.
func (g *caseGateway) exchange(t *testing.T, p *process, c fieldCase, want exchange) []string {
	t.Helper()
	hold := 0.0
	if b := bytes.TrimSpace(c.readIfAny(t, "upstream.hold")); b != nil {
		if _, err := fmt.Sscan(string(b), &hold); err != nil {
			t.Fatalf("upstream.hold: %v", err)
		}
	}
	raw := c.readIfAny(t, "upstream.raw")
	if want.Answer != "" {
		raw = c.read(t, want.Answer)
	}
	head := want.request()
	var body []byte
	if want.Body != "" {
		body = c.read(t, want.Body)
	} else if strings.HasPrefix(head[0], "POST") {
		body = c.read(t, "request.json")
	}
	limit := cmp.Or(want.MaxSeconds, defaultLimit)
	g.provider.Forget()
	g.provider.Answer(rawAnswer(raw, stretched(hold)))
	address := strings.TrimSuffix(strings.TrimPrefix(p.url, "http://"), "/v1")
	w, err := sendRaw(address, head, body, stretched(limit))
	if err != nil {
		return []string{err.Error()}
	}
	a := understand(w)
	d := differences(a.faults)
	if w.late {
		d.add("the answer had not ended after %g seconds (times %d)", limit, patience)
	}
	want.check(&d, a, g.provider.Requests(), false)
	return d
}
