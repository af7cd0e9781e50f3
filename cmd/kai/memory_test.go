//go:build linux

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/race"
	"github.com/kai-gateway/kai/sdk/abi"
)

// machineMemory is what each kai of TestMemoryAttacks has.
const machineMemory = 512 << 20

// memoryGroup makes a cgroup with that much memory, and gives "" and the reason where
// this user may not.
func memoryGroup(t *testing.T) (dir, why string) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err.Error()
	}
	for line := range strings.Lines(string(self)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		root, limit := "/sys/fs/cgroup", "memory.max"
		switch {
		case len(parts) == 3 && parts[1] == "memory":
			root, limit = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case len(parts) != 3 || parts[1] != "":
			continue
		}
		group := filepath.Join(root, parts[2], fmt.Sprintf("kai-test-%d-%d", os.Getpid(), groups.Add(1)))
		if err := os.Mkdir(group, 0o755); err != nil {
			why = err.Error()
			continue
		}
		t.Cleanup(func() {
			for range 100 { // until the kernel has seen the process end
				if os.Remove(group) == nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
		if err := os.WriteFile(filepath.Join(group, limit), strconv.AppendInt(nil, machineMemory, 10), 0o600); err != nil {
			why = err.Error()
			continue
		}
		return group, ""
	}
	return "", why
}

var groups atomic.Int64

// attack is one way to have a gateway hold more than there is.
type attack struct {
	provider string // YAML of the provider "evil" besides its base_url
	answer   http.HandlerFunc
	run      func(t *testing.T, p *process)
	bodies   bool // it uses up what all share before a provider is known: others are refused, too
}

// TestMemoryAttacks attacks a gateway that has 512 MB, which holds half of that by
// default. It must live, stay within what it has, serve another provider meanwhile
// and this one afterwards.
func TestMemoryAttacks(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("takes a minute, and the program under test has no race detector: make check runs it without")
	}
	guest := func(name string) string {
		path, err := filepath.Abs("../../host/wasm/testdata/hostile/" + name + ".wasm")
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := strings.Repeat("x", 1<<20)
	pad := func(n int) string { return strings.Repeat(text, n) }
	sixMiB := fmt.Sprintf(`{"message":{"content":"%s"}}`+"\n", pad(6))
	compressed := bomb(31 << 20)
	ask := func(stream bool, content string) string {
		return fmt.Sprintf(`{"model":"evil","stream":%v,"messages":[{"role":"user","content":"%s"}]}`, stream, content)
	}
	for name, a := range map[string]attack{
		"lines without an end": {
			provider: "plugin: ollama, limits: {input: 32MiB}",
			answer: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/x-ndjson")
				for range 31 {
					io.WriteString(w, text)
				}
				http.NewResponseController(w).Flush()
				<-r.Context().Done()
			},
			run: func(t *testing.T, p *process) { p.hold(t, 12, 3*time.Second, ask(true, "x")) },
		},
		"calls of tools without a name": {
			provider: fmt.Sprintf("plugin: %q", guest("puppet")),
			answer: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for range 20 { // a MiB of what takes six bytes of JSON each
					fmt.Fprintf(w, "data: @P%02x%08x%08x%s\n\n", byte(abi.ToolArgs), 65536+100, 1<<20-1000, strings.Repeat("\x01", 1<<20))
				}
				http.NewResponseController(w).Flush()
				<-r.Context().Done()
			},
			run: func(t *testing.T, p *process) { p.hold(t, 12, 5*time.Second, ask(true, "x")) },
		},
		"instances of open streams": {
			provider: "plugin: ollama, isolation: request",
			answer: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/x-ndjson")
				fmt.Fprintf(w, `{"message":{"content":%q}}`+"\n", pad(3))
				http.NewResponseController(w).Flush()
				<-r.Context().Done()
			},
			run: func(t *testing.T, p *process) { p.hold(t, 60, 5*time.Second, ask(true, "x")) },
		},
		"long content repeated": {
			provider: fmt.Sprintf("plugin: %q", guest("repeats")),
			answer: func(w http.ResponseWriter, r *http.Request) {
				<-r.Context().Done() // without reading
			},
			run:    func(t *testing.T, p *process) { p.hold(t, 30, 4*time.Second, ask(false, pad(7))) },
			bodies: true,
		},
		"clients that don't read": {
			provider: "plugin: ollama",
			answer: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/x-ndjson")
				for r.Context().Err() == nil {
					io.WriteString(w, sixMiB)
				}
			},
			run: func(t *testing.T, p *process) { p.hold(t, 100, 5*time.Second, ask(true, "x")) },
		},
		"bodies that are half sent": {
			provider: "plugin: ollama",
			run:      func(t *testing.T, p *process) { p.halves(t, 2000, text[:700<<10], 6*time.Second) },
			bodies:   true,
		},
		"heads that have no end": {
			provider: "plugin: ollama",
			run:      func(t *testing.T, p *process) { p.heads(t, 3000, "GET /livez HTTP/1.1\r\n"+manyLines, 6*time.Second) },
		},
		"heads of long lines that have no end": {
			provider: "plugin: ollama",
			run: func(t *testing.T, p *process) {
				p.heads(t, 3000, "GET /livez HTTP/1.1\r\n"+strings.Repeat("X: "+text[:4000]+"\r\n", 15), 6*time.Second)
			},
		},
		"connections on which nothing comes": {
			provider: "plugin: ollama",
			run:      func(t *testing.T, p *process) { p.heads(t, 4000, "", 6*time.Second) },
		},
		"public pages with large heads, whose answers nobody reads": {
			provider: "plugin: ollama",
			run: func(t *testing.T, p *process) {
				p.heads(t, 3000, strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n"+longHead+"\r\n", 5), 6*time.Second)
			},
		},
		"requests with large heads": {
			provider: "plugin: ollama",
			answer:   func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			run: func(t *testing.T, p *process) {
				body := ask(true, "x")
				p.heads(t, 1000, fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s", len(body), longHead, body), 6*time.Second)
			},
			bodies: true,
		},
		"large bodies": {
			provider: "plugin: ollama",
			answer:   func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			run:      func(t *testing.T, p *process) { p.hold(t, 200, 5*time.Second, ask(false, pad(31))) },
			bodies:   true,
		},
		"compressed answers": {
			provider: "plugin: ollama",
			answer: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Content-Encoding", "gzip")
				w.Write(compressed)
			},
			run: func(t *testing.T, p *process) { p.hold(t, 100, 4*time.Second, ask(false, "x")) },
		},
		"compressed answers that don't end": {
			provider: "plugin: ollama",
			answer: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Content-Encoding", "gzip")
				w.Write(compressed[:20<<10])
				http.NewResponseController(w).Flush()
				<-r.Context().Done()
			},
			run: func(t *testing.T, p *process) { p.hold(t, 40, 4*time.Second, ask(false, "x")) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each attacks a program of its own, for seconds
			over, end := context.WithCancel(t.Context())
			defer end()
			var behave atomic.Bool
			// Not an upstream of internal/testkit/mock, which reads and keeps what it is asked:
			// here that is more than there is memory, and some of it must stay unread.
			up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if behave.Load() || a.answer == nil {
					io.Copy(io.Discard, r.Body)
					w.Header().Set("Content-Type", "application/x-ndjson")
					io.WriteString(w, `{"message":{"content":"well"},"done":true,"done_reason":"stop"}`+"\n")
					return
				}
				// The server learns of a hang-up only behind a body that it has read.
				ctx, cancel := context.WithCancel(r.Context())
				defer context.AfterFunc(over, cancel)()
				defer cancel()
				a.answer(w, r.WithContext(ctx))
			}))
			defer up.Close()
			group, why := memoryGroup(t)
			limit := ""
			if group == "" {
				t.Logf("without a cgroup (%s): by server.max_memory and the process's own count", why)
				limit = "server: {max_memory: 256MiB}\n"
			}
			p := startIn(t, group, limit+fmt.Sprintf(`
providers: {evil: {base_url: %q, %s}}
model_mapping: {evil: {provider: evil, model: m}, demo: {provider: demo, model: m}}
`, up.URL, a.provider))
			p.say(t, "demo", false)

			others := make(chan struct{})
			var served sync.WaitGroup
			served.Go(func() {
				for {
					select {
					case <-others:
						return
					case <-time.After(50 * time.Millisecond):
						p.say(t, "demo", a.bodies)
					}
				}
			})
			a.run(t, p)
			close(others)
			served.Wait()
			behave.Store(true)
			end()
			up.CloseClientConnections()

			peak := p.peak(t)
			t.Logf("at most %d MiB", peak>>20)
			if peak > machineMemory {
				t.Errorf("it had %d MiB, more than there is", peak>>20)
			}
			deadline := time.Now().Add(longWait)
			for !p.say(t, "demo", true) { // what was held goes when its clients have gone
				if time.Now().After(deadline) {
					t.Fatal("it does not serve again")
				}
				time.Sleep(50 * time.Millisecond)
			}
			if strings.Contains(p.text(), "panic") {
				t.Error("something panicked")
			}
		})
	}
}

