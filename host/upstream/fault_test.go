package upstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/wire"
	"github.com/kai-gateway/kai/sdk/abi"
)

const (
	sseHead    = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
	ndjsonHead = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
	jsonHead   = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	chunked    = "Transfer-Encoding: chunked\r\n\r\n"
	untilClose = "Connection: close\r\n\r\n"
)

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

// TestFaults: an answer in each way it can go wrong, and some that only look so.
func TestFaults(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		limits := func(o *Options) { o.LineLimit, o.BodyLimit = 1000, 2000 }
		impatient := func(o *Options) { o.Idle = 50 * time.Millisecond }
		long := strings.Repeat("x", 8<<20)

		for name, tc := range map[string]struct {
			framing abi.Framing
			options func(*Options)
			handle  func(net.Conn, *http.Request) bool

			frames  []string
			body    string
			status  int // of the error; 0: none
			code    string
			message string
		}{
			"closed without an answer": {
				handle: wire.Answers(""),
				status: 502, code: "upstream_error", message: "'ollama' closed the connection without an answer. Should its base_url start with https://?",
			},
			"reset without an answer": {
				handle: func(c net.Conn, _ *http.Request) bool { wire.Reset(c); return false },
				status: 502, code: "upstream_error", message: "closed the connection without an answer",
			},
			"garbage instead of HTTP": {
				handle: wire.Answers("\x00\x01SSH-2.0-OpenSSH_9\r\n\r\n"),
				status: 502, code: "upstream_error", message: "not an HTTP answer",
			},
			"a garbled header": {
				handle: wire.Answers("HTTP/1.1 200 OK\r\nfoo\r\n\r\n"),
				status: 502, code: "upstream_error", message: "not an HTTP answer",
			},
			"endless headers": {
				handle: wire.Answers("HTTP/1.1 200 OK\r\nx: " + strings.Repeat("y", 300<<10) + "\r\n\r\n"),
				status: 502, code: "upstream_error", message: "too many headers",
			},
			"a head that breaks off": {
				handle: wire.Answers("HTTP/1.1 200 OK\r\nContent-Type: a\r\n"),
				status: 502, code: "upstream_error", message: "closed the connection without an answer",
			},
			"switching protocols": {
				handle: wire.Answers("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello"),
				status: 502, code: "upstream_error", message: "informational",
			},
			"silence before the head": {
				options: func(o *Options) { o.FirstByte = 50 * time.Millisecond },
				handle:  func(c net.Conn, _ *http.Request) bool { wire.HangUp(c); return false },
				status:  504, code: "upstream_timeout", message: "did not answer within 50ms (timeouts.first_byte)",
			},
			"silence behind the head": {
				framing: abi.SSE,
				options: impatient,
				handle: func(c net.Conn, _ *http.Request) bool {
					io.WriteString(c, sseHead+chunked)
					wire.HangUp(c)
					return false
				},
				status: 504, code: "upstream_timeout", message: "stopped answering",
			},
			"silence within a stream": {
				framing: abi.SSE,
				options: impatient,
				handle: func(c net.Conn, _ *http.Request) bool {
					io.WriteString(c, sseHead+chunked+wire.Chunk("data: 1\n\n")+wire.Chunk("data: 2"))
					wire.HangUp(c)
					return false
				},
				frames: []string{"1"},
				status: 504, code: "upstream_timeout", message: "stopped answering",
			},
			"silence within a whole answer": {
				options: impatient,
				handle: func(c net.Conn, _ *http.Request) bool {
					io.WriteString(c, jsonHead+"Content-Length: 100\r\n\r\n{")
					wire.HangUp(c)
					return false
				},
				status: 504, code: "upstream_timeout", message: "stopped answering",
			},
			"a chunked stream cut off between chunks": {
				framing: abi.SSE,
				handle:  wire.Answers(sseHead + chunked + wire.Chunk("data: 1\n\n") + wire.Chunk("data: 2\n\n")),
				frames:  []string{"1", "2"},
				status:  502, code: "upstream_error", message: "before its answer was complete",
			},
			"a chunked stream cut off within a chunk": {
				framing: abi.NDJSON,
				handle:  wire.Answers(ndjsonHead + chunked + wire.Chunk("{}\n") + "20\r\n{\"a\":"),
				frames:  []string{"{}"},
				status:  502, code: "upstream_error", message: "before its answer was complete",
			},
			"a stream shorter than declared": {
				framing: abi.NDJSON,
				handle:  wire.Answers(ndjsonHead + "Content-Length: 100\r\n\r\n{}\n"),
				frames:  []string{"{}"},
				status:  502, code: "upstream_error", message: "before its answer was complete",
			},
			"a body shorter than declared": {
				handle: wire.Answers(jsonHead + "Content-Length: 100\r\n\r\n{}"),
				status: 502, code: "upstream_error", message: "before its answer was complete",
			},
			"garbage between chunks": {
				framing: abi.NDJSON,
				handle:  wire.Answers(ndjsonHead + chunked + wire.Chunk("{}\n") + "zz\r\n"),
				frames:  []string{"{}"},
				status:  502, code: "upstream_error", message: "broke off its answer",
			},
			"a last event without blank line": {
				framing: abi.SSE,
				handle:  wire.Answers(sseHead + chunked + wire.Chunk("data: 1\n\ndata: 2") + wire.Chunk("")),
				frames:  []string{"1", "2"},
			},
			"a last line without end": {
				framing: abi.NDJSON,
				handle:  wire.Answers(ndjsonHead + untilClose + "{\"a\":1}\n{\"a\":2}"),
				frames:  []string{`{"a":1}`, `{"a":2}`},
			},
			"CRLF, comments and names": {
				framing: abi.SSE,
				handle:  wire.Answers(sseHead + chunked + wire.Chunk(": hi\r\n\r\nevent: x\r\ndata:1\r\n\r\n:\r\ndata: 2\r\n\r\n") + wire.Chunk("")),
				frames:  []string{"x|1", "2"},
			},
			"characters and lines split over chunks": {
				framing: abi.SSE,
				handle:  wire.Answers(sseHead + chunked + wire.Chunk("da") + wire.Chunk("ta: \xe2\x82") + wire.Chunk("\xac\n") + wire.Chunk("\nd") + wire.Chunk("ata: 2\n\n") + wire.Chunk("")),
				frames:  []string{"€", "2"},
			},
			"a line of 8 MiB": {
				framing: abi.NDJSON,
				handle:  wire.Answers(ndjsonHead + chunked + wire.Chunk(long+"\n") + wire.Chunk("") + ""),
				frames:  []string{long},
			},
			"a line over the limit": {
				framing: abi.NDJSON,
				options: limits,
				handle:  wire.Answers(ndjsonHead + chunked + wire.Chunk("{}\n") + wire.Chunk(strings.Repeat("x", 1001)+"\n") + wire.Chunk("")),
				frames:  []string{"{}"},
				status:  502, code: "upstream_error", message: "a line of more than 1000 bytes",
			},
			"an endless line": {
				framing: abi.SSE,
				options: limits,
				handle: func(c net.Conn, _ *http.Request) bool {
					io.WriteString(c, sseHead+untilClose+"data: ")
					for {
						if _, err := io.WriteString(c, strings.Repeat("x", 4096)); err != nil {
							return false
						}
					}
				},
				status: 502, code: "upstream_error", message: "a line of more than 1000 bytes",
			},
			"a body at the limit": {
				options: limits,
				handle:  wire.Answers(jsonHead + wire.Sized(strings.Repeat("x", 2000))),
				body:    strings.Repeat("x", 2000),
			},
			"a body over the limit": {
				options: limits,
				handle:  wire.Answers(jsonHead + wire.Sized(strings.Repeat("x", 2001))),
				status:  502, code: "upstream_error", message: "an answer of more than 2000 bytes",
			},
			"an endless body": {
				options: limits,
				handle:  endless,
				status:  502, code: "upstream_error", message: "an answer of more than 2000 bytes",
			},
			"an endless body that might be lines": {
				framing: abi.NDJSON,
				options: limits,
				handle:  endless,
				status:  502, code: "upstream_error", message: "an answer of more than 2000 bytes",
			},
			"gzip": {
				handle: wire.Answers(jsonHead + "Content-Encoding: gzip\r\n" + wire.Sized(gzipped(`{"a":1}`))),
				body:   `{"a":1}`,
			},
			"gzip by its old name, without bytes": {
				handle: wire.Answers(jsonHead + "Content-Encoding: X-GZIP\r\n" + wire.Sized("")),
			},
			"a stream in gzip": {
				framing: abi.NDJSON,
				handle:  wire.Answers(ndjsonHead + "Content-Encoding: gzip\r\n" + chunked + wire.Chunk(gzipped("1\n2\n")) + wire.Chunk("")),
				frames:  []string{"1", "2"},
			},
			"gzip cut off, though HTTP was not": {
				framing: abi.NDJSON,
				handle: func(c net.Conn, _ *http.Request) bool {
					var b bytes.Buffer
					z := gzip.NewWriter(&b)
					io.WriteString(z, "1\n")
					z.Flush()
					io.WriteString(c, ndjsonHead+"Content-Encoding: gzip\r\n"+wire.Sized(b.String()))
					return false
				},
				frames: []string{"1"},
				status: 502, code: "upstream_error", message: "before its answer was complete",
			},
			"something else called gzip": {
				handle: wire.Answers(jsonHead + "Content-Encoding: gzip\r\n" + wire.Sized(`{"a":1,"b":2,"c":3}`)),
				status: 502, code: "upstream_error", message: "cannot be decompressed",
			},
			"gzip that is corrupt": {
				handle: wire.Answers(jsonHead + "Content-Encoding: gzip\r\n" + wire.Sized(gzipped(long)[:10]+"\xff\xff\xff\xff\xff\xff\xff\xff")),
				status: 502, code: "upstream_error", message: "cannot be decompressed",
			},
			"a bomb": {
				handle: wire.Answers(jsonHead + "Content-Encoding: gzip\r\n" + wire.Sized(gzipped(strings.Repeat(" ", 33<<20)))),
				status: 502, code: "upstream_error", message: "an answer of more than 32 MiB",
			},
			"a bomb of one line": {
				framing: abi.SSE,
				options: limits,
				handle:  wire.Answers(sseHead + "Content-Encoding: gzip\r\n" + wire.Sized(gzipped("data: "+long))),
				status:  502, code: "upstream_error", message: "a line of more than 1000 bytes",
			},
			"an encoding not asked for": {
				handle: wire.Answers(jsonHead + "Content-Encoding: br\r\n" + wire.Sized("abc")),
				status: 502, code: "upstream_error", message: "encoding",
			},
			"a web page": {
				handle: wire.Answers("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n" + wire.Sized("<html>")),
				status: 502, code: "upstream_error", message: "web page",
			},
			"a web page for a stream": {
				framing: abi.SSE,
				handle:  wire.Answers("HTTP/1.1 200 OK\r\nContent-Type: Text/HTML\r\n" + wire.Sized("<html>")),
				status:  502, code: "upstream_error", message: "base_url",
			},
		} {
			t.Run(name, func(t *testing.T) {
				wire.NoLeaks(t)
				s := wire.Start(t, tc.handle)
				var change []func(*Options)
				if tc.options != nil {
					change = append(change, tc.options)
				}
				out := run(newTestClient(t, s.URL, append(change, with)...), post(tc.framing))
				if !slices.Equal(out.frames, tc.frames) {
					t.Errorf("frames = %.200q, want %.200q", out.frames, tc.frames)
				}
				if out.body != tc.body {
					t.Errorf("body = %.200q, want %.200q", out.body, tc.body)
				}
				switch {
				case tc.status != 0:
					wantError(t, out.err, tc.status, tc.code, tc.message)
				case out.err != nil:
					t.Errorf("error = %v, want none", out.err)
				}
				if got := s.Requests.Load(); got != 1 {
					t.Errorf("%d requests were sent, want 1", got)
				}
			})
		}
	})
}

