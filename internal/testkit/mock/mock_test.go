package mock

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// got is an answer as a client without net/http sees it: its status and headers, and
// what each read of the body gave.
type got struct {
	head string
	body string
	err  error // of the body; nil at its end
}

// ask sends a request over a connection of its own, and reads the answer.
func ask(t *testing.T, u *Upstream, method string) got {
	t.Helper()
	res, err := (&http.Transport{DisableCompression: true}).RoundTrip(request(t, u, method))
	if err != nil {
		return got{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return got{fmt.Sprintf("%d %s %v %d", res.StatusCode, res.Header["Content-Type"], res.Header["X-Of"], res.ContentLength), string(body), err}
}

func request(t *testing.T, u *Upstream, method string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, u.URL+"/v1/chat?a=b", strings.NewReader("question"))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	return r
}

func TestAnswers(t *testing.T) {
	released := make(chan struct{})
	close(released)
	const rawHead = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
	for name, tc := range map[string]struct {
		answer Answer
		head   string
		body   string
		err    error
	}{
		"a status is all there is":              {answer: Status(503), head: "503 [] [] 0"},
		"a whole answer has its length":         {answer: JSON("{}"), head: "200 [application/json] [] 2", body: "{}"},
		"one without a type gets none":          {answer: Whole(404, "", "<html>"), head: "404 [] [] 6", body: "<html>"},
		"a long answer is whole, too":           {answer: JSON(strings.Repeat("x", 1<<20)), head: "200 [application/json] [] 1048576", body: strings.Repeat("x", 1<<20)},
		"a stream has no length":                {answer: SSE("data: 1\n\n", "data: 2\n\n"), head: "200 [text/event-stream] [] -1", body: "data: 1\n\ndata: 2\n\n"},
		"lines are a stream":                    {answer: NDJSON("{}\n"), head: "200 [application/x-ndjson] [] -1", body: "{}\n"},
		"a stream may be empty":                 {answer: SSE(), head: "200 [text/event-stream] [] -1"},
		"headers come before the head":          {answer: Steps(Header("x-of", "a", "b"), JSON("{}")), head: "200 [application/json] [a b] 2", body: "{}"},
		"a type may be a header":                {answer: Steps(Header("Content-Type", "a", "b"), Stream("", "x")), head: "200 [a b] [] -1", body: "x"},
		"the first head counts":                 {answer: Steps(SSE("a"), NDJSON("b")), head: "200 [text/event-stream] [] -1", body: "ab"},
		"a stream goes on after it has waited":  {answer: Steps(SSE("a"), Wait(released), Pause(time.Nanosecond), Send("b")), head: "200 [text/event-stream] [] -1", body: "ab"},
		"a stream that is cut":                  {answer: Steps(SSE("a"), Cut), head: "200 [text/event-stream] [] -1", body: "a", err: io.ErrUnexpectedEOF},
		"a whole answer that is cut":            {answer: Steps(Header("Content-Length", "9"), Stream("", "abc"), Cut), head: "200 [] [] 9", body: "abc", err: io.ErrUnexpectedEOF},
		"no answer":                             {answer: Cut, err: io.EOF},
		"a reset instead of an answer":          {answer: Reset, err: syscall.ECONNRESET},
		"a reset behind a head":                 {answer: Steps(Raw(rawHead), Pause(time.Nanosecond), Reset), err: syscall.ECONNRESET},
		"bytes as they are":                     {answer: Raw(Bytes(rawHead + "böd")...), head: "200 [] [] 4", body: "böd"},
		"bytes may come in place of a head":     {answer: Raw("SSH-2.0\r\n\r\n"), err: errors.New("malformed HTTP response \"SSH-2.0\"")},
		"bytes behind a stream break its form":  {answer: Steps(SSE("a"), Raw("nonsense\r\n")), head: "200 [text/event-stream] [] -1", body: "a", err: errors.New("invalid byte in chunk length")},
		"nothing follows the end":               {answer: Steps(Raw(rawHead+"böd"), Cut, Send("x"), Raw("x"), Reset, Cut), head: "200 [] [] 4", body: "böd"},
		"an answer of a test's own":             {answer: func(x *Exchange) { x.Send(x.Method, " ", x.URI, " ", x.Body) }, head: "200 [] [] -1", body: "POST /v1/chat?a=b question"},
		"an answer that does nothing is a 200":  {answer: func(*Exchange) {}, head: "200 [] [] 0"},
		"what may have no body has none either": {answer: Whole(204, "", ""), head: "204 [] [] 0"},
	} {
		t.Run(name, func(t *testing.T) {
			g := ask(t, Start(t, tc.answer), "POST")
			reset := tc.err == syscall.ECONNRESET // which overtakes what was sent before, or doesn't
			if !reset && (g.head != tc.head || g.body != tc.body) {
				t.Errorf("got %q and %.100q, want %q and %.100q", g.head, g.body, tc.head, tc.body)
			}
			if g.err != tc.err && !errors.Is(g.err, tc.err) && (tc.err == nil || g.err == nil || !strings.Contains(g.err.Error(), tc.err.Error())) {
				t.Errorf("error = %v, want %v", g.err, tc.err)
			}
		})
	}
}

// TestPiecesAreSentAtOnce: each is at the client while the answer still waits.
func TestPiecesAreSentAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(goOn <-chan struct{}) Answer
	}{
		"of a stream": {func(c <-chan struct{}) Answer { return Steps(SSE("first\n"), Wait(c), Send("second\n")) }},
		"of raw bytes": {func(c <-chan struct{}) Answer {
			return Steps(Raw("HTTP/1.1 200 OK\r\n\r\nfirst\n"), Wait(c), Raw("second\n"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			goOn := make(chan struct{})
			u := Start(t, tc.answer(goOn))
			res, err := http.DefaultTransport.RoundTrip(request(t, u, "POST"))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			r := bufio.NewReader(res.Body)
			for _, want := range []string{"first\n", "second\n"} {
				if line, err := r.ReadString('\n'); line != want || err != nil {
					t.Errorf("got %q, %v, want %q", line, err, want)
				}
				if want == "first\n" {
					close(goOn)
				}
			}
		})
	}
}

// TestWaitingEnds: whatever an answer waits for, it ends when its client or its upstream
// does.
func TestWaitingEnds(t *testing.T) {
	never := make(chan struct{})
	const hour = time.Hour
	for name, tc := range map[string]struct {
		waits  func(x *Exchange) bool // reports what the wait did
		client bool                   // it learns of a client that hangs up
	}{
		"hang":             {func(x *Exchange) bool { x.Hang(); return false }, true},
		"hang behind Raw":  {func(x *Exchange) bool { x.Raw("H"); x.Hang(); return false }, true},
		"wait":             {func(x *Exchange) bool { return x.Wait(never) }, true},
		"wait behind Raw":  {func(x *Exchange) bool { x.Raw("H"); return x.Wait(never) }, false},
		"pause":            {func(x *Exchange) bool { return x.Pause(hour) }, true},
		"pause behind Raw": {func(x *Exchange) bool { x.Raw("H"); return x.Pause(hour) }, false},
	} {
		for _, client := range []bool{true, false} {
			if client && !tc.client {
				continue
			}
			t.Run(fmt.Sprintf("%s, by the client %v", name, client), func(t *testing.T) {
				asked, ended := make(chan struct{}), make(chan bool, 1)
				u := Start(t, func(x *Exchange) {
					close(asked)
					ended <- tc.waits(x)
				})
				c, err := net.Dial("tcp", u.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				<-asked
				if client {
					c.Close()
				} else {
					u.Close()
				}
				if <-ended {
					t.Error("it says that it waited to its end")
				}
			})
		}
	}
}

func TestRequestsAreKept(t *testing.T) {
	u := Start(t, InTurn(Status(500), Status(501)))
	if r := u.Last(); r.Method != "" || u.Requests() != nil {
		t.Errorf("before the first: %v, %v", r, u.Requests())
	}
	for i, want := range []string{"500 [] [] 0", "501 [] [] 0", "501 [] [] 0"} {
		if g := ask(t, u, []string{"GET", "PUT", "POST"}[i]); g.head != want {
			t.Errorf("answer %d is %q, want %q", i, g.head, want)
		}
	}
	var methods []string
	for _, r := range u.Requests() {
		methods = append(methods, r.Method)
	}
	if want := []string{"GET", "PUT", "POST"}; !slices.Equal(methods, want) {
		t.Errorf("requests = %q, want %q", methods, want)
	}
	r := u.Last()
	if r.URI != "/v1/chat?a=b" || r.Body != "question" || "http://"+r.Host != u.URL || r.Header.Get("Content-Length") != "8" {
		t.Errorf("the last request is %+v", r)
	}
	u.Forget()
	u.Answer(Status(418))
	if g := ask(t, u, "POST"); g.head != "418 [] [] 0" || len(u.Requests()) != 1 {
		t.Errorf("afterwards: %q, %d requests", g.head, len(u.Requests()))
	}
}

// TestConnectionsAreCounted: kept ones, used ones and those that an answer took.
func TestConnectionsAreCounted(t *testing.T) {
	u := Start(t, InTurn(Status(200), Status(200), Cut, Status(200)))
	client := &http.Client{Transport: &http.Transport{}}
	for i, want := range []struct{ opened, open int }{{1, 1}, {1, 1}, {1, 0}, {2, 1}} {
		res, err := client.Post(u.URL, "", strings.NewReader("x"))
		if err == nil {
			res.Body.Close()
		}
		if u.Opened() != want.opened {
			t.Errorf("after request %d: %d connections were opened, want %d", i, u.Opened(), want.opened)
		}
		for u.Open() != want.open { // the client learns of an end before the server has counted it
			time.Sleep(time.Millisecond)
		}
	}
	client.CloseIdleConnections()
	for u.Open() != 0 {
		time.Sleep(time.Millisecond)
	}
}

func TestNobodyIsNowhere(t *testing.T) {
	if _, err := http.Get(Nowhere(t)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error = %v, want a connection refused", err)
	}
}

func TestCloseMayComeTwice(t *testing.T) {
	u := Start(t, Hang)
	u.Close()
	u.Close()
	if _, err := http.Get(u.URL); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error = %v, want a connection refused", err)
	}
}
