package h1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/wire"
)

// TestCancel: wherever an exchange is, it ends with its context, and so does its
// connection.
func TestCancel(t *testing.T) {
	reason := errors.New("the client hung up")
	for name, tc := range map[string]struct {
		answer string
		body   string
		read   func(*Exchange) error
	}{
		"while the request is sent": {"", strings.Repeat("x", 32<<20), nil},
		"before the head":           {"", "", nil},
		"within the head":           {"HTTP/1.1 200 OK\r\nA: b", "", nil},
		"behind the head":           {chunksHead, "", nil},
		"within the body":           {okHead + "Content-Length: 10\r\n\r\nabc", "", nil},
		"within a chunk":            {chunksHead + "5\r\nab", "", nil},
		"while it is drained":       {chunksHead + wire.Chunk("a"), "", func(x *Exchange) error { x.Drain(); _, err := io.ReadAll(x); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			wire.NoLeaks(t)
			waiting, gone := make(chan bool), make(chan bool)
			addr := wire.Listen(t, func(c net.Conn) {
				c.Read(make([]byte, 100))
				io.WriteString(c, tc.answer)
				close(waiting)
				if tc.body == "" {
					wire.HangUp(c)
				} else {
					<-gone
				}
			})
			c := newTestClient(t, addr)
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			done := make(chan error)
			go func() {
				x := c.Start(ctx)
				defer x.Close()
				err := x.Send(post(tc.body))
				if err == nil && tc.read != nil {
					err = tc.read(x)
				} else if err == nil {
					_, err = io.ReadAll(x)
				}
				if cause := x.Cause(); cause != err {
					t.Errorf("Cause = %v beside the error %v", cause, err)
				}
				done <- err
			}()
			<-waiting
			cancel(reason)
			if err := <-done; err != reason {
				t.Errorf("error = %v, want the context's cause", err)
			}
			close(gone)
			if n := idleConns(c); n != 0 {
				t.Errorf("%d connections were kept", n)
			}
		})
	}
}

func TestCancelWhileConnecting(t *testing.T) {
	reason := errors.New("the client hung up")
	t.Run("the connection", func(t *testing.T) {
		wire.NoLeaks(t)
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		c := newTestClient(t, "127.0.0.1:1", func(o *Options) {
			o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				cancel(reason)
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		x := c.Start(ctx)
		defer x.Close()
		if err := x.Send(post("")); err != reason || x.Stage() != Connecting {
			t.Errorf("error = %v in stage %d, want the cause in %d", err, x.Stage(), Connecting)
		}
	})
	t.Run("TLS", func(t *testing.T) {
		wire.NoLeaks(t)
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		addr := wire.Listen(t, func(c net.Conn) {
			c.Read(make([]byte, 1))
			cancel(reason)
			wire.HangUp(c)
		})
		x := newTestClient(t, addr, withTLS(nil)).Start(ctx)
		defer x.Close()
		if err := x.Send(post("")); err != reason || x.Stage() != Connecting {
			t.Errorf("error = %v in stage %d, want the cause in %d", err, x.Stage(), Connecting)
		}
	})
	t.Run("before anything", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		cancel(reason)
		s := wire.Start(t, echo)
		x := newTestClient(t, s.Addr).Start(ctx)
		defer x.Close()
		if err := x.Send(post("")); err != reason {
			t.Errorf("error = %v, want the cause", err)
		}
	})
}

// TestCancelWhileNobodyReads: the connection doesn't wait for the exchange's goroutine, which
// may be busy elsewhere.
func TestCancelWhileNobodyReads(t *testing.T) {
	wire.NoLeaks(t)
	gone := make(chan bool)
	s := wire.Start(t, func(c net.Conn, _ *http.Request) bool {
		io.WriteString(c, chunksHead+wire.Chunk("a"))
		wire.HangUp(c)
		close(gone)
		return false
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	x := newTestClient(t, s.Addr).Start(ctx)
	defer x.Close()
	if err := x.Send(post("")); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-gone
	if _, err := io.ReadAll(x); err != context.Canceled {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
}

// TestAResetWhileNobodyReads: a body that lasts until the connection ends has not ended well
// if that was reset.
func TestAResetWhileNobodyReads(t *testing.T) {
	wire.NoLeaks(t)
	begun := make(chan bool)
	addr := wire.Listen(t, func(c net.Conn) {
		swallow(c)
		io.WriteString(c, okHead+"\r\nabc")
		<-begun
		wire.Reset(c)
	})
	x := newTestClient(t, addr).Start(context.Background())
	defer x.Close()
	if err := x.Send(Request{Method: "GET", Target: "/"}); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 3)
	if _, err := io.ReadFull(x, p); err != nil {
		t.Fatal(err)
	}
	close(begun)
	x.Wait()
	for range 2 {
		if n, err := x.Read(p); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read = %d, %v, want %v", n, err, syscall.ECONNRESET)
		}
	}
}

// TestCancelAtTheEnd: if the context ends just when the answer does, the connection is
// either closed or sound.
func TestCancelAtTheEnd(t *testing.T) {
	wire.NoLeaks(t)
	s := wire.Start(t, echo)
	c := newTestClient(t, s.Addr)
	const rounds = 300
	for i := range rounds {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		x := c.Start(ctx)
		if err := x.Send(post("a")); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			go cancel()
		}
		io.ReadAll(x)
		if i%2 == 1 {
			go cancel()
		}
		x.Close()
		wantBody(t, c, post("b"), "b")
	}
	if n := s.Requests.Load(); n != 2*rounds {
		t.Errorf("%d requests arrived, want %d: none was to be repeated", n, 2*rounds)
	}
}

// pipe makes a client of a server that is a function, for tests with a clock that is made
// for them.
func pipe(t *testing.T, waits Waits, serve func(c net.Conn)) *Client {
	return newTestClient(t, "server.test:80", func(o *Options) {
		o.Waits = waits
		o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				serve(theirs)
			}()
			return ours, nil
		}
	})
}

