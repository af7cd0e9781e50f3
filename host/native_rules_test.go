package host

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/sdk/abi"
)

// passing is an answer of chat completions in place of one that passes. Its provider keeps it.
type passing struct {
	dialect.Answer
	info dialect.Info
}

func (p passing) Came([]byte, []byte, bool) { p.info.Made("answer-1") }
func (p passing) Lines([]byte)              {}

// passingStream is a stream that can pass, or can't any more.
type passingStream struct {
	dialect.Stream
	info dialect.Info
	late bool
}

func (s passingStream) BeginNative() dialect.Passing {
	if s.late {
		return nil
	}
	return passing{s.Begin(), s.info}
}

// passable makes requests ones that pass as Messages, as they are. set changes one.
func passable(late bool, set func(*dialect.Request)) dialect.Parse {
	return func(ctx context.Context, b []byte, caller dialect.Caller) (*dialect.Request, error) {
		r, err := chat.Parse(ctx, b, caller)
		if err != nil {
			return nil, err
		}
		body, whole, streamed := r.Body, r.Whole, r.Streamed
		r.NativeOp = abi.Messages
		r.Native = func() (*dialect.Native, error) {
			return &dialect.Native{
				Body:  func(_, _ func(string) bool) dialect.Body { return body },
				Whole: func(i dialect.Info) dialect.Passing { return passing{whole(i), i} },
			}, nil
		}
		r.Streamed = func(i dialect.Info) dialect.Stream { return passingStream{streamed(i), i, late} }
		set(r)
		return r, nil
	}
}

// TestWhereARequestPasses sends two requests to a provider that may take them as they came.
func TestWhereARequestPasses(t *testing.T) {
	const (
		native, translated = "/messages", "/chat"

		unserved = `ERROR {"status":404,"code":"unsupported_operation","message":"Not here."}`
		field    = `ERROR {"status":400,"code":"unsupported_parameter","param":"reasoning_effort","message":"No."}`
		value    = `ERROR {"status":400,"code":"unsupported_value","param":"reasoning_effort","message":"No."}`
		refused  = `ERROR {"status":400,"message":"No."}`
	)
	plainly := func(*dialect.Request) {}
	wishes := func(r *dialect.Request) { r.Wish = "reasoning_effort" }
	lost := func(r *dialect.Request) {
		r.Untranslated = &fault.Error{Kind: fault.Invalid, Text: "It can't be translated."}
	}
	both := []string{"chat", "messages"}
	for name, tc := range map[string]struct {
		ops     []string
		keeps   bool // the target takes no native requests
		late    bool
		stream  bool
		set     func(*dialect.Request)
		passed  mock.Answer // to a native request
		asked   []string
		content string // of both answers; "": they failed
		tokens  int64  // of the conversation that is known to end with the answer
	}{
		"as it came":                                {ops: both, set: plainly, passed: text("TEXT native\nFINISH stop\nUSAGE {\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}"), asked: []string{native, native}, content: "native", tokens: 4},
		"as it came, in a stream":                   {ops: both, stream: true, set: plainly, passed: events("TEXT native", "FINISH stop"), asked: []string{native, native}, content: "native"},
		"the adapter doesn't speak it":              {ops: []string{"chat"}, set: plainly, asked: []string{translated, translated}, content: "translated"},
		"the target is to have none":                {ops: both, keeps: true, set: plainly, asked: []string{translated, translated}, content: "translated"},
		"a stream that is too far for it":           {ops: both, stream: true, late: true, set: plainly, asked: []string{translated, translated}, content: "translated"},
		"the provider doesn't serve it":             {ops: both, set: plainly, passed: mock.Whole(404, "text/plain", unserved), asked: []string{native, translated, translated}, content: "translated"},
		"in a stream, it doesn't, either":           {ops: both, stream: true, set: plainly, passed: mock.Whole(404, "text/plain", unserved), asked: []string{native, translated, translated}, content: "translated"},
		"it says so in an answer, too late":         {ops: both, set: plainly, passed: text(unserved), asked: []string{native, native}},
		"once there was content, nothing is asked":  {ops: both, stream: true, set: plainly, passed: events("TEXT native", unserved), asked: []string{native, native}, content: "native"},
		"it can't be translated":                    {ops: both, set: lost, passed: mock.Whole(404, "text/plain", unserved), asked: []string{native, native}},
		"the adapter can't translate":               {ops: []string{"messages"}, set: plainly, passed: mock.Whole(404, "text/plain", unserved), asked: []string{native, native}},
		"a wish is refused":                         {ops: both, set: wishes, passed: text(field), asked: []string{native, translated, translated}, content: "translated"},
		"a value of a wish is refused, this time":   {ops: both, set: wishes, passed: text(value), asked: []string{native, translated, native, translated}, content: "translated"},
		"a condition is refused":                    {ops: both, set: plainly, passed: text(field), asked: []string{native, native}},
		"a wish of what can't be translated":        {ops: both, set: func(r *dialect.Request) { wishes(r); lost(r) }, passed: text(field), asked: []string{native, native}},
		"a refusal of another sort is the client's": {ops: both, set: wishes, passed: text(refused), asked: []string{native, native}},
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, func(x *mock.Exchange) {
				switch {
				case x.URI == native:
					tc.passed(x)
				case tc.stream:
					events("TEXT translated", "FINISH stop")(x)
				default:
					text("TEXT translated\nFINISH stop")(x)
				}
			})
			g, adapter := generationOf(t, nil, func(t *route.Target) { t.Native = !tc.keeps }, up.URL)
			adapter.profile = &modfile.Profile{Provider: "plain", Ops: tc.ops}
			server, last := serving(t, g, key.Principal{}, passable(tc.late, tc.set))
			for range 2 {
				res, err := http.Post(server.URL+"/v1/chat/completions", "application/json",
					strings.NewReader(fmt.Sprintf(`{"model":"m","stream":%v,"reasoning_effort":"high","messages":[{"role":"user","content":"Hi"}]}`, tc.stream)))
				if err != nil {
					t.Fatal(err)
				}
				b, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if ok := res.StatusCode == 200; ok != (tc.content != "") || !strings.Contains(string(b), tc.content) {
					t.Errorf("%d %s, want %q", res.StatusCode, b, tc.content)
				}
			}
			var asked []string
			for _, r := range up.Requests() {
				asked = append(asked, r.URI)
			}
			if !slices.Equal(asked, tc.asked) {
				t.Errorf("the upstream was asked for %q, want %q", asked, tc.asked)
			}
			server.Close()
			if way := last().Native; way == nil || *way != (tc.asked[len(tc.asked)-1] == native) {
				t.Errorf("the record has the way %v, and the last request was for %s", way, tc.asked[len(tc.asked)-1])
			}
			if got := g.host.made.weight("", "answer-1", "up0"); got != tc.tokens {
				t.Errorf("the conversation is known to have %d tokens, want %d", got, tc.tokens)
			}
		})
	}
}

