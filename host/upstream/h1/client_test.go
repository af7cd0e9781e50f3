package h1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/wire"
)

const (
	okHead     = "HTTP/1.1 200 OK\r\n"
	chunksHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
)

// patient waits for as long as a test may last.
var patient = Waits{time.Hour, time.Hour, time.Hour, time.Hour}

func newTestClient(t testing.TB, addr string, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{Address: addr, Host: addr, Dial: new(net.Dialer).DialContext, Waits: patient}
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

// get sends a request and reads its answer to the end.
func get(c *Client, r Request) (status int, body string, err error) {
	x := c.Start(context.Background())
	defer x.Close()
	if err := x.Send(r); err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(x)
	return x.Status, string(b), err
}

func post(body string) Request {
	return Request{Method: "POST", Target: "/a", Header: http.Header{"X-A": {"b"}}, Body: []byte(body)}
}

// echo answers with the request's body.
func echo(c net.Conn, r *http.Request) bool {
	body, _ := io.ReadAll(r.Body)
	_, err := io.WriteString(c, okHead+wire.Sized(string(body)))
	return err == nil
}

func idleConns(c *Client) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.idle)
}

func wantBody(t *testing.T, c *Client, r Request, want string) {
	t.Helper()
	if _, got, err := get(c, r); err != nil || got != want {
		t.Errorf("answer = %.80q, %v, want %.80q", got, err, want)
	}
}

func TestWhatIsSent(t *testing.T) {
	wire.NoLeaks(t)
	var got strings.Builder
	addr := wire.Listen(t, func(c net.Conn) {
		p := make([]byte, 1<<10)
		n, _ := c.Read(p)
		got.Write(p[:n])
		io.WriteString(c, okHead+wire.Sized(""))
	})
	c := newTestClient(t, addr, func(o *Options) { o.Host = "h:1" })
	r := Request{Method: "POST", Target: "/a?b=c", Header: http.Header{"X-B": {"2", "3"}, "Accept": {"1"}}, Body: []byte("body"), Rest: [][]byte{[]byte(" and"), nil, []byte(" rest")}}
	wantBody(t, c, r, "")
	c.Close()
	want := "POST /a?b=c HTTP/1.1\r\nHost: h:1\r\nContent-Length: 13\r\nAccept: 1\r\nX-B: 2\r\nX-B: 3\r\n\r\nbody and rest"
	if got.String() != want {
		t.Errorf("sent %q, want %q in one piece", got.String(), want)
	}
}

// TestOneWrite: head and body arrive in one read.
func TestOneWrite(t *testing.T) {
	r := post(strings.Repeat("x", 12<<10))
	sizes := make(chan int, 1)
	addr := wire.Listen(t, func(c net.Conn) {
		p := make([]byte, 256<<10)
		for {
			n, err := c.Read(p)
			if err != nil {
				return
			}
			sizes <- n
			io.WriteString(c, okHead+wire.Sized("x"))
		}
	})
	c := newTestClient(t, addr)
	for range 5 {
		wantBody(t, c, r, "x")
		if n := <-sizes; n <= len(r.Body) {
			t.Errorf("the first read had %d bytes, want head and body of %d", n, len(r.Body))
		}
	}
	c.Close()
}