func TestResetWithinStream(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		wire.NoLeaks(t)
		seen := make(chan bool)
		s := wire.Start(t, func(c net.Conn, _ *http.Request) bool {
			io.WriteString(c, sseHead+chunked+wire.Chunk("data: 1\n\n"))
			<-seen
			wire.Reset(c)
			return false
		})
		resp, err := newTestClient(t, s.URL, with).Do(context.Background(), post(abi.SSE))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Close()
		if f, err := resp.Next(); err != nil || string(f.Data) != "1" {
			t.Fatalf("Next = %q, %v", f.Data, err)
		}
		close(seen)
		_, err = resp.Next()
		wantError(t, err, 502, "upstream_error", "before its answer was complete")
		if _, again := resp.Next(); again != err {
			t.Errorf("the next Next = %v, want %v again", again, err)
		}
	})
}

func TestNoConnection(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		free := mock.Nowhere(t)
		speaksHTTP := httptest.NewUnstartedServer(http.NotFoundHandler())
		speaksHTTP.Config.ErrorLog = log.New(io.Discard, "", 0)
		speaksHTTP.Start()
		defer speaksHTTP.Close()

		for name, tc := range map[string]struct {
			url     string
			status  int
			code    string
			message string
		}{
			"refused":           {free, 502, "upstream_error", "Provider 'ollama' is not reachable at " + free + ": connection refused. Is it running?"},
			"metadata, by name": {"http://metadata.test", 502, "upstream_error", "names it as a number"},
			"HTTP behind https": {strings.Replace(speaksHTTP.URL, "http:", "https:", 1), 502, "upstream_error", "does not speak TLS"},
			"an unknown name":   {"http://missing.test", 502, "upstream_error", "host name was not found"},
		} {
			t.Run(name, func(t *testing.T) {
				wire.NoLeaks(t)
				o := Options{Provider: "ollama", BaseURL: tc.url}
				with(&o)
				c, err := newClient(o, net.Dialer{
					Resolver: fakeDNS(map[string][4]byte{"metadata.test.": {169, 254, 169, 254}}),
				})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				wantError(t, run(c, post(abi.Whole)).err, tc.status, tc.code, tc.message)
			})
		}
	})
}

