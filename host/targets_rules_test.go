package host

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/price"
	"github.com/kai-gateway/kai/host/record"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/sdk/abi"
)

// realias changes the alias m of a generation.
func realias(t *testing.T, g *generation, set func(*route.Alias)) {
	t.Helper()
	plan, err := g.routes.Plan("m")
	if err != nil {
		t.Fatal(err)
	}
	alias := route.Alias{Name: "m", Sole: plan.Sole, Routing: plan.Routing}
	for i, target := range plan.Targets {
		alias.Entries = append(alias.Entries, route.Entry{Target: target, Weight: 1, Tier: i + 1})
	}
	set(&alias)
	if g.routes, err = route.New([]route.Alias{alias}, "m", route.NewCells()); err != nil {
		t.Fatal(err)
	}
}

// TestWhoIsAskedAfterAFailure: the next target, or after a wait the same one once more, within
// the attempts and the time that there are.
func TestWhoIsAskedAfterAFailure(t *testing.T) {
	const (
		broken  = `ERROR {"status":500,"message":"Broken."}`
		busy    = `ERROR {"status":503,"message":"Busy."}`
		soon    = `ERROR {"status":503,"retry_after_ms":2000,"message":"Soon."}`
		later   = `ERROR {"status":503,"retry_after_ms":30000,"message":"Later."}`
		tooLong = `ERROR {"status":400,"code":"context_length_exceeded","message":"Too long."}`
		policy  = `ERROR {"status":400,"code":"content_policy_violation","message":"Not that."}`
		good    = "TEXT good\nFINISH stop"
	)
	type alias = route.Alias
	for name, tc := range map[string]struct {
		answers [][]string // of each target
		set     func(*alias)
		early   func(*generation)
		change  func(*dialect.Request)
		want    []string
		says    string
	}{
		"the next one":                     {answers: [][]string{{broken}, {good}}, want: []string{"up0", "up1"}, says: "good"},
		"nobody, if all have failed":       {answers: [][]string{{broken}, {broken}}, want: []string{"up0", "up1"}, says: "Broken."},
		"a busy one once more":             {answers: [][]string{{broken}, {busy, good}}, want: []string{"up0", "up1", "up1"}, says: "good"},
		"a busy one only if no other can":  {answers: [][]string{{busy, good}, {good}}, want: []string{"up0", "up1"}, says: "good"},
		"a busy one no third time":         {answers: [][]string{{broken}, {busy, busy, good}}, want: []string{"up0", "up1", "up1"}, says: "Busy."},
		"a broken one not again":           {answers: [][]string{{broken}, {broken, good}}, want: []string{"up0", "up1"}, says: "Broken."},
		"a busy one not after a long wait": {answers: [][]string{{broken}, {later, good}}, want: []string{"up0", "up1"}, says: "Later."},
		"as many as the attempts":          {answers: [][]string{{broken}, {busy, good}}, set: func(a *alias) { a.Routing.Attempts = 2 }, want: []string{"up0", "up1"}, says: "Busy."},
		"nobody after the deadline": {answers: [][]string{{broken}, {good}}, early: func(g *generation) {
			now := time.Unix(1000, 0)
			g.now = func() time.Time { now = now.Add(40 * time.Second); return now }
		}, want: []string{"up0"}, says: "Broken."},
		"nobody, where the wait has ended": {answers: [][]string{{broken}, {soon, good}}, early: func(g *generation) {
			g.host.opts.Sleep = func(_ context.Context, d time.Duration) error {
				if d == 0 { // that of an adapter's step
					return nil
				}
				return &fault.Error{Kind: fault.Stopping, Text: "Stopped."}
			}
		}, want: []string{"up0", "up1"}, says: "Stopped."},
		"nobody, where there is no more room": {answers: [][]string{{broken}, {busy, good}}, early: func(g *generation) {
			g.host.limits = limit.NewLocal(limit.Options{})
			g.capacities[1] = []*limit.Bucket{{ID: "up1", Owner: limit.Target, Unit: limit.Requests, Limit: 1, Window: time.Hour}}
		}, want: []string{"up0", "up1"}, says: "Busy."},
		"one that takes more tokens": {answers: [][]string{{tooLong}, {good}, {good}}, set: func(a *alias) {
			for i, n := range []int64{8000, 4000, 16000} {
				a.Entries[i].Context = n
			}
		}, want: []string{"up0", "up2"}, says: "good"},
		"nobody, for what its rules forbid":  {answers: [][]string{{policy}, {good}}, want: []string{"up0"}, says: "Not that."},
		"the next one, if that is wanted":    {answers: [][]string{{policy}, {good}}, set: func(a *alias) { a.OnPolicy = true }, want: []string{"up0", "up1"}, says: "good"},
		"a lone one is asked once":           {answers: [][]string{{busy, good}}, set: func(a *alias) { a.Routing.Attempts = 4 }, want: []string{"up0"}, says: "Busy."},
		"one that is able to":                {answers: [][]string{{broken}, {good}}, set: func(a *alias) { a.Routing.Attempts = 1 }, early: func(g *generation) { g.providers["up0"].adapter = &plainAdapter{profile: profileWith("embeddings")} }, want: []string{"up1"}, says: "good"},
		"the first one, if none is able to":  {answers: [][]string{{good}, {good}}, change: func(r *dialect.Request) { r.Op = abi.Embeddings }, says: "can't make embeddings"},
		"nobody, where a slow one may go on": {answers: [][]string{{""}, {good}}, set: func(a *alias) { a.Entries[0].FirstToken = time.Millisecond }, change: func(r *dialect.Request) { r.Lasting = true }, says: "first_token"},
		"the next one after a slow one":      {answers: [][]string{{""}, {good}}, set: func(a *alias) { a.Entries[0].FirstToken = time.Millisecond }, want: []string{"up1"}, says: "good"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked steps
			var bases []string
			for i, all := range tc.answers {
				var answers []mock.Answer
				for _, a := range all {
					if a == "" { // it may be given up before it is asked
						answers = append(answers, mock.Hang)
						continue
					}
					answers = append(answers, mock.Steps(func(*mock.Exchange) { asked.note(fmt.Sprint("up", i)) }, events(strings.Split(a, "\n")...)))
				}
				bases = append(bases, mock.Start(t, mock.InTurn(answers...)).URL)
			}
			g, _ := generationOf(t, nil, nil, bases...)
			realias(t, g, func(a *alias) {
				a.Routing.Attempts, a.Routing.BackoffMax = 4, 10*time.Second
				if tc.set != nil {
					tc.set(a)
				}
			})
			if tc.early != nil {
				tc.early(g)
			}
			s, _ := serving(t, g, key.Principal{}, changed(func(r *dialect.Request) {
				if tc.change != nil {
					tc.change(r)
				}
			}))
			if _, answer := send(t, s, asksStream); !strings.Contains(answer, tc.says) {
				t.Errorf("the answer is %s, want %q", answer, tc.says)
			}
			if got := asked.taken(); !slices.Equal(got, tc.want) {
				t.Errorf("%q was asked, want %q", got, tc.want)
			}
		})
	}
}

