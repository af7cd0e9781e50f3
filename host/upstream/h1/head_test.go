package h1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/wire"
)

// over makes a connection that has nothing but what r reads.
func over(r io.Reader) *conn { return &conn{in: bufio.NewReaderSize(r, bufferSize)} }

// read parses an answer, and returns what is left behind it, too.
func read(r io.Reader) (h head, text, left string, err error) {
	k := over(r)
	if h, err = k.readHead(); err != nil {
		return h, "", "", err
	}
	b := body{in: k.in, framing: h.framing, left: max(h.length, 0)}
	var got []byte
	p := make([]byte, 7)
	for err == nil {
		var n int
		n, err = b.read(p)
		got = append(got, p[:n]...)
	}
	if err != io.EOF {
		return h, string(got), "", err
	}
	rest, _ := io.ReadAll(k.in)
	return h, string(got), string(rest), nil
}

// TestAnswers: how an answer is read, and what of the bytes behind it is left alone.
func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		answer string
		status int
		length int64
		body   string
		left   string
		close  bool
	}{
		"a length":                        {okHead + wire.Sized("abc") + "more", 200, 3, "abc", "more", false},
		"chunks":                          {chunksHead + wire.Chunk("ab") + wire.Chunk("c") + wire.Chunk("") + "more", 200, -1, "abc", "more", false},
		"up to the end":                   {okHead + "\r\nabc", 200, -1, "abc", "", true},
		"a length of nothing":             {okHead + wire.Sized("") + "more", 200, 0, "", "more", false},
		"chunks of nothing":               {chunksHead + wire.Chunk("") + "more", 200, -1, "", "more", false},
		"204":                             {"HTTP/1.1 204 No Content\r\n\r\nmore", 204, 0, "", "more", false},
		"204 with a length":               {"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nmore", 204, 0, "", "more", true},
		"304 with a length":               {"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nmore", 304, 0, "", "more", false},
		"101":                             {"HTTP/1.1 101 Switching Protocols\r\n\r\nmore", 101, 0, "", "more", true},
		"informational answers before":    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + okHead + wire.Sized("a"), 200, 1, "a", "", false},
		"as many as may be":               {strings.Repeat("HTTP/1.1 102 P\r\n\r\n", maxInformational) + okHead + wire.Sized("a"), 200, 1, "a", "", false},
		"no reason":                       {"HTTP/1.1 200\r\n" + wire.Sized("a"), 200, 1, "a", "", false},
		"an empty reason":                 {"HTTP/1.1 200 \r\n" + wire.Sized("a"), 200, 1, "a", "", false},
		"line feeds only":                 {"HTTP/1.1 200 OK\nContent-Length: 1\n\na", 200, 1, "a", "", false},
		"HTTP/1.0":                        {"HTTP/1.0 200 OK\r\n" + wire.Sized("a"), 200, 1, "a", "", true},
		"HTTP/1.0 that goes on":           {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + wire.Sized("a"), 200, 1, "a", "", false},
		"HTTP/1.0 of two minds":           {"HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\n" + wire.Sized("a"), 200, 1, "a", "", true},
		"a later HTTP/1":                  {"HTTP/1.9 200 OK\r\n" + wire.Sized("a"), 200, 1, "a", "", false},
		"Connection: close":               {okHead + "connection: a\r\nCONNECTION: b ,\tCLOSE\r\n" + wire.Sized("a"), 200, 1, "a", "", true},
		"close is only a part of a word":  {okHead + "Connection: closed, not-close\r\n" + wire.Sized("a"), 200, 1, "a", "", false},
		"capitals":                        {okHead + "tRANSFER-eNCODING:\tCHUNKED \r\n\r\n" + wire.Chunk("a") + wire.Chunk(""), 200, -1, "a", "", false},
		"extensions":                      {chunksHead + "1;a=\"b;c\";d \t\r\na\r\n0;e\r\n\r\n", 200, -1, "a", "", false},
		"zeros before a size":             {chunksHead + "0001\r\na\r\n000\r\n\r\n", 200, -1, "a", "", false},
		"sizes in letters of either case": {chunksHead + "0a\r\n0123456789\r\n0A\r\n0123456789\r\n0\r\n\r\n", 200, -1, "01234567890123456789", "", false},
		"trailers":                        {chunksHead + wire.Chunk("a") + "0\r\nA: b\r\nContent-Length: 5\r\n\r\nmore", 200, -1, "a", "more", false},
		"the longest head":                {okHead + longField(maxHead-len(okHead)-len(wire.Sized(""))) + wire.Sized(""), 200, 0, "", "", false},
		"the most lines":                  {okHead + strings.Repeat("A: b\r\n", maxFields-1) + wire.Sized(""), 200, 0, "", "", false},
		"a long extension":                {chunksHead + "1;" + strings.Repeat("x", 4000) + "\r\na\r\n" + wire.Chunk(""), 200, -1, "a", "", false},
		"long trailers":                   {chunksHead + "0\r\n" + strings.Repeat("A: "+strings.Repeat("b", 1018)+"\r\n", 16) + "\r\nmore", 200, -1, "", "more", false},
		"bytes beyond ASCII":              {okHead + "A: \xff\xc3\xa9\r\n" + wire.Sized("a"), 200, 1, "a", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"at once":      strings.NewReader(tc.answer),
				"byte by byte": iotest.OneByteReader(strings.NewReader(tc.answer)),
				"with the end": iotest.DataErrReader(strings.NewReader(tc.answer)),
			} {
				h, body, left, err := read(r)
				if err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				if h.status != tc.status || h.length != tc.length || body != tc.body || left != tc.left || h.close != tc.close {
					t.Errorf("%s: status %d, length %d, body %q, then %q, close %v; want %d, %d, %q, %q, %v",
						how, h.status, h.length, body, left, h.close, tc.status, tc.length, tc.body, tc.left, tc.close)
				}
			}
			// A body whose end the head or the chunks tell is never shorter without an error.
			end := len(tc.answer) - len(tc.left)
			for n := max(0, end-300); n < end; n++ {
				h, got, _, err := read(strings.NewReader(tc.answer[:n]))
				if err == nil && (h.framing != untilClose || got == tc.body) || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("cut after %d bytes: status %d, body %q, %v", n, h.status, got, err)
				}
			}
		})
	}
}

