package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/observe"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/sdk/abi"
)

// admitted runs f with a request that was admitted, in the place of its handler.
func admitted(t *testing.T, g *generation, parse dialect.Parse, body string, f func(ctx context.Context, c *call)) {
	t.Helper()
	done := false
	server := httptest.NewServer(api.New(api.Options{
		Models: g.models, Memory: g.host.memory,
		Routes: []api.Route{{Method: "POST", Path: api.ChatPath, Handle: func(ctx context.Context, x *api.Exchange) error {
			b, err := x.Body()
			if err != nil {
				return err
			}
			c, err := g.admit(ctx, x, b, parse, 2)
			if err != nil {
				return err
			}
			f(ctx, c)
			done = true
			return nil
		}}},
	}))
	_, answer := send(t, server, body)
	server.Close() // waits for the handler
	if !done {
		t.Fatalf("the request did not come to its end: %s", answer)
	}
}

// send sends a request, and returns the status and the answer as they are.
func send(t *testing.T, s *httptest.Server, body string) (status int, answer string) {
	t.Helper()
	res, err := http.Post(s.URL+api.ChatPath, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, "broken off: " + string(b)
	}
	return res.StatusCode, string(b)
}

// changed reads chat completions, which set then changes.
func changed(set func(*dialect.Request)) dialect.Parse {
	return func(ctx context.Context, b []byte, caller dialect.Caller) (*dialect.Request, error) {
		r, err := chat.Parse(ctx, b, caller)
		if err == nil {
			set(r)
		}
		return r, err
	}
}

const (
	asksWhole  = `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`
	asksStream = `{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}`
)

// requestBody is a dialect.Body to embed in one that differs in a method or two.
type requestBody interface{ dialect.Body }

// largeBody is a body of which adapters need more memory than there is.
type largeBody struct{ requestBody }

func (largeBody) Len(bool) int64 { return 1 << 40 }

