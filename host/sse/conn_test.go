package sse

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// noted counts the writes to the connections of a listener.
type noted struct {
	net.Listener
	writes atomic.Int64
}

type notedConn struct {
	net.Conn
	l *noted
}

func (l *noted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &notedConn{c, l}, nil
}

func (c *notedConn) Write(p []byte) (int, error) {
	c.l.writes.Add(1)
	return c.Conn.Write(p)
}

// serveConns runs a handler behind Listen.
func serveConns(t *testing.T, handler http.HandlerFunc) (addr string, writes *atomic.Int64) {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &noted{Listener: tcp}
	s := &http.Server{Handler: handler, ConnContext: ConnContext}
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve(Listen(l))
	}()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	return tcp.Addr().String(), &l.writes
}

// burst is a stream of n flushes of so many bytes, over a Conn or not.
func burst(n, size int, corked bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		opts := Options{}
		if corked {
			opts.Conn = ConnFrom(r.Context())
		}
		c := New(w, opts)
		defer c.Close()
		for i := range n {
			if c.Write(flushOf(i, size)) != nil {
				return
			}
		}
	}
}

func flushOf(i, size int) []byte {
	return bytes.Repeat([]byte{byte('a' + i%26)}, size)
}

func TestALargeFlushIsOneWrite(t *testing.T) {
	for name, tc := range map[string]struct{ flushes, size, most, least int }{
		"as a burst of small chunks has them": {10, 4400, 12, 19},
		"larger ones":                         {4, 33 << 10, 6, 9},
		"small ones need no cork":             {10, 200, 12, 10},
		"more than is gathered at once":       {2, 200 << 10, 11, 5},
	} {
		t.Run(name, func(t *testing.T) {
			var counts [2]int64
			for i, corked := range []bool{false, true} {
				addr, writes := serveConns(t, burst(tc.flushes, tc.size, corked))
				res, err := http.Get("http://" + addr)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				var want []byte
				for i := range tc.flushes {
					want = append(want, flushOf(i, tc.size)...)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("corked %v: the client got %d bytes, and not those that were sent", corked, len(got))
				}
				counts[i] = writes.Load()
			}
			if counts[0] < int64(tc.least) || counts[1] > int64(tc.most) {
				t.Errorf("%d writes, corked %d; want at least %d and at most %d", counts[0], counts[1], tc.least, tc.most)
			}
		})
	}
}

// TestEachFlushArrivesBeforeTheNext: nothing that was flushed stays in a cork.
func TestEachFlushArrivesBeforeTheNext(t *testing.T) {
	seen := make(chan struct{})
	addr, _ := serveConns(t, func(w http.ResponseWriter, r *http.Request) {
		c := New(w, Options{Conn: ConnFrom(r.Context())})
		defer c.Close()
		for i := range 5 {
			if err := c.Write(flushOf(i, 5000)); err != nil {
				t.Error(err)
			}
			<-seen
		}
	})
	res, err := http.Get("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for i := range 5 {
		got := make([]byte, 5000)
		if _, err := io.ReadFull(res.Body, got); err != nil || !bytes.Equal(got, flushOf(i, 5000)) {
			t.Fatalf("flush %d: %v, %.20q", i, err, got)
		}
		seen <- struct{}{}
	}
}

// TestAConnectionIsUsedAgain after a stream with corks, and after one that began with
// "100 Continue".
func TestAConnectionIsUsedAgain(t *testing.T) {
	addr, _ := serveConns(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // sends 100 Continue
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusEarlyHints)
		c := New(w, Options{Conn: ConnFrom(r.Context())})
		defer c.Close()
		c.Write(append(body, flushOf(1, 9000)...))
	})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for i := range 3 {
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
		for _, want := range []int{100, 103, 200} {
			res, err := http.ReadResponse(in, nil)
			if err != nil || res.StatusCode != want {
				t.Fatalf("request %d: %v, %v; want %d", i, res, err, want)
			}
			switch want {
			case 100:
				io.WriteString(conn, "hello")
			case 200:
				got, err := io.ReadAll(res.Body)
				if err != nil || string(got) != "hello"+string(flushOf(1, 9000)) {
					t.Fatalf("request %d: %v, %.20q", i, err, got)
				}
			}
		}
	}
}

