package api_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/memory"
)

// echo answers with the body it read.
func echo(_ context.Context, x *api.Exchange) error {
	b, err := x.Body()
	if err != nil {
		return err
	}
	return x.JSON(200, b)
}

func TestBodyArrivesWhole(t *testing.T) {
	g := newServer(t, api.Options{Routes: chatBy(echo), MaxBody: 5 << 20})
	for name, size := range map[string]int{
		"a byte":                            1,
		"the first step":                    256 << 10,
		"one more than the first step":      256<<10 + 1,
		"a byte less than the first step":   256<<10 - 1,
		"several steps":                     4<<20 + 12345,
		"as large as the limit":             5 << 20,
		"the first step of unknown lengths": 4 << 10,
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %t", name, chunked), func(t *testing.T) {
				want := make([]byte, size)
				rand.Read(want)
				var body io.Reader = strings.NewReader(string(want))
				if chunked {
					body = struct{ io.Reader }{body}
				}
				response, err := g.client.Post(g.url+"/v1/chat/completions", jsonType, body)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				got, err := io.ReadAll(response.Body)
				if err != nil {
					t.Fatal(err)
				}
				if response.StatusCode != 200 || string(got) != string(want) {
					t.Errorf("%d bytes came back as status %d with %d bytes", size, response.StatusCode, len(got))
				}
			})
		}
	}
}

func TestBodyTooLarge(t *testing.T) {
	g := newServer(t, api.Options{Routes: chatBy(echo), MaxBody: 1 << 20})
	for name, body := range map[string]io.Reader{
		"by its length":              strings.NewReader(strings.Repeat("x", 1<<20+1)),
		"while it streams":           struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 1<<20+1))},
		"while it streams on and on": struct{ io.Reader }{io.LimitReader(rand.Reader, 64<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequest("POST", g.url+"/v1/chat/completions", body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", jsonType)
			response, err := g.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			b, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			e := errorOf(t, string(b))
			const want = "The request body is larger than 1 MiB. Send less, or raise server.max_body in the gateway's configuration."
			if response.StatusCode != 413 || e.Message != want || e.Type != "invalid_request_error" {
				t.Errorf("got %d %+v, want 413 %q", response.StatusCode, e, want)
			}
			if got := response.Header.Get("X-Should-Retry"); got != "false" {
				t.Errorf("x-should-retry = %q, want false", got)
			}
		})
	}
}

