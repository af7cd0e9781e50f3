package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/sdk/abi"
)

// profileWith is that of an adapter with some operations.
func profileWith(ops ...string) *modfile.Profile {
	return &modfile.Profile{Provider: "plain", Ops: ops}
}

// callAt is a request that was admitted, to the first target of a generation.
func callAt(t *testing.T, g *generation, body string) (*call, *route.Target) {
	t.Helper()
	r, err := chat.Parse(t.Context(), []byte(body), dialect.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := g.routes.Plan("m")
	if err != nil {
		t.Fatal(err)
	}
	return &call{gateway: g, plan: plan, request: r, body: r.Body}, &plan.Targets[0]
}

// TestWhatATargetMustBeBeforeItIsAsked: each of these keeps a request from a target, and the
// first that applies is what the client is told.
func TestWhatATargetMustBeBeforeItIsAsked(t *testing.T) {
	type setting struct {
		c      *call
		p      *provider
		a      *plainAdapter
		as     key.Principal
		target *route.Target
	}
	lost := &fault.Error{Kind: fault.Invalid, Code: "lost", Text: "It can't be translated."}
	native := func(s *setting) {
		s.a.profile = profileWith("messages")
		s.c.request.NativeOp = abi.Messages
		s.c.native = &dialect.Native{Body: func(_, _ func(string) bool) dialect.Body { return s.c.request.Body }}
	}
	routes := func(s *setting) { s.a.profile.Routing.Fields = []string{"provider"} }
	both := func(all ...func(*setting)) func(*setting) {
		return func(s *setting) {
			for _, set := range all {
				set(s)
			}
		}
	}
	without := func(s *setting) { s.p.config.Unset = "THE_KEY" }
	loading := func(s *setting) { s.a.wait = wasm.ErrNotReady }
	lacking := func(s *setting) { s.c.request.Op = abi.Embeddings }
	unread := func(s *setting) { native(s); s.a.profile.Ops = []string{"chat", "messages"}; s.c.native = nil }
	speechless := func(s *setting) { native(s); s.a.profile.Ops = []string{"chat"} }
	translated := func(s *setting) { native(s); s.a.profile.Ops = []string{"chat", "messages"}; s.target.Native = false }
	inWords := func(s *setting) {
		s.c.request.Fault = func(e *fault.Error) *fault.Error { return &fault.Error{Kind: e.Kind, Code: "told"} }
	}
	here := func(s *setting) { s.c.request.IDs, s.c.keeper = []string{"file-1"}, "up0" }
	untold := func(s *setting) { s.c.request.Untranslated = lost }
	elsewhere := func(s *setting) { s.c.request.IDs, s.c.keeper = []string{"file-1"}, "up1" }
	full := func(s *setting) {
		total := memory.New(memory.Options{Limit: 1 << 30})
		grant := total.Grant()
		_ = grant.Hold(1 << 20)
		s.c.memory, s.p.share = &grant, total.Share("up0", 1<<10)
	}
	for name, tc := range map[string]struct {
		set    func(*setting)
		kind   fault.Kind
		code   string
		native bool
		ok     bool
	}{
		"nothing keeps it":                         {set: func(*setting) {}, ok: true},
		"the provider has no key":                  {set: without, kind: fault.Unusable, code: "provider_not_configured"},
		"its adapter is loading":                   {set: loading, kind: fault.Unready, code: "adapter_loading"},
		"its adapter is broken":                    {set: func(s *setting) { s.a.wait = errors.New("no module") }, kind: fault.Unusable, code: "adapter_error"},
		"a key comes before a loading adapter":     {set: both(without, loading), kind: fault.Unusable, code: "provider_not_configured"},
		"a loading adapter before its abilities":   {set: both(loading, lacking), kind: fault.Unready, code: "adapter_loading"},
		"the adapter lacks the operation":          {set: lacking, kind: fault.Unable, code: "unsupported_operation"},
		"it goes there as it came":                 {set: native, native: true, ok: true},
		"as it came, whatever a translation lacks": {set: both(native, lacking, untold), native: true, ok: true},
		"it was not read for that":                 {set: unread, ok: true},
		"the adapter doesn't speak its API":        {set: speechless, ok: true},
		"the target is to have it translated":      {set: translated, ok: true},
		"this upstream keeps what it names":        {set: here, ok: true},
		"as it came, where that is kept":           {set: both(native, here), native: true, ok: true},
		"not as it came, where it is not":          {set: both(native, elsewhere), kind: fault.NotFound},
		"what it chooses, in the client's words":   {set: both(routes, inWords), kind: fault.Forbidden, code: "told"},
		"as it came, in words that are its own":    {set: both(native, routes, inWords), kind: fault.Forbidden},
		"it can't be translated":                   {set: untold, kind: fault.Invalid, code: "lost"},
		"that, of an ability that models have":     {set: both(untold, lacking), kind: fault.Unable, code: "unsupported_operation"},
		"another upstream keeps what it names":     {set: elsewhere, kind: fault.NotFound},
		"that, before its abilities, too":          {set: both(elsewhere, lacking), kind: fault.NotFound},
		"it chooses a provider there":              {set: routes, kind: fault.Forbidden},
		"as it came, too":                          {set: both(native, routes), kind: fault.Forbidden},
		"which this key may":                       {set: both(routes, func(s *setting) { s.as.Routes = true }), ok: true},
		"abilities before what it chooses":         {set: both(routes, lacking), kind: fault.Unable, code: "unsupported_operation"},
		"the provider's memory is full":            {set: full, kind: fault.ShareFull, code: "busy"},
		"what it chooses before the memory":        {set: both(routes, full), kind: fault.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			g, adapter := generationOf(t, nil, func(t *route.Target) { t.Native = true }, "http://localhost:1")
			adapter.profile = profileWith("chat")
			c, target := callAt(t, g, `{"model":"m","provider":{},"messages":[{"role":"user","content":"Hi"}]}`)
			asked := *target
			s := &setting{c, g.providers["up0"], adapter, key.Principal{}, &asked}
			tc.set(s)
			native, err := c.prepare(key.WithPrincipal(t.Context(), s.as), s.p, asked)
			var e *fault.Error
			errors.As(err, &e)
			switch {
			case (err == nil) != tc.ok || native != (tc.native && tc.ok):
				t.Errorf("native %v, %v; want native %v, success %v", native, err, tc.native, tc.ok)
			case err != nil && (e == nil || e.Kind != tc.kind || e.Code != tc.code):
				t.Errorf("%#v, want kind %v and code %q", err, tc.kind, tc.code)
			}
		})
	}
}

