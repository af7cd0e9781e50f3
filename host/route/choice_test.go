package route

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

var start = time.Unix(1_700_000_000, 0)

func planOf(t *testing.T, entries ...Entry) *Plan {
	t.Helper()
	plan, err := tableOf(t, "", aliasOf("a", entries...)).Plan("a")
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// next asks for one target of a new request, which answers.
func next(t *testing.T, plan *Plan, now time.Time) string {
	t.Helper()
	choice := plan.Choose("", 0)
	target, lease, err := choice.Next(now)
	if err != nil {
		t.Fatal(err)
	}
	lease.Done(now, nil)
	return target.Provider
}

// fail makes a target fail as often as given.
func fail(target *Target, now time.Time, times int, err error) {
	for range times {
		lease := target.health.Take()
		lease.Done(now, err)
	}
}

func failure(kind fault.Kind) error { return &fault.Error{Kind: kind} }

func told(kind fault.Kind, wait time.Duration) error {
	return &fault.Error{Kind: kind, RetryAfter: wait}
}

func TestWeightsAreKeptExactly(t *testing.T) {
	plan := planOf(t, to("x", 6, 1), to("y", 2, 1), to("z", 2, 1))
	counts := map[string]int{}
	for i := range 1000 {
		counts[next(t, plan, start)]++
		if i == 9 && (counts["x"] != 6 || counts["y"] != 2 || counts["z"] != 2) {
			t.Errorf("the first ten requests went %v, want 6, 2 and 2", counts)
		}
	}
	if counts["x"] != 600 || counts["y"] != 200 || counts["z"] != 200 {
		t.Errorf("a thousand requests went %v, want 600, 200 and 200", counts)
	}
}

func TestWeightsOfAnAliasAreDivided(t *testing.T) {
	plan, err := tableOf(t, "", aliasOf("a", to("x", 1, 1), by("b", 1, 1)), aliasOf("b", to("y", 5, 1), to("z", 5, 1))).Plan("a")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for range 400 {
		counts[next(t, plan, start)]++
	}
	if counts["x"] != 200 || counts["y"] != 100 || counts["z"] != 100 {
		t.Errorf("400 requests went %v, want 200, 100 and 100", counts)
	}
}

// order lists the targets of one request as it asks one after the other.
func order(plan *Plan, now time.Time, tokens int64, fails func(*Choice, *Target) error) (names []string, err error) {
	choice := plan.Choose("", tokens)
	for {
		target, lease, err := choice.Next(now)
		if target == nil {
			return names, err
		}
		names = append(names, target.Provider)
		lease.Done(now, fails(&choice, target))
	}
}

func TestOrderOfTargets(t *testing.T) {
	neutral := func(*Choice, *Target) error { return failure(fault.Adapter) }
	for name, tc := range map[string]struct {
		entries []Entry
		before  func(*Plan)
		tokens  int64
		fails   func(*Choice, *Target) error
		want    string
	}{
		"lower tiers come first, whatever stands first": {entries: []Entry{to("c", 1, 9), to("b", 1, 4), to("a", 1, 1)}, want: "[a b c]"},
		"without weight after all others of the tier":   {entries: []Entry{to("a", 0, 1), to("b", 1, 1), to("c", 1, 2)}, want: "[b a c]"},
		"one that cools comes last":                     {entries: []Entry{to("a", 1, 1), to("b", 1, 2)}, before: func(p *Plan) { fail(&p.Targets[0], start, 3, failure(fault.Upstream)) }, want: "[b a]"},
		"two failures don't make it cool":               {entries: []Entry{to("a", 1, 1), to("b", 1, 2)}, before: func(p *Plan) { fail(&p.Targets[0], start, 2, failure(fault.Upstream)) }, want: "[a b]"},
		"of those that cool by a guess, the one that ends first": {entries: []Entry{to("a", 1, 1), to("b", 1, 2)}, before: func(p *Plan) {
			fail(&p.Targets[0], start, 1, failure(fault.Missing))
			fail(&p.Targets[1], start, 3, failure(fault.Upstream))
		}, want: "[b a]"},
		"one that asked to be left alone is left alone": {entries: []Entry{to("a", 1, 1), to("b", 1, 2)}, before: func(p *Plan) { fail(&p.Targets[0], start, 1, told(fault.Rate, time.Second)) }, want: "[b] all targets cool until 2023-11-14T22:13:21Z"},
		"too long for one, so only larger ones": {entries: []Entry{within(10, "a"), within(10, "b"), within(20, "c"), within(0, "d")}, fails: func(c *Choice, t *Target) error {
			c.Larger(t)
			return failure(fault.Context)
		}, want: "[a c]"},
		"far too small is left out":         {entries: []Entry{within(100, "a"), within(1000, "b"), within(0, "c")}, tokens: 300, want: "[b c]"},
		"too small are all of them":         {entries: []Entry{within(100, "a"), within(50, "b")}, tokens: 900, want: "[a b]"},
		"a bad estimate leaves nothing out": {entries: []Entry{within(100, "a"), within(1000, "b")}, tokens: 199, want: "[a b]"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := planOf(t, tc.entries...)
			if tc.before != nil {
				tc.before(plan)
			}
			if tc.fails == nil {
				tc.fails = neutral
			}
			names, err := order(plan, start, tc.tokens, tc.fails)
			got := fmt.Sprint(names)
			if err != nil {
				var cooled *Cooled
				if !errors.As(err, &cooled) {
					t.Fatal(err)
				}
				cooled.Until = cooled.Until.UTC()
				got += " " + cooled.Error()
			}
			if got != tc.want {
				t.Errorf("asked %s, want %s", got, tc.want)
			}
		})
	}
}