// TestWhoIsTakenToSpeakAnAPI: many serve OpenAI's chat completions and no Responses, or worse
// ones, so these are used only where it is OpenAI or somebody asked for it.
func TestWhoIsTakenToSpeakAnAPI(t *testing.T) {
	const home = "https://api.openai.com/v1"
	for name, tc := range map[string]struct {
		op       abi.Op
		base     string
		asked    bool
		ops      []string
		optional map[string]string
		options  string
		want     bool
	}{
		"Responses at home":                          {abi.Responses, home, false, []string{"responses"}, nil, "", true},
		"in a region":                                {abi.Responses, "https://eu.api.openai.com/v1", false, []string{"responses"}, nil, "", true},
		"elsewhere":                                  {abi.Responses, "http://localhost:1/v1", false, []string{"responses"}, nil, "", false},
		"elsewhere, where somebody asked for it":     {abi.Responses, "http://localhost:1/v1", true, []string{"responses"}, nil, "", true},
		"an adapter without it":                      {abi.Responses, home, true, []string{"chat"}, nil, "", false},
		"Messages anywhere":                          {abi.Messages, "http://localhost:1/v1", false, []string{"messages"}, nil, "", true},
		"their tokens anywhere":                      {abi.CountMessages, "http://localhost:1/v1", false, []string{"count_messages"}, nil, "", true},
		"by an option, which somebody has set":       {abi.Responses, "http://localhost:1/v1", false, nil, map[string]string{"responses": "own"}, `{"own":"x"}`, true},
		"by an option, which nobody has set":         {abi.Responses, "http://localhost:1/v1", false, nil, map[string]string{"responses": "own"}, `{}`, false},
		"a host whose name ends as that of OpenAI's": {abi.Responses, "https://notapi.openai.com/v1", false, []string{"responses"}, nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			g, _ := generationOf(t, nil, nil, tc.base)
			target := route.Target{Provider: "up0", NativeAsked: tc.asked, Options: []byte(tc.options)}
			if got := g.speaks(tc.op, &target, modfile.Profile{Ops: tc.ops, OptionalOps: tc.optional, DefaultBaseURL: home}); got != tc.want {
				t.Errorf("speaks is %v, want %v", got, tc.want)
			}
		})
	}
}