// TestWhoCanDoWhatATargetCant: the client is told where it can ask for a model that can.
func TestWhoCanDoWhatATargetCant(t *testing.T) {
	base := errors.New("as it was")
	for name, tc := range map[string]struct {
		op   abi.Op
		able int // aliases that can
		want string
	}{
		"one can":                        {abi.Embeddings, 1, "The model 'm' can't make embeddings; these can: able-0"},
		"some can":                       {abi.Embeddings, 2, "The model 'm' can't make embeddings; these can: able-0, able-1"},
		"many can":                       {abi.Embeddings, 11, "The model 'm' can't make embeddings; GET /v1/models lists which can."},
		"none can":                       {abi.Embeddings, 0, "The model 'm' can't make embeddings; no model that is configured here and that this key may use can."},
		"chat is instead of completions": {abi.Completions, 1, "The model 'm' can't complete text; ask it at /v1/chat/completions, or another model: these can: able-0"},
		"what all have":                  {abi.Chat, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g, _ := generationOf(t, nil, nil, "http://localhost:1")
			g.providers["able"] = &provider{adapter: &plainAdapter{profile: profileWith("embeddings", "completions")}}
			aliases := []route.Alias{{Name: "m", Sole: true, Entries: []route.Entry{{Target: route.Target{Provider: "up0", Upstream: "up0"}, Weight: 1, Tier: 1}}}}
			for i := range tc.able {
				aliases = append(aliases, route.Alias{Name: fmt.Sprint("able-", i), Sole: true, Entries: []route.Entry{{Target: route.Target{Provider: "able", Upstream: "able"}, Weight: 1, Tier: 1}}})
			}
			var err error
			if g.routes, err = route.New(aliases, "m", route.NewCells()); err != nil {
				t.Fatal(err)
			}
			c, _ := callAt(t, g, `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`)
			c.request.Op = tc.op
			err = c.unserved(t.Context(), base)
			e, ok := errors.AsType[*fault.Error](err)
			switch {
			case tc.want == "" && err != base:
				t.Errorf("%v, want the error as it was", err)
			case tc.want != "" && (!ok || e.Kind != fault.Unable || e.Param != "model" || e.Text != tc.want):
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// TestTheFirstTokenHasATime: a stream that has no content in it is given up for the next
// target. Heads, comments and what is no content don't count, and no other answer has it.
func TestTheFirstTokenHasATime(t *testing.T) {
	silent := mock.Steps(mock.Header("X-A", "b"), events(`USAGE {"prompt_tokens":1}`), mock.Hang)
	for name, tc := range map[string]struct {
		first   mock.Answer
		stream  bool
		time    time.Duration
		content string
		class   string // of the first attempt
	}{
		"a stream without content":     {silent, true, time.Millisecond, "good", "slow"},
		"a stream that has as long":    {events("TEXT first", "FINISH stop"), true, time.Hour, "first", ""},
		"a stream that may take long":  {events("TEXT first", "FINISH stop"), true, 0, "first", ""},
		"an answer that is no stream":  {text("TEXT first\nFINISH stop"), false, time.Nanosecond, "first", ""},
		"a failure of another sort":    {events(`ERROR {"message":"Broken."}`), true, time.Hour, "good", "server"},
		"one that never sends a head":  {mock.Hang, true, time.Millisecond, "good", "slow"},
		"one that sends only comments": {mock.Steps(mock.SSE(": a\n\n"), mock.Hang), true, time.Millisecond, "good", "slow"},
	} {
		t.Run(name, func(t *testing.T) {
			good := text("TEXT good\nFINISH stop")
			if tc.stream {
				good = events("TEXT good", "FINISH stop")
			}
			set := func(t *route.Target) {
				if t.Provider == "up0" {
					t.FirstToken = tc.time
				}
			}
			g, _ := generationOf(t, nil, set, mock.Start(t, tc.first).URL, mock.Start(t, good).URL)
			server, last := serving(t, g, key.Principal{}, chat.Parse)
			if _, content, failure := ask(t, server, tc.stream, "Hi"); content != tc.content || failure != "" {
				t.Errorf("got %q and the error %q, want %q", content, failure, tc.content)
			}
			server.Close()
			if first := last().Attempts[0]; first.Class != tc.class {
				t.Errorf("the first attempt ended as %q, want %q", first.Class, tc.class)
			}
		})
	}
	t.Run("content stops the clock", func(t *testing.T) {
		g, _ := generationOf(t, nil, nil, "http://localhost:1")
		c, _ := callAt(t, g, `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`)
		a := &attempt{call: c, firstToken: time.NewTimer(time.Hour), answer: &wholeAnswer{Answer: c.request.Whole(dialect.Info{})}}
		for _, step := range []struct {
			emission abi.Emission
			runs     bool
		}{{abi.Emission{Kind: abi.Usage, Data: []byte("{}")}, true}, {abi.Emission{Kind: abi.Text, Data: []byte("a")}, false}} {
			if err := a.apply([]abi.Emission{step.emission}); err != nil {
				t.Fatal(err)
			}
			if runs := a.firstToken.Reset(time.Hour); runs != step.runs {
				t.Errorf("after %v, the clock runs: %v, want %v", step.emission.Kind, runs, step.runs)
			}
		}
	})
}

// TestWhatAClientIsToldOfACallThatBroke: the kind says whose fault it is, and the text names
// the provider and nothing of the cause.
func TestWhatAClientIsToldOfACallThatBroke(t *testing.T) {
	full, gone := &memory.Error{Limit: 1}, &fault.Error{Kind: fault.Gone, Text: "gone"}
	broke := func(kind wasm.FailureKind, large bool) error {
		return fmt.Errorf("call: %w", &wasm.CallError{Kind: kind, Large: large, Err: errors.New("secret")})
	}
	for name, tc := range map[string]struct {
		err  error
		sent bool // something was sent upstream before
		ends error
		kind fault.Kind
		code string
		says string
		wait time.Duration
		same bool // the error is handed on
	}{
		"the client is gone":                  {err: broke(wasm.Trap, false), ends: gone, kind: fault.Gone, says: "gone"},
		"no memory for an instance":           {err: fmt.Errorf("%w: %w", wasm.ErrNoMemory, full), kind: fault.Full, code: "busy", wait: time.Second},
		"no memory for what it says":          {err: full, same: true},
		"no processor":                        {err: wasm.ErrBusy, kind: fault.Full, code: "busy", says: "Kai is busy", wait: time.Second},
		"an adapter that is paused":           {err: &wasm.PausedError{Left: 5 * time.Second}, kind: fault.Unready, code: "adapter_paused", says: "'up0' failed repeatedly", wait: 5001 * time.Millisecond},
		"a large request that needs work":     {err: broke(wasm.OutOfFuel, true), kind: fault.TooLarge, says: "more work (limits.fuel) than"},
		"a large request that needs time":     {err: broke(wasm.OutOfTime, true), kind: fault.TooLarge, says: "more time (limits.time) than"},
		"a large request that needs memory":   {err: broke(wasm.OutOfMemory, true), kind: fault.TooLarge, says: "more memory (limits.memory) than"},
		"a large answer that needs work":      {err: broke(wasm.OutOfFuel, true), sent: true, kind: fault.Adapter, code: "adapter_error", says: "'up0' failed"},
		"a small request that needs work":     {err: broke(wasm.OutOfFuel, false), kind: fault.Adapter, code: "adapter_error", says: "'up0' failed"},
		"a request that is over limits.input": {err: broke(wasm.TooLarge, false), kind: fault.TooLarge, code: "request_too_large", says: ".limits.input allows "},
		"an answer that is over limits.input": {err: broke(wasm.TooLarge, false), sent: true, kind: fault.Upstream, code: "upstream_error", says: "limits.input allows"},
		"a trap":                              {err: broke(wasm.Trap, false), kind: fault.Adapter, code: "adapter_error", says: "'up0' failed"},
		"anything else":                       {err: errors.New("secret"), kind: fault.Adapter, code: "adapter_error", says: "'up0' failed"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if tc.ends != nil {
				cancel(tc.ends)
			}
			a := &attempt{provider: &provider{name: "up0"}, sent: tc.sent}
			err := a.callError(ctx, tc.err)
			if tc.same {
				if err != tc.err {
					t.Errorf("%v, want the error as it was", err)
				}
				return
			}
			e, ok := errors.AsType[*fault.Error](err)
			if !ok || e.Kind != tc.kind || e.Code != tc.code || !strings.Contains(e.Text, tc.says) || strings.Contains(e.Text, "secret") || e.RetryAfter != tc.wait {
				t.Errorf("%#v, want kind %v, code %q, a wait of %v and %q", err, tc.kind, tc.code, tc.wait, tc.says)
			}
			if tc.ends == nil && !errors.Is(err, tc.err) {
				t.Error("the log doesn't get the cause")
			}
		})
	}
}

// TestErrorsOfAnAttempt: what is short of memory is nobody's mistake, and what can't be put
// together is the adapter's.
func TestErrorsOfAnAttempt(t *testing.T) {
	a := &attempt{provider: &provider{name: "up0"}}
	total, share, other := &memory.Error{Limit: 1}, &memory.Error{Share: "up0", Limit: 1}, errors.New("damaged")
	busy := &fault.Error{Kind: fault.Full, Cause: total}
	for name, tc := range map[string]struct {
		got  error
		same error
		kind fault.Kind
		says string
	}{
		"content without memory":          {got: a.contentError(fmt.Errorf("put back: %w", total)), same: total},
		"content that is damaged":         {got: a.contentError(other), kind: fault.Adapter, says: "'up0' made an answer that can't be put together"},
		"the gateway's memory":            {got: a.memoryError(total), kind: fault.Full},
		"the provider's memory":           {got: a.memoryError(share), kind: fault.Share, says: "'up0' may hold no more memory (limits.share)"},
		"what was told of memory already": {got: a.memoryError(busy), same: busy},
		"what failed for want of memory":  {got: a.memoryError(&fault.Error{Kind: fault.Share, Cause: share, Text: "no memory left"}), kind: fault.Share, says: "'up0' may hold no more memory (limits.share)"},
		"the same of the gateway's":       {got: a.memoryError(&fault.Error{Kind: fault.Share, Cause: total}), kind: fault.Full},
		"no memory error":                 {got: a.memoryError(other), same: other},
	} {
		e, ok := errors.AsType[*fault.Error](tc.got)
		switch {
		case tc.same == error(busy) && tc.got != tc.same, tc.same != nil && !errors.Is(tc.got, tc.same), tc.same != nil && tc.same != error(busy) && ok:
			t.Errorf("%s: %#v, want the error as it was", name, tc.got)
		case tc.same == nil && (!ok || e.Kind != tc.kind || !strings.Contains(e.Text, tc.says)):
			t.Errorf("%s: %#v, want kind %v and %q", name, tc.got, tc.kind, tc.says)
		}
	}
}

// TestWhatHasToBeDoneBeforeAnUpstreamAnswers is told with the error that nothing is there.
func TestWhatHasToBeDoneBeforeAnUpstreamAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		err   error
		setup string
		want  string
	}{
		"no connection":           {&fault.Error{Kind: fault.Unsent, Text: "Nothing there."}, "run 'it pull {model}'", "Nothing there. To use this model, run 'it pull m'."},
		"no connection in time":   {&fault.Error{Kind: fault.UnsentSlow, Text: "Nothing there."}, "run it", "Nothing there. To use this model, run it."},
		"nothing has to be done":  {&fault.Error{Kind: fault.Unsent, Text: "Nothing there."}, "", "Nothing there."},
		"a failure of the server": {&fault.Error{Kind: fault.Upstream, Text: "Broken."}, "run it", "Broken."},
		"no failure of anybody's": {errors.New("gone"), "run it", "gone"},
	} {
		p := &provider{name: "up0", config: config.Provider{BaseURL: "http://localhost:1"}, adapter: &plainAdapter{}, profile: modfile.Profile{Setup: tc.setup}}
		for model, said := range map[string]string{"m": "", "": " The request names no model, so it is for the default one, 'a'."} {
			want := strings.Replace(tc.want, " To use", said+" To use", 1)
			c := &call{request: &dialect.Request{Model: model}, plan: &route.Plan{Alias: "a"}}
			if got := (&attempt{call: c, provider: p, target: route.Target{Model: "m"}}).withSetup(tc.err); got.Error() != want {
				t.Errorf("%s, asked for %q: %q, want %q", name, model, got, want)
			}
		}
	}
}

// TestWhatIsARefusedWish: the upstream names the field, and has answered nothing.
func TestWhatIsARefusedWish(t *testing.T) {
	refused := func(kind fault.Kind, param string) error { return &fault.Error{Kind: kind, Param: param} }
	for name, tc := range map[string]struct {
		wish  string
		spoke bool
		err   error
		want  bool
	}{
		"the field":                 {"f", false, refused(fault.RefusedField, "f"), true},
		"its value":                 {"f", false, refused(fault.RefusedValue, "f"), true},
		"what wraps it":             {"f", false, fmt.Errorf("step: %w", refused(fault.RefusedField, "f")), true},
		"another field":             {"f", false, refused(fault.RefusedField, "g"), false},
		"a field without a name":    {"", false, refused(fault.RefusedField, ""), false},
		"after content":             {"f", true, refused(fault.RefusedField, "f"), false},
		"a failure about the field": {"f", false, refused(fault.Rate, "f"), false},
		"no failure of anybody's":   {"f", false, errors.New("gone"), false},
	} {
		if got := (&attempt{wish: tc.wish, hasContent: tc.spoke}).refusesWish(tc.err); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// TestWhenARequestIsForgotten: as soon as nothing can need it: no further step, no further part,
// no other target, no repeat without the wish, and no translation.
func TestWhenARequestIsForgotten(t *testing.T) {
	done := attempt{finalStep: true, committed: true, hasContent: true, accepted: true}
	for name, tc := range map[string]struct {
		set       func(*attempt)
		forgotten bool
	}{
		"content at the last step":            {func(*attempt) {}, true},
		"a step may follow":                   {func(a *attempt) { a.finalStep = false }, false},
		"a part of it follows":                {func(a *attempt) { a.more = true }, false},
		"another target may be asked":         {func(a *attempt) { a.committed, a.hasContent = false, false }, false},
		"it is the last target":               {func(a *attempt) { a.committed, a.hasContent, a.last = false, false, true }, true},
		"its wish may be refused":             {func(a *attempt) { a.committed, a.hasContent, a.last, a.wish = false, false, true, "f" }, false},
		"its wish was not":                    {func(a *attempt) { a.committed, a.last, a.wish = false, true, "f" }, true},
		"it may have to be translated":        {func(a *attempt) { a.accepted, a.translates = false, true }, false},
		"it was accepted without translation": {func(a *attempt) { a.translates = true }, true},
		"it would not be translated":          {func(a *attempt) { a.accepted = false }, true},
	} {
		t.Run(name, func(t *testing.T) {
			total := memory.New(memory.Options{Limit: 1 << 30})
			g, _ := generationOf(t, total, nil, "http://localhost:1")
			admitted(t, g, changed(func(r *dialect.Request) { r.Size += 1 << 20 }), asksWhole, func(_ context.Context, c *call) {
				a := done
				a.call = c
				tc.set(&a)
				a.releaseRequest()
				if forgotten := c.body == nil; forgotten != tc.forgotten {
					t.Errorf("the request was forgotten: %v, want %v", forgotten, tc.forgotten)
				}
				c.forgetRequest()
				_ = c.memory.Hold(2 << 20) // of something else
				held := c.memory.Used()
				if c.forgetRequest(); c.memory.Used() != held {
					t.Errorf("a second time, %d bytes were given back", held-c.memory.Used())
				}
			})
		})
	}
}

// TestLongStringsOfAnAnswerAreTakenOut, and vectors of embeddings, unless the adapter wants them.
func TestLongStringsOfAnAnswerAreTakenOut(t *testing.T) {
	words := []byte(`{"a":"` + strings.Repeat("x", 100<<10) + `"}`)
	numbers := []byte(`{"a":[` + strings.Repeat("1.5,", 40) + `2]}`)
	for name, tc := range map[string]struct {
		a      attempt
		status int
		answer []byte
		taken  bool
	}{
		"a string":                        {attempt{op: abi.Chat}, 200, words, true},
		"a string, for who wants it":      {attempt{op: abi.Chat, plain: true}, 200, words, false},
		"numbers":                         {attempt{op: abi.Chat}, 200, numbers, false},
		"a vector":                        {attempt{op: abi.Embeddings}, 200, numbers, true},
		"numbers in an error":             {attempt{op: abi.Embeddings}, 400, numbers, false},
		"a string in an error of vectors": {attempt{op: abi.Embeddings}, 400, words, true},
	} {
		tc.a.call = &call{}
		short, content, err := tc.a.shortenWhole(tc.status, tc.answer)
		if taken := content != nil; err != nil || taken != tc.taken || taken != (len(short) < len(tc.answer)) {
			t.Errorf("%s: %d of %d bytes are left, %v", name, len(short), len(tc.answer), err)
		}
	}
	a := &attempt{call: &call{}, provider: &provider{name: "up0"}}
	a.provider.config.Limits.StreamOutput = 1 << 30
	short, content, err := a.shortenWhole(200, words)
	if err != nil {
		t.Fatal(err)
	}
	a.batch.Append(abi.Emission{Kind: abi.Text}, short[len(`{"a":"`):len(short)-len(`@"}`)])
	if _, err := a.applyAnswer(t.Context(), false, nil, content); fault.KindOf(err) != fault.Adapter {
		t.Errorf("a damaged token: %v, want the adapter's mistake", err)
	}
}

// halfAnswer is an answer that is complete or not, whatever is applied.
type halfAnswer struct {
	answer
	done  bool
	fails error // of a part that begins
}

func (a halfAnswer) part(int) error { return a.fails }

// TestAPartThatCantBeginIsNotAskedFor.
func TestAPartThatCantBeginIsNotAskedFor(t *testing.T) {
	g, adapter := generationOf(t, nil, nil, mock.Start(t, text("TEXT good")).URL)
	admitted(t, g, chat.Parse, asksWhole, func(ctx context.Context, c *call) {
		failed := errors.New("no part")
		a := &attempt{call: c, provider: g.providers["up0"], adapter: adapter, op: abi.Chat, answer: halfAnswer{fails: failed}}
		if err := a.run(ctx); err != failed || adapter.requests.Load() > 0 {
			t.Errorf("%v after %d requests", err, adapter.requests.Load())
		}
	})
}

func (halfAnswer) apply([]abi.Emission) error { return nil }
func (a halfAnswer) complete() bool           { return a.done }

// TestWhatFailsAfterACompleteAnswer doesn't matter, unless the client has gone.
func TestWhatFailsAfterACompleteAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		complete, gone bool
		fails          bool
	}{
		"complete":                     {true, false, false},
		"not complete":                 {false, false, true},
		"complete, to nobody":          {true, true, true},
		"not complete, nor to anybody": {false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			g, adapter := generationOf(t, nil, nil, mock.Nowhere(t))
			admitted(t, g, chat.Parse, `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`, func(ctx context.Context, c *call) {
				p := g.providers["up0"]
				if err := p.prepare(ctx, time.Minute); err != nil {
					t.Error(err)
				}
				a := &attempt{call: c, provider: p, adapter: adapter, target: c.plan.Targets[0], op: abi.Chat, answer: halfAnswer{done: tc.complete}}
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				if tc.gone {
					adapter.asked = func(abi.Op) { cancel() }
				}
				if err := a.runPart(ctx); (err != nil) != tc.fails {
					t.Errorf("%v, want a failure: %v", err, tc.fails)
				}
			})
		})
	}
}