// TestAClientThatIsGoneIsNoticedThroughACork, whether it hung up or only stopped reading.
func TestAClientThatIsGoneIsNoticedThroughACork(t *testing.T) {
	for name, hangsUp := range map[string]bool{"it hung up": true, "it reads nothing": false} {
		t.Run(name, func(t *testing.T) {
			gone := make(chan error, 1)
			ended := make(chan error, 1)
			addr, _ := serveConns(t, func(w http.ResponseWriter, r *http.Request) {
				c := New(w, Options{Conn: ConnFrom(r.Context()), WriteTimeout: 200 * time.Millisecond, Gone: func(err error) { gone <- err }})
				defer c.Close()
				for {
					if err := c.Write(flushOf(0, 30<<10)); err != nil {
						ended <- err
						return
					}
				}
			})
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			if hangsUp {
				io.ReadFull(conn, make([]byte, 1000))
				conn.Close()
			}
			if err := <-ended; !errors.Is(err, ErrGone) {
				t.Errorf("the write fails with %v, want ErrGone", err)
			}
			if err := <-gone; !errors.Is(err, ErrGone) {
				t.Errorf("Gone got %v", err)
			}
		})
	}
}

// TestASlowReaderGetsAll: it reads a few bytes at a time, so that writes wait for it.
func TestASlowReaderGetsAll(t *testing.T) {
	addr, _ := serveConns(t, burst(40, 33<<10, true))
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(32 << 10)
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReaderSize(conn, 512), nil)
	if err != nil {
		t.Fatal(err)
	}
	n, p := 0, make([]byte, 1000)
	for err == nil {
		var got int
		got, err = res.Body.Read(p)
		for _, c := range p[:got] {
			if want := byte('a' + n/(33<<10)%26); c != want {
				t.Fatalf("byte %d is %c, want %c", n, c, want)
			}
			n++
		}
	}
	if err != io.EOF || n != 40*33<<10 {
		t.Errorf("%d bytes and %v", n, err)
	}
}

// TestCommentsComeBetweenCorks: they are written by another goroutine, and never into the
// middle of an event.
func TestCommentsComeBetweenCorks(t *testing.T) {
	event := "data: " + strings.Repeat("x", 5000) + "\n\n"
	addr, _ := serveConns(t, func(w http.ResponseWriter, r *http.Request) {
		c := New(w, Options{Conn: ConnFrom(r.Context()), KeepAlive: time.Millisecond})
		defer c.Close()
		for range 300 {
			if err := c.Write([]byte(event)); err != nil {
				t.Error(err)
			}
			c.mu.Lock()
			c.last = time.Time{} // it has been silent for long
			c.mu.Unlock()
		}
	})
	res, err := http.Get("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if rest := strings.ReplaceAll(strings.ReplaceAll(string(got), event, ""), comment, ""); rest != "" {
		t.Errorf("something else came: %.100q", rest)
	}
}

// TestConn writes with and without a cork, and to a connection that fails.
func TestConn(t *testing.T) {
	var got bytes.Buffer
	broken := errors.New("broken")
	fails := false
	c := &Conn{Conn: fakeConn{write: func(p []byte) (int, error) {
		if fails {
			return 0, broken
		}
		got.Write(p)
		got.WriteByte('|')
		return len(p), nil
	}}}
	say := func(s string) {
		if _, err := io.WriteString(c, s); err != nil {
			t.Error(err)
		}
	}
	say("a")
	c.Cork()
	say("b")
	c.Cork() // changes nothing
	say("c")
	if err := c.Uncork(); err != nil {
		t.Error(err)
	}
	if err := c.Uncork(); err != nil { // there is nothing to do
		t.Error(err)
	}
	say("d")
	if want := "a|bc|d|"; got.String() != want {
		t.Errorf("written: %q, want %q", got.String(), want)
	}
	fails = true
	c.Cork()
	say("lost")
	if err := c.Uncork(); err != broken {
		t.Errorf("Uncork = %v, want the error of the write", err)
	}
	fails = false
	c.Cork()
	say("e")
	c.Uncork()
	if want := "a|bc|d|e|"; got.String() != want {
		t.Errorf("after a failure: %q, want %q", got.String(), want)
	}
}

type fakeConn struct {
	net.Conn
	write func(p []byte) (int, error)
}

func (c fakeConn) Write(p []byte) (int, error) { return c.write(p) }

// TestCorksOfManyConnectionsShareNothing writes to several at once.
func TestCorksOfManyConnectionsShareNothing(t *testing.T) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			want := byte('a' + i)
			c := &Conn{Conn: fakeConn{write: func(p []byte) (int, error) {
				if n := bytes.Count(p, []byte{want}); n != len(p) {
					t.Errorf("%d of %d bytes are another's", len(p)-n, len(p))
				}
				return len(p), nil
			}}}
			for range 1000 {
				c.Cork()
				c.Write(bytes.Repeat([]byte{want}, 3000))
				c.Write(bytes.Repeat([]byte{want}, 3000))
				c.Uncork()
			}
		})
	}
	all.Wait()
}
