package host

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/observe"
	"github.com/kai-gateway/kai/host/record"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/sdk/abi"
)

// plainAdapter is an adapter without a sandbox for an upstream that sends what is to
// be stated: lines of kind and payload, as events or all in one.
type plainAdapter struct {
	requests atomic.Int32
	joins    bool             // it takes several events in one call
	profile  *modfile.Profile // nil: it has chat completions, and no more
	wait     error            // what comes of waiting for it
	unready  bool             // it is not loaded, so that nobody knows its profile
	asked    func(abi.Op)     // is told what it is asked for; nil: nobody is

	// What makes a request, or states what a whole answer says, in place of the adapter's own
	// ways; nil: nothing does.
	request  func(options, body []byte, out *wasm.Batch) (failed bool, err error)
	response func(out *wasm.Batch) (failed bool, err error)

	mu     sync.Mutex
	events []int    // of each call, how many events it got; below 0: the call came to nothing
	names  []string // of the events that it got in calls of their own
}

func (a *plainAdapter) Wait(context.Context, time.Duration) error { return a.wait }
func (a *plainAdapter) Status() (bool, error)                     { return !a.unready, nil }
func (*plainAdapter) Paused() time.Duration                       { return 0 }
func (*plainAdapter) Close()                                      {}
func (a *plainAdapter) Manifest() modfile.Manifest {
	if a.profile != nil {
		return modfile.Manifest{Name: "plain", Adapters: []modfile.Profile{*a.profile}}
	}
	return modfile.Manifest{Name: "plain", Adapters: []modfile.Profile{{Provider: "plain", Ops: []string{"chat"}}}}
}

func (a *plainAdapter) Request(_ context.Context, op abi.Op, stream bool, options, body []byte, out *wasm.Batch) (bool, error) {
	a.requests.Add(1)
	if a.asked != nil {
		a.asked(op)
	}
	out.Reset()
	if a.request != nil {
		return a.request(options, body, out)
	}
	framing := abi.Whole
	if stream {
		framing = abi.SSE
	}
	out.Append(abi.Emission{Kind: abi.Request, At: int32(framing)}, fmt.Appendf(nil, "POST /%v\ncontent-type: application/json\n", op))
	out.Append(abi.Emission{Kind: abi.Body}, body)
	return false, nil
}

func (a *plainAdapter) Response(_ context.Context, _ abi.Op, status int, _, _, body []byte, out *wasm.Batch) (bool, error) {
	out.Reset()
	if a.response != nil {
		return a.response(out)
	}
	if status >= 400 && len(body) == 0 {
		out.Append(abi.Emission{Kind: abi.Error}, fmt.Appendf(nil, `{"status":%d,"message":"Refused."}`, status))
		return true, nil
	}
	return state(body, out), nil
}

func (a *plainAdapter) Event(_ context.Context, _ abi.Op, flags int, _, name, data []byte, out *wasm.Batch) (bool, error) {
	a.note(1)
	a.mu.Lock()
	a.names = append(a.names, string(name))
	a.mu.Unlock()
	out.Reset()
	if (len(data) == 0) != (flags != 0) {
		return false, fmt.Errorf("an event with flags %d and %d bytes of data", flags, len(data))
	}
	return state(data, out), nil
}

func (a *plainAdapter) TakesEvents() bool { return a.joins }

// Events states what is in each event. It comes to nothing if one has an error, or the word
// that says so.
func (a *plainAdapter) Events(_ context.Context, _ abi.Op, _ []byte, frames *wasm.Frames, out *wasm.Batch) bool {
	out.Reset()
	n := 0
	for data := range frames.All() {
		if n++; n > 1 {
			out.Append(abi.Emission{Kind: abi.Next}, nil)
		}
		if state(data, out) || strings.Contains(string(data), "ALONE") {
			out.Reset()
			a.note(-frames.Len())
			return false
		}
	}
	a.note(n)
	return true
}

func (a *plainAdapter) note(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, n)
}

// state states each line of a text, such as `TEXT Hi`.
func state(text []byte, out *wasm.Batch) (failed bool) {
	for line := range strings.Lines(string(text)) {
		name, payload, _ := strings.Cut(strings.TrimSpace(line), " ")
		for k := abi.Kind(1); k < 64; k++ {
			if k.String() == name && name != "" {
				out.Append(abi.Emission{Kind: k}, []byte(payload))
				failed = failed || k == abi.Error
			}
		}
	}
	return failed
}