// TestNobodyIsLeftToAsk: what failed comes first, then whichever ends sooner, that targets asked
// to be left alone or are full, and last that the key may not use them.
func TestNobodyIsLeftToAsk(t *testing.T) {
	now := time.Unix(1000, 0)
	g, _ := generationOf(t, nil, nil, "http://localhost:1")
	g.now = func() time.Time { return now }
	told := &fault.Error{Kind: fault.Upstream, Text: "broken"}
	cooled := func(kind fault.Kind, wait time.Duration) error {
		return fmt.Errorf("choose: %w", &route.Cooled{Kind: kind, Until: now.Add(wait)})
	}
	full := func(wait time.Duration) *limit.Refusal { return &limit.Refusal{Wait: wait} }
	for name, tc := range map[string]struct {
		told    error
		full    *limit.Refusal
		err     error
		kind    fault.Kind
		code    string
		wait    time.Duration
		noRetry bool
	}{
		"a failure":                 {told: told, full: full(time.Second), err: cooled(fault.Rate, time.Second), kind: fault.Upstream},
		"all were asked too often":  {err: cooled(fault.Rate, 9*time.Second), kind: fault.Rate, code: "rate_limit_exceeded", wait: 9 * time.Second},
		"cooled before one is free": {full: full(20 * time.Second), err: cooled(fault.Rate, 9*time.Second), kind: fault.Rate, code: "rate_limit_exceeded", wait: 9 * time.Second},
		"one is free before cooled": {full: full(3 * time.Second), err: cooled(fault.Rate, 9*time.Second), kind: fault.Saturated, code: "rate_limit_exceeded", wait: 3 * time.Second},
		"one that is never free":    {full: full(-1), err: cooled(fault.Rate, 9*time.Second), kind: fault.Rate, code: "rate_limit_exceeded", wait: 9 * time.Second},
		"all are busy":              {err: cooled(fault.Busy, 9*time.Second), kind: fault.Busy, code: "overloaded", wait: 9 * time.Second},
		"for less than a second":    {err: cooled(fault.Busy, time.Millisecond), kind: fault.Busy, code: "overloaded", wait: time.Second},
		"for longer than they wait": {err: cooled(fault.Rate, time.Hour), kind: fault.Rate, code: "rate_limit_exceeded", wait: time.Hour, noRetry: true},
		"all are full":              {full: full(3 * time.Second), kind: fault.Saturated, code: "rate_limit_exceeded", wait: 3 * time.Second},
		"full for hours":            {full: full(time.Hour), kind: fault.Saturated, code: "rate_limit_exceeded", wait: time.Hour, noRetry: true},
		"nobody knows whether":      {full: &limit.Refusal{Unavailable: true, Wait: time.Second}, kind: fault.Full, code: "limits_unavailable", wait: time.Second},
		"the key may use none":      {kind: fault.Forbidden, code: "model_not_allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := callAt(t, g, `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`)
			s := &search{call: c, failure: tc.told, full: tc.full}
			e, ok := errors.AsType[*fault.Error](s.exhausted(tc.err))
			if !ok || e.Kind != tc.kind || e.Code != tc.code || e.RetryAfter != tc.wait || e.NoRetry != tc.noRetry {
				t.Errorf("%#v, want kind %v, code %q, a wait of %v, and that a repeat is in vain: %v", e, tc.kind, tc.code, tc.wait, tc.noRetry)
			}
		})
	}
}

