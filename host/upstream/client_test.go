package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/wire"
	"github.com/kai-gateway/kai/sdk/abi"
)

func TestWhatIsSent(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		got := make(chan *http.Request, 1)
		s := wire.Start(t, func(c net.Conn, r *http.Request) bool {
			got <- r
			return wire.Answers(jsonHead+wire.Sized("{}"))(c, r)
		})
		for name, tc := range map[string]struct {
			request Request
			method  string
			target  string
			body    string
			header  map[string]string // "": not sent
		}{
			"a whole answer is asked for in gzip": {
				request: post(abi.Whole),
				method:  "POST", target: "/base/api/chat?v=1", body: `{"model":"m"}`,
				header: map[string]string{
					"Content-Type": "application/json", "Accept-Encoding": "gzip", "User-Agent": "kai/1",
					"Authorization": "Bearer hunter2", "Content-Length": "13", "Idempotency-Key": "", "Connection": "",
				},
			},
			"a stream is asked for plain": {
				request: post(abi.SSE),
				method:  "POST", target: "/base/api/chat?v=1", body: `{"model":"m"}`,
				header: map[string]string{"Accept-Encoding": "identity"},
			},
			"without a body": {
				request: Request{Head: []byte("GET /api/tags?a=b\nuser-agent: mine\n")},
				method:  "GET", target: "/base/api/tags?v=1&a=b",
				header: map[string]string{"User-Agent": "mine", "Content-Length": "", "Content-Type": ""},
			},
			"an empty body": {
				request: Request{Head: []byte("POST /a")},
				method:  "POST", target: "/base/a?v=1",
				header: map[string]string{"Content-Length": "0"},
			},
		} {
			t.Run(name, func(t *testing.T) {
				c := newTestClient(t, s.URL+"/base/?v=1", with, func(o *Options) {
					o.Secret, o.UserAgent = Secret{Header: "authorization", Value: "Bearer hunter2"}, "kai/1"
				})
				if out := run(c, tc.request); out.err != nil {
					t.Fatal(out.err)
				}
				r := <-got
				body, _ := io.ReadAll(r.Body)
				if r.Method != tc.method || r.RequestURI != tc.target || string(body) != tc.body {
					t.Errorf("sent %s %s with %q, want %s %s with %q", r.Method, r.RequestURI, body, tc.method, tc.target, tc.body)
				}
				if "http://"+r.Host != s.URL {
					t.Errorf("sent host %q, want base_url's", r.Host)
				}
				for k, want := range tc.header {
					if got := r.Header.Get(k); got != want {
						t.Errorf("sent %s: %q, want %q", k, got, want)
					}
				}
			})
		}
	})
}

// TestHeadsAreEachTheirOwn: a client remembers heads that were asked for, and yet sends each
// as it was asked for.
func TestHeadsAreEachTheirOwn(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		asked := make(chan *http.Request, 1)
		s := wire.Start(t, func(c net.Conn, r *http.Request) bool {
			asked <- r
			return wire.Answers(jsonHead+wire.Sized("{}"))(c, r)
		})
		c := newTestClient(t, s.URL, with)
		send := func(r Request, want string) {
			t.Helper()
			if out := run(c, r); out.err != nil {
				t.Fatal(out.err)
			}
			got := <-asked
			h := got.Header
			if has := strings.Join([]string{got.RequestURI, h.Get("X-A"), h.Get("Accept-Encoding"), h.Get("Content-Type"), h.Get("Traceparent"), h.Get("Content-Length")}, " "); has != want {
				t.Errorf("sent %q, want %q", has, want)
			}
		}
		for round := range 3 {
			for i := range maxPrepared + 3 {
				head := []byte(fmt.Sprintf("POST /%d\nx-a: %d\ncontent-type: application/json\n", i, i))
				body := []byte(strings.Repeat(" ", 10*round+i%3) + "{}")
				begin := fmt.Sprintf("/%d %d", i, i)
				end := fmt.Sprint(len(body))
				send(Request{Head: head, Body: body}, begin+" gzip application/json  "+end)
				send(Request{Head: head, Body: body, Trace: "00-a"}, begin+" gzip application/json 00-a "+end)
				send(Request{Head: head, Body: body, Framing: abi.NDJSON}, begin+" identity application/json  "+end)
				send(Request{Head: head, Body: body, Framing: abi.SSE}, begin+" identity application/json  "+end)
				send(Request{Head: head, Body: body, ContentType: "a/b"}, begin+" gzip a/b  "+end)
				head[6] = '~' // it is the caller's again
			}
		}
		if c.own != nil && (len(c.heads[0]) > maxPrepared || len(c.heads[1]) > maxPrepared) {
			t.Errorf("%d and %d heads are kept, want at most %d", len(c.heads[0]), len(c.heads[1]), maxPrepared)
		}
	})
}

