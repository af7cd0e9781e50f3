package upstream

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk/abi"
)

// newTestClient makes a client whose end leaves nothing behind: no goroutine
// and no file descriptor, of the client or of a server started after it.
func newTestClient(t testing.TB, url string, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{Provider: "ollama", BaseURL: url}
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

func post(framing abi.Framing) Request {
	return Request{Head: []byte("POST /api/chat\ncontent-type: application/json\n"), Body: []byte(`{"model":"m"}`), Framing: framing}
}

// clients are the ways by which requests go upstream. What is promised of answers is promised
// for each.
var clients = map[string]func(*Options){
	"own":      func(o *Options) { o.HTTPVersion = "1.1" },
	"net/http": func(o *Options) { o.transport = true },
}

func eachClient(t *testing.T, test func(t *testing.T, with func(*Options))) {
	for name, with := range clients {
		t.Run(name, func(t *testing.T) { test(t, with) })
	}
}

// outcome is what a request came to.
type outcome struct {
	status int
	whole  bool
	body   string
	frames []string // "name|data", or only data
	err    error
}

// run sends a request and reads its answer to the end.
func run(c *Client, r Request) (out outcome) {
	resp, err := c.Do(context.Background(), r)
	if err != nil {
		return outcome{err: err}
	}
	defer resp.Close()
	out.status, out.whole = resp.Status, resp.Whole()
	if out.whole {
		body, err := resp.Body()
		out.body, out.err = string(body), err
		return out
	}
	for {
		f, err := resp.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			out.err = err
			return out
		}
		s := string(f.Data)
		if len(f.Name) > 0 {
			s = string(f.Name) + "|" + s
		}
		out.frames = append(out.frames, s)
	}
}

// wantError checks an error's status, code and a part of its message, and that
// its message shows neither secret nor address, but for one on this machine where
// nobody is.
func wantError(t *testing.T, err error, status int, code, message string) {
	t.Helper()
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Fatalf("error = %v (%T), want an *fault.Error", err, err)
	}
	if e.HTTPStatus() != status || e.Code != code || !strings.Contains(e.Text, message) {
		t.Errorf("error = %d %s %q (%v), want %d %s with %q", e.HTTPStatus(), e.Code, e.Text, e.Cause, status, code, message)
	}
	shown := regexp.MustCompile(` is not reachable at https?://127\.0\.0\.1:\d+: `).ReplaceAllString(e.Text, " is not reachable: ")
	for _, secret := range []string{"127.0.0.1", "[::1]", "hunter2", "169.254", "missing.test", "metadata.test"} {
		if strings.Contains(shown, secret) {
			t.Errorf("message %q shows %q", e.Text, secret)
		}
	}
}
