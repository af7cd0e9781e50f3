package host_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host"
)

// TestReadHeaderTimeoutIsReloaded changes the one setting that an http.Server
// fixes when it is made.
func TestReadHeaderTimeoutIsReloaded(t *testing.T) {
	const (
		patient   = "server: {read_header_timeout: 1h}\nmodel_mapping: {m: {provider: demo, model: m}}\n"
		impatient = "server: {read_header_timeout: 500ms}\nmodel_mapping: {m: {provider: demo, model: m}}\n"
		half      = "GET /livez HTTP/1.1\r\nHost: localhost\r\n"
	)
	h, err := host.New(host.Options{Config: parse(t, patient), Module: shipped, CacheDir: cacheDir})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	goroutines := runtime.NumGoroutine()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx, l) }()

	begin := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, half); err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		return c
	}
	answer := func(c net.Conn) string {
		b, err := io.ReadAll(c)
		if err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
			t.Errorf("the connection did not end: %v", err)
		}
		return string(b)
	}
	// The connection is known to the server before the swap, or it would be one
	// that begins after it.
	before := begin()
	if _, err := io.WriteString(before, "\r\n"+half); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, len("HTTP/1.1 200 OK"))
	if _, err := io.ReadFull(before, first); err != nil || string(first) != "HTTP/1.1 200 OK" {
		t.Fatalf("%q, %v", first, err)
	}
	if err := h.Swap(t.Context(), parse(t, impatient), shipped); err != nil {
		t.Fatal(err)
	}
	after := begin()
	if got := answer(after); got != "" {
		t.Errorf("half a head was answered with %q", got)
	}
	if _, err := io.WriteString(before, "Connection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got := answer(before); strings.Count(got, "HTTP/1.1 200 OK") != 1 {
		t.Errorf("the connection that was there before the change got %q", got)
	}
	res, err := http.Get("http://" + l.Addr().String() + "/livez")
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("a whole request: %v, %v", res, err)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	// And back, to the server that is there already.
	if err := h.Swap(t.Context(), parse(t, patient), shipped); err != nil {
		t.Fatal(err)
	}
	again := begin()
	if _, err := io.WriteString(again, "Connection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got := answer(again); !strings.Contains(got, "200 OK") {
		t.Errorf("after the change back: %q", got)
	}
	for _, c := range []net.Conn{before, after, again} {
		c.Close()
	}
	stop()
	if err := <-served; err != nil {
		t.Errorf("Serve = %v", err)
	}
	settle(t, goroutines, 1<<20)
	h.Close()
}