func TestRequestsThatAreNotAllowed(t *testing.T) {
	s := wire.Start(t, wire.Answers(""))
	c := newTestClient(t, s.URL, func(o *Options) { o.Secret = Secret{Header: "x-api-key", Value: "hunter2"} })
	for name, head := range map[string]string{
		"no head":                      "",
		"a path out of base_url":       "GET /../a",
		"another host":                 "GET http://evil.test/",
		"the connection's header":      "GET /a\ntransfer-encoding: chunked\n",
		"a secret of its own":          "GET /a\nauthorization: Bearer hunter2\n",
		"the header of the secret":     "GET /a\nx-api-key: mine\n",
		"a request within the headers": "GET /a\na: b\r\n\r\nGET /b HTTP/1.1\n",
	} {
		t.Run(name, func(t *testing.T) {
			out := run(c, Request{Head: []byte(head)})
			wantError(t, out.err, 502, "adapter_error", "'ollama'")
		})
	}
	if n := s.Conns.Load(); n != 0 {
		t.Errorf("%d connections were made, want none", n)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"no base_url":            {},
		"a space in its query":   {BaseURL: "http://host?key=hunter2 x"},
		"letters in its query":   {BaseURL: "http://host?key=hunter2ä"},
		"a user in base_url":     {BaseURL: "http://hunter2@host"},
		"a secret of two lines":  {BaseURL: "http://host", Secret: Secret{Header: "authorization", Value: "hunter2\r\nx: y"}},
		"a secret without place": {BaseURL: "http://host", Secret: Secret{Header: "a b", Value: "hunter2"}},
		"another kind of proxy":  {BaseURL: "http://host", Proxy: "ftp://hunter2@proxy"},
		"a proxy without scheme": {BaseURL: "http://host", Proxy: "hunter2:3128"},
		"a broken proxy":         {BaseURL: "http://host", Proxy: "http://hunter2:\x01@proxy"},
		"a user agent of lines":  {BaseURL: "http://host", UserAgent: "a\nb"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(o)
			if err == nil {
				t.Fatalf("New(%+v) = nil", o)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("New = %q, which shows a secret", err)
			}
		})
	}
	if s := fmt.Sprintf("%v %+v %#v", Secret{Header: "a", Value: "hunter2"}, Options{Secret: Secret{Header: "a", Value: "hunter2"}}, Options{Secret: Secret{Header: "a", Value: "hunter2"}}); strings.Contains(s, "hunter2") {
		t.Errorf("printing shows a secret: %s", s)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		other := wire.Start(t, wire.Answers(jsonHead+wire.Sized("{}")))
		s := wire.Start(t, wire.Answers("HTTP/1.1 307 Temporary Redirect\r\nLocation: "+other.URL+"/\r\n"+wire.Sized("moved")))
		out := run(newTestClient(t, s.URL, with), post(abi.Whole))
		if out.err == nil || !strings.Contains(out.err.Error(), "redirect, status 307") {
			t.Errorf("answer = %d %q, %v, want an error that tells of a redirect", out.status, out.body, out.err)
		}
		if n := other.Conns.Load(); n != 0 {
			t.Errorf("%d connections were made where it leads, want none", n)
		}
	})
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		for name, tc := range map[string]struct {
			framing abi.Framing
			answer  string
			read    func(*Response) // instead of everything
		}{
			"a whole answer":           {abi.Whole, jsonHead + wire.Sized("{}"), nil},
			"a stream":                 {abi.SSE, sseHead + chunked + wire.Chunk("data: 1\n\n") + wire.Chunk(""), nil},
			"a stream in gzip":         {abi.SSE, sseHead + "Content-Encoding: gzip\r\n" + chunked + wire.Chunk(gzipped("data: 1\n\n")) + wire.Chunk(""), nil},
			"an answer without a body": {abi.SSE, "HTTP/1.1 204 No Content\r\n\r\n", nil},
			"a stream left at [DONE]": {abi.SSE, sseHead + chunked + wire.Chunk("data: [DONE]\n\n") + wire.Chunk(""), func(r *Response) {
				r.Next()
			}},
			"an answer nobody reads": {abi.Whole, jsonHead + wire.Sized("{}"), func(*Response) {}},
		} {
			t.Run(name, func(t *testing.T) {
				wire.NoLeaks(t)
				s := wire.Start(t, func(c net.Conn, _ *http.Request) bool {
					io.WriteString(c, tc.answer)
					return true
				})
				c := newTestClient(t, s.URL, with)
				for range 5 {
					if tc.read == nil {
						if out := run(c, post(tc.framing)); out.err != nil {
							t.Fatal(out.err)
						}
						continue
					}
					resp, err := c.Do(context.Background(), post(tc.framing))
					if err != nil {
						t.Fatal(err)
					}
					tc.read(resp)
					resp.Close()
				}
				if n := s.Conns.Load(); n != 1 {
					t.Errorf("%d connections for 5 requests, want 1", n)
				}
				c.Close()
			})
		}
	})
}