func TestConnectTimeout(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		wire.NoLeaks(t)
		// A TCP connection that never becomes a TLS one.
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c := newTestClient(t, "https://"+l.Addr().String(), with, func(o *Options) { o.Connect = 50 * time.Millisecond })
		wantError(t, run(c, post(abi.Whole)).err, 504, "upstream_timeout", "no connection in time")
	})
}

// TestCommentsKeepAStreamAlive tries again more slowly where the machine let the upstream
// sleep so long that there was something to time out.
func TestCommentsKeepAStreamAlive(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		wire.NoLeaks(t)
		for idle := 400 * time.Millisecond; ; idle *= 3 {
			var longest atomic.Int64 // between two comments
			s := wire.Start(t, func(c net.Conn, _ *http.Request) bool {
				io.WriteString(c, sseHead+chunked)
				begin := time.Now()
				for last := begin; last.Sub(begin) < 2*idle; {
					io.WriteString(c, wire.Chunk(": still here\n\n"))
					time.Sleep(idle / 8)
					now := time.Now()
					longest.Store(max(longest.Load(), int64(now.Sub(last))))
					last = now
				}
				io.WriteString(c, wire.Chunk("data: 1\n\n")+wire.Chunk(""))
				return false
			})
			out := run(newTestClient(t, s.URL, with, func(o *Options) { o.Idle = idle }), post(abi.SSE))
			if out.err == nil && slices.Equal(out.frames, []string{"1"}) {
				return
			}
			if slept := time.Duration(longest.Load()); slept < idle/2 || idle > time.Minute {
				t.Fatalf("frames %q, error %v; want the event behind the comments, none of which came more than %v after another", out.frames, out.err, slept)
			}
		}
	})
}

