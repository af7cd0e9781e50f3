package host_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/internal/testkit"
)

// TestHeadsMustArriveInTime gives up clients that send half a head, after a time
// that stays the same from the start on.
func TestHeadsMustArriveInTime(t *testing.T) {
	const (
		impatient = "server: {read_header_timeout: 100ms}\nmodel_mapping: {m: {provider: demo, model: m}}\n"
		patient   = "server: {read_header_timeout: 1h}\nmodel_mapping: {m: {provider: demo, model: m}}\n"
	)
	h, err := host.New(host.Options{Config: parse(t, impatient), Module: testkit.Module, CacheDir: testkit.CacheDir})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx, l) }()
	halfAHead := func(when string) {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\n"); err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		if got, err := io.ReadAll(c); err != nil || len(got) > 0 {
			t.Errorf("%s half a head gets %q, %v", when, got, err)
		}
	}
	halfAHead("at the start,")
	if err := h.Swap(t.Context(), parse(t, patient), testkit.Module); err != nil {
		t.Fatal(err)
	}
	halfAHead("after a reload with another time,")
	stop()
	if err := <-served; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

// TestStreamsCanGatherWhatTheyWrite: Serve gives each request a connection for that.
func TestStreamsCanGatherWhatTheyWrite(t *testing.T) {
	h, err := host.New(host.Options{Config: parse(t, puppetAt(t, "http://127.0.0.1:1")), Module: testkit.Module, CacheDir: testkit.CacheDir})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &countedListener{Listener: tcp}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx, l) }()

	body := askFor(atRequest, text(strings.Repeat("x", 9000))+finish("stop"), true)
	res, err := http.Post("http://"+tcp.Addr().String()+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != 200 {
		t.Errorf("status %d, %v", res.StatusCode, err)
	}
	res.Body.Close()
	if n := l.longest.Load(); n <= 9000 {
		t.Errorf("the longest write has %d bytes, which is less than the text", n)
	}
	stop()
	if err := <-served; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

// countedListener notes the longest write to its connections.
type countedListener struct {
	net.Listener
	longest atomic.Int64
}

func (l *countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &countedConn{c, l}, err
}

type countedConn struct {
	net.Conn
	l *countedListener
}

func (c *countedConn) Write(p []byte) (int, error) {
	if n := int64(len(p)); n > c.l.longest.Load() {
		c.l.longest.Store(n)
	}
	return c.Conn.Write(p)
}