// swallow reads a request without a body.
func swallow(c net.Conn) {
	p := make([]byte, 1)
	for s := ""; !strings.HasSuffix(s, "\r\n\r\n"); s += string(p) {
		if _, err := c.Read(p); err != nil {
			return
		}
	}
}

func TestStagesThatTakeTooLong(t *testing.T) {
	waits := Waits{time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour}
	for name, tc := range map[string]struct {
		serve func(c net.Conn)
		stage Stage
		after time.Duration
	}{
		"the request is not read":    {func(c net.Conn) { c.Read(make([]byte, 1)); io.WriteString(c, "x") }, Answering, 2 * time.Hour},
		"no answer":                  {func(c net.Conn) { swallow(c); wire.HangUp(c) }, Answering, 2 * time.Hour},
		"half a head":                {func(c net.Conn) { swallow(c); io.WriteString(c, "HTTP/1.1 2"); wire.HangUp(c) }, Answering, 2 * time.Hour},
		"informational answers only": {func(c net.Conn) { swallow(c); io.WriteString(c, "HTTP/1.1 102 P\r\n\r\n"); wire.HangUp(c) }, Answering, 2 * time.Hour},
		"no body":                    {func(c net.Conn) { swallow(c); io.WriteString(c, chunksHead); wire.HangUp(c) }, Reading, 3 * time.Hour},
		"a body that stops": {func(c net.Conn) {
			swallow(c)
			io.WriteString(c, chunksHead)
			for range 3 {
				time.Sleep(2 * time.Hour)
				io.WriteString(c, wire.Chunk("a"))
			}
			wire.HangUp(c)
		}, Reading, 9 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := pipe(t, waits, tc.serve)
				x := c.Start(context.Background())
				begin := time.Now()
				err := x.Send(Request{Method: "GET", Target: "/"})
				if err == nil {
					_, err = io.ReadAll(x)
				}
				late, ok := err.(*Timeout)
				if !ok || late.Stage != tc.stage || x.Stage() != tc.stage || x.Cause() != err || late.After != waits[tc.stage] {
					t.Errorf("error = %v in stage %d, want a time-out of %d", err, x.Stage(), tc.stage)
				}
				if took := time.Since(begin); took < tc.after || took > tc.after+2*longestNap {
					t.Errorf("it took %v, want %v", took, tc.after)
				}
				x.Close()
				c.Close()
			})
		})
	}
}

// TestAServerThatSaysToGoOn: an informational answer is none that refuses the body.
func TestAServerThatSaysToGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipe(t, patient, func(c net.Conn) {
			swallow(c)
			io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			time.Sleep(time.Minute)
			body, _ := io.ReadAll(io.LimitReader(c, 100_000))
			io.WriteString(c, okHead+wire.Sized(string(body[99_990:])))
			wire.HangUp(c)
		})
		wantBody(t, c, post(strings.Repeat("x", 99_990)+"0123456789"), "0123456789")
		c.Close()
		synctest.Wait()
	})
}

func TestConnectingThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, "server.test:80", func(o *Options) {
			o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		})
		x := c.Start(context.Background())
		begin := time.Now()
		err := x.Send(post(""))
		if late, ok := err.(*Timeout); !ok || late.Stage != Connecting || x.Cause() != err || time.Since(begin) != time.Hour {
			t.Errorf("error = %v after %v, want a time-out after an hour", err, time.Since(begin))
		}
		x.Close()
		c.Close()
	})
}

