package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

func TestMain(m *testing.M) {
	testscript.Main(cleaning{m}, map[string]func(){"kai": main})
}

// cleaning removes what the tests share behind them.
type cleaning struct{ *testing.M }

func (c cleaning) Run() int {
	defer os.RemoveAll(shared)
	return c.M.Run()
}

var (
	// shared is a folder for all processes of the tests.
	shared = filepath.Join(os.TempDir(), fmt.Sprintf("kai-test-%d", os.Getpid()))
	// cacheHome has the compiled adapters, each of which is compiled once so: under
	// the race detector that takes ten seconds.
	cacheHome = cmp.Or(os.Getenv("KAI_TEST_CACHE"), filepath.Join(shared, "cache"))
)

// builtKai gives the folder of a program that is built as people build it. Tests
// of single commands, which are the slowest, need no race detector.
var builtKai = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(shared, "bin")
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "kai"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make does
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, beginning(string(out)))
	}
	return dir, nil
})

// beginning gives the first lines of what a compiler says, where the cause is.
func beginning(text string) string {
	const most = 20
	lines := strings.SplitAfter(text, "\n")
	if len(lines) <= most {
		return text
	}
	return strings.Join(lines[:most], "") + fmt.Sprintf("… and %d lines more", len(lines)-most)
}

// TestScripts runs the manual of the command line in testdata.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	goCache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_CACHE_HOME", cacheHome)
			env.Setenv("GOCACHE", strings.TrimSpace(string(goCache)))
			env.Setenv("SOURCE", root) // of Kai itself, for what its own tests use
			bin, err := builtKai()
			if err != nil {
				return err
			}
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("KAI", filepath.Join(bin, "kai")) // for scripts that change the path
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Defer(func() { l.Close() })
			_, port, _ := net.SplitHostPort(l.Addr().String())
			env.Setenv("TAKEN_PORT", port)
			return nil
		},
	})
}

// process is a kai that runs.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	url     string
	file    string // its configuration
	runtime string // its XDG_RUNTIME_DIR

	mu  sync.Mutex
	log bytes.Buffer
	end chan error
}

// start runs "kai serve" on a free port, with more variables, and waits until it
// listens and every adapter is ready.
func start(t *testing.T, yaml string, env ...string) *process {
	t.Helper()
	kai, err := exec.LookPath("kai") // the test binary, put on the path by testscript
	if err != nil {
		t.Fatal(err)
	}
	return startProgram(t, kai, yaml, env...)
}

// startBuilt is start for tests that ask a gateway so much that the race detector
// would cost minutes.
func startBuilt(t *testing.T, yaml string, env ...string) *process {
	t.Helper()
	return startProgram(t, builtProgram(t), yaml, env...)
}

// builtProgram is the path of the program that builtKai gives.
func builtProgram(t *testing.T) string {
	t.Helper()
	bin, err := builtKai()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(bin, "kai")
}

func startProgram(t *testing.T, kai, yaml string, env ...string) *process {
	t.Helper()
	p, err := launch(t, kai, yaml, env...)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "every adapter is ready", func() bool {
		res, err := http.Get(strings.TrimSuffix(p.url, "/v1") + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode == 200
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kai's log:\n%s", p.text())
		}
	})
	return p
}

// launch runs "kai serve" of a program until it listens. It ends with t, which need
// not be the test that calls it. A program that ended by itself comes with its
// error.
func launch(t *testing.T, kai, yaml string, env ...string) (*process, error) {
	file := filepath.Join(t.TempDir(), "kai.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		return nil, err
	}
	p := &process{t: t, file: file, end: make(chan error, 1)}
	p.cmd = kaiCommand(t, kai, env, "serve", "--config", file, "--host", "127.0.0.1", "--port", "0")
	for _, e := range p.cmd.Env {
		if dir, ok := strings.CutPrefix(e, "XDG_RUNTIME_DIR="); ok {
			p.runtime = dir // the last one counts
		}
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	listening := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			p.mu.Lock()
			p.log.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
			var record struct{ Msg, URL string }
			if json.Unmarshal(lines.Bytes(), &record) == nil && record.Msg == "serving" {
				listening <- record.URL
			}
		}
		p.end <- p.cmd.Wait()
	}()
	t.Cleanup(func() { p.cmd.Process.Kill() })
	select {
	case p.url = <-listening:
		return p, nil
	case err := <-p.end:
		return p, fmt.Errorf("kai ended: %v\n%s", err, p.text())
	case <-time.After(longWait):
		return nil, fmt.Errorf("kai does not listen\n%s", p.text())
	}
}