// TestStaleConnections: a kept connection that turns out dead costs no client
// its answer, and nothing is repeated that may have been done.
func TestStaleConnections(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		ok := func(c net.Conn) bool { io.WriteString(c, jsonHead+wire.Sized("{}")); return true }
		shut := func(c net.Conn) bool { return false }
		for name, tc := range map[string]struct {
			handle   []func(net.Conn) bool // of each request that arrives
			request  Request
			wantErr  bool // of the second request
			requests int32
		}{
			"closed before a byte":         {[]func(net.Conn) bool{ok, shut, ok}, post(abi.Whole), false, 3},
			"reset before a byte":          {[]func(net.Conn) bool{ok, func(c net.Conn) bool { wire.Reset(c); return false }, ok}, post(abi.Whole), false, 3},
			"closed, without a body":       {[]func(net.Conn) bool{ok, shut, ok}, Request{Head: []byte("GET /")}, false, 3},
			"repeated once only":           {[]func(net.Conn) bool{ok, shut, shut, ok}, post(abi.Whole), true, 3},
			"not with a part of an answer": {[]func(net.Conn) bool{ok, func(c net.Conn) bool { io.WriteString(c, "HTTP/1.1 200 OK\r\n"); return false }}, post(abi.Whole), true, 2},
		} {
			t.Run(name, func(t *testing.T) {
				wire.NoLeaks(t)
				var arrived atomic.Int32
				s := wire.Start(t, func(c net.Conn, _ *http.Request) bool { return tc.handle[arrived.Add(1)-1](c) })
				c := newTestClient(t, s.URL, with)
				if out := run(c, tc.request); out.err != nil {
					t.Fatal(out.err)
				}
				out := run(c, tc.request)
				if (out.err != nil) != tc.wantErr {
					t.Errorf("error = %v, want one: %v", out.err, tc.wantErr)
				}
				if tc.wantErr {
					wantError(t, out.err, 502, "upstream_error", "closed the connection")
				}
				if n := arrived.Load(); n != tc.requests {
					t.Errorf("%d requests arrived, want %d", n, tc.requests)
				}
			})
		}
	})
}

// TestOneWrite: head and body arrive in one segment, so in one read. Loopback
// carries 64 KiB in one; net/http would send 4 KiB first.
func TestOneWrite(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := post(abi.Whole)
	r.Body = []byte(strings.Repeat("x", 12<<10))
	sizes := make(chan int)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		p := make([]byte, 256<<10)
		for {
			n, err := c.Read(p)
			if err != nil {
				return
			}
			sizes <- n
			io.WriteString(c, jsonHead+wire.Sized("{}"))
		}
	}()
	c := newTestClient(t, "http://"+l.Addr().String())
	for range 10 {
		done := make(chan outcome)
		go func() { done <- run(c, r) }()
		if n := <-sizes; n <= len(r.Body) {
			t.Errorf("the first read had %d bytes, want head and body of %d", n, len(r.Body))
		}
		if out := <-done; out.err != nil {
			t.Fatal(out.err)
		}
	}
}