func TestContentHeaders(t *testing.T) {
	g := newServer(t, api.Options{Routes: chatBy(echo), CORS: api.CORS{Enabled: true, AllowOrigins: []string{"*"}}})
	for name, tc := range map[string]struct {
		headers []string
		want    int
	}{
		"JSON":                                 {[]string{"Content-Type", "application/json"}, 200},
		"JSON with parameters":                 {[]string{"Content-Type", "application/json; charset=utf-8"}, 200},
		"JSON in other case":                   {[]string{"Content-Type", "Application/JSON"}, 200},
		"a relative of JSON":                   {[]string{"Content-Type", "application/vnd.api+json;v=1"}, 200},
		"no type":                              {nil, 200},
		"no type from a web page":              {[]string{"Origin", "https://evil.example"}, 415},
		"JSON from a web page":                 {[]string{"Origin", "https://evil.example", "Content-Type", "application/json"}, 200},
		"text":                                 {[]string{"Content-Type", "text/plain"}, 415},
		"text that mentions JSON":              {[]string{"Content-Type", "text/plain; x=application/json"}, 415},
		"a form":                               {[]string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		"an empty type":                        {[]string{"Content-Type", ""}, 415},
		"JSON lines":                           {[]string{"Content-Type", "application/jsonl"}, 415},
		"two types, the first is JSON":         {[]string{"Content-Type", "application/json", "Content-Type", "text/plain"}, 415},
		"JSON twice":                           {[]string{"Content-Type", "application/json", "Content-Type", "application/json"}, 200},
		"JSON twice, joined":                   {[]string{"Content-Type", "application/json, application/json"}, 200},
		"JSON twice, joined, with parameters":  {[]string{"Content-Type", "application/json;charset=utf-8,application/json"}, 200},
		"two types, joined":                    {[]string{"Content-Type", "application/json, text/plain"}, 415},
		"a type and nothing, joined":           {[]string{"Content-Type", "application/json,"}, 415},
		"no coding, joined":                    {[]string{"Content-Type", "application/json", "Content-Encoding", "identity, identity"}, 200},
		"two codings, joined":                  {[]string{"Content-Type", "application/json", "Content-Encoding", "identity, gzip"}, 415},
		"gzip":                                 {[]string{"Content-Type", "application/json", "Content-Encoding", "gzip"}, 415},
		"two codings, the first is none":       {[]string{"Content-Type", "application/json", "Content-Encoding", "identity", "Content-Encoding", "br"}, 415},
		"no coding, by name":                   {[]string{"Content-Type", "application/json", "Content-Encoding", "identity"}, 200},
		"no coding, by name and in upper case": {[]string{"Content-Type", "application/json", "Content-Encoding", "IDENTITY"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			got := g.do(t, "POST", "/v1/chat/completions", "{}", tc.headers...)
			if got.StatusCode != tc.want {
				t.Errorf("%q got %d %s, want %d", tc.headers, got.StatusCode, got.body, tc.want)
			}
			if tc.want != 200 {
				if e := errorOf(t, got.body); e.Type != "invalid_request_error" {
					t.Errorf("%q got the type %s, want invalid_request_error", tc.headers, e.Type)
				}
			}
		})
	}
}

func TestEmptyBody(t *testing.T) {
	g := newServer(t, api.Options{Routes: chatBy(echo)})
	got := postChat(t, g, "")
	if e := errorOf(t, got.body); got.StatusCode != 400 || e.Message != "The request has no body. Send a JSON object." {
		t.Errorf("got %d %s, want 400 and that there is no body", got.StatusCode, got.body)
	}
}

// dial opens a connection and sends what is given.
func dial(t *testing.T, g *gateway, sent string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, sent); err != nil {
		t.Fatal(err)
	}
	return c
}

const head = "POST /v1/chat/completions HTTP/1.1\r\nHost: kai\r\nContent-Type: application/json\r\n"

func TestSlowBodyIsGivenUp(t *testing.T) {
	for name, sent := range map[string]string{
		"of known length":                      head + "Content-Length: 100\r\n\r\n{",
		"of unknown length":                    head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
		"that a wrong path does not even read": "POST /nowhere HTTP/1.1\r\nHost: kai\r\nContent-Length: 100\r\n\r\n{",
		"that a refused type does not read":    "POST /v1/chat/completions HTTP/1.1\r\nHost: kai\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n{",
		"of a GET":                             "GET /health HTTP/1.1\r\nHost: kai\r\nContent-Length: 100\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			g := newServer(t, api.Options{Routes: chatBy(echo), ReadTimeout: 50 * time.Millisecond})
			c := dial(t, g, sent)
			response, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			line := g.logs.next(t)
			if strings.HasPrefix(sent, head) {
				e := errorOf(t, string(body))
				if response.StatusCode != 408 || e.Message != "The request body did not arrive within 50ms." || line["status"] != 408.0 {
					t.Errorf("got %d %s and the log %v, want 408 in both", response.StatusCode, body, line)
				}
			}
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("after the answer the connection gives %v, want EOF", err)
			}
		})
	}
}

// A deadline for the body that outlived it would end long streams, because
// net/http goes on reading to see the client hang up. That it clears the
// deadline before is not documented.
func TestReadTimeoutEndsWithTheBody(t *testing.T) {
	const timeout = 400 * time.Millisecond // a busy machine takes a while to bring three bytes
	g := newServer(t, api.Options{ReadTimeout: timeout, Routes: chatBy(func(ctx context.Context, x *api.Exchange) error {
		if _, err := x.Body(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(4 * timeout):
			return x.JSON(200, []byte(`{}`))
		}
	})})
	if got := postChat(t, g, "{}"); got.StatusCode != 200 {
		t.Errorf("a request served for longer than the read timeout got %d %s", got.StatusCode, got.body)
	}
}

