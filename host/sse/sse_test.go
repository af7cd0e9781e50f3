package sse

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const comment = ": keep-alive\n\n"

// recorder is the http.ResponseWriter of a test. It notes what happens and when.
type recorder struct {
	header http.Header
	start  time.Time
	log    []string
	write  func(p []byte) error
}

func newRecorder() *recorder {
	return &recorder{header: http.Header{}, start: time.Now()}
}

func (r *recorder) note(format string, args ...any) {
	r.log = append(r.log, time.Since(r.start).String()+" "+fmt.Sprintf(format, args...))
}

func (r *recorder) Header() http.Header    { return r.header }
func (r *recorder) WriteHeader(status int) { r.note("head %d", status) }
func (r *recorder) FlushError() error      { r.note("flush"); return nil }
func (r *recorder) SetWriteDeadline(d time.Time) error {
	r.note("deadline %v", d.Sub(r.start))
	return nil
}
func (r *recorder) Write(p []byte) (int, error) {
	r.note("write %q", p)
	if r.write != nil {
		return len(p), r.write(p)
	}
	return len(p), nil
}

// only keeps the notes of a kind.
func (r *recorder) only(kinds ...string) (log []string) {
	for _, line := range r.log {
		_, what, _ := strings.Cut(line, " ")
		kind, _, _ := strings.Cut(what, " ")
		if slices.Contains(kinds, kind) {
			log = append(log, line)
		}
	}
	return log
}