// TestAClientThatHasGoneIsNotAskedFor anywhere else.
func TestAClientThatHasGoneIsNotAskedFor(t *testing.T) {
	up := mock.Start(t, mock.Status(500))
	g, adapter := generationOf(t, nil, nil, up.URL, up.URL)
	admitted(t, g, chat.Parse, asksWhole, func(ctx context.Context, c *call) {
		ctx, leave := context.WithCancel(ctx)
		adapter.response = func(out *wasm.Batch) (bool, error) {
			leave()
			return state([]byte(`ERROR {"status":500,"message":"Broken."}`), out), nil
		}
		if err := c.whole(ctx); err == nil || adapter.requests.Load() != 1 {
			t.Errorf("%d attempts, %v", adapter.requests.Load(), err)
		}
	})
}

// TestAnAnswerSaysHowManyAttemptsItTook, where there may be several.
func TestAnAnswerSaysHowManyAttemptsItTook(t *testing.T) {
	for n, want := range map[int]string{1: "", 2: "2"} {
		bases := []string{mock.Start(t, mock.Status(500)).URL, mock.Start(t, text("TEXT good\nFINISH stop")).URL}[2-n:]
		g, _ := generationOf(t, nil, nil, bases...)
		s, _ := serving(t, g, key.Principal{}, chat.Parse)
		res, err := http.Post(s.URL+api.ChatPath, "application/json", strings.NewReader(asksWhole))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("X-Kai-Attempts"); got != want {
			t.Errorf("of %d targets: %q, want %q", n, got, want)
		}
	}
}