// TestBodies: bodies of all sizes arrive as they are, also where one write is
// not enough, over plain connections and over TLS.
func TestBodies(t *testing.T) {
	wire.NoLeaks(t)
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: %s\n\ndata: %s\n\n", r.Proto, body)
	})
	plain := httptest.NewUnstartedServer(echo)
	plain.Config.Protocols = new(http.Protocols)
	plain.Config.Protocols.SetHTTP1(true)
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	defer plain.Close()
	secure := httptest.NewUnstartedServer(echo)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()

	for name, tc := range map[string]struct {
		url, version, proto string
		transport           bool
	}{
		"plain":                      {plain.URL, "auto", "HTTP/1.1", false},
		"plain over net/http":        {plain.URL, "auto", "HTTP/1.1", true},
		"plain HTTP/2":               {plain.URL, "2", "HTTP/2.0", false},
		"TLS":                        {secure.URL, "auto", "HTTP/2.0", false},
		"HTTP/2 over TLS":            {secure.URL, "2", "HTTP/2.0", false},
		"HTTP/1.1 over TLS":          {secure.URL, "1.1", "HTTP/1.1", false},
		"HTTP/1.1 over TLS net/http": {secure.URL, "1.1", "HTTP/1.1", true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, tc.url, func(o *Options) { o.TLS, o.HTTPVersion, o.transport = trusting(secure), tc.version, tc.transport })
			defer c.Close()
			for _, size := range []int{1, 3 << 10, 4 << 10, 5 << 10, 64 << 10, 200_000, 3 << 20} {
				r := post(abi.SSE)
				r.Body = []byte(strings.Repeat("0123456789abcde\t", size/16+1)[:size])
				out := run(c, r)
				if out.err != nil || len(out.frames) != 2 || out.frames[0] != tc.proto || out.frames[1] != string(r.Body) {
					t.Errorf("a body of %d came back as %.40q, %v", size, out.frames, out.err)
				}
			}
		})
	}
}

// TestWhichClient: who carries the requests of a provider.
func TestWhichClient(t *testing.T) {
	for name, tc := range map[string]struct {
		base, version, proxy string
		own                  bool
		err                  string
	}{
		"http":                      {"http://a.test", "", "", true, ""},
		"http, at the server's":     {"http://a.test", "auto", "none", true, ""},
		"https":                     {"https://a.test", "auto", "", false, ""},
		"https by 1.1":              {"https://a.test", "1.1", "", true, ""},
		"http by 2":                 {"http://a.test", "2", "", false, ""},
		"https by 2":                {"https://a.test", "2", "", false, ""},
		"http by a proxy":           {"http://a.test", "1.1", "http://proxy.test", false, ""},
		"https by a proxy":          {"https://a.test", "1.1", "http://proxy.test", false, ""},
		"https by 2 and a proxy":    {"https://a.test", "2", "http://proxy.test", false, ""},
		"http by 2 and a proxy":     {"http://a.test", "2", "http://proxy.test", false, "not possible through a proxy"},
		"a proxy, but this machine": {"http://127.0.0.1", "", "http://proxy.test", true, ""},
		"a name beyond ASCII":       {"http://é.test", "", "", false, ""},
		"another version":           {"http://a.test", "3", "", false, "http_version"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := New(Options{BaseURL: tc.base, HTTPVersion: tc.version, Proxy: tc.proxy})
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || c != nil {
					t.Errorf("New = %v, %v, want an error about %q", c, err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if (c.own != nil) != tc.own || (c.transport != nil) == tc.own {
				t.Errorf("our own client: %v, want %v", c.own != nil, tc.own)
			}
		})
	}
}

func TestServer(t *testing.T) {
	for url, want := range map[string][2]string{
		"http://a.test":                {"a.test", "a.test:80"},
		"https://a.test/v1":            {"a.test", "a.test:443"},
		"http://a.test:":               {"a.test", "a.test:80"},
		"http://a.test:8080":           {"a.test:8080", "a.test:8080"},
		"http://[::1]:80":              {"[::1]:80", "[::1]:80"},
		"https://[fe80::1%25eth0]":     {"[fe80::1]", "[fe80::1%eth0]:443"},
		"https://[fe80::1%25eth0]:444": {"[fe80::1]:444", "[fe80::1%eth0]:444"},
	} {
		base, err := parseBaseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		if host, address, ascii := base.server(); host != want[0] || address != want[1] || !ascii {
			t.Errorf("server of %s = %s, %s, %v, want %s", url, host, address, ascii, want)
		}
	}
}

func trusting(s *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{RootCAs: pool}
}

func TestCertificatesAreVerified(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		defer s.Close()
		out := run(newTestClient(t, s.URL, with), post(abi.Whole))
		wantError(t, out.err, 502, "upstream_error", "certificate is not trusted. One of an authority of your own needs SSL_CERT_FILE")
	})
}

