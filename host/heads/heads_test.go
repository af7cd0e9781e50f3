package heads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve serves with a table of so many bytes, and what the handler is given. It returns the
// server's address.
func serve(t *testing.T, table *Table, limit int64, handler http.HandlerFunc) string {
	t.Helper()
	table.Limit = func() int64 { return limit }
	s := httptest.NewUnstartedServer(handler)
	s.Listener = table.Listen(s.Listener)
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return Context(ctx, c.(*Conn)) }
	s.Config.ConnState = func(c net.Conn, state http.ConnState) { c.(*Conn).State(state) }
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// dial opens a connection and sends something on it.
func dial(t *testing.T, address, says string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, says); err != nil {
		t.Fatal(err)
	}
	return c
}

// answer reads the status of an answer; "" if the connection was closed.
func answer(c net.Conn) string {
	b := make([]byte, 4096)
	n, _ := c.Read(b)
	status, _, _ := strings.Cut(string(b[:n]), "\r\n")
	return status
}

// holds returns what a table counts.
func (t *Table) holds() (conns int, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range []list{t.small, t.large} {
		for c := l.first; c != nil; c = c.after {
			conns++
		}
	}
	return conns, t.held
}

// until waits for what happens elsewhere.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it doesn't come to this: %s", what)
		}
	}
}

const whole = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

// TestTheOldestGo: whoever floods a server loses the connections that it opened first, and
// others are served meanwhile.
func TestTheOldestGo(t *testing.T) {
	for name, begin := range map[string]string{
		"connections on which nothing comes": "",
		"heads without an end":               "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("y", 4000) + "\r\n",
		"heads of many lines":                "GET / HTTP/1.1\r\n" + strings.Repeat("a:\r\n", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			var told atomic.Int32
			table := &Table{Full: func() { told.Add(1) }}
			const limit = 1 << 20
			address := serve(t, table, limit, func(w http.ResponseWriter, _ *http.Request) {})
			first := dial(t, address, begin)
			for n := range 200 {
				dial(t, address, begin)
				if n%50 != 0 {
					continue
				}
				if got := answer(dial(t, address, whole)); got != "HTTP/1.1 200 OK" {
					t.Errorf("after %d others, a request is answered with %q", n, got)
				}
				if _, held := table.holds(); held > limit {
					t.Errorf("%d bytes are held, more than the limit", held)
				}
			}
			if got := answer(first); got != "" {
				t.Errorf("the first one got %q, want it closed", got)
			}
			until(t, "somebody is told once", func() bool { return told.Load() == 1 })
		})
	}
}

// TestLargeHeadsGoFirst: what floods a server with large heads closes nobody's connection who
// sends small ones.
func TestLargeHeadsGoFirst(t *testing.T) {
	table := &Table{}
	address := serve(t, table, 1<<20, func(w http.ResponseWriter, _ *http.Request) {})
	waits := dial(t, address, whole)
	if got := answer(waits); got != "HTTP/1.1 200 OK" {
		t.Fatalf("the first request got %q", got)
	}
	first := dial(t, address, "GET / HTTP/1.1\r\nX: "+strings.Repeat("y", 40<<10))
	for range 50 {
		dial(t, address, "GET / HTTP/1.1\r\nX: "+strings.Repeat("y", 40<<10))
	}
	if got := answer(first); got != "" {
		t.Errorf("the first large head got %q, want its connection closed", got)
	}
	io.WriteString(waits, whole)
	if got := answer(waits); got != "HTTP/1.1 200 OK" {
		t.Errorf("a connection that waited all the time got %q", got)
	}
	if got := answer(dial(t, address, "GET / HTTP/1.1\r\n"+strings.Repeat("a:\r\n", 2000))); got != "HTTP/1.1 400 Bad Request" {
		t.Errorf("a head of 2000 lines got %q, want a 400", got)
	}
}

// TestWhatIsAdmittedIsNotCounted: a request that was admitted stays, however many come after it,
// and has its head counted by whoever admits it. A connection waits again when it is over.
func TestWhatIsAdmittedIsNotCounted(t *testing.T) {
	table, in, out := &Table{}, make(chan int64), make(chan struct{})
	refuse := errors.New("no room")
	address := serve(t, table, 1<<20, func(w http.ResponseWriter, r *http.Request) {
		var bytes int64
		err := Admit(r.Context(), func(n int64) error {
			bytes = n
			if r.URL.Path == "/refused" {
				return refuse
			}
			return nil
		})
		if want := map[bool]error{true: refuse}[r.URL.Path == "/refused"]; err != want {
			t.Errorf("Admit = %v, want %v", err, want)
		}
		in <- bytes
		<-out
	})
	head := strings.Replace(whole, "\r\n\r\n", "\r\nContent-Length: 9\r\n\r\n\n\n\n\n\n\n\n\n\n", 1)
	long := dial(t, address, head)
	if got, want := <-in, int64(perByte*(len(head)-13)+perLine*2); got < want || got > want+perLine*2 {
		t.Errorf("the head is counted as %d bytes, want %d and nothing for the body", got, want)
	}
	if conns, held := table.holds(); conns != 0 || held != 0 {
		t.Errorf("%d connections are counted, with %d bytes, want none", conns, held)
	}
	refused := dial(t, address, strings.Replace(whole, "/", "/refused", 1))
	<-in
	if conns, _ := table.holds(); conns != 1 {
		t.Errorf("%d connections are counted, want the one that was not admitted", conns)
	}
	for range 200 {
		dial(t, address, "")
	}
	if got := answer(refused); got != "" {
		t.Errorf("one that was not admitted got %q, want it closed like all others", got)
	}
	out <- struct{}{}
	out <- struct{}{}
	if got := answer(long); got != "HTTP/1.1 200 OK" {
		t.Errorf("the request that was admitted got %q", got)
	}
	conns, held := table.holds()
	if held != int64(conns)*perConn {
		t.Errorf("%d connections wait and %d bytes are counted, want %d", conns, held, conns*perConn)
	}
}

// TestNothingIsLeft: what was counted is given back, however a connection ends.
func TestNothingIsLeft(t *testing.T) {
	table := &Table{}
	address := serve(t, table, 1<<30, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hijacked" {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		}
	})
	for n := range 20 {
		c := dial(t, address, []string{"", "GET / HT", whole, whole + whole, "nonsense\r\n\r\n", strings.Replace(whole, "/", "/hijacked", 1)}[n%6])
		if n%6 > 1 {
			answer(c)
		}
		c.Close()
	}
	until(t, "nothing is counted", func() bool { conns, held := table.holds(); return conns == 0 && held == 0 })
	if err := Admit(t.Context(), func(int64) error { return fmt.Errorf("asked") }); err != nil {
		t.Errorf("a request without a connection: %v", err)
	}
}

func BenchmarkRead(b *testing.B) {
	table := &Table{Limit: func() int64 { return 1 << 30 }}
	c := &Conn{table: table}
	head := []byte("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer 0123456789\r\nContent-Type: application/json\r\nContent-Length: 300\r\n\r\n" + strings.Repeat("x", 300))
	b.ReportAllocs()
	for b.Loop() {
		c.await()
		c.read(head)
		c.State(http.StateActive)
		table.mu.Lock()
		table.drop(c)
		table.mu.Unlock()
	}
}
