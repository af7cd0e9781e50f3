// Package mock makes upstreams for tests: servers on the loopback interface that answer
// as a test tells them, remember what they were asked, and end with their test.
//
// An Answer is a function. Those of this package cover what most tests need, and Steps
// joins them: a stream that breaks off after two events is
//
//	mock.Steps(mock.SSE("data: 1\n\n", "data: 2\n\n"), mock.Reset)
//
// A test whose answer depends on the request writes a function of its own, with the
// methods of Exchange.
//
// The package imports nothing of Kai, so tests inside of Kai's packages can use it, too.
// Only tests import it.
package mock

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// Request is what an upstream was asked.
type Request struct {
	Method string
	URI    string // path and query, as they came
	Host   string
	Header http.Header
	Body   string
}

// Upstream is a server that runs until its test ends. Its methods are safe for
// concurrent use.
type Upstream struct {
	*httptest.Server

	closed  chan struct{} // by Close: nothing waits any longer
	close   sync.Once
	serving sync.WaitGroup

	mu           sync.Mutex
	answer       Answer
	requests     []Request
	opened, open int
	taken        map[net.Conn]bool // connections that net/http no longer knows
}

// Start serves an answer to every request until the test ends. Each request is read to
// its end before it is answered.
func Start(t testing.TB, answer Answer) *Upstream {
	t.Helper()
	u := &Upstream{closed: make(chan struct{}), answer: answer, taken: map[net.Conn]bool{}}
	u.Server = httptest.NewUnstartedServer(u)
	u.Config.ConnState = u.connState
	u.Server.Start()
	t.Cleanup(u.Close)
	return u
}

// Nowhere returns the URL of a port on which nobody listens. The port is taken until the
// test ends, or a server of another test might get it.
func Nowhere(t testing.TB) string {
	t.Helper()
	syscall.ForkLock.RLock() // no process that is started meanwhile has it, too
	s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(s)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(s) })
	if err := syscall.Bind(s, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(s)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

// Close ends the server: its connections are closed, also those in use, and what waits
// in an answer no longer does. It returns when every answer has. Further calls do
// nothing.
func (u *Upstream) Close() {
	u.close.Do(func() {
		close(u.closed)
		u.mu.Lock()
		taken := u.taken
		u.taken = nil
		u.mu.Unlock()
		for c := range taken {
			c.Close()
		}
		u.Server.CloseClientConnections()
		u.Server.Close()
		u.serving.Wait()
	})
}

// Answer replaces the answer to all requests from now on.
func (u *Upstream) Answer(answer Answer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer = answer
}

// Requests returns what the upstream was asked since its start, or since Forget, in the
// order in which the requests were read.
func (u *Upstream) Requests() []Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.requests)
}

// Last returns the last of Requests. It is the zero value if there is none.
func (u *Upstream) Last() Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.requests) == 0 {
		return Request{}
	}
	return u.requests[len(u.requests)-1]
}

// Forget drops the requests so far.
func (u *Upstream) Forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.requests = nil
}

// Opened returns how many connections clients have opened so far.
func (u *Upstream) Opened() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.opened
}

// Open returns how many connections are open.
func (u *Upstream) Open() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.open
}

func (u *Upstream) connState(_ net.Conn, s http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch s {
	case http.StateNew:
		u.opened++
		u.open++
	case http.StateClosed: // of a connection that was taken, drop tells
		u.open--
	}
}

// ServeHTTP implements http.Handler.
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.serving.Add(1)
	defer u.serving.Done()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	x := &Exchange{
		Request:  Request{Method: r.Method, URI: r.RequestURI, Host: r.Host, Header: r.Header.Clone(), Body: string(body)},
		upstream: u, w: w, gone: r.Context().Done(),
	}
	u.mu.Lock()
	u.requests = append(u.requests, x.Request)
	answer := u.answer
	u.mu.Unlock()
	defer x.end()
	answer(x)
}

// keep notes a connection that was taken from net/http.
func (u *Upstream) keep(c net.Conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.taken == nil {
		c.Close() // so is the server
		return
	}
	u.taken[c] = true
}

// drop closes a connection that was taken.
func (u *Upstream) drop(c net.Conn) {
	c.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.taken, c)
	u.open--
}

func (r Request) String() string { return fmt.Sprintf("%s %s %s", r.Method, r.URI, r.Body) }