// gatewayOf serves a gateway of some targets, which are asked in that order.
func gatewayOf(t *testing.T, total *memory.Total, upstreams ...string) (*httptest.Server, *plainAdapter, func() *record.Request) {
	t.Helper()
	return gatewayFor(t, chat.Parse, total, upstreams...)
}

// gatewayFor is gatewayOf for requests that parse reads.
func gatewayFor(t *testing.T, parse dialect.Parse, total *memory.Total, upstreams ...string) (*httptest.Server, *plainAdapter, func() *record.Request) {
	t.Helper()
	g, adapter := generationOf(t, total, nil, upstreams...)
	server, last := serving(t, g, key.Principal{}, parse)
	return server, adapter, last
}

// generationOf is a generation without a Host that was begun, whose alias m has some targets,
// which are asked in that order. set changes a target before; nil: none is.
func generationOf(t *testing.T, total *memory.Total, set func(*route.Target), upstreams ...string) (*generation, *plainAdapter) {
	t.Helper()
	adapter := &plainAdapter{}
	tracer := observe.NewTracer(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { tracer.Close(0) })
	c := &config.Config{}
	c.Server.StreamHeadWait, c.Server.WriteTimeout, c.Server.LoadWait = config.Duration(time.Minute), config.Duration(time.Minute), config.Duration(time.Minute)
	g := &generation{
		host: &Host{opts: Options{Sleep: sleep}, memory: total, tracer: tracer}, metrics: observe.NewMetrics(nil).View(observe.Names{}), config: c, log: slog.New(slog.DiscardHandler), now: time.Now,
		providers: map[string]*provider{}, capacities: make([][]*limit.Bucket, len(upstreams)),
	}
	alias := route.Alias{Name: "m", Routing: route.Routing{Deadline: time.Minute}}
	for i, base := range upstreams {
		name := fmt.Sprint("up", i)
		p := config.Provider{Name: name, Plugin: "plain", BaseURL: base}
		p.Limits.StreamOutput = 1 << 20
		p.Timeouts.Connect, p.Timeouts.FirstByte, p.Timeouts.Idle = config.Duration(time.Minute), config.Duration(time.Minute), config.Duration(time.Minute)
		g.providers[name] = &provider{name: name, config: p, adapter: adapter, now: time.Now}
		t.Cleanup(g.providers[name].close)
		target := route.Target{ID: i, Provider: name, Upstream: name, Model: "model-of-" + name}
		if set != nil {
			set(&target)
		}
		alias.Entries = append(alias.Entries, route.Entry{Target: target, Weight: 1, Tier: i + 1})
	}
	var err error
	alias.Sole = len(alias.Entries) == 1
	if g.routes, err = route.New([]route.Alias{alias}, "m", route.NewCells()); err != nil {
		t.Fatal(err)
	}
	return g, adapter
}

// serving serves chat completions by a generation, for requests of who that parse reads. It
// returns what gives the record of the last one.
func serving(t *testing.T, g *generation, who key.Principal, parse dialect.Parse) (*httptest.Server, func() *record.Request) {
	var last atomic.Pointer[record.Request] // several requests may run at once
	handle := g.serve(parse, 2)
	server := httptest.NewServer(api.New(api.Options{
		Models: g.models, Memory: g.host.memory,
		Routes: []api.Route{{Method: "POST", Path: api.ChatPath, Handle: func(ctx context.Context, x *api.Exchange) error {
			last.Store(x.Record)
			return handle(key.WithPrincipal(ctx, who), x)
		}}},
	}))
	t.Cleanup(server.Close)
	return server, last.Load
}

// events is a stream of events, each sent by itself.
func events(lines ...string) mock.Answer {
	var pieces []string
	for _, line := range lines {
		pieces = append(pieces, "data: "+strings.ReplaceAll(line, "\n", "\ndata: ")+"\n\n")
	}
	return mock.SSE(pieces...)
}

func text(body string) mock.Answer { return mock.Whole(200, "text/plain", body) }

