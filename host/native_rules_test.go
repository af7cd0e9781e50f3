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
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/sdk/abi"
)

// passing is an answer of chat completions in place of one that passes. Its provider keeps it.
type passing struct {
	dialect.Answer
	info dialect.Info
}

func (p passing) Receive([]byte, []byte, bool) { p.info.NoteID("answer-1") }
func (p passing) Lines([]byte)                 {}

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

		field   = noField
		value   = `ERROR {"status":400,"code":"unsupported_value","param":"reasoning_effort","message":"No."}`
		refused = `ERROR {"status":400,"message":"No."}`
	)
	wishes := func(r *dialect.Request) { r.Wish = "reasoning_effort" }
	lost := untranslatable
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
			if got := g.host.storedIDs.tokens("", "answer-1", "up0"); got != tc.tokens {
				t.Errorf("the conversation is known to have %d tokens, want %d", got, tc.tokens)
			}
		})
	}
}

// passes are requests to upstreams that take some natively, one after the other.
type passes struct {
	adapter *plainAdapter
	g       *generation
	ups     []*mock.Upstream
}

// startPasses starts upstreams that answer native requests as answers has it, and translated ones
// with "translated".
func startPasses(t *testing.T, set func(*route.Target), answers ...mock.Answer) *passes {
	t.Helper()
	p := &passes{}
	var bases []string
	for _, native := range answers {
		up := mock.Start(t, func(x *mock.Exchange) {
			if x.URI == "/messages" {
				native(x)
			} else {
				text("TEXT translated\nFINISH stop")(x)
			}
		})
		p.ups, bases = append(p.ups, up), append(bases, up.URL)
	}
	p.g, p.adapter = generationOf(t, nil, set, bases...)
	p.adapter.profile = profileWith("chat", "messages")
	return p
}

// send sends a request that parse reads, and returns its answer and what its upstreams were asked
// for since the last one.
func (p *passes) send(t *testing.T, parse dialect.Parse, body string) (answer string, asked []string) {
	t.Helper()
	s, _ := serving(t, p.g, key.Principal{}, parse)
	_, answer = send(t, s, body)
	for i, up := range p.ups {
		for _, r := range up.Requests() {
			asked = append(asked, fmt.Sprint("up", i, r.URI))
		}
		up.Forget()
	}
	return answer, asked
}

const (
	unserved = `ERROR {"status":404,"code":"unsupported_operation","message":"Not here."}`
	noField  = `ERROR {"status":400,"code":"unsupported_parameter","param":"reasoning_effort","message":"No."}`
)

func plainly(*dialect.Request) {}

// untranslatable makes a request one that only a provider that speaks its API can take.
func untranslatable(r *dialect.Request) {
	r.Untranslated = &fault.Error{Kind: fault.Invalid, Text: "It can't be translated."}
}

// TestWhoGetsWhichForm: each target the one that it is to have, and a request that can't be
// translated is told what the provider said, or why it can't.
func TestWhoGetsWhichForm(t *testing.T) {
	native := text("TEXT native\nFINISH stop")
	onlySecond := func(t *route.Target) { t.Native = t.Provider == "up1" }
	all := func(t *route.Target) { t.Native = true }
	named := func(r *dialect.Request) {
		read := r.Native
		r.Native = func() (*dialect.Native, error) {
			n, err := read()
			n.IDs = []string{"file-1"}
			return n, err
		}
	}
	twice := strings.Replace(asksWhole, "Hi", strings.Repeat("Is anybody there? ", 200), 1)
	for name, tc := range map[string]struct {
		set     func(*route.Target)
		late    bool
		change  func(*dialect.Request)
		answers []mock.Answer
		body    string
		asked   []string
		says    string
	}{
		"natively, but for one that is to have none":  {onlySecond, false, plainly, []mock.Answer{native, native}, asksWhole, []string{"up0/chat"}, "translated"},
		"natively after one that is to have none":     {onlySecond, false, untranslatable, []mock.Answer{native, native}, asksWhole, []string{"up1/messages"}, "native"},
		"natively behind one that doesn't serve it":   {all, false, untranslatable, []mock.Answer{mock.Whole(404, "text/plain", unserved), native}, asksWhole, []string{"up0/messages", "up1/messages"}, "native"},
		"why it can't, where a stream is too far":     {all, true, untranslatable, []mock.Answer{native, native}, asksStream, nil, "It can't be translated."},
		"what names the provider's is not translated": {all, false, named, []mock.Answer{mock.Whole(404, "text/plain", unserved)}, asksWhole, []string{"up0/messages"}, "Not here."},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPasses(t, tc.set, tc.answers...)
			p.g.host.storedIDs.note("", "file-1", "up0", "m")
			if answer, asked := p.send(t, passable(tc.late, tc.change), tc.body); !slices.Equal(asked, tc.asked) || !strings.Contains(answer, tc.says) {
				t.Errorf("%q was asked, and said %s; want %q and %q", asked, answer, tc.asked, tc.says)
			}
		})
	}
	t.Run("nothing is translated behind content of an earlier step", func(t *testing.T) {
		p := startPasses(t, all, text("step"))
		steps := 0
		p.adapter.response = func(out *wasm.Batch) (bool, error) {
			if steps++; steps > 1 {
				return state([]byte(unserved), out), nil
			}
			return state([]byte("TEXT native\nREQUEST POST /messages"), out), nil
		}
		answer, asked := p.send(t, passable(false, plainly), strings.Replace(twice, `"model"`, `"stream":true,"model"`, 1))
		if want := []string{"up0/messages", "up0/messages"}; !slices.Equal(asked, want) || !strings.Contains(answer, "native") || !strings.Contains(answer, "Not here.") {
			t.Errorf("%q was asked, and said %s; want %q", asked, answer, want)
		}
	})
}