// TestAKeyIsLedOnlyWhereItMayGo: it must be allowed every alias on the way to a target.
func TestAKeyIsLedOnlyWhereItMayGo(t *testing.T) {
	to := func(model string) route.Entry {
		return route.Entry{Target: route.Target{Provider: "up0", Upstream: "up0", Model: model}, Weight: 1, Tier: 1}
	}
	table, err := route.New([]route.Alias{
		{Name: "m", Entries: []route.Entry{{Alias: "inner", Weight: 1, Tier: 1}, to("a")}}, {Name: "inner", Entries: []route.Entry{to("b")}},
	}, "m", route.NewCells())
	if err != nil {
		t.Fatal(err)
	}
	plan, err := table.Plan("m")
	if err != nil || len(plan.Targets) != 2 {
		t.Fatalf("%d targets, %v", len(plan.Targets), err)
	}
	for name, tc := range map[string]struct {
		models *key.Models
		inner  bool
	}{
		"all aliases":    {nil, true},
		"both":           {key.NewModels([]string{"m", "inner"}), true},
		"not the second": {key.NewModels([]string{"m"}), false},
	} {
		for _, target := range plan.Targets {
			want := len(target.Via()) == 0 || tc.inner
			if got := mayLeadTo(&key.Principal{Models: tc.models}, &target); got != want {
				t.Errorf("a key for %s may be led by way of %q: %v, want %v", name, target.Via(), got, want)
			}
		}
	}
}

// TestThisMachinesFaultSaysNothingOfATarget, nor does a client that hung up.
func TestThisMachinesFaultSaysNothingOfATarget(t *testing.T) {
	broken := &fault.Error{Kind: fault.Upstream}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context
		err  error
		kind fault.Kind
	}{
		"a failure of the target's": {t.Context(), broken, fault.Upstream},
		"the client is gone":        {gone, broken, fault.Gone},
		"too many files":            {t.Context(), &fault.Error{Kind: fault.NoFiles, Cause: syscall.EMFILE}, fault.Gone},
		"too many of the system's":  {t.Context(), &fault.Error{Kind: fault.NoFiles, Cause: syscall.ENFILE}, fault.Gone},
	} {
		if got := fault.KindOf(healthOf(tc.ctx, tc.err)); got != tc.kind {
			t.Errorf("%s: %v, want %v", name, got, tc.kind)
		}
	}
	for _, ctx := range []context.Context{t.Context(), gone} {
		if err := healthOf(ctx, nil); err != nil {
			t.Errorf("a success is %v", err)
		}
	}
}
