package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

type handler = http.Handler

// process is a server that is measured, or the upstream.
type process struct {
	name string
	addr string // host:port
	cmd  *exec.Cmd
	hold io.Closer // a role's standard input; the role ends when it is closed
}

// serveRole serves one of the roles on a free port until its standard input ends. It prints
// its address.
func serveRole(role, base string, stdin io.Reader, stdout, stderr io.Writer) int {
	make, ok := roles[role]
	if !ok {
		fmt.Fprintf(stderr, "bench: there is no role %q\n", role)
		return 2
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	fmt.Fprintln(stdout, l.Addr())
	go func() {
		io.Copy(io.Discard, stdin)
		os.Exit(0)
	}()
	fmt.Fprintf(stderr, "bench: %v\n", (&http.Server{Handler: make(base)}).Serve(l))
	return 1
}

// startRole starts this program in another role.
func startRole(ctx context.Context, role, base string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-role", role, "-base", base)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	p := &process{name: role, cmd: cmd, hold: in}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("start %s: it gave no address: %w", role, err)
	}
	p.addr = strings.TrimSpace(line)
	return p, nil
}

// startGateway starts a Kai binary on a free port and waits until it listens. cache is the
// directory for its compiled adapters. log is the file for its log: writing the log is part
// of what a request costs. env is added to its environment.
func startGateway(ctx context.Context, name, binary, config, cache, log string, env ...string) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	p, err := launch(ctx, name, binary, config, cache, file, env...)
	if err != nil {
		return nil, err
	}
	if p.addr, err = addressIn(ctx, log); err != nil {
		p.stop()
		text, _ := os.ReadFile(log)
		return nil, fmt.Errorf("start %s: %w\n%s", name, err, bytes.TrimSpace(text))
	}
	return p, nil
}

// launch starts a Kai binary on a free port and does not wait for it.
func launch(ctx context.Context, name, binary, config, cache string, log *os.File, env ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, binary, "serve", "--config", config, "--host", "127.0.0.1", "--port", "0")
	cmd.Env = append(append(os.Environ(), "XDG_CACHE_HOME="+cache), env...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return &process{name: name, cmd: cmd}, nil
}

// entry is a line of a gateway's log.
type entry struct {
	Msg, URL         string
	Provider, SHA256 string // of an adapter that is ready
	Err              string
	Duration         float64 `json:"duration_ms"`
}

// address returns where a gateway listens. The entry must be the one that says so.
func (e entry) address() (string, error) {
	_, port, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(e.URL, "http://"), "/v1"), ":")
	if !ok {
		return "", fmt.Errorf("no port in %q", e.URL)
	}
	return "127.0.0.1:" + port, nil
}

// observed is a gateway whose log is read from a pipe, to know when something happens.
type observed struct {
	*process
	log   *os.File
	lines *bufio.Reader
}

// observe starts a gateway and waits until it listens.
func observe(ctx context.Context, binary, config, cache string) (*observed, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p, err := launch(ctx, kai, binary, config, cache, w)
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	o := &observed{process: p, log: r, lines: bufio.NewReader(r)}
	e, err := o.until("serving")
	if err == nil {
		p.addr, err = e.address()
	}
	if err != nil {
		o.stop()
		return nil, err
	}
	return o, nil
}

func (o *observed) stop() {
	o.process.stop()
	o.log.Close()
}

// until reads the log up to a line with the message msg. If the log has an error before
// that, it returns that error.
func (o *observed) until(msg string) (entry, error) {
	o.log.SetReadDeadline(time.Now().Add(time.Minute))
	for {
		line, err := o.lines.ReadBytes('\n')
		if err != nil {
			return entry{}, fmt.Errorf("wait for %q in the log: %w: %s", msg, err, bytes.TrimSpace(line))
		}
		var e entry
		if json.Unmarshal(line, &e) != nil || e.Err != "" {
			return entry{}, fmt.Errorf("wait for %q in the log: %s", msg, bytes.TrimSpace(line))
		}
		if e.Msg == msg {
			return e, nil
		}
	}
}

// loaded reads the log up to the line that says that the adapter of a provider is ready.
func (o *observed) loaded(provider string) (e entry, err error) {
	for err == nil && e.Provider != provider {
		e, err = o.until("adapter ready")
	}
	return e, err
}

// addressIn waits for the line in the log that says where a gateway listens.
func addressIn(ctx context.Context, log string) (string, error) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(log)
		if err != nil {
			return "", err
		}
		for line := range bytes.Lines(text) {
			var e entry
			if json.Unmarshal(line, &e) == nil && e.Msg == "serving" {
				return e.address()
			}
		}
	}
	return "", errors.New("it does not say where it serves")
}

// stop ends the process and waits for its end.
func (p *process) stop() {
	if p.hold != nil {
		p.hold.Close()
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// cpu returns the processor time that all threads of the process have used.
func (p *process) cpu() (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("%s: no /proc/PID/task/*/schedstat: the process ended, or this is no Linux with scheduler statistics", p.name)
	}
	var sum int64
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread ended; Go's threads seldom do
		}
		if err != nil {
			return 0, err
		}
		ns, err := strconv.ParseInt(string(bytes.Fields(text)[0]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		sum += ns
	}
	return time.Duration(sum), nil
}

// rss returns how many bytes of memory the process has in use, the pages of its program included.
func (p *process) rss() (int64, error) { return p.memory("VmRSS:") }

// held returns how many bytes of memory the process has in use besides the pages of files, of which
// the program's own come and go with what it does and don't grow with its load.
func (p *process) held() (int64, error) { return p.memory("RssAnon:") }

func (p *process) memory(what string) (int64, error) {
	n, err := memoryOf(p.cmd.Process.Pid, what)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	return n, nil
}

// memoryOf returns what a line of /proc/PID/status says.
func memoryOf(pid int, what string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, what); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in /proc/PID/status", what)
}
