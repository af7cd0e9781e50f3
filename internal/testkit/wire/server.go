// Package wire has what tests of what is below HTTP need: a server whose answers are
// written byte by byte, and a count of what is left behind.
package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Server is an upstream that is written byte by byte. Its handler gets one request with its
// body read; it reports whether the connection goes on.
//
// It is not that of internal/testkit/mock: net/http would not let a connection go on behind
// bytes that it did not write, and it keeps goroutines, which NoLeaks counts.
type Server struct {
	URL      string // http://ADDR
	Addr     string
	Conns    atomic.Int32 // accepted so far
	Requests atomic.Int32 // read so far
}

// Handler answers a request, and reports whether the connection goes on.
type Handler func(c net.Conn, r *http.Request) (again bool)

// Start starts a server, which ends with the test when all its handlers have returned.
func Start(t testing.TB, handle Handler) *Server {
	t.Helper()
	s := &Server{}
	s.Addr = Listen(t, func(c net.Conn) {
		s.Conns.Add(1)
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
			s.Requests.Add(1)
			if !handle(c, r) {
				return
			}
		}
	})
	s.URL = "http://" + s.Addr
	return s
}

// Listen gives every connection to a port of its own to serve, and closes it then. It
// returns the port's address. It ends with the test when all calls have returned.
func Listen(t testing.TB, serve func(c net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return l.Addr().String()
}

// Answers gives a handler that writes the same bytes to every request and closes.
func Answers(s string) Handler {
	return func(c net.Conn, _ *http.Request) bool {
		io.WriteString(c, s)
		return false
	}
}

// HangUp waits until the client has closed the connection.
func HangUp(c net.Conn) { io.Copy(io.Discard, c) }

// Reset closes a connection with RST instead of FIN.
func Reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// Chunk writes one chunk of a chunked body; without data it is the last.
func Chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

// Sized ends a head with the length of its body, and is followed by the body.
func Sized(s string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(s), s) }

// NoLeaks checks, when everything else was cleaned up, that as many goroutines and sockets
// are there as when it was called.
func NoLeaks(t testing.TB) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), sockets(t)
	t.Cleanup(func() {
		until := time.Now().Add(time.Minute)
		for {
			g, f := runtime.NumGoroutine(), sockets(t)
			if g <= goroutines && f <= files {
				return
			}
			if time.Now().After(until) {
				stacks := make([]byte, 64<<10)
				stacks = stacks[:runtime.Stack(stacks, true)]
				t.Errorf("%d goroutines and %d sockets, %d and %d before:\n%s", g, f, goroutines, files, stacks)
				return
			}
			time.Sleep(time.Millisecond) // polling: the kernel and the scheduler tell no one
		}
	})
}

// sockets counts the process's sockets, where the system shows them.
func sockets(t testing.TB) int {
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
		if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}