func TestCancel(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		reason := errors.New("the client hung up")
		for name, head := range map[string]string{
			"before the head":       "",
			"behind the head":       sseHead + chunked,
			"within the stream":     sseHead + chunked + wire.Chunk("data: 1\n\n"),
			"while kinds are told":  jsonHead + chunked,
			"within a whole answer": "HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\n{",
		} {
			t.Run(name, func(t *testing.T) {
				wire.NoLeaks(t)
				waiting, gone := make(chan bool), make(chan time.Time, 1)
				s := wire.Start(t, func(c net.Conn, _ *http.Request) bool {
					io.WriteString(c, head)
					close(waiting)
					wire.HangUp(c)
					gone <- time.Now()
					return false
				})
				c := newTestClient(t, s.URL, with)
				ctx, cancel := context.WithCancelCause(context.Background())
				done := make(chan error, 1)
				go func() {
					resp, err := c.Do(ctx, post(abi.SSE))
					if err == nil {
						defer resp.Close() // which ends the connection, if the context's end didn't
						if resp.Whole() {
							_, err = resp.Body()
						}
						for err == nil {
							_, err = resp.Next()
						}
					}
					done <- err
				}()
				<-waiting
				begin := time.Now()
				cancel(reason)
				if took := (<-gone).Sub(begin); took > time.Minute { // else its silence would be waited for, five minutes
					t.Errorf("the upstream learnt of it only after %v", took)
				}
				if err := <-done; err != reason {
					t.Errorf("error = %v, want the context's cause", err)
				}
			})
		}
	})
}

