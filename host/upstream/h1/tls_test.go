package h1

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/wire"
)

// withTLS makes a client use TLS, and trust a server.
func withTLS(s *httptest.Server) func(*Options) {
	return func(o *Options) {
		o.TLS = &tls.Config{}
		if s != nil {
			o.TLS.RootCAs = x509.NewCertPool()
			o.TLS.RootCAs.AddCert(s.Certificate())
		}
	}
}

// startTLS starts a server that speaks HTTP/2, too.
func startTLS(t *testing.T, handle http.HandlerFunc) (s *httptest.Server, addr string) {
	t.Helper()
	s = httptest.NewUnstartedServer(handle)
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, s.Listener.Addr().String()
}

func TestTLS(t *testing.T) {
	wire.NoLeaks(t)
	s, addr := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %v %s", r.Proto, r.TLS.NegotiatedProtocol, r.TLS.ServerName, r.TLS.DidResume, body)
	})
	c := newTestClient(t, "example.com:443", withTLS(s), func(o *Options) {
		o.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	})
	for _, size := range []int{0, 100, recordSize - 200, recordSize, 100_000, 3 << 20} {
		body := strings.Repeat("x", size)
		wantBody(t, c, post(body), "HTTP/1.1 http/1.1 example.com false "+body)
	}
	if n := idleConns(c); n != 1 {
		t.Errorf("%d connections were kept, want the one", n)
	}
	c.CloseIdle()
	wantBody(t, c, post("a"), "HTTP/1.1 http/1.1 example.com true a")
}

// counter counts the writes to a connection.
type counter struct {
	net.Conn
	writes atomic.Int32
}

func (c *counter) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// counting has a client put a counter into each of its connections; conn is the last one.
func counting(conn **counter) func(*Options) {
	return func(o *Options) {
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			raw, err := new(net.Dialer).DialContext(ctx, network, address)
			*conn = &counter{Conn: raw}
			return *conn, err
		}
	}
}

func TestHeadAndBodyShareARecord(t *testing.T) {
	s, addr := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})
	var conn *counter
	c := newTestClient(t, addr, withTLS(s), counting(&conn))
	wantBody(t, c, post("a"), "a")
	for size, want := range map[int]int32{10_000: 1, 3*recordSize - 1000: 3} {
		before := conn.writes.Load()
		body := strings.Repeat("x", size)
		wantBody(t, c, post(body), body)
		if n := conn.writes.Load() - before; n != want {
			t.Errorf("a body of %d took %d writes, want %d", size, n, want)
		}
	}
}