// longField returns header lines of n bytes together.
func longField(n int) string { return "A: " + strings.Repeat("b", n-5) + "\r\n" }

func TestHeaders(t *testing.T) {
	h, _, _, err := read(strings.NewReader(okHead + "content-type:  text/plain;  a=b\t \r\nX-A: 1\r\nx-a:\r\nX_b: c:d\r\n" + wire.Sized("")))
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{"Content-Type": {"text/plain;  a=b"}, "X-A": {"1", ""}, "X_b": {"c:d"}, "Content-Length": {"0"}}
	if got, want := fmt.Sprint(h.header), fmt.Sprint(want); got != want {
		t.Errorf("header = %v, want %v", got, want)
	}
}

// attacks are answers that try to be read in two ways, or to take more than they may: those
// of RFC 9112, sections 6, 7 and 11, and what was made of them.
var attacks = map[string]string{
	"two lengths":                     okHead + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
	"the same length twice":           okHead + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
	"a list of lengths":               okHead + "Content-Length: 3, 3\r\n\r\nabc",
	"a length beside chunks":          okHead + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + wire.Chunk("abc") + wire.Chunk(""),
	"chunks before a length":          okHead + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n" + wire.Chunk("abc") + wire.Chunk(""),
	"a negative length":               okHead + "Content-Length: -1\r\n\r\nabc",
	"a length with a sign":            okHead + "Content-Length: +3\r\n\r\nabc",
	"a length in hexadecimal":         okHead + "Content-Length: 0x3\r\n\r\nabc",
	"a length with an underscore":     okHead + "Content-Length: 1_0\r\n\r\n0123456789",
	"a length with a space within":    okHead + "Content-Length: 1 0\r\n\r\n0123456789",
	"an empty length":                 okHead + "Content-Length:\r\n\r\nabc",
	"a length beyond numbers":         okHead + "Content-Length: 18446744073709551619\r\n\r\nabc",
	"two encodings":                   okHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + wire.Chunk("a") + wire.Chunk(""),
	"an encoding before chunked":      okHead + "Transfer-Encoding: gzip, chunked\r\n\r\n" + wire.Chunk("a") + wire.Chunk(""),
	"chunked, but not last":           okHead + "Transfer-Encoding: chunked, identity\r\n\r\n" + wire.Chunk("a") + wire.Chunk(""),
	"identity":                        okHead + "Transfer-Encoding: identity\r\n\r\nabc",
	"an encoding that looks like it":  okHead + "Transfer-Encoding: xchunked\r\n\r\n" + wire.Chunk("a") + wire.Chunk(""),
	"an encoding in quotes":           okHead + "Transfer-Encoding: \"chunked\"\r\n\r\n" + wire.Chunk("a") + wire.Chunk(""),
	"an encoding behind a tab":        okHead + "Transfer-Encoding: \vchunked\r\n\r\n" + wire.Chunk("a") + wire.Chunk(""),
	"an empty encoding":               okHead + "Transfer-Encoding:\r\n\r\nabc",
	"chunks in HTTP/1.0":              "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + wire.Chunk("a") + wire.Chunk(""),
	"a folded line":                   okHead + "A: b\r\n c\r\n" + wire.Sized("a"),
	"a folded encoding":               okHead + "Transfer-Encoding:\r\n chunked\r\n\r\n" + wire.Chunk("a") + wire.Chunk(""),
	"a folded line at the beginning":  okHead + " A: b\r\n" + wire.Sized("a"),
	"a folded line by a tab":          okHead + "A: b\r\n\tContent-Length: 5\r\n" + wire.Sized("a"),
	"a space before the colon":        okHead + "Content-Length : 3\r\n\r\nabc",
	"a space in a name":               okHead + "Content Length: 3\r\n\r\nabc",
	"a tab before the colon":          okHead + "Content-Length\t: 3\r\n\r\nabc",
	"no colon":                        okHead + "Content-Length 3\r\n\r\nabc",
	"no name":                         okHead + ": 3\r\n\r\nabc",
	"a carriage return in a value":    okHead + "A: b\rContent-Length: 5\r\n" + wire.Sized("a"),
	"a carriage return in a name":     okHead + "A\rB: c\r\n" + wire.Sized("a"),
	"two carriage returns":            okHead + "A: b\r\r\n" + wire.Sized("a"),
	"a NUL in a value":                okHead + "A: b\x00c\r\n" + wire.Sized("a"),
	"a NUL in a name":                 okHead + "A\x00: b\r\n" + wire.Sized("a"),
	"a name beyond ASCII":             okHead + "Content-Length\xc2\xa0: 3\r\n\r\nabc",
	"an empty line first":             "\r\n" + okHead + wire.Sized("a"),
	"HTTP/2":                          "HTTP/2.0 200 OK\r\n" + wire.Sized("a"),
	"HTTP/0.9":                        "<html>hello</html>\r\n\r\n",
	"a version of two digits":         "HTTP/1.10 200 OK\r\n" + wire.Sized("a"),
	"a version in small letters":      "http/1.1 200 OK\r\n" + wire.Sized("a"),
	"two spaces before the status":    "HTTP/1.1  200 OK\r\n" + wire.Sized("a"),
	"a tab before the status":         "HTTP/1.1\t200 OK\r\n" + wire.Sized("a"),
	"a status of four digits":         "HTTP/1.1 2000 OK\r\n" + wire.Sized("a"),
	"a status of two digits":          "HTTP/1.1 20 OK\r\n" + wire.Sized("a"),
	"a status below all":              "HTTP/1.1 099 OK\r\n" + wire.Sized("a"),
	"a status with a sign":            "HTTP/1.1 +20 OK\r\n" + wire.Sized("a"),
	"a NUL in the reason":             "HTTP/1.1 200 O\x00K\r\n" + wire.Sized("a"),
	"a request":                       "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"a size with a sign":              chunksHead + "+1\r\na\r\n0\r\n\r\n",
	"a negative size":                 chunksHead + "-1\r\na\r\n0\r\n\r\n",
	"a size with 0x":                  chunksHead + "0x1\r\na\r\n0\r\n\r\n",
	"a size behind a space":           chunksHead + " 1\r\na\r\n0\r\n\r\n",
	"a size with a space within":      chunksHead + "1 0\r\n0123456789abcdef\r\n0\r\n\r\n",
	"an empty size":                   chunksHead + "\r\na\r\n0\r\n\r\n",
	"an extension without a size":     chunksHead + ";a=b\r\na\r\n0\r\n\r\n",
	"a size beyond numbers":           chunksHead + "10000000000000001\r\na\r\n0\r\n\r\n",
	"a size that becomes negative":    chunksHead + "8000000000000001\r\na\r\n0\r\n\r\n",
	"a size beyond the limit":         chunksHead + "10000000001\r\na",
	"a size behind many zeros":        chunksHead + "00000000000000001\r\na\r\n0\r\n\r\n",
	"a size before a line feed":       chunksHead + "1\na\r\n0\r\n\r\n",
	"a carriage return in a size":     chunksHead + "1\r;\r\na\r\n0\r\n\r\n",
	"an extension with a line feed":   chunksHead + "1;a\nb\r\na\r\n0\r\n\r\n",
	"a chunk longer than it says":     chunksHead + "1\r\nab\r\n0\r\n\r\n",
	"a chunk shorter than it says":    chunksHead + "3\r\na\r\n0\r\n\r\n" + okHead,
	"a line feed behind a chunk":      chunksHead + "1\r\na\n0\r\n\r\n",
	"something else behind a chunk":   chunksHead + "1\r\naXY0\r\n\r\n",
	"a line feed behind the last":     chunksHead + "0\r\n\n",
	"a trailer without a colon":       chunksHead + "0\r\nabc\r\n\r\n",
	"a folded trailer":                chunksHead + "0\r\nA: b\r\n c\r\n\r\n",
	"an answer in place of trailers":  chunksHead + "0\r\nHTTP/1.1 200 OK\r\n\r\n",
	"a head beyond the limit":         okHead + longField(maxHead-len(okHead)-len(wire.Sized(""))+1) + wire.Sized(""),
	"a status line beyond the limit":  "HTTP/1.1 200 " + strings.Repeat("x", maxHead) + "\r\n\r\n",
	"lines beyond the limit":          okHead + strings.Repeat("A: b\r\n", maxFields+1) + "\r\n",
	"informational beyond the limit":  strings.Repeat("HTTP/1.1 102 P\r\n\r\n", maxInformational+1) + okHead + wire.Sized("a"),
	"informational heads that add up": strings.Repeat("HTTP/1.1 103 E\r\n"+longField(5000)+"\r\n", 60) + okHead + wire.Sized("a"),
	"an extension beyond the limit":   chunksHead + "1;" + strings.Repeat("x", 5000) + "\r\na\r\n0\r\n\r\n",
	"many long extensions":            chunksHead + strings.Repeat("1;"+strings.Repeat("x", 3000)+"\r\na\r\n", 7) + "0\r\n\r\n",
	"trailers beyond the limit":       chunksHead + "0\r\n" + strings.Repeat("A: "+strings.Repeat("b", 1018)+"\r\n", 17) + "\r\n",
	"a trailer of one long line":      chunksHead + "0\r\nA: " + strings.Repeat("b", 5000) + "\r\n\r\n",
}