func TestBodiesOfAllSizes(t *testing.T) {
	wire.NoLeaks(t)
	s := wire.Start(t, echo)
	c := newTestClient(t, s.Addr)
	for _, size := range []int{0, 1, 4095, 4096, 4097, 64 << 10, 200_000, 8 << 20} {
		r := post(strings.Repeat("0123456789abcde\n", size/16+1)[:size])
		wantBody(t, c, r, string(r.Body))
	}
	if n := s.Conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestConnectionsAreKept: which connection serves another request.
func TestConnectionsAreKept(t *testing.T) {
	type part func(x *Exchange)
	whole := func(x *Exchange) { io.ReadAll(x) }
	none := func(*Exchange) {}
	drain := func(x *Exchange) { x.Drain(); io.ReadAll(x) }
	for name, tc := range map[string]struct {
		answer string
		read   part
		kept   bool
	}{
		"a body of known length":           {okHead + wire.Sized("abc"), whole, true},
		"chunks":                           {chunksHead + wire.Chunk("abc") + wire.Chunk(""), whole, true},
		"an empty body":                    {okHead + wire.Sized(""), whole, true},
		"an empty body, not looked at":     {okHead + wire.Sized(""), none, false},
		"no content":                       {"HTTP/1.1 204 No Content\r\n\r\n", whole, true},
		"not modified":                     {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", whole, true},
		"behind informational answers":     {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + okHead + wire.Sized("a"), whole, true},
		"HTTP/1.0 that says so":            {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n" + wire.Sized("abc"), whole, true},
		"HTTP/1.0":                         {"HTTP/1.0 200 OK\r\n" + wire.Sized("abc"), whole, false},
		"Connection: close":                {okHead + "Connection: x, Close\r\n" + wire.Sized("abc"), whole, false},
		"a body up to the end":             {okHead + "\r\nabc", whole, false},
		"a body that is not read":          {okHead + wire.Sized("abc"), none, false},
		"a body that is drained":           {okHead + wire.Sized("abc"), drain, true},
		"something behind the body":        {okHead + wire.Sized("abc") + "d", whole, false},
		"an answer nobody asked for":       {okHead + wire.Sized("abc") + okHead + wire.Sized("evil"), whole, false},
		"something behind the last chunk":  {chunksHead + wire.Chunk("abc") + wire.Chunk("") + "\r\n", whole, false},
		"a body behind no content":         {"HTTP/1.1 204 No Content\r\n" + wire.Sized("abc"), whole, false},
		"chunks behind no content":         {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", whole, false},
		"another protocol":                 {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", whole, false},
		"an answer that broke off":         {okHead + "Content-Length: 5\r\n\r\nabc", whole, false},
		"a chunk that says a wrong length": {chunksHead + "3\r\nabcd\r\n0\r\n\r\n", whole, false},
	} {
		t.Run(name, func(t *testing.T) {
			wire.NoLeaks(t)
			var n atomic.Int32
			s := wire.Start(t, func(c net.Conn, r *http.Request) bool {
				if n.Add(1) > 1 {
					io.WriteString(c, okHead+wire.Sized("second"))
					return true
				}
				io.WriteString(c, tc.answer)
				return !strings.HasSuffix(name, "broke off") && !strings.HasSuffix(name, "up to the end")
			})
			c := newTestClient(t, s.Addr)
			x := c.Start(context.Background())
			if err := x.Send(post("a")); err != nil {
				t.Fatal(err)
			}
			tc.read(x)
			x.Close()
			x.Close()
			if got := idleConns(c) == 1; got != tc.kept {
				t.Errorf("kept: %v, want %v", got, tc.kept)
			}
			wantBody(t, c, post("b"), "second")
			if n := s.Conns.Load(); (n == 1) != tc.kept {
				t.Errorf("%d connections; kept: %v", n, tc.kept)
			}
			c.Close()
		})
	}
}

// TestIdleConnectionsThatChange: what a server does to a connection while it is idle.
func TestIdleConnectionsThatChange(t *testing.T) {
	for name, change := range map[string]func(net.Conn){
		"it closes it":               func(c net.Conn) { c.Close() },
		"it resets it":               wire.Reset,
		"it closes its half":         func(c net.Conn) { c.(*net.TCPConn).CloseWrite() },
		"it sends an answer":         func(c net.Conn) { io.WriteString(c, okHead+wire.Sized("evil")) },
		"it says that time is over":  func(c net.Conn) { io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\n\r\n") },
		"it sends a byte and closes": func(c net.Conn) { io.WriteString(c, "\n"); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			wire.NoLeaks(t)
			var mu sync.Mutex
			var first net.Conn
			s := wire.Start(t, func(c net.Conn, r *http.Request) bool {
				mu.Lock()
				if first == nil {
					first = c
				}
				mu.Unlock()
				return echo(c, r)
			})
			c := newTestClient(t, s.Addr)
			wantBody(t, c, post("a"), "a")
			change(first)
			for begin, k := time.Now(), c.take(); k != nil; k = c.take() {
				c.keep(k)
				if time.Since(begin) > time.Minute {
					t.Fatal("it looks as if nothing had come")
				}
			}
			wantBody(t, c, post("b"), "b")
			if conns, requests := s.Conns.Load(), s.Requests.Load(); conns != 2 || requests != 2 {
				t.Errorf("%d connections and %d requests, want 2 and 2: nothing had to be repeated", conns, requests)
			}
			c.Close()
		})
	}
}

// TestTheSweeperGivesBackWhatServersClosed: no descriptor waits for the next request.
func TestTheSweeperGivesBackWhatServersClosed(t *testing.T) {
	wire.NoLeaks(t)
	s := wire.Start(t, func(c net.Conn, r *http.Request) bool { return echo(c, r) && false })
	c := newTestClient(t, s.Addr)
	wantBody(t, c, post("a"), "a")
	var late []*Exchange
	for begin := time.Now(); idleConns(c) > 0; runtime.Gosched() {
		c.sweep(c.looked+lookEvery, &late)
		if time.Since(begin) > time.Minute {
			t.Fatal("the connection is still there")
		}
	}
}

func TestNoMoreIdleConnectionsThanAreKept(t *testing.T) {
	wire.NoLeaks(t)
	c := newTestClient(t, "127.0.0.1:1")
	var ends []net.Conn
	for range maxIdle + 3 {
		ours, theirs := net.Pipe()
		k, err := newConn(context.Background(), ours, nil)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, theirs)
		c.keep(k)
	}
	if n := idleConns(c); n != maxIdle {
		t.Errorf("%d idle connections, want %d", n, maxIdle)
	}
	for _, e := range ends[maxIdle:] {
		if _, err := e.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("one too many: %v, want it closed", err)
		}
	}
}

func TestTheLastUsedConnectionIsTakenFirst(t *testing.T) {
	wire.NoLeaks(t)
	s := wire.Start(t, func(c net.Conn, r *http.Request) bool {
		_, err := io.WriteString(c, okHead+wire.Sized(c.RemoteAddr().String()))
		return err == nil
	})
	c := newTestClient(t, s.Addr)
	var open []*Exchange
	var last string
	for range 5 {
		x := c.Start(context.Background())
		if err := x.Send(post("")); err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(x)
		last = string(b)
		open = append(open, x)
	}
	for _, x := range open {
		x.Close()
	}
	for range 3 {
		wantBody(t, c, post(""), last)
	}
}

// TestStaleConnections: a kept connection that turns out dead costs nobody an answer, and
// nothing is repeated that may have been done.
func TestStaleConnections(t *testing.T) {
	shut := func(net.Conn, *http.Request) bool { return false }
	reset := func(c net.Conn, _ *http.Request) bool { wire.Reset(c); return false }
	begin := func(c net.Conn, _ *http.Request) bool { io.WriteString(c, "H"); return false }
	for name, tc := range map[string]struct {
		handle   []wire.Handler // of each request that arrives
		fails    bool           // the second request
		requests int32
	}{
		"closed before a byte":         {[]wire.Handler{echo, shut, echo}, false, 3},
		"reset before a byte":          {[]wire.Handler{echo, reset, echo}, false, 3},
		"repeated once only":           {[]wire.Handler{echo, shut, shut, echo}, true, 3},
		"not with a part of an answer": {[]wire.Handler{echo, begin, echo}, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			wire.NoLeaks(t)
			var arrived atomic.Int32
			s := wire.Start(t, func(c net.Conn, r *http.Request) bool { return tc.handle[arrived.Add(1)-1](c, r) })
			c := newTestClient(t, s.Addr)
			wantBody(t, c, post("a"), "a")
			if _, got, err := get(c, post("b")); (err != nil) != tc.fails || err == nil && got != "b" {
				t.Errorf("answer = %q, %v, want an error: %v", got, err, tc.fails)
			}
			if n := arrived.Load(); n != tc.requests {
				t.Errorf("%d requests arrived, want %d", n, tc.requests)
			}
		})
	}
}

func TestANewConnectionIsNotTriedAgain(t *testing.T) {
	wire.NoLeaks(t)
	s := wire.Start(t, func(net.Conn, *http.Request) bool { return false })
	_, _, err := get(newTestClient(t, s.Addr), post("a"))
	if n := s.Requests.Load(); !errors.Is(err, io.ErrUnexpectedEOF) || n != 1 {
		t.Errorf("%v after %d requests, want %v after 1", err, n, io.ErrUnexpectedEOF)
	}
}

// TestEarlyAnswers: a server refuses a body that it doesn't read to its end.
func TestEarlyAnswers(t *testing.T) {
	const refusal = "HTTP/1.1 413 Too Large\r\n"
	readHead := func(c net.Conn) {
		p := make([]byte, 1)
		for line := ""; !strings.HasSuffix(line, "\r\n\r\n"); line += string(p) {
			if _, err := c.Read(p); err != nil {
				return
			}
		}
	}
	for name, tc := range map[string]struct {
		then func(c net.Conn, ended chan bool)
		kept bool
	}{
		"and closes":             {func(net.Conn, chan bool) {}, false},
		"and closes its half":    {func(c net.Conn, _ chan bool) { c.(*net.TCPConn).CloseWrite(); wire.HangUp(c) }, true}, // which is found before it is used
		"and reads the rest":     {func(c net.Conn, _ chan bool) { wire.HangUp(c) }, true},
		"and takes nothing more": {func(_ net.Conn, ended chan bool) { <-ended }, false},
	} {
		t.Run(name, func(t *testing.T) {
			wire.NoLeaks(t)
			ended := make(chan bool)
			addr := wire.Listen(t, func(c net.Conn) {
				readHead(c)
				io.WriteString(c, refusal+wire.Sized("no"))
				tc.then(c, ended)
			})
			c := newTestClient(t, addr)
			status, body, err := get(c, post(strings.Repeat("x", 32<<20)))
			close(ended)
			if status != 413 || body != "no" || err != nil {
				t.Errorf("answer = %d %q, %v, want the refusal", status, body, err)
			}
			if got := idleConns(c) == 1; got != tc.kept {
				t.Errorf("kept: %v, want %v", got, tc.kept)
			}
			c.Close()
		})
	}
}

// TestEarlyAnswersBehindInformationalOnes: who has promised to read on may still refuse.
func TestEarlyAnswersBehindInformationalOnes(t *testing.T) {
	const refusal = "HTTP/1.1 413 Too Large\r\n"
	for name, parts := range map[string][]string{
		"together":         {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + refusal + wire.Sized("no")},
		"after each other": {"HTTP/1.1 100 Continue\r\n\r\n", refusal + wire.Sized("no")},
		"in pieces":        {"HTTP/1.1 100 Conti", "nue\r\n\r\nHTTP/1.1 ", refusal[len("HTTP/1.1 "):] + wire.Sized("no")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan bool)
				c := pipe(t, patient, func(c net.Conn) {
					swallow(c)
					for _, p := range parts {
						time.Sleep(2 * stall)
						io.WriteString(c, p)
					}
					<-ended
				})
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				x := c.Start(ctx)
				err := x.Send(post(strings.Repeat("x", smallBody+1)))
				body, _ := io.ReadAll(x)
				x.Close()
				close(ended)
				if err != nil || x.Status != 413 || string(body) != "no" {
					t.Errorf("answer = %d %q, %v, want the refusal", x.Status, body, err)
				}
			})
		})
	}
}