// ask sends a request and gives the status, the text and the error of the answer.
func ask(t *testing.T, s *httptest.Server, stream bool, question string) (code int, content, failure string) {
	t.Helper()
	q, _ := json.Marshal(question)
	res, err := http.Post(s.URL+"/v1/chat/completions", "application/json",
		strings.NewReader(fmt.Sprintf(`{"model":"m","stream":%v,"messages":[{"role":"user","content":%s}]}`, stream, q)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	parts := []string{string(b)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		parts = strings.Split(string(b), "\n\n")
	}
	for _, part := range parts {
		var a struct {
			Choices []struct {
				Message, Delta struct{ Content string }
			}
			Error *struct{ Message string }
		}
		data := strings.TrimPrefix(part, "data: ")
		if data == "" || data == "[DONE]" || strings.HasPrefix(data, ":") {
			continue
		}
		if err := json.Unmarshal([]byte(data), &a); err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		for _, c := range a.Choices {
			content += c.Message.Content + c.Delta.Content
		}
		if a.Error != nil {
			failure = a.Error.Message
		}
	}
	return res.StatusCode, content, failure
}

// TestAnotherTargetAnswers: what fails before the first content is given up, and the
// next target answers as if nothing had been.
func TestAnotherTargetAnswers(t *testing.T) {
	// Long enough to go by reference: the second target gets it, too.
	question := strings.Repeat("Is anybody there? ", 200)
	for name, tc := range map[string]struct {
		first       mock.Answer
		whole, next bool // asked for a whole answer, too; the second target answers
		content     string
		failure     string
	}{
		"a server error":                    {first: mock.Status(500), whole: true, next: true},
		"busy":                              {first: mock.Status(503), whole: true, next: true},
		"an error inside a 200":             {first: text(`ERROR {"status":502,"message":"Broken."}`), whole: true, next: true},
		"a whole answer that isn't one":     {first: text(`CHUNK_EXTRA {"x":1}`), whole: true, next: true},
		"an error as the first event":       {first: events(`ERROR {"status":429,"message":"Slow down."}`), next: true},
		"an error after what is no content": {first: events("USAGE {\"prompt_tokens\":900}\nCHUNK_EXTRA {\"x\":1}\nDELTA_EXTRA {\"y\":2}\nREASONING_DETAIL {}", "TEXT", `ERROR {"message":"Broken."}`), next: true},
		"a reset after the head":            {first: mock.Steps(events(), mock.Reset), next: true},
		"an end before any content":         {first: events(), next: true},
		"a refusal is the client's":         {first: mock.Status(400), whole: true, failure: "Refused."},
		"content, then a reset":             {first: mock.Steps(events("TEXT half"), mock.Reset), content: "half", failure: "Provider 'up0' closed the connection before its answer was complete"},
		"content, then an error":            {first: events("REASONING hm", `ERROR {"message":"Broken."}`), failure: "Broken."},
		"a tool call, then an error":        {first: events("TOOL_NAME f", `ERROR {"message":"Broken."}`), failure: "Broken."},
		"a finish, then an error":           {first: events("FINISH stop", `ERROR {"message":"Broken."}`), failure: "Broken."},
	} {
		for _, stream := range []bool{true, false} {
			if !stream && !tc.whole {
				continue
			}
			t.Run(fmt.Sprintf("%s, stream %v", name, stream), func(t *testing.T) {
				total := memory.New(memory.Options{Limit: 1 << 30})
				good := text("TEXT good\nFINISH stop\nUSAGE {\"prompt_tokens\":3}")
				if stream {
					good = events("TEXT good", "FINISH stop", `USAGE {"prompt_tokens":3}`)
				}
				first, second := mock.Start(t, tc.first), mock.Start(t, good)
				s, _, record := gatewayOf(t, total, first.URL, second.URL)
				_, content, failure := ask(t, s, stream, question)
				if tc.next {
					tc.content = "good"
				}
				if content != tc.content || failure != tc.failure {
					t.Errorf("got %q and the error %q, want %q and %q", content, failure, tc.content, tc.failure)
				}
				got := second.Last().Body
				if asked := got != ""; asked != tc.next {
					t.Errorf("the second target was asked: %v, want %v", asked, tc.next)
				}
				if tc.next && (!strings.Contains(got, question) || !strings.Contains(got, "model-of-up1")) {
					t.Errorf("the second target got %.300q", got)
				}
				s.Close() // waits for the handler
				r := record()
				if tc.next && (r.Provider != "up1" || r.Usage.Input != 3 || len(r.Attempts) != 2) {
					t.Errorf("the record has provider %s, %d tokens and attempt %d, want up1, 3 and 2", r.Provider, r.Usage.Input, len(r.Attempts))
				}
				if !tc.next && len(r.Attempts) != 1 {
					t.Errorf("the record has attempt %d, want 1", len(r.Attempts))
				}
				if used := total.Used(); used != 0 {
					t.Errorf("%d bytes are still counted", used)
				}
			})
		}
	}
}

// TestAWholeAnswerCommitsAtItsEnd: its client sees nothing before.
func TestAWholeAnswerCommitsAtItsEnd(t *testing.T) {
	first, second := mock.Start(t, text("TEXT half")), mock.Start(t, text("TEXT good\nFINISH stop"))
	s, _, _ := gatewayOf(t, nil, first.URL, second.URL)
	if code, content, failure := ask(t, s, false, "Hi"); code != 200 || content != "good" || failure != "" {
		t.Errorf("%d %q %q, want the second's answer", code, content, failure)
	}
}

// TestTheLastErrorCounts: when no target answers, the client gets the last one's
// error, with its status if nothing was sent.
func TestTheLastErrorCounts(t *testing.T) {
	first := mock.Start(t, mock.Status(503))
	second := mock.Start(t, events(`ERROR {"status":502,"code":"upstream_error","message":"Broken, too."}`))
	s, adapter, _ := gatewayOf(t, nil, first.URL, second.URL)
	for _, stream := range []bool{true, false} {
		if code, content, failure := ask(t, s, stream, "Hi"); code != 502 || content != "" || failure != "Broken, too." {
			t.Errorf("stream %v: %d %q %q, want a 502 of the second", stream, code, content, failure)
		}
	}
	if n := adapter.requests.Load(); n != 4 {
		t.Errorf("%d attempts, want 4", n)
	}
}

// TestTheBodyIsKeptUntilContent: a request is held while another target may need it,
// and no longer.
func TestTheBodyIsKeptUntilContent(t *testing.T) {
	question := strings.Repeat("x", 1<<20)
	for name, tc := range map[string]struct {
		targets int
		first   string
		kept    bool
	}{
		"before content, and there is another target":    {2, `USAGE {"prompt_tokens":1}`, true},
		"before content, and this is the last target":    {1, `USAGE {"prompt_tokens":1}`, false},
		"after content, though there is another target":  {2, "TEXT a", false},
		"after content, and this is the only target":     {1, "TEXT a", false},
		"after a finish, though there is another target": {2, "FINISH stop", false},
	} {
		t.Run(name, func(t *testing.T) {
			total := memory.New(memory.Options{Limit: 1 << 30})
			sent, end := make(chan struct{}), make(chan struct{})
			base := mock.Start(t, mock.Steps(events(tc.first), func(*mock.Exchange) { close(sent) }, mock.Wait(end), events("TEXT b\nFINISH stop")))
			other := mock.Start(t, mock.Status(500))
			s, _, _ := gatewayOf(t, total, []string{base.URL, other.URL}[:tc.targets]...)
			done := make(chan struct{})
			go func() {
				defer close(done)
				ask(t, s, true, question)
			}()
			<-sent
			kept := func() bool { return total.Used() >= 1<<20 }
			for wait := 0; kept() != tc.kept && wait < 6000; wait++ {
				time.Sleep(10 * time.Millisecond)
			}
			if kept() != tc.kept {
				t.Errorf("the body is kept: %v, want %v (%d bytes)", kept(), tc.kept, total.Used())
			}
			close(end)
			<-done
		})
	}
}

// Behind a complete answer an error is no error to the client, but what was to be
// sent along with it must not be sent.
func TestNothingIsSentBesideAnError(t *testing.T) {
	for name, ems := range map[string][]abi.Emission{
		"the request before the error": {{Kind: abi.Request, Data: []byte("POST /\n")}, {Kind: abi.Error, Data: []byte("{}")}},
		"the error before the request": {{Kind: abi.Error, Data: []byte("{}")}, {Kind: abi.Request, Data: []byte("POST /\n")}},
	} {
		t.Run(name, func(t *testing.T) {
			a := attempt{call: &call{}}
			a.batch.Emissions = ems
			if next, err := a.takeTurn(t.Context(), a.batch.Emissions, true, nil); err != nil || next.Send {
				t.Errorf("error %v, next request %v; want neither", err, next.Send)
			}
		})
	}
}