func TestCancelOverHTTP2(t *testing.T) {
	wire.NoLeaks(t)
	gone := make(chan bool)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: 1\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	c := newTestClient(t, s.URL, func(o *Options) { o.TLS = trusting(s) })
	defer c.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	resp, err := c.Do(ctx, post(abi.SSE))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Close()
	if f, err := resp.Next(); err != nil || string(f.Data) != "1" {
		t.Fatalf("Next = %q, %v", f.Data, err)
	}
	cancel()
	<-gone
	if _, err := resp.Next(); err != context.Canceled {
		t.Errorf("Next = %v, want %v", err, context.Canceled)
	}
}

func TestCloseEndsTheUpstreamsWork(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		wire.NoLeaks(t)
		gone := make(chan bool)
		s := wire.Start(t, func(c net.Conn, _ *http.Request) bool {
			io.WriteString(c, sseHead+chunked+wire.Chunk("data: 1\n\n"))
			wire.HangUp(c)
			close(gone)
			return false
		})
		resp, err := newTestClient(t, s.URL, with).Do(context.Background(), post(abi.SSE))
		if err != nil {
			t.Fatal(err)
		}
		resp.Close()
		resp.Close()
		<-gone
		if _, err := resp.Next(); err != errNoStream {
			t.Errorf("Next behind Close = %v", err)
		}
	})
}

func TestNoDescriptorIsNotTheUpstreamsFault(t *testing.T) {
	c := &Client{provider: "ollama"}
	err := c.unreachable(&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)})
	wantError(t, err, 502, "upstream_error", "Kai has as many files and connections open as the system allows")
}

// endless answers with a body that never ends.
func endless(c net.Conn, _ *http.Request) bool {
	io.WriteString(c, jsonHead+untilClose)
	for {
		if _, err := io.WriteString(c, strings.Repeat("x", 4096)); err != nil {
			return false
		}
	}
}