// TestAttacks: every attack fails its own exchange and nobody else's.
func TestAttacks(t *testing.T) {
	for name, answer := range attacks {
		t.Run(name, func(t *testing.T) {
			_, body, _, err := read(strings.NewReader(answer))
			if _, ok := errors.AsType[*FormatError](err); !ok && !errors.Is(err, ErrHeadTooLong) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("body %q, %v, want it refused", body, err)
			}
			first := true
			s := wire.Start(t, func(c net.Conn, r *http.Request) bool {
				if !first {
					return echo(c, r)
				}
				first = false
				io.WriteString(c, answer)
				c.(*net.TCPConn).CloseWrite()
				wire.HangUp(c)
				return false
			})
			c := newTestClient(t, s.Addr)
			if _, body, err := get(c, post("a")); err == nil {
				t.Errorf("body = %q, want it refused", body)
			}
			wantBody(t, c, post("b"), "b")
			if n := s.Conns.Load(); n != 2 {
				t.Errorf("%d connections, want 2", n)
			}
			c.Close()
		})
	}
}

// TestErrorsRepeatNothing of what a server sent.
func TestErrorsRepeatNothing(t *testing.T) {
	for name, answer := range attacks {
		_, _, _, err := read(strings.NewReader(strings.ReplaceAll(answer, "A:", "hunter2:")))
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats it: %v", name, err)
		}
	}
}