func TestWriterTimes(t *testing.T) {
	for name, tc := range map[string]struct {
		opts Options
		do   func(*Writer)
		log  []string
		want []string
	}{
		"the head waits 10 s, then a comment comes at once and after every 10 s": {
			do:   func(c *Writer) { time.Sleep(35 * time.Second) },
			log:  []string{"head", "write"},
			want: []string{`10s head 200`, `10s write ": keep-alive\n\n"`, `20s write ": keep-alive\n\n"`, `30s write ": keep-alive\n\n"`},
		},
		"the first write sends the head": {
			do: func(c *Writer) {
				time.Sleep(time.Second)
				_ = c.Write([]byte("a"))
				_ = c.Write([]byte("b"))
			},
			log:  []string{"head", "write", "flush"},
			want: []string{`1s head 200`, `1s write "a"`, `1s flush`, `1s write "b"`, `1s flush`},
		},
		"writing nothing sends nothing": {
			do:  func(c *Writer) { _ = c.Write(nil) },
			log: []string{"head", "write", "flush"},
		},
		"a comment comes after 10 s of silence, not every 10 s": {
			do: func(c *Writer) {
				for range 5 {
					time.Sleep(4 * time.Second)
					_ = c.Write([]byte("a"))
				}
				time.Sleep(25 * time.Second)
			},
			log:  []string{"write"},
			want: []string{`4s write "a"`, `8s write "a"`, `12s write "a"`, `16s write "a"`, `20s write "a"`, `30s write ": keep-alive\n\n"`, `40s write ": keep-alive\n\n"`},
		},
		"a comment does not wait for the head's time": {
			opts: Options{HeadWait: time.Minute, KeepAlive: 3 * time.Second},
			do: func(c *Writer) {
				_ = c.Write([]byte("a"))
				time.Sleep(4 * time.Second)
			},
			log:  []string{"write"},
			want: []string{`0s write "a"`, `3s write ": keep-alive\n\n"`},
		},
		"the deadline is set before a write unless that was less than a second ago": {
			do: func(c *Writer) {
				for range 5 {
					_ = c.Write([]byte("a"))
					time.Sleep(400 * time.Millisecond)
				}
			},
			log:  []string{"deadline"},
			want: []string{`0s deadline 1m0s`, `1.2s deadline 1m1.2s`},
		},
		"comments have a deadline, and so has the end of the body": {
			opts: Options{WriteTimeout: 5 * time.Second},
			do:   func(c *Writer) { time.Sleep(22 * time.Second) },
			log:  []string{"deadline"},
			want: []string{`10s deadline 15s`, `20s deadline 25s`, `22s deadline 27s`},
		},
		"nothing is sent after Fail before the head": {
			do: func(c *Writer) {
				time.Sleep(5 * time.Second)
				if c.Fail(func(dst []byte) []byte { return append(dst, "event"...) }) {
					t.Error("Fail before the head = true")
				}
				if err := c.Write([]byte("late")); err == nil {
					t.Error("a write after Fail = nil")
				}
				time.Sleep(time.Minute)
			},
			log: []string{"head", "write", "flush", "deadline"},
		},
		"the error event is the last thing after the head": {
			do: func(c *Writer) {
				_ = c.Write([]byte("a"))
				if !c.Fail(func(dst []byte) []byte { return append(dst, "event"...) }) {
					t.Error("Fail after the head = false")
				}
				if err := c.Write([]byte("late")); err == nil {
					t.Error("a write after Fail = nil")
				}
				time.Sleep(time.Minute)
			},
			log:  []string{"write"},
			want: []string{`0s write "a"`, `0s write "event"`},
		},
		"the error event also follows a head that only a comment sent": {
			do: func(c *Writer) {
				time.Sleep(11 * time.Second)
				if !c.Fail(func(dst []byte) []byte { return append(dst, "event"...) }) {
					t.Error("Fail after the head = false")
				}
			},
			log:  []string{"head", "write"},
			want: []string{`10s head 200`, `10s write ": keep-alive\n\n"`, `11s write "event"`},
		},
		"nothing is sent after Close": {
			do: func(c *Writer) {
				_ = c.Write([]byte("a"))
				c.Close()
				if err := c.Write([]byte("late")); err == nil {
					t.Error("a write after Close = nil")
				}
				time.Sleep(time.Minute)
			},
			log:  []string{"write"},
			want: []string{`0s write "a"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRecorder()
				c := New(r, tc.opts)
				tc.do(c)
				c.Close()
				if got := r.only(tc.log...); !slices.Equal(got, tc.want) {
					t.Errorf("got %q\nwant %q", got, tc.want)
				}
				time.Sleep(time.Hour)
				if got := r.only(tc.log...); !slices.Equal(got, tc.want) {
					t.Errorf("after Close got %q", got)
				}
			})
		})
	}
}

func TestWriterHead(t *testing.T) {
	r := newRecorder()
	r.header.Set("X-Request-Id", "r1")
	c := New(r, Options{})
	defer c.Close()
	if err := c.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"Content-Type":      "text/event-stream",
		"Cache-Control":     "no-cache",
		"X-Accel-Buffering": "no",
		"X-Request-Id":      "r1",
		"Content-Encoding":  "",
	} {
		if got := r.header.Get(key); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
}

func TestAFailedWriteIsReportedOnceAndStays(t *testing.T) {
	for name, do := range map[string]func(*Writer){
		"of an event":  func(c *Writer) { _ = c.Write([]byte("a")) },
		"of a comment": func(*Writer) { time.Sleep(10 * time.Second) },
		"of a failure": func(c *Writer) {
			_ = c.Write([]byte("good"))
			c.Fail(func(dst []byte) []byte { return append(dst, "event"...) })
		},
		"and no second": func(c *Writer) { _ = c.Write([]byte("a")); _ = c.Write([]byte("b")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := errors.New("broken")
				var gone []error
				r := newRecorder()
				r.write = func(p []byte) error {
					if string(p) == "good" {
						return nil
					}
					return broken
				}
				c := New(r, Options{Gone: func(err error) { gone = append(gone, err) }})
				do(c)
				synctest.Wait()
				time.Sleep(time.Minute)
				writes := len(r.log)
				err := c.Write([]byte("more"))
				if len(gone) != 1 || !errors.Is(gone[0], ErrGone) || !errors.Is(gone[0], broken) {
					t.Fatalf("Gone was called with %v, want one error", gone)
				}
				if err != gone[0] || len(r.log) != writes {
					t.Errorf("the next write = %v with %q, want %v and nothing", err, r.log[writes:], gone[0])
				}
				c.Close()
			})
		})
	}
}

func TestCloseWaitsForACommentThatIsBeingWritten(t *testing.T) {
	writing, release := make(chan struct{}), make(chan struct{})
	var written atomic.Bool
	r := newRecorder()
	r.write = func([]byte) error {
		close(writing)
		<-release
		written.Store(true)
		return nil
	}
	c := New(r, Options{HeadWait: time.Millisecond})
	<-writing
	time.AfterFunc(10*time.Millisecond, func() { close(release) })
	c.Close()
	if !written.Load() {
		t.Error("Close returned while a comment was being written")
	}
	c.Close()
}

// serve runs one handler over a real connection.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	before := runtime.NumGoroutine()
	s := httptest.NewServer(handler)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		http.DefaultClient.CloseIdleConnections()
		deadline := time.Now().Add(time.Minute)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				b := make([]byte, 1<<16)
				t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, b[:runtime.Stack(b, true)])
			}
			runtime.Gosched()
		}
	})
	return s
}

// get begins a request and gives its answer, whose body is closed in the end.
func get(t *testing.T, url string) *http.Response {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestAnEventArrivesWhileTheNextIsAwaited(t *testing.T) {
	seen := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c := New(w, Options{})
		defer c.Close()
		for _, event := range []string{"data: 1\n\n", "data: 2\n\n"} {
			if err := c.Write([]byte(event)); err != nil {
				t.Error(err)
			}
			<-seen
		}
	})
	resp := get(t, s.URL)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("status %d, content type %q", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	body := bufio.NewReader(resp.Body)
	for _, want := range []string{"data: 1\n", "data: 2\n"} {
		line, err := body.ReadString('\n')
		if err != nil || line != want {
			t.Fatalf("read %q, %v, want %q", line, err, want)
		}
		if _, err := body.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		seen <- struct{}{}
	}
	if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
		t.Errorf("the end is %q, %v, want a clean one", rest, err)
	}
}

func TestAClientGetsCommentsWhileNothingHappens(t *testing.T) {
	seen := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c := New(w, Options{HeadWait: time.Millisecond, KeepAlive: time.Millisecond})
		defer c.Close()
		<-seen
		if !c.Fail(func(dst []byte) []byte { return append(dst, "data: failed\n\n"...) }) {
			t.Error("Fail after a comment = false")
		}
	})
	body := bufio.NewReader(get(t, s.URL).Body)
	for range 3 {
		if line, err := body.ReadString('\n'); err != nil || line != ": keep-alive\n" {
			t.Fatalf("read %q, %v", line, err)
		}
		if _, err := body.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	close(seen)
	rest, err := io.ReadAll(body)
	if err != nil || !strings.HasSuffix(string(rest), "data: failed\n\n") {
		t.Errorf("the end is %q, %v", rest, err)
	}
}

func TestAnEarlyFailureIsATrueStatus(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c := New(w, Options{})
		if !c.Fail(func(dst []byte) []byte { return append(dst, "data: failed\n\n"...) }) {
			w.WriteHeader(http.StatusBadGateway)
		}
		c.Close()
	})
	resp := get(t, s.URL)
	if body, err := io.ReadAll(resp.Body); err != nil || len(body) > 0 || resp.StatusCode != http.StatusBadGateway || resp.Header.Get("Content-Type") != "" {
		t.Errorf("status %d, body %q, %v, header %v", resp.StatusCode, body, err, resp.Header)
	}
}

// A client that hangs up between two events is noticed by the next comment.
func TestAClientThatHungUpEndsTheRequest(t *testing.T) {
	cause := make(chan error, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancelCause(context.Background())
		c := New(w, Options{HeadWait: time.Millisecond, KeepAlive: time.Millisecond, Gone: cancel})
		defer c.Close()
		<-ctx.Done()
		cause <- context.Cause(ctx)
	})
	resp := get(t, s.URL)
	resp.Body.Close()
	if err := <-cause; !errors.Is(err, ErrGone) {
		t.Errorf("the cause is %v, want ErrGone", err)
	}
}

func TestAClientThatStopsReadingIsGivenUp(t *testing.T) {
	result := make(chan error, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c := New(w, Options{WriteTimeout: 50 * time.Millisecond})
		defer c.Close()
		event := make([]byte, 1<<20)
		for {
			if err := c.Write(event); err != nil {
				result <- err
				return
			}
		}
	})
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: kai\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, ErrGone) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the write ended with %v, want ErrGone and a deadline", err)
	}
}

// A connection serves the next request although the first had deadlines.
func TestAConnectionServesMoreThanOneStream(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c := New(w, Options{WriteTimeout: time.Minute})
		defer c.Close()
		if err := c.Write([]byte("data: " + r.URL.Path + "\n\n")); err != nil {
			t.Error(err)
		}
	})
	for _, path := range []string{"/1", "/2", "/3"} {
		body, err := io.ReadAll(get(t, s.URL+path).Body)
		if want := "data: " + path + "\n\n"; err != nil || string(body) != want {
			t.Errorf("got %q, %v, want %q", body, err, want)
		}
	}
}

func TestCommentsNeverTearAnEvent(t *testing.T) {
	const n = 200
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c := New(w, Options{HeadWait: time.Microsecond, KeepAlive: time.Microsecond})
		defer c.Close()
		for i := range n {
			if err := c.Write(fmt.Appendf(nil, "data: %d %s\n\n", i, strings.Repeat("x", i*50))); err != nil {
				t.Error(err)
			}
		}
	})
	body, err := io.ReadAll(get(t, s.URL).Body)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for event := range strings.SplitAfterSeq(string(body), "\n\n") {
		switch event {
		case comment, "":
		case fmt.Sprintf("data: %d %s\n\n", i, strings.Repeat("x", i*50)):
			i++
		default:
			t.Fatalf("after event %d came %q", i, event)
		}
	}
	if i != n {
		t.Errorf("%d events arrived, want %d", i, n)
	}
}
