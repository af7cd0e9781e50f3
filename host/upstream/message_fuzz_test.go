package upstream

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/upstream/h1"
	"github.com/kai-gateway/kai/sdk/abi"
)

// recorder is a connection whose server answers everything with the same.
type recorder struct {
	net.Conn
	sent   bytes.Buffer
	answer strings.Reader
}

func (r *recorder) Write(p []byte) (int, error)      { return r.sent.Write(p) }
func (r *recorder) Read(p []byte) (int, error)       { return r.answer.Read(p) }
func (r *recorder) Close() error                     { return nil }
func (r *recorder) SetDeadline(time.Time) error      { return nil }
func (r *recorder) SetReadDeadline(time.Time) error  { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

// FuzzRequestHead: whatever an adapter says, either nothing is sent, or a server reads one
// request, to base_url and below its path, with the provider's key in its one place.
func FuzzRequestHead(f *testing.F) {
	const key = "Bearer sk-0123456789abcdef"
	for _, head := range []string{
		"POST /api/chat\ncontent-type: application/json\n", "GET /a?b=c\nx-a: \tb \n", "DELETE /a/b%20c\n",
		"GET / HTTP/1.1\r\nhost: evil.test\n", "GET /a\r\n\r\nGET /b\n", "POST /a\nx: a\r\ncontent-length: 0\r\n\r\nGET /b HTTP/1.1\n",
		"POST /a\ncontent-length: 1\n", "POST /a\ntransfer-encoding: chunked\n", "GET //evil.test/\n", "GET /%2e%2e/a\n", "GET /a?x=%0d%0a\n",
	} {
		f.Add([]byte(head), []byte("0\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n"))
	}
	f.Fuzz(func(t *testing.T, head, body []byte) {
		c, err := New(Options{Provider: "p", BaseURL: "http://host.test/base", Secret: Secret{Header: "authorization", Value: key}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		to := &recorder{}
		to.answer.Reset("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
		dial := func(context.Context, string, string) (net.Conn, error) { return to, nil }
		if c.own, err = h1.New(h1.Options{Address: "host.test:80", Host: "host.test", Dial: dial, Waits: c.waits}); err != nil {
			t.Fatal(err)
		}
		out := run(c, Request{Head: head, Body: body, Framing: abi.Whole})
		if out.err != nil {
			if to.sent.Len() > 0 {
				t.Fatalf("%v, and yet it sent %q", out.err, to.sent.Bytes())
			}
			return
		}
		in := bufio.NewReader(&to.sent)
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("a server can't read it: %v", err)
		}
		got, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("body %q, %v, want %q", got, err, body)
		}
		if rest, _ := io.ReadAll(in); len(rest) > 0 {
			t.Fatalf("behind the request comes %q", rest)
		}
		if r.Host != "host.test" || !strings.HasPrefix(r.URL.Path, "/base/") {
			t.Fatalf("it goes to %s at %s", r.RequestURI, r.Host)
		}
		if keys := r.Header.Values("Authorization"); len(keys) != 1 || keys[0] != key {
			t.Fatalf("the key is sent as %q", keys)
		}
	})
}