// TestWhatIsRememberedOfARefusal: what one request learns of a provider is for those that it is
// about, and for no others.
func TestWhatIsRememberedOfARefusal(t *testing.T) {
	wishes := func(r *dialect.Request) { r.Wish = "reasoning_effort" }
	withEffort := strings.Replace(asksWhole, `"model"`, `"reasoning_effort":"high","model"`, 1)
	good := text("TEXT native\nFINISH stop")
	native := []string{"up0/messages"}
	for name, tc := range map[string]struct {
		first  mock.Answer // to the first native request
		before func(*dialect.Request)
		after  func(*dialect.Request)
		want   []string // what the second request is sent to
	}{
		"a wish, for one with the same":             {text(noField), wishes, wishes, []string{"up0/chat"}},
		"a wish, for one without":                   {text(noField), wishes, plainly, native},
		"a condition, for one that wishes it":       {text(noField), plainly, wishes, native},
		"the API, for any other":                    {mock.Whole(404, "text/plain", unserved), plainly, plainly, []string{"up0/chat"}},
		"the API, for what can't be translated":     {mock.Whole(404, "text/plain", unserved), plainly, untranslatable, native},
		"nothing, where it could not be translated": {mock.Whole(404, "text/plain", unserved), untranslatable, plainly, native},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPasses(t, func(t *route.Target) { t.Native = true }, mock.InTurn(tc.first, good))
			p.send(t, passable(false, tc.before), withEffort)
			if _, asked := p.send(t, passable(false, tc.after), withEffort); !slices.Equal(asked, tc.want) {
				t.Errorf("%q was asked, want %q", asked, tc.want)
			}
		})
	}
}

// TestOnlyAGoodAnswerSaysHowLongAConversationIs, though a failed one was counted, too.
func TestOnlyAGoodAnswerSaysHowLongAConversationIs(t *testing.T) {
	p := startPasses(t, func(t *route.Target) { t.Native = true }, events(`USAGE {"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}`, "TEXT native", `ERROR {"message":"Broken."}`))
	if answer, _ := p.send(t, passable(false, plainly), asksStream); !strings.Contains(answer, "Broken.") {
		t.Errorf("the answer is %s", answer)
	}
	if got := p.g.host.storedIDs.tokens("", "answer-1", "up0"); got != 0 {
		t.Errorf("the conversation is known to have %d tokens", got)
	}
}

// TestNothingIsSaidOfAWayThatThereIsNot: the record of a request in an API of which none passes.
func TestNothingIsSaidOfAWayThatThereIsNot(t *testing.T) {
	g, _ := generationOf(t, nil, nil, mock.Start(t, text("TEXT good\nFINISH stop")).URL)
	s, last := serving(t, g, key.Principal{}, chat.Parse)
	send(t, s, asksWhole)
	s.Close()
	if way := last().Native; way != nil {
		t.Errorf("the record says that it went natively: %v", *way)
	}
}