// startIn is startBuilt in a cgroup, if one is named.
func startIn(t *testing.T, group, yaml string) *process {
	t.Helper()
	if group == "" {
		return startBuilt(t, yaml)
	}
	// A shell of the group becomes the program: all its memory is the group's.
	wrapper := filepath.Join(t.TempDir(), "kai")
	script := fmt.Sprintf("#!/bin/sh\necho $$ > '%s/cgroup.procs' && exec '%s' \"$@\"\n", group, builtProgram(t))
	// A process that a test beside this one starts meanwhile would have the file open for writing.
	syscall.ForkLock.RLock()
	err := os.WriteFile(wrapper, []byte(script), 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	return startProgram(t, wrapper, yaml)
}

// bomb is so many spaces, compressed.
func bomb(n int) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	spaces := bytes.Repeat([]byte(" "), 1<<20)
	for range n >> 20 {
		z.Write(spaces)
	}
	z.Close()
	return b.Bytes()
}

// say asks a model for a few words and reports whether they came. mayRefuse says
// that a 503 with Retry-After is as good.
func (p *process) say(t *testing.T, model string, mayRefuse bool) bool {
	client := http.Client{Timeout: longWait}
	res, err := client.Post(p.url+"/chat/completions", "application/json",
		strings.NewReader(fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"hello"}]}`, model)))
	if err != nil {
		t.Errorf("%s: %v", model, err)
		return false
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	var a struct{ Choices []json.RawMessage }
	if res.StatusCode == 200 && json.Unmarshal(answer, &a) == nil && len(a.Choices) == 1 {
		return true
	}
	if !mayRefuse || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("%s: %d %v %s", model, res.StatusCode, res.Header, answer)
	}
	return false
}

// hold sends a body so many times at once and reads little of the answers, for so
// long. An answer that is an error has a status that Kai gives.
func (p *process) hold(t *testing.T, times int, d time.Duration, body string) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var all sync.WaitGroup
	statuses := make([]atomic.Int64, 600)
	for range times {
		all.Go(func() {
			req, _ := http.NewRequestWithContext(ctx, "POST", p.url+"/chat/completions", strings.NewReader(body))
			req.Header.Set("Content-Type", "application/json")
			transport := &http.Transport{DisableKeepAlives: true}
			res, err := transport.RoundTrip(req)
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("a request got no answer: %v", err)
				}
				return
			}
			statuses[res.StatusCode].Add(1)
			if res.StatusCode == 503 && res.Header.Get("Retry-After") == "" {
				t.Errorf("a 503 doesn't say when to come again")
			}
			<-ctx.Done()
			res.Body.Close()
		})
	}
	all.Wait()
	for status := range statuses {
		if n := statuses[status].Load(); n > 0 {
			t.Logf("%d times %d", n, status)
		}
	}
}

// manyLines are the lines of a head that would take the most memory: all different, and short.
// longHead are those of one that is just not refused.
var manyLines, longHead = lines(60<<10, ""), lines(50<<10, strings.Repeat("y", 50))

func lines(bytes int, value string) string {
	var b strings.Builder
	for n := 0; b.Len() < bytes; n++ {
		fmt.Fprintf(&b, "x%d:%s\r\n", n, value)
	}
	return b.String()
}

// halves opens so many connections and sends only the beginning of a body.
func (p *process) halves(t *testing.T, times int, begin string, d time.Duration) {
	p.heads(t, times, fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", 31<<20, begin), d)
}

// heads opens so many connections, sends something on each and reads nothing.
func (p *process) heads(t *testing.T, times int, begin string, d time.Duration) {
	address := strings.TrimSuffix(strings.TrimPrefix(p.url, "http://"), "/v1")
	var conns []net.Conn
	for range times {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Error(err)
			break
		}
		conns = append(conns, c)
		go io.WriteString(c, begin)
	}
	time.Sleep(d)
	for _, c := range conns {
		c.Close()
	}
}

// peak is the most memory that the process had at any time.
func (p *process) peak(t *testing.T) int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatalf("kai is gone: %v", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("kai is gone")
	return 0
}
