package upstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/wire"
	"github.com/kai-gateway/kai/sdk/abi"
)

// TestWholeOrStream: which export of an adapter gets an answer, and what of it. The
// rule is tested in package exchange; here it gets the bytes it needs.
func TestWholeOrStream(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		for name, tc := range map[string]struct {
			framing abi.Framing
			status  string
			media   string
			body    string
			frames  []string // nil: whole
			whole   string   // default: body
		}{
			"whole":                            {abi.Whole, "200 OK", "application/json", `{}`, nil, ""},
			"JSON called HTML":                 {abi.Whole, "200 OK", "text/html", `{}`, nil, ""},
			"nothing":                          {abi.Whole, "200 OK", "", ``, nil, ""},
			"an error for a stream":            {abi.SSE, "429 No", "application/json", `{"error":1}`, nil, ""},
			"an error as an event stream":      {abi.SSE, "500 No", "text/event-stream", "data: 1\n\n", nil, "1"},
			"with a byte order mark":           {abi.SSE, "200 OK", "application/json", "\ufeff{}", nil, "{}"},
			"a status beyond the known ones":   {abi.SSE, "299 Fine", "text/event-stream", "data: 1\n\n", []string{"1"}, ""},
			"SSE":                              {abi.SSE, "200 OK", "text/event-stream; charset=utf-8", "data: {}\n\n", []string{"{}"}, ""},
			"SSE called JSON, after a comment": {abi.SSE, "200 OK", "application/json", ": x\n\ndata: {}\n\n", []string{"{}"}, ""},
			"SSE with a name":                  {abi.SSE, "200 OK", "", "\nevent: a\ndata: 1\n\n", []string{"a|1"}, ""},
			"SSE for a whole answer":           {abi.Whole, "200 OK", "text/event-stream", "data: 1\n\ndata: 2\n\n", []string{"1", "2"}, ""},
			"SSE for lines":                    {abi.NDJSON, "200 OK", "application/x-ndjson", "data: 1\n\n", []string{"1"}, ""},
			"nothing for SSE":                  {abi.SSE, "200 OK", "text/event-stream", ``, []string{}, ""},
			"JSON for SSE, called that":        {abi.SSE, "200 OK", "text/event-stream", "{\n}", nil, ""},
			"lines":                            {abi.NDJSON, "200 OK", "application/x-ndjson", "{}\n[]\n", []string{"{}", "[]"}, ""},
			"one line":                         {abi.NDJSON, "200 OK", "application/x-ndjson", "{}\n", []string{"{}"}, ""},
			"lines called nothing":             {abi.NDJSON, "200 OK", "", "{}\n{}\n", []string{"{}", "{}"}, ""},
			"lines for SSE":                    {abi.SSE, "200 OK", "text/event-stream", "{}\n{}\n", []string{"{}", "{}"}, ""},
			"lines for a whole answer":         {abi.Whole, "200 OK", "application/json", "\r\n{}\r\n\r\n{}\r\n", []string{"{}", "{}"}, ""},
			"one value":                        {abi.NDJSON, "200 OK", "application/json", "{\"a\":1}\r\n\n \n", nil, ""},
			"one value spread over lines":      {abi.NDJSON, "200 OK", "application/json", "{\n \"a\": 1\n}\n", nil, ""},
		} {
			t.Run(name, func(t *testing.T) {
				answer := "HTTP/1.1 " + tc.status + "\r\n"
				if tc.media != "" {
					answer += "Content-Type: " + tc.media + "\r\n"
				}
				byByte := answer + chunked
				for _, b := range []byte(tc.body) {
					byByte += wire.Chunk(string([]byte{b}))
				}
				for how, answer := range map[string]string{"at once": answer + wire.Sized(tc.body), "byte by byte": byByte + wire.Chunk("")} {
					s := wire.Start(t, wire.Answers(answer))
					out := run(newTestClient(t, s.URL, with), post(tc.framing))
					if out.err != nil {
						t.Fatalf("%s: error = %v", how, out.err)
					}
					if want := tc.frames == nil; out.whole != want {
						t.Fatalf("%s: whole = %v, want %v", how, out.whole, want)
					}
					want := tc.body
					if tc.whole != "" {
						want = tc.whole
					}
					if out.whole && out.body != want {
						t.Errorf("%s: body = %q, want %q", how, out.body, want)
					}
					if !out.whole && !slices.Equal(out.frames, tc.frames) {
						t.Errorf("%s: frames = %q, want %q", how, out.frames, tc.frames)
					}
				}
			})
		}
	})
}