// TestHowARequestIsReadAsItCame: only where some target may take it so, and it goes on in
// translation if what it refers to is nothing to the provider.
func TestHowARequestIsReadAsItCame(t *testing.T) {
	lost, unknown := &fault.Error{Kind: fault.Invalid, Code: "lost"}, &fault.Error{Kind: fault.NotFound, Code: "unknown"}
	gone := &fault.Error{Kind: fault.NotFound, Code: "gone"}
	type setting struct {
		c *call
		a *plainAdapter
		t *route.Target
		n *dialect.Native
	}
	untranslated := func(s *setting) { s.c.request.Untranslated = lost }
	alone := func(s *setting) { s.c.gateway.host.loopback.Store(true) }
	referring := func(s *setting) { s.n.Refs = []string{"answer-0"} }
	both := func(all ...func(*setting)) func(*setting) {
		return func(s *setting) {
			for _, set := range all {
				set(s)
			}
		}
	}
	for name, tc := range map[string]struct {
		set    func(*setting)
		read   bool
		native bool // it may go as it came
		code   string
		keeper string
	}{
		"it passes":                                 {func(*setting) {}, true, true, "", ""},
		"the target is to have none":                {func(s *setting) { s.t.Native = false }, false, false, "", ""},
		"that, and it can't be translated":          {both(untranslated, func(s *setting) { s.t.Native = false }), false, false, "lost", ""},
		"the adapter doesn't speak its API":         {func(s *setting) { s.a.profile = profileWith("chat") }, false, false, "", ""},
		"nobody knows what the adapter speaks":      {func(s *setting) { s.a.unready = true }, true, true, "", ""},
		"its API has no such requests":              {func(s *setting) { s.a.unready, s.c.request.Native = true, nil }, false, false, "", ""},
		"it can't go there":                         {func(s *setting) { s.n = nil }, true, false, "", ""},
		"that, and it can't be translated, either":  {both(untranslated, func(s *setting) { s.n = nil }), true, false, "lost", ""},
		"there is no memory for it":                 {func(s *setting) { s.n.Size = 1 << 40 }, true, false, "busy", ""},
		"it names what is another's":                {func(s *setting) { s.n.IDs = []string{"file-2"} }, true, false, "unknown", ""},
		"it names its own":                          {func(s *setting) { s.n.IDs = []string{"file-1"} }, true, true, "", "up0"},
		"it refers to its own":                      {func(s *setting) { s.n.Refs = []string{"file-1"} }, true, true, "", "up0"},
		"it refers to nothing of a provider's":      {referring, true, false, "", ""},
		"that, and it can't be translated, as well": {both(untranslated, referring), true, false, "gone", ""},
		"it refers to what nobody else can have":    {both(alone, untranslated, referring), true, true, "", ""},
		"it names what nobody else can have":        {both(alone, referring, func(s *setting) { s.n.IDs = []string{"file-9"} }), true, true, "", ""},
		"that, beside what is its own":              {both(referring, func(s *setting) { s.n.IDs = []string{"file-1"} }), true, false, "unknown", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g, adapter := generationOf(t, memory.New(memory.Options{Limit: 1 << 30}), func(t *route.Target) { t.Native = true }, "http://localhost:1")
			adapter.profile = profileWith("chat", "messages")
			g.host.storedIDs.note("", "file-1", "up0", "m")
			admitted(t, g, chat.Parse, asksWhole, func(ctx context.Context, c *call) {
				read := false
				s := &setting{c, adapter, &c.plan.Targets[0], &dialect.Native{Body: func(_, _ func(string) bool) dialect.Body { return c.request.Body }, Unknown: unknown, Lost: gone}}
				c.request.NativeOp = abi.Messages
				c.request.Native = func() (*dialect.Native, error) {
					read = true
					return s.n, nil
				}
				tc.set(s)
				err := c.readNative(ctx, 100)
				e, _ := err.(*fault.Error)
				if got := ""; e != nil && e.Code != tc.code || e == nil && got != tc.code {
					t.Errorf("%v, want the code %q", err, tc.code)
				}
				if native := c.native != nil; read != tc.read || native != tc.native || c.keeper != tc.keeper {
					t.Errorf("read: %v, may pass: %v, kept at %q; want %v, %v and %q", read, native, c.keeper, tc.read, tc.native, tc.keeper)
				}
			})
		})
	}
	t.Run("what has no chat form stands in for it", func(t *testing.T) {
		g, adapter := generationOf(t, nil, func(t *route.Target) { t.Native = true }, "http://localhost:1")
		adapter.profile = profileWith("messages")
		admitted(t, g, chat.Parse, asksWhole, func(ctx context.Context, c *call) {
			native := c.body
			for _, chatForm := range []dialect.Body{nil, largeBody{native}} {
				c.body, c.request.NativeOp = chatForm, abi.Messages
				c.request.Native = func() (*dialect.Native, error) {
					return &dialect.Native{Body: func(_, _ func(string) bool) dialect.Body { return native }}, nil
				}
				if err := c.readNative(ctx, 100); err != nil {
					t.Error(err)
				}
				if got := c.body == native; got != (chatForm == nil) {
					t.Errorf("the native form stands in for %T: %v", chatForm, got)
				}
			}
		})
	})
}