// TestWhatIsReadAtOnce: several chunks that have come come together, and nobody waits for
// the rest of one.
func TestWhatIsReadAtOnce(t *testing.T) {
	for name, tc := range map[string]struct{ answer, want string }{
		"two chunks, and a part of one": {wire.Chunk("ab") + wire.Chunk("cd") + "5\r\nef", "abcdef"},
		"a part of the size":            {wire.Chunk("ab") + "1", "ab"},
		"a part of the end":             {wire.Chunk("ab") + "0\r\n\r", "ab"},
		"a part of the trailers":        {wire.Chunk("ab") + "0\r\nA: b", "ab"},
	} {
		t.Run(name, func(t *testing.T) {
			wire.NoLeaks(t)
			s := wire.Start(t, func(c net.Conn, _ *http.Request) bool {
				io.WriteString(c, chunksHead+tc.answer)
				wire.HangUp(c)
				return false
			})
			c := newTestClient(t, s.Addr)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			x := c.Start(ctx)
			defer x.Close()
			if err := x.Send(post("")); err != nil {
				t.Fatal(err)
			}
			p := make([]byte, 100)
			var got string
			for len(got) < len(tc.want) {
				n, err := x.Read(p)
				if err != nil {
					t.Fatal(err)
				}
				got += string(p[:n])
			}
			if got != tc.want {
				t.Errorf("read %q, want all that came: %q", got, tc.want)
			}
		})
	}
}