// TestManyAtOnce: exchanges that run at once, some of which are broken off, don't mix.
func TestManyAtOnce(t *testing.T) {
	wire.NoLeaks(t)
	s := wire.Start(t, echo)
	c := newTestClient(t, s.Addr)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			for round := range 25 {
				want := strings.Repeat(fmt.Sprintf("%d-%d ", i, round), 1+i*round)
				ctx, cancel := context.WithCancel(context.Background())
				x := c.Start(ctx)
				if round%5 == 4 {
					go cancel()
				}
				err := x.Send(post(want))
				var got []byte
				if err == nil {
					got, err = io.ReadAll(x)
				}
				x.Close()
				cancel()
				switch {
				case err == nil && string(got) != want:
					t.Errorf("%d-%d got the answer %.40q", i, round, got)
				case err != nil && round%5 != 4:
					t.Errorf("%d-%d: %v", i, round, err)
				}
			}
		})
	}
	all.Wait()
}

// TestAnExchangeHasNoGoroutine: a hundred open answers take one goroutine, the sweeper.
func TestAnExchangeHasNoGoroutine(t *testing.T) {
	wire.NoLeaks(t)
	s := wire.Start(t, func(c net.Conn, _ *http.Request) bool {
		io.WriteString(c, chunksHead+wire.Chunk("a"))
		wire.HangUp(c)
		return false
	})
	c := newTestClient(t, s.Addr)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	before := runtime.NumGoroutine()
	for range 100 {
		x := c.Start(ctx)
		defer x.Close()
		if err := x.Send(post("")); err != nil {
			t.Fatal(err)
		}
		if _, err := x.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
	if n, most := runtime.NumGoroutine()-before-int(s.Conns.Load()), 1; n > most {
		t.Errorf("%d goroutines besides the server's, want %d", n, most)
	}
}

func TestCloseWhileAnAnswerIsRead(t *testing.T) {
	for name, end := range map[string]func(*Client){"Close": (*Client).Close, "Retire": (*Client).Retire} {
		t.Run(name, func(t *testing.T) {
			wire.NoLeaks(t)
			more := make(chan bool)
			s := wire.Start(t, func(c net.Conn, _ *http.Request) bool {
				io.WriteString(c, chunksHead+wire.Chunk("a"))
				<-more
				io.WriteString(c, wire.Chunk("b")+wire.Chunk(""))
				return true
			})
			c := newTestClient(t, s.Addr)
			x := c.Start(context.Background())
			if err := x.Send(post("")); err != nil {
				t.Fatal(err)
			}
			end(c)
			close(more)
			if b, err := io.ReadAll(x); string(b) != "ab" || err != nil {
				t.Errorf("answer = %q, %v, want all of it", b, err)
			}
			x.Close()
			if n := idleConns(c); n != 0 {
				t.Errorf("%d connections were kept", n)
			}
		})
	}
}