func TestResponseHead(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		s := wire.Start(t, wire.Answers("HTTP/1.1 429 No\r\nX-Request-Id: r1\r\nContent-Type: application/json\r\nX-RateLimit-Reset: 5\r\n"+
			"Set-Cookie: a=b\r\nServer: x\r\nRetry-After: 7\r\nLocation: http://evil.test\r\nRateLimit: a;r=1\r\nAnthropic-Ratelimit-Tokens-Limit: 9\r\n"+
			"RateLimit: b;r=2\r\nRequest-Id: \xff\tx  \r\nX-Generation-Id: "+strings.Repeat("g", 2000)+"\r\n"+wire.Sized("{}")))
		resp, err := newTestClient(t, s.URL, with).Do(context.Background(), post(abi.Whole))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Close()
		want := "anthropic-ratelimit-tokens-limit: 9\ncontent-type: application/json\nratelimit: a;r=1\nratelimit: b;r=2\nrequest-id: ? x\n" +
			"retry-after: 7\nx-generation-id: " + strings.Repeat("g", 1<<10) + "\nx-ratelimit-reset: 5\nx-request-id: r1\n"
		if got := string(resp.Head()); got != want {
			t.Errorf("Head = %q, want %q", got, want)
		}
		if resp.Status != 429 {
			t.Errorf("Status = %d, want 429", resp.Status)
		}
	})
}

// TestBuffered: frames that came together are read together, and a reader is
// told before it would wait.
func TestBuffered(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		next := make(chan bool)
		s := wire.Start(t, func(c net.Conn, _ *http.Request) bool {
			io.WriteString(c, sseHead+chunked+wire.Chunk("data: 1\n\ndata: 2\n\ndata: 3\n\ndat"))
			<-next
			io.WriteString(c, wire.Chunk("a: 4\n\n")+wire.Chunk("data: 5\n")+wire.Chunk(""))
			return false
		})
		resp, err := newTestClient(t, s.URL, with).Do(context.Background(), post(abi.SSE))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Close()
		for _, want := range []string{"1", "2", "3"} {
			f, err := resp.Next()
			if err != nil || string(f.Data) != want {
				t.Fatalf("Next = %q, %v, want %q", f.Data, err, want)
			}
			if got := resp.Buffered(); got != (want != "3") {
				t.Errorf("behind %s: Buffered = %v", want, got)
			}
		}
		close(next)
		for _, want := range []string{"4", "5"} {
			f, err := resp.Next()
			if err != nil || string(f.Data) != want {
				t.Fatalf("Next = %q, %v, want %q", f.Data, err, want)
			}
		}
		if !resp.Buffered() {
			t.Error("at the end: Buffered = false, though Next needs no network")
		}
		if _, err := resp.Next(); err != io.EOF {
			t.Errorf("at the end: Next = %v, want io.EOF", err)
		}
	})
}

// TestStreamedGzip: every flush of the server reaches the reader at once.
func TestStreamedGzip(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		next := make(chan bool)
		s := wire.Start(t, func(c net.Conn, _ *http.Request) bool {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			io.WriteString(c, sseHead+"Content-Encoding: gzip\r\n"+chunked)
			for range 3 {
				io.WriteString(z, "data: "+strings.Repeat("x", 100)+"\n\n")
				z.Flush()
				io.WriteString(c, wire.Chunk(b.String()))
				b.Reset()
				<-next
			}
			z.Close()
			io.WriteString(c, wire.Chunk(b.String())+wire.Chunk(""))
			return true
		})
		resp, err := newTestClient(t, s.URL, with).Do(context.Background(), post(abi.SSE))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Close()
		for range 3 {
			if f, err := resp.Next(); err != nil || len(f.Data) != 100 {
				t.Fatalf("Next = %q, %v", f.Data, err)
			}
			next <- true
		}
		if _, err := resp.Next(); err != io.EOF {
			t.Errorf("at the end: Next = %v, want io.EOF", err)
		}
	})
}

// TestBurst: what is read into lent buffers comes out as it went in.
func TestBurst(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		wire.NoLeaks(t)
		var want []string
		for i := range 20_000 {
			want = append(want, strings.Repeat(string(rune('a'+i%26)), i%300))
		}
		text := "data: " + strings.Join(want, "\n\ndata: ") + "\n\n"
		for name, answer := range map[string]string{
			"of known length": sseHead + wire.Sized(text),
			"in chunks":       sseHead + chunked + wire.Chunk(text[:100_000]) + wire.Chunk(text[100_000:]) + wire.Chunk(""),
		} {
			t.Run(name, func(t *testing.T) {
				s := wire.Start(t, wire.Answers(answer))
				out := run(newTestClient(t, s.URL, with), post(abi.SSE))
				if out.err != nil || !slices.Equal(out.frames, want) {
					t.Errorf("%d frames and error %v, want the %d that were sent", len(out.frames), out.err, len(want))
				}
			})
		}
	})
}