// within is an entry that takes that many tokens.
func within(context int64, provider string) Entry {
	e := to(provider, 1, 1)
	e.Context = context
	return e
}

func TestAliasesThatACallerMayNotUseAreSkipped(t *testing.T) {
	plan, err := tableOf(t, "", aliasOf("a", to("x", 1, 1), by("b", 1, 2)), aliasOf("b", to("y", 1, 1))).Plan("a")
	if err != nil {
		t.Fatal(err)
	}
	choice := plan.Choose("", 0)
	choice.Allowed = func(t *Target) bool { return !slices.Contains(t.Via(), "b") }
	for _, want := range []string{"x", ""} {
		target, lease, err := choice.Next(start)
		got := ""
		if target != nil {
			got = target.Provider
			lease.Done(start, failure(fault.Upstream))
		}
		if got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

func TestFullTargetsAreSkipped(t *testing.T) {
	plan := planOf(t, to("x", 1, 1), to("y", 1, 2))
	full := map[string]bool{"x": true}
	choice := plan.Choose("", 0)
	choice.Room = func(t *Target) bool { return !full[t.Provider] }
	target, lease, err := choice.Next(start)
	if err != nil || target.Provider != "y" {
		t.Fatalf("got %v, %v, want y", target, err)
	}
	lease.Done(start, nil)
	full["y"] = true
	choice = plan.Choose("", 0)
	choice.Room = func(t *Target) bool { return !full[t.Provider] }
	if target, _, err := choice.Next(start); target != nil || err != nil {
		t.Errorf("with all of them full: %v, %v", target, err)
	}
}

func TestSessionsStayWhereTheyAre(t *testing.T) {
	alias := aliasOf("a", to("x", 1, 1), to("y", 1, 1), to("z", 2, 1))
	alias.Routing.Sticky = "user"
	plan := func() *Plan {
		plan, err := tableOf(t, "", alias).Plan("a")
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	one, other := plan(), plan()
	ask := func(plan *Plan, session int) string {
		choice := plan.Choose(fmt.Sprint("key\x00", session), 0)
		target, lease, err := choice.Next(start)
		if err != nil {
			t.Fatal(err)
		}
		lease.Done(start, nil)
		return target.Provider
	}
	counts := map[string]int{}
	home := map[int]string{}
	const sessions = 4000
	for i := range sessions {
		home[i] = ask(one, i)
		counts[home[i]]++
		if again, replica := ask(one, i), ask(other, i); again != home[i] || replica != home[i] {
			t.Fatalf("session %d goes to %s, then to %s, and in another replica to %s", i, home[i], again, replica)
		}
	}
	for name, share := range map[string]float64{"x": 0.25, "y": 0.25, "z": 0.5} {
		if got := float64(counts[name]) / sessions; math.Abs(got-share) > 0.05 {
			t.Errorf("%s has %.2f of the sessions, want %.2f", name, got, share)
		}
	}
	fail(&one.Targets[0], start, 3, failure(fault.Upstream))
	for i := range sessions {
		if now := ask(one, i); home[i] != "x" && now != home[i] || now == "x" {
			t.Fatalf("with x cooling, session %d of %s goes to %s", i, home[i], now)
		}
	}
}

func TestChoosingAllocatesNothing(t *testing.T) {
	plan := planOf(t, to("x", 6, 1), to("y", 2, 1), to("z", 2, 1))
	if n := testing.AllocsPerRun(100, func() {
		choice := plan.Choose("", 0)
		_, lease, _ := choice.Next(start)
		lease.Done(start, nil)
	}); n != 0 {
		t.Errorf("choosing makes %v allocations, want 0", n)
	}
}

func BenchmarkChoice(b *testing.B) {
	for name, entries := range map[string][]Entry{
		"one of three": {to("x", 6, 1), to("y", 2, 1), to("z", 2, 1)},
		"the only one": {to("x", 1, 1)},
	} {
		b.Run(name, func(b *testing.B) {
			alias := aliasOf("a", entries...)
			alias.Sole = len(entries) == 1
			table, err := New([]Alias{alias}, "", NewCells())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				plan, _ := table.Plan("a")
				choice := plan.Choose("", 0)
				_, lease, _ := choice.Next(start)
				lease.Done(start, nil)
			}
		})
	}
}