// TestWait: waiting takes nothing of the body, and ends when there is nothing to wait for.
func TestWait(t *testing.T) {
	for name, tc := range map[string]struct{ answer, body string }{
		"a length":           {okHead + wire.Sized("abc"), "abc"},
		"chunks":             {chunksHead + wire.Chunk("abc") + wire.Chunk(""), "abc"},
		"up to the end":      {okHead + "\r\nabc", "abc"},
		"nothing":            {okHead + wire.Sized(""), ""},
		"no content":         {"HTTP/1.1 204 No Content\r\n\r\n", ""},
		"one that broke off": {okHead + "Content-Length: 5\r\n\r\nabc", "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			wire.NoLeaks(t)
			s := wire.Start(t, wire.Answers(tc.answer))
			x := newTestClient(t, s.Addr).Start(context.Background())
			defer x.Close()
			if err := x.Send(post("")); err != nil {
				t.Fatal(err)
			}
			var got []byte
			var err error
			for p := make([]byte, 2); err == nil; {
				var n int
				x.Wait()
				n, err = x.Read(p)
				got = append(got, p[:n]...)
			}
			x.Wait()
			if string(got) != tc.body || (err == io.EOF) != (name != "one that broke off") {
				t.Errorf("body = %q, %v, want %q", got, err, tc.body)
			}
		})
	}
}

func TestWaitEnds(t *testing.T) {
	wire.NoLeaks(t)
	s := wire.Start(t, func(c net.Conn, _ *http.Request) bool {
		io.WriteString(c, chunksHead)
		wire.HangUp(c)
		return false
	})
	ctx, cancel := context.WithCancel(context.Background())
	x := newTestClient(t, s.Addr).Start(ctx)
	defer x.Close()
	if err := x.Send(post("")); err != nil {
		t.Fatal(err)
	}
	go cancel()
	x.Wait()
	if _, err := x.Read(make([]byte, 1)); err != context.Canceled {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
}