// TestWhatKeepsARequestFromEveryTarget: nobody is asked.
func TestWhatKeepsARequestFromEveryTarget(t *testing.T) {
	large := fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"%s"}]}`, strings.Repeat("x", 600<<10))
	for name, tc := range map[string]struct {
		parse  dialect.Parse
		body   string
		status int
		says   string
	}{
		"no memory to read it": {func(context.Context, []byte, dialect.Caller) (*dialect.Request, error) {
			return nil, &fault.Error{Kind: fault.Invalid, Text: "It was read."}
		}, large, 503, "busy"},
		"no memory while it is read": {func(context.Context, []byte, dialect.Caller) (*dialect.Request, error) {
			return nil, fmt.Errorf("read: %w", &memory.Error{Limit: 1})
		}, asksWhole, 503, "busy"},
		"no memory for what was read":      {changed(func(r *dialect.Request) { r.Size = 1 << 40 }), asksWhole, 503, "busy"},
		"no memory for what adapters need": {changed(func(r *dialect.Request) { r.Body = largeBody{r.Body} }), asksWhole, 503, "busy"},
		"it can't be read as it came": {changed(func(r *dialect.Request) {
			r.NativeOp, r.Native = abi.Messages, func() (*dialect.Native, error) { return nil, &fault.Error{Kind: fault.Invalid, Text: "No."} }
		}), asksWhole, 400, "No."},
		"it names what is another's": {changed(func(r *dialect.Request) { r.IDs = []string{"file-1"} }), asksWhole, 404, "error"},
		"it has no form for the adapter": {changed(func(r *dialect.Request) {
			r.Form = func(func(string) bool) (dialect.Body, error) {
				return nil, &fault.Error{Kind: fault.Invalid, Text: "No form."}
			}
		}), asksWhole, 400, "No form."},
		"what is wrong with it, in its own words": {changed(func(r *dialect.Request) {
			r.Form = func(func(string) bool) (dialect.Body, error) {
				return nil, &fault.Error{Kind: fault.Invalid, Text: "No form."}
			}
			r.Fault = func(e *fault.Error) *fault.Error { return &fault.Error{Kind: e.Kind, Text: "In my words: " + e.Text} }
		}), asksWhole, 400, "In my words: No form."},
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, text("TEXT good\nFINISH stop"))
			total := memory.New(memory.Options{Limit: 1 << 20})
			g, adapter := generationOf(t, total, func(t *route.Target) { t.Native = true }, up.URL)
			adapter.profile = profileWith("chat", "messages")
			s, _ := serving(t, g, key.Principal{}, tc.parse)
			if status, answer := send(t, s, tc.body); status != tc.status || !strings.Contains(answer, tc.says) {
				t.Errorf("%d %s, want %d and %q", status, answer, tc.status, tc.says)
			}
			if asked := up.Requests(); len(asked) > 0 {
				t.Errorf("the upstream was asked for %s", asked[0].URI)
			}
		})
	}
}

// TestATargetThatCantBeAskedIsPassedOver: the next one answers, and without one the client is
// told why.
func TestATargetThatCantBeAskedIsPassedOver(t *testing.T) {
	first, second := mock.Start(t, text("TEXT first\nFINISH stop")), mock.Start(t, text("TEXT second\nFINISH stop"))
	for _, targets := range [][]string{{first.URL}, {first.URL, second.URL}} {
		g, _ := generationOf(t, nil, nil, targets...)
		g.providers["up0"].config.Unset = "THE_KEY"
		s, _ := serving(t, g, key.Principal{}, chat.Parse)
		code, content, failure := ask(t, s, false, "Hi")
		if len(targets) == 2 && content != "second" || len(targets) == 1 && (code != 503 || !strings.Contains(failure, "THE_KEY")) {
			t.Errorf("of %d targets: %d %q %q", len(targets), code, content, failure)
		}
	}
	if asked := len(first.Requests()); asked > 0 {
		t.Errorf("the first was asked %d times, though it has no key", asked)
	}
}

// TestARecordSaysWhose: the group is the innermost, and what was said is there if the operator
// has asked for it twice.
func TestARecordSaysWhose(t *testing.T) {
	for name, tc := range map[string]struct {
		who        key.Principal
		configured bool
		group      string
		content    bool
	}{
		"nobody":                      {key.Principal{}, false, "", false},
		"one of two groups":           {key.Principal{Groups: []string{"inner", "outer"}}, false, "inner", false},
		"content of all keys":         {key.Principal{}, true, "", false},
		"content of this key":         {key.Principal{Content: true}, false, "", false},
		"content of both, it is kept": {key.Principal{Content: true}, true, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			g, _ := generationOf(t, nil, nil, mock.Start(t, text("TEXT good\nFINISH stop")).URL)
			g.config.Telemetry.Content = tc.configured
			g.host.tracer.Use(observe.TraceConfig{Endpoint: "http://localhost:1", Sample: 1})
			s, last := serving(t, g, tc.who, chat.Parse)
			send(t, s, asksWhole)
			s.Close()
			if r := last(); r.Group != tc.group || (r.Content != nil) != tc.content {
				t.Errorf("group %q and content %v, want %q and content: %v", r.Group, r.Content, tc.group, tc.content)
			}
		})
	}
}

// TestWhoseWordsTheLogMayHave: those of providers that all allow it.
func TestWhoseWordsTheLogMayHave(t *testing.T) {
	for _, tc := range []struct {
		logs []string // of the providers that are asked
		want bool
	}{
		{[]string{"debug"}, true}, {[]string{"info"}, false},
		{[]string{"debug", "debug"}, true}, {[]string{"info", "debug"}, false}, {[]string{"debug", "info"}, false},
		{[]string{"debug", "info", "debug"}, false},
	} {
		var bases []string
		for i := range tc.logs {
			answer := mock.Status(500)
			if i == len(tc.logs)-1 {
				answer = text("TEXT good\nFINISH stop")
			}
			bases = append(bases, mock.Start(t, answer).URL)
		}
		g, _ := generationOf(t, nil, nil, bases...)
		for i, level := range tc.logs {
			g.providers[fmt.Sprint("up", i)].config.Log = level
		}
		s, last := serving(t, g, key.Principal{}, chat.Parse)
		send(t, s, asksWhole)
		s.Close()
		if got := last().Words; got != tc.want {
			t.Errorf("providers with log: %q, the words are shown: %v, want %v", tc.logs, got, tc.want)
		}
	}
}

// TestWhoLearnsOfATrace: an upstream whose provider says so.
func TestWhoLearnsOfATrace(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, traced := range []bool{false, true} {
		up := mock.Start(t, text("TEXT good\nFINISH stop"))
		g, _ := generationOf(t, nil, nil, up.URL)
		g.providers["up0"].config.Trace = traced
		s, _ := serving(t, g, key.Principal{}, chat.Parse)
		r, _ := http.NewRequest("POST", s.URL+api.ChatPath, strings.NewReader(asksWhole))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Traceparent", parent)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := up.Last().Header.Get("Traceparent"); (got == parent) != traced {
			t.Errorf("trace: %v, and the upstream got %q", traced, got)
		}
	}
}

// TestWhatIsAddedToOptions: the models for an adapter that knows of them and has no upstream, and
// the client's headers where a request goes as it came.
func TestWhatIsAddedToOptions(t *testing.T) {
	native := passable(false, func(r *dialect.Request) {
		read := r.Native
		r.Native = func() (*dialect.Native, error) {
			n, err := read()
			n.Headers = []byte(`{"a":"b"}`)
			return n, err
		}
	})
	for name, tc := range map[string]struct {
		base   string
		knows  bool
		parse  dialect.Parse
		native bool
		want   string
	}{
		"nothing":                       {"", false, chat.Parse, false, ``},
		"models":                        {"", true, chat.Parse, false, `{"models":[]}`},
		"nothing, since it has its own": {"http://localhost:1", true, chat.Parse, false, ``},
		"headers":                       {"http://localhost:1", false, native, true, `{"client_headers":{"a":"b"}}`},
		"no headers in translation":     {"http://localhost:1", false, native, false, ``},
	} {
		t.Run(name, func(t *testing.T) {
			g, adapter := generationOf(t, nil, func(t *route.Target) { t.Native = tc.native }, tc.base)
			adapter.profile = profileWith("chat", "messages")
			adapter.profile.KnowsModels = tc.knows
			var got string
			adapter.request = func(options, _ []byte, out *wasm.Batch) (bool, error) {
				got = string(options)
				return state([]byte("TEXT a\nFINISH stop"), out), nil
			}
			s, _ := serving(t, g, key.Principal{}, tc.parse)
			if status, answer := send(t, s, asksWhole); status != 200 || got != tc.want {
				t.Errorf("the options are %q, want %q: %d %s", got, tc.want, status, answer)
			}
		})
	}
	for _, tc := range [][3]string{
		{``, ``, ``}, {`{"a":1}`, ``, `{"a":1}`}, {``, `{"h":1}`, `{"client_headers":{"h":1}}`}, {` { } `, `{"h":1}`, `{"client_headers":{"h":1}}`},
		{`{"a":1}`, `{"h":1}`, `{"client_headers":{"h":1},"a":1}`},
	} {
		var headers []byte
		if tc[1] != "" {
			headers = []byte(tc[1])
		}
		if got := string(withHeaders([]byte(tc[0]), headers)); got != tc[2] {
			t.Errorf("the options %q with the headers %q are %q, want %q", tc[0], tc[1], got, tc[2])
		}
	}
}

// TestWhoseIsWhatCameBeforeAFailure: the client's, if nobody else is asked and the failure can be
// told behind it; else nobody sees it.
func TestWhoseIsWhatCameBeforeAFailure(t *testing.T) {
	const (
		mark    = `"mark":2`
		before  = `DELTA_EXTRA {"mark":2}`
		failure = `ERROR {"status":502,"message":"Broken."}`
		refusal = `ERROR {"status":400,"code":"unsupported_parameter","param":"reasoning_effort","message":"No."}`
	)
	good := events("TEXT good", "FINISH stop")
	for name, tc := range map[string]struct {
		parse   dialect.Parse
		answers [][]mock.Answer // of each target
		status  int
		seen    bool
		says    string
	}{
		"of the last target":    {chat.Parse, [][]mock.Answer{{events(before, failure)}}, 200, true, "Broken."},
		"of another target":     {chat.Parse, [][]mock.Answer{{events(before, failure)}, {good}}, 200, false, "good"},
		"natively":              {passable(false, func(*dialect.Request) {}), [][]mock.Answer{{events(before, failure)}}, 502, false, "Broken."},
		"of a wish, and a next": {wishing, [][]mock.Answer{{events(before, refusal), good}}, 200, false, "good"},
	} {
		t.Run(name, func(t *testing.T) {
			var bases []string
			for _, all := range tc.answers {
				bases = append(bases, mock.Start(t, mock.InTurn(all...)).URL)
			}
			g, adapter := generationOf(t, nil, func(t *route.Target) { t.Native = true }, bases...)
			adapter.profile = profileWith("chat", "messages")
			s, _ := serving(t, g, key.Principal{}, tc.parse)
			body := strings.Replace(asksStream, `"model"`, `"reasoning_effort":"high","model"`, 1)
			if status, answer := send(t, s, body); status != tc.status || strings.Contains(answer, mark) != tc.seen || !strings.Contains(answer, tc.says) {
				t.Errorf("%d %s, want %d, what came before: %v, and %q", status, answer, tc.status, tc.seen, tc.says)
			}
		})
	}
}

// TestWhatAnAttemptUsedThatWasNotCounted is estimated, if the upstream had begun to answer.
func TestWhatAnAttemptUsedThatWasNotCounted(t *testing.T) {
	for name, tc := range map[string]struct {
		first mock.Answer
		used  bool
	}{"an answer without content": {events(), true}, "no answer": {mock.Status(500), false}} {
		g, _ := generationOf(t, nil, nil, mock.Start(t, tc.first).URL, mock.Start(t, events("TEXT good", "FINISH stop")).URL)
		s, last := serving(t, g, key.Principal{}, chat.Parse)
		send(t, s, asksStream)
		s.Close()
		if u := last().Attempts[0].Usage; u.Estimated != tc.used || (u.Input > 0) != tc.used {
			t.Errorf("%s used %+v, want an estimate: %v", name, u, tc.used)
		}
	}
}

// TestNobodyIsAskedForAClientThatHasGone: a wish that was refused is not left out for it.
func TestNobodyIsAskedForAClientThatHasGone(t *testing.T) {
	const refusal = `ERROR {"status":400,"code":"unsupported_parameter","param":"reasoning_effort","message":"No."}`
	g, adapter := generationOf(t, nil, nil, mock.Start(t, mock.Whole(400, "text/plain", refusal)).URL)
	admitted(t, g, wishing, strings.Replace(asksWhole, `"model"`, `"reasoning_effort":"high","model"`, 1), func(ctx context.Context, c *call) {
		ctx, leave := context.WithCancel(ctx)
		adapter.response = func(out *wasm.Batch) (bool, error) {
			leave()
			return state([]byte(refusal), out), nil
		}
		target := c.plan.Targets[0]
		p := g.providers[target.Provider]
		if err := p.prepare(ctx, time.Minute); err != nil {
			t.Error(err)
		}
		o := c.translate(ctx, p, target, true, func() answer { return &wholeAnswer{Answer: c.request.Whole(c.info), http: c.http, now: g.now} })
		if n := adapter.requests.Load(); n != 1 || o.err == nil {
			t.Errorf("the adapter was asked %d times, %v", n, o.err)
		}
	})
}

// goneWriter is that of a client that takes nothing.
type goneWriter struct{ http.ResponseWriter }

func (goneWriter) Write([]byte) (int, error) { return 0, errors.New("no more") }

// TestAClientThatTakesNothingHasGone: it ends the request, and the log says so.
func TestAClientThatTakesNothingHasGone(t *testing.T) {
	g, _ := generationOf(t, nil, nil, mock.Start(t, events("TEXT good", "FINISH stop")).URL)
	admitted(t, g, chat.Parse, asksStream, func(ctx context.Context, c *call) {
		c.http.Writer = goneWriter{c.http.Writer}
		if err := c.streamed(ctx); fault.KindOf(err) != fault.Gone {
			t.Errorf("%v, want that the client has gone", err)
		}
	})
}

// TestWhatIsTold: a failure about the chat form in the client's terms, and any other error as it is.
func TestWhatIsTold(t *testing.T) {
	plain, wrong := errors.New("gone"), &fault.Error{Kind: fault.Invalid, Text: "messages[0]"}
	c := &call{request: &dialect.Request{}}
	if got := c.inClientTerms(wrong); got != error(wrong) {
		t.Errorf("without terms of its own: %v", got)
	}
	c.request.Fault = func(e *fault.Error) *fault.Error { return &fault.Error{Kind: e.Kind, Text: "input"} }
	if got := c.inClientTerms(fmt.Errorf("step: %w", wrong)); got.Error() != "input" {
		t.Errorf("a failure is told as %v", got)
	}
	if got := c.inClientTerms(plain); got != plain {
		t.Errorf("an error is told as %v", got)
	}
}

// TestSleepEndsWithItsRequest, and doesn't begin for no time.
func TestSleepEndsWithItsRequest(t *testing.T) {
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := sleep(ctx, time.Nanosecond); err != nil {
		t.Errorf("a moment: %v", err)
	}
	cancel(gone)
	if err := sleep(ctx, time.Hour); err != gone {
		t.Errorf("after the end, an hour: %v, want %v", err, gone)
	}
	for _, d := range []time.Duration{0, -1} {
		if err := sleep(ctx, d); err != nil {
			t.Errorf("%v: %v", d, err)
		}
	}
}