func TestClientHangsUpWithinItsBody(t *testing.T) {
	for name, sent := range map[string]string{
		"of known length":   head + "Content-Length: 100\r\n\r\n{",
		"of unknown length": head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := newServer(t, api.Options{Routes: chatBy(echo)})
			dial(t, g, sent).Close()
			line := g.logs.next(t)
			if line["status"] != 499.0 || line["level"] != "INFO" {
				t.Errorf("the log says %v, want status 499 at INFO", line)
			}
		})
	}
}

func TestHalfClosedClientLearnsThatItsBodyIsCutOff(t *testing.T) {
	g := newServer(t, api.Options{Routes: chatBy(echo)})
	c := dial(t, g, head+"Content-Length: 100\r\n\r\n{")
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if e := errorOf(t, string(body)); response.StatusCode != 400 || e.Message != "The request body ended before it was complete." {
		t.Errorf("got %d %s, want 400 and that the body ended early", response.StatusCode, body)
	}
}

func TestBrokenTransferCoding(t *testing.T) {
	g := newServer(t, api.Options{Routes: chatBy(echo)})
	c := dial(t, g, head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if line := g.logs.next(t); response.StatusCode != 400 || line["status"] != 400.0 {
		t.Errorf("got %d %s and the log %v, want 400 in both", response.StatusCode, body, line)
	}
	errorOf(t, string(body))
}

func TestAllBodiesTogetherAreBounded(t *testing.T) {
	arrived, proceed := make(chan struct{}), make(chan struct{})
	release := false
	g := newServer(t, api.Options{MaxBody: 600, Bodies: memory.NewLimit(1000), Routes: chatBy(func(_ context.Context, x *api.Exchange) error {
		b, err := x.Body()
		if err != nil {
			return err
		}
		if string(b) == "{}" {
			return x.JSON(200, b)
		}
		if release {
			x.ReleaseBody()
		}
		arrived <- struct{}{}
		<-proceed
		return x.JSON(200, []byte(`{}`))
	})})
	large := strings.Repeat("x", 600)
	hold := func() chan int {
		status := make(chan int, 1)
		go func() {
			response, err := g.client.Post(g.url+"/v1/chat/completions", jsonType, strings.NewReader(large))
			if err != nil {
				t.Error(err)
				status <- 0
				return
			}
			response.Body.Close()
			status <- response.StatusCode
		}()
		<-arrived
		return status
	}

	first := hold()
	got := postChat(t, g, large)
	if e := errorOf(t, got.body); got.StatusCode != 503 || got.Header.Get("Retry-After") != "1" || e.Code == nil || *e.Code != "busy" {
		t.Errorf("a second large body got %d %v %s, want 503 busy with Retry-After: 1", got.StatusCode, got.Header, got.body)
	}
	if got := postChat(t, g, "{}"); got.StatusCode != 200 {
		t.Errorf("a small body got %d %s, want 200", got.StatusCode, got.body)
	}
	proceed <- struct{}{}
	if status := <-first; status != 200 {
		t.Errorf("the first large body got %d, want 200", status)
	}

	release = true
	second := hold()
	third := hold()
	proceed <- struct{}{}
	proceed <- struct{}{}
	for _, status := range []chan int{second, third} {
		if s := <-status; s != 200 {
			t.Errorf("a large body beside one that was given back got %d, want 200", s)
		}
	}
}

// The memory of failed exchanges comes back, however they fail.
func TestBodiesAreGivenBack(t *testing.T) {
	bodies, total := memory.NewLimit(1000), memory.New(memory.Options{Limit: memory.Grain})
	g := newServer(t, api.Options{MaxBody: 600, Bodies: bodies, Memory: total, Routes: chatBy(func(_ context.Context, x *api.Exchange) error {
		b, err := x.Body()
		if err != nil {
			return err
		}
		switch b[0] {
		case 'p':
			panic("as asked")
		case 'a':
			panic(http.ErrAbortHandler)
		}
		return x.JSON(200, []byte(`{}`))
	})})
	rest := strings.Repeat("x", 599)
	for range 5 {
		postChat(t, g, "p"+rest)
		g.logs.next(t)
		dial(t, g, head+"Content-Length: 600\r\n\r\na"+rest).Close()
		g.logs.next(t)
		postChat(t, g, "much too large"+rest)
		g.logs.next(t)
		dial(t, g, head+"Content-Length: 600\r\n\r\nx").Close()
		g.logs.next(t)
	}
	if got := postChat(t, g, "x"+rest); got.StatusCode != 200 {
		t.Errorf("after failures a body got %d %s, want 200", got.StatusCode, got.body)
	}
	g.logs.next(t)
	if bodies.Used() != 0 || total.Used() != 0 {
		t.Errorf("in the end %d bytes of bodies and %d of memory are in use, want none", bodies.Used(), total.Used())
	}
}

func TestFalseLengthTakesLittleMemory(t *testing.T) {
	g := newServer(t, api.Options{Routes: chatBy(echo)})
	const clients = 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range clients {
		dial(t, g, head+"Content-Length: 33554432\r\n\r\n{").Close()
		g.logs.next(t)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / clients; each > 400<<10 {
		t.Errorf("a client that lies about its length cost %d bytes, want at most 400 KiB", each)
	}
}

// TestEarlyAnswersArrive has clients send their body to its end before they look for
// an answer, as most do: they get the answer that was there long before.
func TestEarlyAnswersArrive(t *testing.T) {
	const most = 16 << 20
	for name, tc := range map[string]struct {
		length int
		head   string
		bodies int64 // bytes that all bodies may have; all memory together is 2 MiB
		status int
	}{
		"no memory for bodies":             {most, "", 1 << 20, 503},
		"no memory at all":                 {most, "", 1 << 30, 503},
		"too large":                        {most + most/2, "", 1 << 20, 413},
		"no key":                           {most, "X-Deny: yes\r\n", 1 << 20, 401},
		"no JSON":                          {most, "Content-Encoding: gzip\r\n", 1 << 20, 415},
		"in chunks":                        {0, "", 1 << 20, 503},
		"in chunks, with no memory at all": {0, "", 1 << 30, 503},
		"small after all":                  {100, "Content-Encoding: gzip\r\n", 1 << 20, 415},
		"one that asks first":              {-1, "Expect: 100-continue\r\nContent-Encoding: gzip\r\n", 1 << 20, 415},
	} {
		t.Run(name, func(t *testing.T) {
			total := memory.New(memory.Options{Limit: 2 << 20})
			g := newServer(t, api.Options{
				MaxBody: most, Bodies: memory.NewLimit(tc.bodies), Memory: total, Routes: chatBy(echo),
				Authenticate: func(r *http.Request, _ *dialect.Dialect) (context.Context, string, error) {
					if r.Header.Get("X-Deny") != "" {
						return nil, "", &fault.Error{Kind: fault.Unauthenticated, Text: "no"}
					}
					return r.Context(), "", nil
				},
			})
			c, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Minute))
			body := strings.Repeat("x", max(tc.length, 0))
			framing := fmt.Sprintf("Content-Length: %d\r\n\r\n", tc.length)
			switch tc.length {
			case 0:
				framing, body = "Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("8000\r\n"+strings.Repeat("x", 0x8000)+"\r\n", 256)+"0\r\n\r\n"
			case -1:
				framing = fmt.Sprintf("Content-Length: %d\r\n\r\n", most)
			}
			if _, err := io.WriteString(c, head+tc.head+framing+body); err != nil {
				t.Fatalf("sending the body: %v", err)
			}
			response, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			answer, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != tc.status {
				t.Errorf("got %d %s, %v, want %d", response.StatusCode, answer, err, tc.status)
			}
			errorOf(t, string(answer))
			for end := time.Now().Add(time.Minute); total.Used() > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d bytes are still held", total.Used())
				}
			}
		})
	}
}
