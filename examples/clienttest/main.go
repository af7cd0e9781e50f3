// Clienttest runs a program that tests the gateway with a real client, and
// everything the program needs: a gateway that is open to all, one that wants
// keys, and a mock of the providers behind both.
//
//	go run ./examples/clienttest [-kai bin/kai] [-limit 5m] PROGRAM [ARGUMENT…]
//
// The program finds them in its environment:
//
//   - KAI_OPEN, KAI_GUARDED: base URLs for an SDK. The guarded gateway takes the
//     keys in config.go, starts a stream's head early and takes small bodies only.
//   - KAI_UPSTREAM: where to ask the mock what reached it, see provider.go.
//   - OPENAI_BASE_URL: as KAI_OPEN, for programs that leave it to the SDK;
//     ANTHROPIC_BASE_URL: the same without /v1, as Anthropic's SDKs want it.
//
// Everything listens on free ports of the loopback interface and ends with the
// program. The exit status is the program's, 1 if it could not be run, 2 for
// wrong usage.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	flags := flag.NewFlagSet("clienttest", flag.ContinueOnError)
	kai := flags.String("kai", "bin/kai", "the gateway's `binary`")
	limit := flags.Duration("limit", 5*time.Minute, "end everything after this `time`")
	if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: clienttest [-kai binary] [-limit time] program [argument…]")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	err := test(ctx, *kai, flags.Args())
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "clienttest:", err)
		return 1
	}
	return 0
}

// test runs the program among its servers.
func test(ctx context.Context, kai string, program []string) (err error) {
	dir, err := os.MkdirTemp("", "kai-clienttest-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	upstream := httptest.NewServer(newProvider())
	defer func() {
		upstream.CloseClientConnections()
		upstream.Close()
	}()
	env := environment("KAI_UPSTREAM=" + upstream.URL)
	for _, g := range []struct{ name, config string }{
		{"open", openConfig(upstream.URL)},
		{"guarded", guardedConfig(upstream.URL)},
	} {
		gateway, failed := start(ctx, kai, filepath.Join(dir, g.name+".yaml"), g.config)
		if failed != nil {
			return fmt.Errorf("start the %s gateway: %w", g.name, failed)
		}
		defer func() {
			gateway.stop()
			if log := gateway.log(); err != nil && log != "" {
				fmt.Fprintf(os.Stderr, "\nWhat the %s gateway's log says of trouble, at its end:\n%s", g.name, log)
			}
		}()
		env = append(env, "KAI_"+strings.ToUpper(g.name)+"="+gateway.url+"/v1")
		if g.name == "open" {
			env = append(env, "OPENAI_BASE_URL="+gateway.url+"/v1", "ANTHROPIC_BASE_URL="+gateway.url)
		}
	}
	p := command(ctx, program[0], program[1:]...)
	p.Env = env
	p.Stdout, p.Stderr = os.Stdout, os.Stderr
	err = p.Run()
	if ctx.Err() != nil {
		return errors.New("stopped before the program had ended")
	}
	return err
}

// elsewhere matches variables that would lead a client elsewhere.
var elsewhere = regexp.MustCompile(`^(?:OPENAI|ANTHROPIC|CLAUDE|CODEX|KAI)|^[^=]*_(?i:proxy)=`)

// environment is this process's without what would lead a client elsewhere.
func environment(more ...string) []string {
	return append(slices.DeleteFunc(os.Environ(), elsewhere.MatchString), more...)
}

// command is a process that is asked to end when ctx ends, and made to a little
// later.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 5 * time.Second
	return c
}

// gateway is a running "kai serve".
type gateway struct {
	url  string // http://127.0.0.1:PORT
	cmd  *exec.Cmd
	over chan struct{} // closed when its log has ended

	mu    sync.Mutex
	lines []string // the last of its log, without what is in order
}

// start serves a configuration and waits until the adapters are ready.
func start(ctx context.Context, kai, file, config string) (*gateway, error) {
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	g := &gateway{cmd: command(ctx, kai, "serve", "--config", file), over: make(chan struct{})}
	g.cmd.Env = environment()
	stderr, err := g.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	at := make(chan string, 1)
	go g.follow(stderr, at)
	select {
	case g.url = <-at:
	case <-g.over:
		g.stop()
		return nil, fmt.Errorf("it does not serve: %s", g.log())
	}
	if err := ready(ctx, g.url); err != nil {
		g.stop()
		return nil, fmt.Errorf("%w: %s", err, g.log())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lines = nil // that it was not ready at first is in order
	return g, nil
}

// follow keeps the end of the log and tells the address it names.
func (g *gateway) follow(log io.Reader, at chan<- string) {
	defer close(g.over)
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry struct{ Level, Msg, URL string }
		json.Unmarshal(lines.Bytes(), &entry) // what is not JSON is trouble
		if entry.Msg == "serving" {
			if u, err := url.Parse(entry.URL); err == nil {
				// localhost may be ::1 first, where nobody listens.
				at <- "http://" + net.JoinHostPort("127.0.0.1", u.Port())
			}
		}
		if entry.Level != "INFO" {
			g.keep(lines.Text())
		}
	}
	io.Copy(io.Discard, log)
}

func (g *gateway) keep(line string) {
	const kept = 40
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.lines) == kept {
		g.lines = g.lines[1:]
	}
	g.lines = append(g.lines, line+"\n")
}

func (g *gateway) log() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.lines, "")
}

// stop ends the process, whose requests are over, and waits for it.
func (g *gateway) stop() {
	g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.over:
	case <-time.After(10 * time.Second):
		g.cmd.Process.Kill()
		<-g.over
	}
	g.cmd.Wait()
}

// ready waits until no request has to wait for an adapter any more.
func ready(ctx context.Context, url string) error {
	for {
		res, err := http.Get(url + "/readyz")
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("it did not get ready in time")
		case <-time.After(50 * time.Millisecond):
		}
	}
}
