package h1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/kai-gateway/kai/internal/testkit/wire"
)

// theirs reads an answer as net/http does.
func theirs(data []byte) (res *http.Response, body string, left string, err error) {
	in := bufio.NewReaderSize(bytes.NewReader(data), 64<<10)
	for {
		if res, err = http.ReadResponse(in, nil); err != nil {
			return nil, "", "", err
		}
		if res.StatusCode >= 200 || res.StatusCode == 101 {
			break
		}
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return res, string(b), "", err
	}
	rest, _ := io.ReadAll(in)
	return res, string(b), string(rest), nil
}

// FuzzAnswer holds the parser against net/http's: what it takes means the same to both, and
// what it refuses is refused by both, or is on the list of what is refused on purpose. How
// the bytes arrive changes nothing.
func FuzzAnswer(f *testing.F) {
	for _, answer := range attacks {
		if len(answer) < 1000 {
			f.Add([]byte(answer))
		}
	}
	for _, answer := range []string{
		okHead + wire.Sized("abc") + "more", chunksHead + wire.Chunk("a") + wire.Chunk("bc") + wire.Chunk("") + "more", okHead + "\r\nabc",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + wire.Sized("a"), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
		chunksHead + "1;x=y \r\na\r\n0\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\nA: b\nContent-Length: 1\n\na",
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, body, left, err := read(bytes.NewReader(data))
		h1, body1, left1, err1 := read(iotest.OneByteReader(bytes.NewReader(data)))
		if fmt.Sprint(h, body, left, err) != fmt.Sprint(h1, body1, left1, err1) {
			t.Fatalf("at once: %v %q %q %v; byte by byte: %v %q %q %v", h, body, left, err, h1, body1, left1, err1)
		}
		res, theirBody, theirLeft, theirErr := theirs(data)
		if err != nil {
			format, ok := errors.AsType[*FormatError](err)
			if onPurpose := ok && format.strict || errors.Is(err, ErrHeadTooLong); !onPurpose && theirErr == nil {
				t.Fatalf("refused: %v; net/http takes it: %d %v %q", err, res.StatusCode, res.Header, theirBody)
			}
			return
		}
		if theirErr != nil {
			if _, named := h.header["Trailer"]; named {
				return // they check its names, and nobody reads trailers here
			}
			t.Fatalf("taken: %v %q; net/http says: %v", h, body, theirErr)
		}
		if h.status != res.StatusCode || body != theirBody {
			t.Fatalf("status %d, body %q; net/http reads %d, %q", h.status, body, res.StatusCode, theirBody)
		}
		if h.framing != untilClose && left != theirLeft {
			t.Fatalf("%q is left; by net/http %q", left, theirLeft)
		}
		if res.Close && !h.close {
			t.Fatalf("the connection goes on, and net/http closes it: %v", h)
		}
		for _, name := range []string{"Transfer-Encoding", "Trailer", "Connection", "Content-Length", "Cache-Control"} {
			delete(h.header, name)
			delete(res.Header, name)
		}
		if got, want := fmt.Sprintf("%q", h.header), fmt.Sprintf("%q", res.Header); got != want {
			t.Fatalf("header %s; net/http reads %s", got, want)
		}
	})
}

// FuzzRequest: whatever a request is made of, it is refused, or a server reads it as the one
// request that it is.
func FuzzRequest(f *testing.F) {
	f.Add("POST", "/a?b=c", "X-A", "b", []byte("body"))
	f.Add("GET", "/ HTTP/1.1\r\nX: y", "X-A\r\nB", "b\r\n\r\nGET /b HTTP/1.1\r\n", []byte(nil))
	f.Add("PUT", "/%0d%0a", "content-length", "5", []byte("x"))
	f.Add("GET ", "//a", "transfer-Encoding", "chunked", []byte("0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, method, target, name, value string, body []byte) {
		r := Request{Method: method, Target: target, Header: http.Header{name: {value}}, Body: body}
		head, err := r.prepare("host.test:1")
		if err != nil {
			return
		}
		sent := append(head.appendTo(nil, r.size()), body...)
		in := bufio.NewReader(bytes.NewReader(sent))
		got, err := http.ReadRequest(in)
		if err != nil {
			if strings.Contains(err.Error(), "parse") {
				return // a target with a broken escape: one that a server refuses
			}
			t.Fatalf("a server can't read %q: %v", sent, err)
		}
		b, err := io.ReadAll(got.Body)
		if err != nil || string(b) != string(body) && (len(body) > 0 || len(b) > 0) {
			t.Fatalf("body %q, %v, want %q", b, err, body)
		}
		if got.Method != method || got.RequestURI != target || got.Host != "host.test:1" {
			t.Fatalf("sent %q, a server reads %s %s at %s", sent, got.Method, got.RequestURI, got.Host)
		}
		if v := got.Header.Values(name); len(v) != 1 || v[0] != strings.Trim(value, " \t") {
			t.Fatalf("header %q = %q, want %q", name, v, value)
		}
		if rest, _ := io.ReadAll(in); len(rest) > 0 {
			t.Fatalf("behind the request comes %q", rest)
		}
	})
}

func TestRequestsThatAreRefused(t *testing.T) {
	for name, r := range map[string]Request{
		"no method":                  {Target: "/"},
		"a method with a space":      {Method: "GET /", Target: "/"},
		"HEAD":                       {Method: "HEAD", Target: "/"},
		"CONNECT":                    {Method: "CONNECT", Target: "/"},
		"no target":                  {Method: "GET"},
		"a target of another server": {Method: "GET", Target: "http://a/"},
		"a target with a space":      {Method: "GET", Target: "/ HTTP/1.1"},
		"a target with a line end":   {Method: "GET", Target: "/\r\nA: b"},
		"a target beyond ASCII":      {Method: "GET", Target: "/é"},
		"a name with a line end":     {Method: "GET", Target: "/", Header: http.Header{"A\r\nB": {"c"}}},
		"an empty name":              {Method: "GET", Target: "/", Header: http.Header{"": {"c"}}},
		"a value with a line end":    {Method: "GET", Target: "/", Header: http.Header{"A": {"b\r\nC: d"}}},
		"a value with a line feed":   {Method: "GET", Target: "/", Header: http.Header{"A": {"b\nC: d"}}},
		"a value with a NUL":         {Method: "GET", Target: "/", Header: http.Header{"A": {"b\x00"}}},
		"a host of its own":          {Method: "GET", Target: "/", Header: http.Header{"host": {"a"}}},
		"a length of its own":        {Method: "GET", Target: "/", Header: http.Header{"CONTENT-length": {"5"}}},
		"an encoding of its own":     {Method: "GET", Target: "/", Header: http.Header{"Transfer-Encoding": {"chunked"}}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, "127.0.0.1:1")
			_, _, err := get(c, r)
			if _, ok := errors.AsType[*RequestError](err); !ok {
				t.Errorf("error = %v, want it refused before it is sent", err)
			}
		})
	}
	for _, host := range []string{"", "a b", "a\r\nb", "a/b", "é"} {
		if _, err := New(Options{Host: host}); err == nil {
			t.Errorf("host %q is taken", host)
		}
	}
}