func TestWhoReadsSlowlyDoesNotMakeTheServerLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipe(t, Waits{time.Minute, time.Minute, time.Minute, time.Minute}, func(c net.Conn) {
			swallow(c)
			io.WriteString(c, okHead+wire.Sized("abc"))
			wire.HangUp(c)
		})
		x := c.Start(context.Background())
		if err := x.Send(Request{Method: "GET", Target: "/"}); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 1)
		for range 3 {
			time.Sleep(time.Hour)
			if _, err := x.Read(p); err != nil && err != io.EOF {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		x.Close()
		if idleConns(c) != 1 {
			t.Error("its connection was not kept")
		}
		c.Close()
	})
}

func TestDrainingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipe(t, Waits{time.Hour, time.Hour, time.Hour, time.Second}, func(c net.Conn) {
			swallow(c)
			io.WriteString(c, chunksHead)
			for {
				if _, err := io.WriteString(c, wire.Chunk("a")); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
		x := c.Start(context.Background())
		if err := x.Send(Request{Method: "GET", Target: "/"}); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		x.Drain()
		if _, err := io.ReadAll(x); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("error = %v after %v, want %v after a second", err, time.Since(begin), os.ErrDeadlineExceeded)
		}
		x.Close()
		c.Close()
		time.Sleep(time.Second) // the server finds out with its next chunk
	})
}

// TestIdleConnectionsAreClosed: the sweeper closes what nobody needs, and then ends.
func TestIdleConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended time.Time
		c := pipe(t, patient, func(c net.Conn) {
			swallow(c)
			io.WriteString(c, okHead+wire.Sized("a"))
			wire.HangUp(c)
			ended = time.Now()
		})
		begin := time.Now()
		wantBody(t, c, Request{Method: "GET", Target: "/"}, "a")
		time.Sleep(idleFor + 2*lookEvery)
		synctest.Wait()
		if took := ended.Sub(begin); took < idleFor || took > idleFor+lookEvery+longestNap {
			t.Errorf("it was closed after %v, want %v", took, idleFor)
		}
		c.mu.Lock()
		sweeping := c.sweeping
		c.mu.Unlock()
		if sweeping != nil {
			t.Error("the sweeper has nothing to do and goes on")
		}
	})
}

// TestTheSweeperWakesForAnExchange: one that begins while only idle connections are left is
// not late because of that.
func TestTheSweeperWakesForAnExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		c := pipe(t, Waits{time.Hour, time.Second, time.Hour, time.Hour}, func(c net.Conn) {
			for {
				swallow(c)
				if requests++; requests > 1 {
					wire.HangUp(c)
					return
				}
				io.WriteString(c, okHead+wire.Sized("a"))
			}
		})
		wantBody(t, c, Request{Method: "GET", Target: "/"}, "a")
		time.Sleep(time.Second) // the sweeper rests
		begin := time.Now()
		_, _, err := get(c, Request{Method: "GET", Target: "/"})
		if _, ok := err.(*Timeout); !ok || time.Since(begin) > time.Second+2*longestNap {
			t.Errorf("error = %v after %v, want a time-out after a second", err, time.Since(begin))
		}
		c.Close()
	})
}

// TestAServerThatTakesNothing: neither does it answer.
func TestAServerThatTakesNothing(t *testing.T) {
	wire.NoLeaks(t)
	ended := make(chan bool)
	addr := wire.Listen(t, func(net.Conn) { <-ended })
	c := newTestClient(t, addr, func(o *Options) { o.Waits[Answering] = 50 * time.Millisecond })
	_, _, err := get(c, post(strings.Repeat("x", 32<<20)))
	close(ended)
	if late, ok := err.(*Timeout); !ok || late.Stage != Answering {
		t.Errorf("error = %v, want a time-out", err)
	}
}

// TestExpireLooksAgain: between the sweeper's look and its deed an exchange may have gone
// on, or may have ended.
func TestExpireLooksAgain(t *testing.T) {
	wire.NoLeaks(t)
	s := wire.Start(t, func(c net.Conn, r *http.Request) bool { return echo(c, r) })
	c := newTestClient(t, s.Addr)
	x := c.Start(context.Background())
	if err := x.Send(post("a")); err != nil {
		t.Fatal(err)
	}
	x.expire(c.clock() + 2*time.Hour)
	if err := x.Cause(); err != nil {
		t.Errorf("nothing was waited for, and it was ended: %v", err)
	}
	x.await(Reading)
	x.expire(c.clock())
	if err := x.Cause(); err != nil {
		t.Errorf("a wait had just begun, and was ended: %v", err)
	}
	io.ReadAll(x)
	x.Close()
	x.end(errors.New("too late"))
	wantBody(t, c, post("b"), "b")
	if n := s.Conns.Load(); n != 1 {
		t.Errorf("%d connections, want the kept one unharmed", n)
	}
}