// TestANativeRequestGoesAsItCame, with the ids that are its own.
func TestANativeRequestGoesAsItCame(t *testing.T) {
	p := startPasses(t, func(t *route.Target) { t.Native = true }, text("TEXT native\nFINISH stop"))
	p.g.host.storedIDs.note("", "file-1", "up0", "m")
	p.g.host.storedIDs.note("", "file-2", "up1", "m")
	var mine []bool
	parse := passable(false, func(r *dialect.Request) {
		own, err := chat.ParseRequest([]byte(`{"model":"m","as":"it came","messages":[{"role":"user","content":"Hi"}]}`))
		if err != nil {
			t.Error(err)
		}
		read := r.Native
		r.Native = func() (*dialect.Native, error) {
			n, err := read()
			n.Body = func(_, isMine func(string) bool) dialect.Body {
				mine = []bool{isMine("file-1"), isMine("file-2"), isMine("file-3")}
				return own
			}
			return n, err
		}
	})
	s, _ := serving(t, p.g, key.Principal{}, parse)
	send(t, s, asksWhole)
	if got := p.ups[0].Last().Body; !strings.Contains(got, "it came") {
		t.Errorf("the upstream got %s", got)
	}
	if want := []bool{true, false, false}; !slices.Equal(mine, want) {
		t.Errorf("the ids that are the caller's there: %v, want %v", mine, want)
	}
}

// TestWhoIsTakenToSpeakAnAPI: many serve OpenAI's chat completions and no Responses, or worse
// ones, so these are used only where it is OpenAI or somebody asked for it.
func TestWhoIsTakenToSpeakAnAPI(t *testing.T) {
	const openAI = "https://api.openai.com/v1"
	for name, tc := range map[string]struct {
		op       abi.Op
		home     string // of the adapter
		base     string
		asked    bool
		ops      []string
		optional map[string]string
		options  string
		want     bool
	}{
		"Responses at home":                          {abi.Responses, openAI, openAI, false, []string{"responses"}, nil, "", true},
		"in a region":                                {abi.Responses, openAI, "https://eu.api.openai.com/v1", false, []string{"responses"}, nil, "", true},
		"elsewhere":                                  {abi.Responses, openAI, "http://localhost:1/v1", false, []string{"responses"}, nil, "", false},
		"elsewhere, where somebody asked for it":     {abi.Responses, openAI, "http://localhost:1/v1", true, []string{"responses"}, nil, "", true},
		"an adapter without it":                      {abi.Responses, openAI, openAI, true, []string{"chat"}, nil, "", false},
		"Messages anywhere":                          {abi.Messages, openAI, "http://localhost:1/v1", false, []string{"messages"}, nil, "", true},
		"their tokens anywhere":                      {abi.CountMessages, openAI, "http://localhost:1/v1", false, []string{"count_messages"}, nil, "", true},
		"by an option, which somebody has set":       {abi.Responses, openAI, "http://localhost:1/v1", false, nil, map[string]string{"responses": "own"}, `{"own":"x"}`, true},
		"by an option, which nobody has set":         {abi.Responses, openAI, "http://localhost:1/v1", false, nil, map[string]string{"responses": "own"}, `{}`, false},
		"a host whose name ends as that of OpenAI's": {abi.Responses, openAI, "https://notapi.openai.com/v1", false, []string{"responses"}, nil, "", false},
		"at its host, without encryption":            {abi.Responses, openAI, "http://api.openai.com/v1", false, []string{"responses"}, nil, "", false},
		"an adapter without an upstream":             {abi.Responses, "", "", false, []string{"responses"}, nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			g, _ := generationOf(t, nil, nil, tc.base)
			target := route.Target{Provider: "up0", NativeAsked: tc.asked, Options: []byte(tc.options)}
			if got := g.speaks(tc.op, &target, modfile.Profile{Ops: tc.ops, OptionalOps: tc.optional, DefaultBaseURL: tc.home}); got != tc.want {
				t.Errorf("speaks is %v, want %v", got, tc.want)
			}
		})
	}
}
