package api_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/api"
)

func TestAnswerThatNobodyReadsIsGivenUp(t *testing.T) {
	large := make([]byte, 64<<20) // more than the sockets' buffers hold
	g := newServer(t, api.Options{WriteTimeout: 50 * time.Millisecond, Routes: chatBy(func(_ context.Context, x *api.Exchange) error {
		return x.JSON(200, large)
	})})
	dial(t, g, head+"Content-Length: 2\r\n\r\n{}")
	if line := g.logs.next(t); line["status"] != 499.0 || line["err"] == nil {
		t.Errorf("the log says %v, want status 499 with an error", line)
	}
}

// The deadline of one answer must not be that of the next on the same
// connection, which may be a long stream.
func TestWriteTimeoutEndsWithTheAnswer(t *testing.T) {
	const timeout = 50 * time.Millisecond
	first := true
	g := newServer(t, api.Options{WriteTimeout: timeout, Routes: chatBy(func(_ context.Context, x *api.Exchange) error {
		if _, err := x.Body(); err != nil {
			return err
		}
		if first {
			first = false
			return x.JSON(200, []byte(`{}`))
		}
		<-time.After(4 * timeout)
		_, err := io.WriteString(x.Writer, "late")
		return err
	})})
	c := dial(t, g, head+"Content-Length: 2\r\n\r\n{}"+head+"Content-Length: 2\r\n\r\n{}")
	answers := bufio.NewReader(c)
	for _, want := range []string{"{}", "late"} {
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(response.Body); err != nil || string(b) != want {
			t.Errorf("got %q, %v; want %q", b, err, want)
		}
	}
}

func TestRefusedBodyIsNotAskedFor(t *testing.T) {
	g := newServer(t, api.Options{Routes: chatBy(echo), MaxBody: 10})
	for name, tc := range map[string]struct {
		length string
		want   int
	}{
		"too large":    {"11", 413},
		"small enough": {"10", 100},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, g, head+"Expect: 100-continue\r\nContent-Length: "+tc.length+"\r\n\r\n")
			response, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != tc.want {
				t.Errorf("a body that is %s got %d, want %d", name, response.StatusCode, tc.want)
			}
		})
	}
}