func TestTLSThatFails(t *testing.T) {
	plain := wire.Listen(t, func(c net.Conn) { c.Read(make([]byte, 1)); io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
	_, untrusted := startTLS(t, func(http.ResponseWriter, *http.Request) {})
	trusted, trustedAddr := startTLS(t, func(http.ResponseWriter, *http.Request) {})
	closes := wire.Listen(t, func(c net.Conn) { c.Read(make([]byte, 1)) })
	for name, tc := range map[string]struct {
		addr   string
		config func(*Options)
		is     func(error) bool
	}{
		"HTTP in place of TLS": {plain, withTLS(nil), func(err error) bool { _, ok := errors.AsType[tls.RecordHeaderError](err); return ok }},
		"a certificate that is not trusted": {untrusted, withTLS(nil), func(err error) bool {
			_, ok := errors.AsType[*tls.CertificateVerificationError](err)
			return ok
		}},
		"a certificate of another name": {trustedAddr, func(o *Options) { withTLS(trusted)(o); o.TLS.ServerName = "other.test" }, func(err error) bool {
			_, ok := errors.AsType[x509.HostnameError](err)
			return ok
		}},
		"it hangs up": {closes, withTLS(nil), func(err error) bool { return err != nil }},
	} {
		t.Run(name, func(t *testing.T) {
			wire.NoLeaks(t)
			x := newTestClient(t, tc.addr, tc.config).Start(context.Background())
			defer x.Close()
			if err := x.Send(post("")); !tc.is(err) || x.Stage() != Connecting || x.Cause() != nil {
				t.Errorf("error = %v (%T) in stage %d, ended by %v", err, err, x.Stage(), x.Cause())
			}
		})
	}
}

func TestTLSThatTakesTooLong(t *testing.T) {
	wire.NoLeaks(t)
	addr := wire.Listen(t, wire.HangUp)
	x := newTestClient(t, addr, withTLS(nil), func(o *Options) { o.Waits[Connecting] = 50 * time.Millisecond }).Start(context.Background())
	defer x.Close()
	err := x.Send(post(""))
	if late, ok := err.(*Timeout); !ok || late.Stage != Connecting || x.Cause() != err {
		t.Errorf("error = %v, want a time-out", err)
	}
}

// TestIdleTLSConnectionsThatChange: what comes over TLS while a connection is idle.
func TestIdleTLSConnectionsThatChange(t *testing.T) {
	certified, _ := startTLS(t, func(http.ResponseWriter, *http.Request) {})
	for name, change := range map[string]func(c *tls.Conn){
		"it says goodbye":                  func(c *tls.Conn) { c.CloseWrite() },
		"it closes it":                     func(c *tls.Conn) { c.Close() },
		"it closes it without a goodbye":   func(c *tls.Conn) { c.NetConn().Close() },
		"it sends an answer":               func(c *tls.Conn) { io.WriteString(c, okHead+wire.Sized("evil")) },
		"it sends something that isn't it": func(c *tls.Conn) { io.WriteString(c.NetConn(), "evil") },
	} {
		t.Run(name, func(t *testing.T) {
			wire.NoLeaks(t)
			config := &tls.Config{Certificates: certified.TLS.Certificates}
			served := make(chan *tls.Conn, 2)
			end := make(chan bool)
			addr := wire.Listen(t, func(raw net.Conn) {
				c := tls.Server(raw, config)
				c.Read(make([]byte, 1000))
				io.WriteString(c, okHead+wire.Sized("ok"))
				served <- c
				<-end
			})
			defer close(end)
			c := newTestClient(t, addr, withTLS(certified))
			defer c.Close()
			wantBody(t, c, Request{Method: "GET", Target: "/"}, "ok")
			k := c.idle[0]
			for range 2 { // having looked changes nothing
				if !k.quiet() {
					t.Fatal("nothing has come, and it looks as if something had")
				}
			}
			change(<-served)
			for begin, k := time.Now(), c.take(); k != nil; k = c.take() {
				c.keep(k)
				if time.Since(begin) > time.Minute {
					t.Fatal("it looks as if nothing had come")
				}
			}
			wantBody(t, c, Request{Method: "GET", Target: "/"}, "ok")
		})
	}
}

// TestLookingAtAnIdleTLSConnectionWritesNothing, even if TLS would have something to say.
func TestLookingAtAnIdleTLSConnectionWritesNothing(t *testing.T) {
	wire.NoLeaks(t)
	certified, _ := startTLS(t, func(http.ResponseWriter, *http.Request) {})
	config := &tls.Config{Certificates: certified.TLS.Certificates}
	end := make(chan bool)
	addr := wire.Listen(t, func(raw net.Conn) {
		c := tls.Server(raw, config)
		c.Read(make([]byte, 1000))
		io.WriteString(c, okHead+wire.Sized("ok"))
		io.WriteString(raw, "no record of TLS") // which has an alert sent
		<-end
	})
	defer close(end)
	var conn *counter
	c := newTestClient(t, addr, withTLS(certified), counting(&conn))
	defer c.Close()
	x := c.Start(context.Background())
	defer x.Close()
	if err := x.Send(Request{Method: "GET", Target: "/"}); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(x); string(b) != "ok" || err != nil {
		t.Fatalf("answer = %q, %v", b, err)
	}
	before := conn.writes.Load()
	for begin := time.Now(); x.conn.quiet(); {
		if time.Since(begin) > time.Minute {
			t.Fatal("it looks as if nothing had come")
		}
	}
	if n := conn.writes.Load() - before; n != 0 {
		t.Errorf("%d writes, want none", n)
	}
}

func TestEarlyAnswersOverTLS(t *testing.T) {
	wire.NoLeaks(t)
	s, addr := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(413)
		io.WriteString(w, "no")
	})
	c := newTestClient(t, addr, withTLS(s))
	status, body, err := get(c, post(strings.Repeat("x", 32<<20)))
	if status != 413 || body != "no" || err != nil {
		t.Errorf("answer = %d %q, %v, want the refusal", status, body, err)
	}
}

func TestAnAnswerOverTLSThatBreaksOff(t *testing.T) {
	wire.NoLeaks(t)
	s, addr := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "abc")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	if _, body, err := get(newTestClient(t, addr, withTLS(s)), post("")); body != "abc" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("answer = %q, %v, want %v", body, err, io.ErrUnexpectedEOF)
	}
}