// TestAPanicIsAnEstimate: nobody knows how far the attempt had come.
func TestAPanicIsAnEstimate(t *testing.T) {
	g, adapter := generationOf(t, nil, nil, "http://localhost:1")
	adapter.asked = func(abi.Op) { panic("a mistake") }
	s, last := serving(t, g, key.Principal{}, chat.Parse)
	send(t, s, asksWhole)
	s.Close()
	if r := last(); len(r.Attempts) != 1 || !r.Attempts[0].Usage.Estimated || r.Attempts[0].Usage.Input == 0 {
		t.Errorf("the attempts are %+v, want one with an estimate", r.Attempts)
	}
}

// TestTheLastTargetKeepsNothing of a request for others: the only one, or that of the last attempt.
func TestTheLastTargetKeepsNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		targets, attempts int
		kept              bool
	}{
		"the only one, though it may have more": {1, 4, false},
		"the last attempt":                      {2, 1, false},
		"not the last":                          {2, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, text("step"))
			g, adapter := generationOf(t, nil, nil, slices.Repeat([]string{up.URL}, tc.targets)...)
			realias(t, g, func(a *route.Alias) { a.Routing.Attempts = tc.attempts })
			admitted(t, g, chat.Parse, asksWhole, func(ctx context.Context, c *call) {
				adapter.response = func(out *wasm.Batch) (bool, error) {
					if kept := c.body != nil; kept != tc.kept {
						t.Errorf("the request is kept: %v, want %v", kept, tc.kept)
					}
					return state([]byte("TEXT good\nFINISH stop"), out), nil
				}
				if err := c.whole(ctx); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestWhichTargetsMayServe: those that take it in translation or as it came, as far as is known
// before their adapters are asked.
func TestWhichTargetsMayServe(t *testing.T) {
	type setting struct {
		c *call
		a *plainAdapter
	}
	lost := func(s *setting) { s.c.request.Untranslated = errors.New("lost") }
	lacking := func(s *setting) { s.c.request.Op = abi.Embeddings }
	unknown := func(s *setting) { s.a.unready = true }
	elsewhere := func(s *setting) { s.c.request.IDs, s.c.keeper = []string{"file-1"}, "up1" }
	native := func(s *setting) {
		s.a.profile = profileWith("messages")
		s.c.request.NativeOp, s.c.native = abi.Messages, &dialect.Native{}
	}
	for name, tc := range map[string]struct {
		set  []func(*setting)
		want bool
	}{
		"one that has the operation":           {nil, true},
		"one that lacks it":                    {[]func(*setting){lacking}, false},
		"one of which nothing is known":        {[]func(*setting){unknown, lacking}, true},
		"the same, if it keeps nothing":        {[]func(*setting){unknown, elsewhere}, false},
		"one that keeps nothing of it":         {[]func(*setting){elsewhere}, false},
		"one in translation, if there is none": {[]func(*setting){lost}, false},
		"one that takes it as it came":         {[]func(*setting){native, lost}, true},
		"as it came, where that is not kept":   {[]func(*setting){native, lost, elsewhere}, false},
	} {
		g, adapter := generationOf(t, nil, func(t *route.Target) { t.Native = true }, "http://localhost:1")
		adapter.profile = profileWith("chat")
		c, target := callAt(t, g, asksWhole)
		for _, set := range tc.set {
			set(&setting{c, adapter})
		}
		if got := c.served(target); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// TestWhichFailureIsTold: the one that helps the client most, and of two alike the later one.
func TestWhichFailureIsTold(t *testing.T) {
	e := func(kind fault.Kind, wait time.Duration) error { return &fault.Error{Kind: kind, RetryAfter: wait} }
	auth, quota, broken, refused := e(fault.Auth, 0), e(fault.Quota, 0), e(fault.Upstream, 0), e(fault.Refused, 0)
	busy, wait, later, odd := e(fault.Busy, 0), e(fault.Rate, time.Second), e(fault.Busy, time.Minute), e(fault.Upstream, time.Second)
	for _, tc := range []struct{ old, err, want error }{
		{nil, auth, auth}, {auth, broken, broken}, {broken, auth, broken}, {quota, broken, broken}, {broken, quota, broken}, {auth, quota, quota},
		{refused, wait, refused}, {wait, refused, refused}, {refused, broken, refused}, {broken, refused, refused},
		{wait, broken, wait}, {broken, wait, wait}, {wait, later, later}, {busy, broken, broken}, {broken, busy, busy}, {wait, odd, wait}, {odd, broken, broken},
		{broken, e(fault.Upstream, 0), nil},
	} {
		want := tc.want
		if want == nil {
			want = tc.err
		}
		if got := worse(tc.old, tc.err); got != want {
			t.Errorf("of %+v and %+v, %+v is told", tc.old, tc.err, got)
		}
	}
}

// TestWhenAClientMayComeBack: when the first target may be asked again, if that is sooner than
// what the last one said.
func TestWhenAClientMayComeBack(t *testing.T) {
	now := time.Unix(1000, 0)
	full := func(wait time.Duration) *limit.Refusal { return &limit.Refusal{Wait: wait} }
	for name, tc := range map[string]struct {
		told    error
		cools   time.Duration // both targets
		full    *limit.Refusal
		sole    bool
		want    time.Duration
		noRetry bool
	}{
		"nobody knows":                         {told: &fault.Error{Kind: fault.Busy}},
		"as the target said":                   {told: &fault.Error{Kind: fault.Busy, RetryAfter: 10 * time.Second}, want: 10 * time.Second},
		"when the first one is well":           {told: &fault.Error{Kind: fault.Busy}, cools: 20 * time.Second, want: 20 * time.Second},
		"that, if it is sooner":                {told: &fault.Error{Kind: fault.Busy, RetryAfter: 30 * time.Second}, cools: 20 * time.Second, want: 20 * time.Second},
		"not if it is later":                   {told: &fault.Error{Kind: fault.Busy, RetryAfter: 10 * time.Second}, cools: 20 * time.Second, want: 10 * time.Second},
		"when a full one has room":             {told: &fault.Error{Kind: fault.Busy}, cools: 20 * time.Second, full: full(3 * time.Second), want: 3 * time.Second},
		"not sooner than in a second":          {told: &fault.Error{Kind: fault.Busy}, cools: 20 * time.Second, full: full(time.Millisecond), want: time.Second},
		"not when one that never has room has": {told: &fault.Error{Kind: fault.Busy}, cools: 20 * time.Second, full: full(-1), want: 20 * time.Second},
		"in more than a minute":                {told: &fault.Error{Kind: fault.Busy, RetryAfter: 61 * time.Second}, want: 61 * time.Second, noRetry: true},
		"in a minute":                          {told: &fault.Error{Kind: fault.Busy, RetryAfter: time.Minute}, want: time.Minute},
		"never, as was said":                   {told: &fault.Error{Kind: fault.Busy, NoRetry: true}, noRetry: true},
		"never, for another sort of failure":   {told: &fault.Error{Kind: fault.Upstream}, cools: 20 * time.Second},
		"as a lone target said":                {told: &fault.Error{Kind: fault.Busy, RetryAfter: time.Hour}, sole: true, want: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bases := []string{"http://localhost:1", "http://localhost:2"}
			if tc.sole {
				bases = bases[:1]
			}
			g, _ := generationOf(t, nil, nil, bases...)
			g.now = func() time.Time { return now }
			c, _ := callAt(t, g, asksWhole)
			if tc.cools > 0 {
				for i := range c.plan.Targets {
					lease := c.plan.Targets[i].Health().Take()
					lease.Done(now, &fault.Error{Kind: fault.Rate, RetryAfter: tc.cools})
				}
			}
			s := &search{call: c, failure: tc.told, full: tc.full}
			if e, _ := errors.AsType[*fault.Error](s.final()); e == nil || e.RetryAfter != tc.want || e.NoRetry != tc.noRetry {
				t.Errorf("%+v, want a wait of %v, and that a repeat is in vain: %v", e, tc.want, tc.noRetry)
			}
		})
	}
	g, _ := generationOf(t, nil, nil, "http://localhost:1", "http://localhost:2")
	c, _ := callAt(t, g, asksWhole)
	plain := errors.New("gone")
	if err := (&search{call: c, failure: plain}).final(); err != plain {
		t.Errorf("an error of nobody's is told as %v", err)
	}
}

// TestHowLongATargetIsLeftAlone before it is asked again: as long as it said, or for a time that
// grows and has an end.
func TestHowLongATargetIsLeftAlone(t *testing.T) {
	s := &search{call: &call{plan: &route.Plan{Routing: route.Routing{BackoffBase: time.Second, BackoffMax: 10 * time.Second}}}}
	if got := s.backoff(&fault.Error{RetryAfter: time.Minute}); got != time.Minute {
		t.Errorf("a minute that was said is %v", got)
	}
	for waits, most := range map[int]time.Duration{0: time.Second, 2: 4 * time.Second, 9: 10 * time.Second, 1000: 10 * time.Second} {
		s.waits = waits
		longest := time.Duration(0)
		for range 100 {
			longest = max(longest, s.backoff(errors.New("x")))
		}
		if longest > most || longest < most/2 {
			t.Errorf("after %d waits: %v at most, want nearly %v", waits, longest, most)
		}
	}
}

// TestWhatATargetIsChargedFor: what was counted, else what was estimated; of a panic nobody knows.
func TestWhatATargetIsChargedFor(t *testing.T) {
	usage := record.Usage{Input: 3, Output: 4}
	for name, tc := range map[string]struct {
		o    outcome
		want int64
	}{
		"counted":   {outcome{tokens: 5, usage: usage}, 5},
		"none":      {outcome{tokens: 0, usage: usage}, 0},
		"estimated": {outcome{tokens: -1, usage: usage}, 7},
		"a panic":   {outcome{tokens: -1, usage: usage, err: errAbandoned}, -1},
	} {
		if got := tc.o.used(); got != tc.want {
			t.Errorf("%s: %d tokens, want %d", name, got, tc.want)
		}
	}
}

// TestAnUncountedAnswerIsChargedForByItsLength.
func TestAnUncountedAnswerIsChargedForByItsLength(t *testing.T) {
	g, _ := generationOf(t, nil, nil, mock.Start(t, text("TEXT good\nFINISH stop")).URL)
	g.capacities[0] = []*limit.Bucket{{ID: "up0", Owner: limit.Target, Unit: limit.Tokens, Limit: 1000, Window: time.Hour}}
	store := limit.NewLocal(limit.Options{})
	g.host.limits = store
	s, _ := serving(t, g, key.Principal{}, chat.Parse)
	send(t, s, asksWhole)
	s.Close()
	if used := store.Used(g.capacities[0]); used[0] == 0 {
		t.Error("nothing is charged")
	}
}

// TestWhatIsKeptTogether: the conversation, the user, or what has a header, of one caller.
func TestWhatIsKeptTogether(t *testing.T) {
	for _, tc := range [][3]string{
		{"", `"user":"u",`, ""}, {"user", `"user":"u",`, "app\x00u"}, {"user", ``, ""}, {"conversation", `"prompt_cache_key":"k",`, "app\x00k"},
		{"header:X-Session", `"user":"u",`, "app\x00s"}, {"header:X-Other", `"user":"u",`, ""},
	} {
		g, _ := generationOf(t, nil, nil, "http://localhost:1", "http://localhost:2")
		realias(t, g, func(a *route.Alias) { a.Routing.Sticky = tc[0] })
		c, _ := callAt(t, g, strings.Replace(asksWhole, `"model"`, tc[1]+`"model"`, 1))
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("X-Session", "s")
		c.caller, c.http = "app", &api.Exchange{Request: r}
		if got := c.session(); got != tc[2] && !(tc[0] == "conversation" && strings.HasPrefix(got, "app\x00") && strings.Contains(got, "k")) {
			t.Errorf("sticky %q, of %s: %q, want %q", tc[0], tc[1], got, tc[2])
		}
	}
}

// TestTokensAreEstimatedWhereTheyMatter: where it is known of a target how many it takes.
func TestTokensAreEstimatedWhereTheyMatter(t *testing.T) {
	for context, want := range map[int64]int64{0: 0, 8000: 12} {
		g, _ := generationOf(t, nil, nil, "http://localhost:1", "http://localhost:2")
		realias(t, g, func(a *route.Alias) { a.Entries[0].Context = context })
		c, _ := callAt(t, g, asksWhole)
		c.size = 12
		if got := c.tokens(); got != want {
			t.Errorf("a context of %d: %d tokens, want %d", context, got, want)
		}
	}
}

// fullStore has no room in any bucket, and says when each has.
type fullStore struct {
	limit.Store
	waits []time.Duration
	asked []limit.Reserve
}

func (s *fullStore) Admit(_ context.Context, buckets []*limit.Bucket, r limit.Reserve) (limit.Lease, *limit.Refusal) {
	s.asked = append(s.asked, r)
	wait := s.waits[0]
	s.waits = s.waits[1:]
	return nil, &limit.Refusal{Bucket: buckets[0], Wait: wait}
}

// TestRoomAtATarget: a request takes what it probably needs, and what no target has is told by
// the one that has room first.
func TestRoomAtATarget(t *testing.T) {
	g, _ := generationOf(t, nil, nil, "http://localhost:1")
	buckets := func(unit limit.Unit, most int64) []*limit.Bucket { return []*limit.Bucket{{Unit: unit, Limit: most}} }
	g.capacities = [][]*limit.Bucket{nil, buckets(limit.Tokens, 100), buckets(limit.Tokens, 10), buckets(limit.Requests, 10)}
	store := &fullStore{waits: []time.Duration{30, 10, 20, 40}}
	g.host.limits = store
	c, _ := callAt(t, g, asksWhole)
	c.size = 50
	s := &search{call: c}
	for target, want := range []bool{true, false, false, false} {
		if got := s.room(t.Context(), target); got != want {
			t.Errorf("target %d has room: %v, want %v", target, got, want)
		}
	}
	c.request.Op = abi.Count
	s.room(t.Context(), 1)
	if want := []limit.Reserve{{Input: 50}, {Input: 10}, {Input: 50}, {}}; !slices.Equal(store.asked, want) {
		t.Errorf("the room was %v, want %v", store.asked, want)
	}
	if s.full.Wait != 10 {
		t.Errorf("the first has room in %v, want 10 ns", s.full.Wait)
	}
}

// settledLease notes what a request is charged for.
type settledLease struct {
	limit.Lease
	charged *int64
}

func (l settledLease) Settle(u limit.Usage) { *l.charged = u.Input }

// TestAPlaceIsLeftOnce, with what was used there, or what was reserved if nobody knows.
func TestAPlaceIsLeftOnce(t *testing.T) {
	for used, want := range map[int64]int64{5: 5, 0: 0, -1: 9} {
		charged := int64(math.MinInt64)
		p := place{settledLease{charged: &charged}, 9}
		p.leave(used)
		if charged != want {
			t.Errorf("used %d: %d is charged, want %d", used, charged, want)
		}
		if charged = -7; p.lease == nil {
			p.leave(used)
		}
		if charged != -7 {
			t.Error("it is charged a second time")
		}
	}
}

// TestWhatATargetBears is counted in buckets, each once.
func TestWhatATargetBears(t *testing.T) {
	names := func(buckets []*limit.Bucket) (all []string) {
		for _, b := range buckets {
			all = append(all, fmt.Sprintf("%s: %d", b.ID, b.Limit))
		}
		return all
	}
	for name, tc := range map[string]struct {
		c    config.Capacity
		want []string
	}{
		"any number": {config.Capacity{}, nil},
		"requests":   {config.Capacity{Requests: config.Rate{N: 5, Per: time.Minute}}, []string{"target t requests 1m0s: 5"}},
		"tokens":     {config.Capacity{Tokens: config.Rate{N: 7, Per: time.Hour}}, []string{"target t tokens 1h0m0s: 7"}},
		"at a time":  {config.Capacity{Concurrent: 3}, []string{"target t concurrent: 3"}},
	} {
		if got := names(capacityOf(limit.Target, "t", tc.c)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	one, two := &limit.Bucket{ID: "one", Limit: 1}, &limit.Bucket{ID: "two", Limit: 2}
	g := &generation{limits: &limits{gateway: []*limit.Bucket{{ID: "all", Limit: 9}}}, capacities: [][]*limit.Bucket{{one}, nil, {one, two}}}
	if got, want := names(g.buckets()), []string{"all: 9", "one: 1", "two: 2"}; !slices.Equal(got, want) {
		t.Errorf("the buckets are %q, want %q", got, want)
	}
}

// TestTargetsAreAsConfigured, with what their providers say where they say nothing themselves.
func TestTargetsAreAsConfigured(t *testing.T) {
	yes, no := true, false
	target := func(name string, set func(*config.Target)) config.Target {
		t := config.Target{Provider: "p", Model: name, Weight: 1, Tier: 1}
		set(&t)
		return t
	}
	c := &config.Config{
		Providers: []config.Provider{
			{Name: "p", Timeouts: config.Timeouts{FirstToken: config.Duration(time.Minute)}, Capacity: config.Capacity{Concurrent: 9}},
			{Name: "q", Native: &no, Timeouts: config.Timeouts{FirstToken: config.Duration(time.Hour)}},
		},
		Models: []config.Model{
			{Alias: "short", Provider: "p", Model: "a"},
			{Alias: "long", Targets: []config.Target{
				target("b", func(t *config.Target) { t.Native, t.Timeouts.FirstToken = &yes, config.Duration(time.Second) }),
				target("c", func(t *config.Target) { t.Provider = "q" }),
				target("d", func(t *config.Target) { t.Provider, t.Native, t.Capacity.Concurrent = "q", &yes, 2 }),
				target("", func(t *config.Target) { t.Provider, t.Alias = "", "short" }),
			}},
		},
	}
	all, capacities, prices := aliasesOf(c)
	if !all[0].Sole || all[1].Sole || prices != nil {
		t.Errorf("sole: %v and %v, prices %v", all[0].Sole, all[1].Sole, prices)
	}
	type seen struct {
		ID                  int
		Model, Alias        string
		FirstToken          time.Duration
		Native, NativeAsked bool
	}
	var got []seen
	for _, e := range append(slices.Clone(all[0].Entries), all[1].Entries...) {
		got = append(got, seen{e.ID, e.Model, e.Alias, e.FirstToken, e.Native, e.NativeAsked})
	}
	want := []seen{{0, "a", "", time.Minute, true, false}, {1, "b", "", time.Second, true, true}, {2, "c", "", time.Hour, false, false}, {3, "d", "", time.Hour, true, true}, {0, "", "short", 0, false, false}}
	if !slices.Equal(got, want) {
		t.Errorf("the targets are\n%+v, want\n%+v", got, want)
	}
	for i, want := range []int{1, 1, 0, 1} {
		if len(capacities[i]) != want {
			t.Errorf("target %d has %d buckets, want %d", i, len(capacities[i]), want)
		}
	}
	c.Models[0].Price = &config.Price{Free: true}
	if _, _, prices := aliasesOf(c); len(prices) != 4 || !prices[0].IsFree() || prices[1] != nil {
		t.Errorf("the prices are %v", prices)
	}
}

// TestPricesAreAsConfigured: unknown, free, the provider's own figure, or by rates.
func TestPricesAreAsConfigured(t *testing.T) {
	hour := config.Money(360)
	words := record.Usage{Input: 1_000_000}
	used := record.Usage{Input: 1_000_000, Sound: time.Hour}
	for name, tc := range map[string]struct {
		p    *config.Price
		used record.Usage
		want record.Cost
	}{
		"nothing is said":        {nil, used, record.Cost{}},
		"free":                   {&config.Price{Free: true}, used, record.Cost{Known: true}},
		"reported, and it isn't": {&config.Price{Reported: true}, words, record.Cost{}},
		"tokens and sound":       {&config.Price{Known: true, Input: 2_000_000, AudioHour: &hour}, used, price.New(&price.Rates{Input: 2_000_000, Sound: 360, Picture: -1, Speech: -1}, false).Of(used)},
	} {
		if got := priceOf(tc.p).Of(tc.used); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
	if known := priceOf(&config.Price{Known: true, Input: 1}); known.KnowsSound() || known.KnowsSpeech() {
		t.Error("a rate that nobody says is known")
	}
}
