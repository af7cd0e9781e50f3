package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk/abi"
)

// server is an upstream that is written byte by byte. Its handler gets one
// request with its body read; it reports whether the connection goes on.
//
// It is not that of internal/testkit/mock, because the tests here are of what is below
// HTTP: net/http would not let a connection go on behind bytes that it did not write,
// and it keeps goroutines, which are counted here.
type server struct {
	url      string
	conns    atomic.Int32
	requests atomic.Int32
}

func startServer(t testing.TB, handle func(c net.Conn, r *http.Request) (again bool)) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{url: "http://" + l.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			running.Go(func() {
				defer c.Close()
				in := bufio.NewReaderSize(c, 64<<10)
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					body, err := io.ReadAll(r.Body)
					if err != nil {
						return
					}
					r.Body = io.NopCloser(strings.NewReader(string(body)))
					s.requests.Add(1)
					if !handle(c, r) {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return s
}

// answers gives a handler that writes the same bytes to every request and
// closes, unless the bytes are an answer with an end of its own.
func answers(s string) func(net.Conn, *http.Request) bool {
	return func(c net.Conn, _ *http.Request) bool {
		io.WriteString(c, s)
		return false
	}
}

// hangUp waits until the client has closed the connection.
func hangUp(c net.Conn) { io.Copy(io.Discard, c) }

// reset closes a connection with RST instead of FIN.
func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// newTestClient makes a client whose end leaves nothing behind: no goroutine
// and no file descriptor, of the client or of a server started after it.
func newTestClient(t testing.TB, url string, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{Provider: "ollama", BaseURL: url}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// noLeaks checks, when everything else was cleaned up, that as many goroutines
// and file descriptors are there as when it was called.
func noLeaks(t testing.TB) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	t.Cleanup(func() {
		until := time.Now().Add(time.Minute)
		for {
			g, f := runtime.NumGoroutine(), openFiles(t)
			if g <= goroutines && f <= files {
				return
			}
			if time.Now().After(until) {
				stacks := make([]byte, 64<<10)
				stacks = stacks[:runtime.Stack(stacks, true)]
				t.Errorf("%d goroutines and %d files, %d and %d before:\n%s", g, f, goroutines, files, stacks)
				return
			}
			time.Sleep(time.Millisecond) // polling: the kernel and the scheduler tell no one
		}
	})
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		// The runtime opens these when it first needs them and keeps them.
		if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

func post(framing abi.Framing) Request {
	return Request{Head: []byte("POST /api/chat\ncontent-type: application/json\n"), Body: []byte(`{"model":"m"}`), Framing: framing}
}

// outcome is what a request came to.
type outcome struct {
	status int
	whole  bool
	body   string
	frames []string // "name|data", or only data
	err    error
}

// run sends a request and reads its answer to the end.
func run(c *Client, r Request) (out outcome) {
	resp, err := c.Do(context.Background(), r)
	if err != nil {
		return outcome{err: err}
	}
	defer resp.Close()
	out.status, out.whole = resp.Status, resp.Whole()
	if out.whole {
		body, err := resp.Body()
		out.body, out.err = string(body), err
		return out
	}
	for {
		f, err := resp.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			out.err = err
			return out
		}
		s := string(f.Data)
		if len(f.Name) > 0 {
			s = string(f.Name) + "|" + s
		}
		out.frames = append(out.frames, s)
	}
}

// wantError checks an error's status, code and a part of its message, and that
// its message shows neither secret nor address, but for one on this machine where
// nobody is.
func wantError(t *testing.T, err error, status int, code, message string) {
	t.Helper()
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Fatalf("error = %v (%T), want an *fault.Error", err, err)
	}
	if e.HTTPStatus() != status || e.Code != code || !strings.Contains(e.Text, message) {
		t.Errorf("error = %d %s %q (%v), want %d %s with %q", e.HTTPStatus(), e.Code, e.Text, e.Cause, status, code, message)
	}
	shown := regexp.MustCompile(` is not reachable at https?://127\.0\.0\.1:\d+: `).ReplaceAllString(e.Text, " is not reachable: ")
	for _, secret := range []string{"127.0.0.1", "[::1]", "hunter2", "169.254", "missing.test", "metadata.test"} {
		if strings.Contains(shown, secret) {
			t.Errorf("message %q shows %q", e.Text, secret)
		}
	}
}