// longWait is how long tests wait for what is sure to come. A machine that has
// much else to do may take minutes to compile an adapter.
const longWait = 5 * time.Minute

// kaiCommand is a command line of the program, with caches and sockets of its own.
func kaiCommand(t *testing.T, kai string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(kai, args...)
	cmd.Env = append(append(os.Environ(), "XDG_CACHE_HOME="+cacheHome, "XDG_RUNTIME_DIR="+runtimeDir(t)), env...)
	return cmd
}

// runtimeDir is short, since a unix socket's path may have 108 bytes only.
func runtimeDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kai")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait gives the exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.end:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(longWait):
		p.t.Fatalf("kai still runs after %v", longWait)
		return -1
	}
}

// slowOllama sends a first line and then waits for the returned function, after
// which it finishes.
func slowOllama(t *testing.T) (url string, finish func()) {
	t.Helper()
	release := make(chan struct{})
	up := mock.Start(t, mock.Steps(mock.NDJSON(`{"message":{"content":"begun"},"done":false}`+"\n"), mock.Wait(release),
		mock.Send(`{"message":{"content":" and done"},"done":true,"done_reason":"stop"}`+"\n")))
	return up.URL, func() { close(release) }
}

// stream begins a streamed answer and returns when its first text has come; the
// rest comes through the channel when it has ended.
func (p *process) stream() <-chan string {
	p.t.Helper()
	res, err := http.Post(p.url+"/chat/completions", "application/json",
		strings.NewReader(`{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}`))
	if err != nil {
		p.t.Fatal(err)
	}
	r := bufio.NewReader(res.Body)
	var begun strings.Builder
	for !strings.Contains(begun.String(), "begun") {
		line, err := r.ReadString('\n')
		if err != nil {
			p.t.Fatalf("the stream ended: %v after %q", err, begun.String())
		}
		begun.WriteString(line)
	}
	rest := make(chan string, 1)
	go func() {
		defer res.Body.Close()
		b, err := io.ReadAll(r)
		if err != nil {
			b = append(b, "!"+err.Error()...)
		}
		rest <- string(b)
	}()
	return rest
}

func ollamaConfig(url, more string) string {
	return fmt.Sprintf("providers: {ollama: {base_url: %q}}\nmodel_mapping: {m: {provider: ollama, model: m}}\n%s", url, more)
}

func TestSIGTERMLetsStreamsFinish(t *testing.T) {
	url, finish := slowOllama(t)
	p := start(t, ollamaConfig(url, ""))
	rest := p.stream()
	p.signal(syscall.SIGTERM)
	eventually(t, "new connections are refused", func() bool {
		c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(p.url, "http://"), "/v1"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	finish()
	if got := <-rest; !strings.Contains(got, " and done") || !strings.HasSuffix(got, "data: [DONE]\n\n") {
		t.Errorf("the stream did not finish: %q", got)
	}
	if code := p.wait(); code != exitDone {
		t.Errorf("exit code %d, want %d", code, exitDone)
	}
}

func TestShutdownTimeoutEndsStreamsWithAnError(t *testing.T) {
	url, _ := slowOllama(t)
	p := start(t, ollamaConfig(url, "server: {shutdown_timeout: 200ms}"))
	rest := p.stream()
	p.signal(os.Interrupt)
	got := <-rest
	if !strings.Contains(got, `"code":"shutting_down"`) || strings.Contains(got, "[DONE]") || strings.Contains(got, "!") {
		t.Errorf("the stream ended with %q, want an error event and a clean end", got)
	}
	if code := p.wait(); code != exitDone {
		t.Errorf("exit code %d, want %d", code, exitDone)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	url, _ := slowOllama(t)
	p := start(t, ollamaConfig(url, ""))
	rest := p.stream()
	p.signal(syscall.SIGTERM)
	eventually(t, "the first signal was seen", func() bool { return strings.Contains(p.text(), "stopping") })
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	<-rest
}

func TestLogIsOneJSONLineForARequest(t *testing.T) {
	p := start(t, "model_mapping: {m: {provider: demo, model: m}}")
	res, err := http.Post(p.url+"/chat/completions", "application/json",
		strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"a secret prompt"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	eventually(t, "the request is in the log", func() bool { return strings.Contains(p.text(), "request finished") })
	for line := range strings.Lines(p.text()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON in the log: %s", line)
		}
	}
	if strings.Contains(p.text(), "secret") {
		t.Errorf("the prompt is in the log:\n%s", p.text())
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(longWait); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v: %s", longWait, what)
		}
	}
}