func TestACertificateForAnotherNameIsSaidToBe(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		defer s.Close()
		other := func(o *Options) {
			with(o)
			o.TLS = trusting(s)
		}
		url := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
		out := run(newTestClient(t, url, other), post(abi.Whole))
		wantError(t, out.err, 502, "upstream_error", "certificate is for another name")
	})
}

func TestProxy(t *testing.T) {
	wire.NoLeaks(t)
	proxy := wire.Start(t, func(c net.Conn, r *http.Request) bool {
		fmt.Fprintf(c, "%s%s", jsonHead, wire.Sized(r.RequestURI+" "+r.Header.Get("Proxy-Authorization")))
		return false
	})
	direct := wire.Start(t, wire.Answers(jsonHead+wire.Sized("direct")))
	withUser := strings.Replace(proxy.URL, "http://", "http://user:hunter2@", 1)

	for name, tc := range map[string]struct{ base, proxy, want string }{
		"a proxy that is named": {"http://upstream.test/v1", withUser, "http://upstream.test/v1/api/chat Basic dXNlcjpodW50ZXIy"},
		"none for loopback":     {direct.URL, proxy.URL, "direct"},
		"none":                  {direct.URL, "none", "direct"},
		"none by default":       {direct.URL, "", "direct"},
	} {
		t.Run(name, func(t *testing.T) {
			out := run(newTestClient(t, tc.base, func(o *Options) { o.Proxy = tc.proxy }), post(abi.Whole))
			if out.err != nil || out.body != tc.want {
				t.Errorf("answer = %q, %v, want %q", out.body, out.err, tc.want)
			}
		})
	}
}

func TestProxyThatRefuses(t *testing.T) {
	proxy := wire.Start(t, wire.Answers("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"))
	out := run(newTestClient(t, "https://upstream.test", func(o *Options) { o.Proxy = proxy.URL }), post(abi.Whole))
	wantError(t, out.err, 502, "upstream_error", "is not reachable")
}

// TestManyStreams: streams that run at once don't mix, and their connections
// are kept.
func TestManyStreams(t *testing.T) {
	eachClient(t, func(t *testing.T, with func(*Options)) {
		wire.NoLeaks(t)
		const streams, events = 50, 200
		s := wire.Start(t, func(c net.Conn, r *http.Request) bool {
			who, _ := io.ReadAll(r.Body)
			w := bufio.NewWriter(c)
			io.WriteString(w, ndjsonHead+chunked)
			for i := range events {
				io.WriteString(w, wire.Chunk(fmt.Sprintf("{%q:%d,\"x\":%q}\n", who, i, strings.Repeat("y", i))))
				if i%7 == 0 {
					w.Flush()
				}
			}
			io.WriteString(w, wire.Chunk(""))
			w.Flush()
			return true
		})
		c := newTestClient(t, s.URL, with)
		var all sync.WaitGroup
		for i := range streams {
			all.Go(func() {
				for round := range 3 {
					who := fmt.Sprintf("%d-%d", i, round)
					out := run(c, Request{Head: []byte("POST /a"), Body: []byte(who), Framing: abi.NDJSON})
					if out.err != nil || len(out.frames) != events {
						t.Errorf("stream %s: %d events, %v", who, len(out.frames), out.err)
						return
					}
					for i, f := range out.frames {
						if want := fmt.Sprintf("{%q:%d,\"x\":%q}", who, i, strings.Repeat("y", i)); f != want {
							t.Errorf("stream %s: event %d = %s, want %s", who, i, f, want)
							return
						}
					}
				}
			})
		}
		all.Wait()
		// A request may take a connection that comes back while its own is being
		// made; that one is kept for another request.
		if n := s.Conns.Load(); n > 2*streams {
			t.Errorf("%d connections for %d streams at a time", n, streams)
		}
	})
}
