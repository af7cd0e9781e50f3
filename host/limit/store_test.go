package limit

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clock is a time that a test sets.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func (c *clock) pass(d time.Duration) { c.t = c.t.Add(d) }

// noon is the beginning of a minute, an hour, and half of a day.
var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC) // a Monday

func bucket(unit Unit, limit int64, window time.Duration) *Bucket {
	return &Bucket{ID: fmt.Sprint(unit, window), Unit: unit, Limit: limit, Window: window, Zone: time.UTC}
}

func newStore() (*Local, *clock) {
	c := &clock{noon}
	return NewLocal(Options{Now: c.now, Track: true}), c
}

// mustAdmit lets a request in that there is room for.
func mustAdmit(t *testing.T, s Store, r Reserve, buckets ...*Bucket) Lease {
	t.Helper()
	l, refused := s.Admit(t.Context(), buckets, r)
	if refused != nil {
		t.Fatalf("refused by %s for %v", refused.Bucket.ID, refused.Wait)
	}
	return l
}

func mustRefuse(t *testing.T, s Store, r Reserve, buckets ...*Bucket) *Refusal {
	t.Helper()
	_, refused := s.Admit(t.Context(), buckets, r)
	if refused == nil {
		t.Fatal("one too many is let in")
	}
	return refused
}

func TestManyAtOncePassNoLimit(t *testing.T) {
	for name, b := range map[string]*Bucket{
		"requests":             bucket(Requests, 100, time.Hour),
		"requests at one time": bucket(Concurrent, 100, 0),
		"tokens":               bucket(Tokens, 100_000, time.Hour),
		"money":                bucket(Money, 100_000, 0),
	} {
		t.Run(name, func(t *testing.T) {
			s := NewLocal(Options{Now: func() time.Time { return noon }})
			var passed atomic.Int64
			var all sync.WaitGroup
			for range 10_000 {
				all.Go(func() {
					if _, refused := s.Admit(t.Context(), []*Bucket{b}, Reserve{Input: 400, Output: 600, InputCost: 400, OutputCost: 600}); refused == nil {
						passed.Add(1)
					}
				})
			}
			all.Wait()
			if passed.Load() != 100 {
				t.Errorf("%d requests passed, want 100", passed.Load())
			}
		})
	}
}

func TestTrapARefusedRequestCounts(t *testing.T) {
	s, clock := newStore()
	requests, running := bucket(Requests, 10, time.Minute), bucket(Concurrent, 1, 0)
	first := mustAdmit(t, s, Reserve{}, requests, running)
	for range 1000 {
		mustRefuse(t, s, Reserve{}, requests, running)
		clock.pass(time.Second)
	}
	first.Settle(Usage{})
	for range 10 {
		mustAdmit(t, s, Reserve{}, requests, running).Settle(Usage{})
	}
	if r := mustRefuse(t, s, Reserve{}, requests, running); r.Bucket != requests {
		t.Errorf("refused by %s", r.Bucket.ID)
	}
}

func TestTheLongestWaitIsTold(t *testing.T) {
	s, _ := newStore()
	short, long := bucket(Requests, 1, time.Second), bucket(Requests, 1, time.Hour)
	mustAdmit(t, s, Reserve{}, short, long)
	if r := mustRefuse(t, s, Reserve{}, long, short); r.Bucket != long || r.Wait <= time.Minute {
		t.Errorf("%s, %v", r.Bucket.ID, r.Wait)
	}
}

func TestTrapAReservationIsMoreThanTheLimit(t *testing.T) {
	s, _ := newStore()
	b := bucket(Tokens, 1000, time.Minute)
	l := mustAdmit(t, s, Reserve{Input: 10, Output: 1 << 40}, b)
	if left, _ := l.Left(0); left != 0 {
		t.Errorf("%d are left", left)
	}
	l.Settle(Usage{Input: 10, Output: 20})
	mustAdmit(t, s, Reserve{Input: 970}, b).Settle(Usage{})
	if r := mustRefuse(t, s, Reserve{Input: 2001}, b); !r.TooLarge || r.Wait >= 0 {
		t.Errorf("what is more than twice too large may come again: %+v", r)
	}
	if r := mustRefuse(t, s, Reserve{Input: 2000}, b); r.TooLarge || r.Wait <= 0 {
		t.Errorf("what may be estimated wrong may not come again: %+v", r)
	}
	fresh, _ := newStore()
	mustAdmit(t, fresh, Reserve{Input: 2000}, b)
}

func TestTrapADebtIsForgotten(t *testing.T) {
	s, clock := newStore()
	b := bucket(Tokens, 1000, time.Minute)
	mustAdmit(t, s, Reserve{Input: 1}, b).Settle(Usage{Input: 10_000})
	r := mustRefuse(t, s, Reserve{Input: 500}, b)
	if r.Wait < 9*time.Minute || r.Wait > 11*time.Minute {
		t.Errorf("ten times the limit of a minute is paid in %v", r.Wait)
	}
	clock.pass(r.Wait - time.Millisecond)
	mustRefuse(t, s, Reserve{Input: 500}, b)
	clock.pass(time.Millisecond)
	mustAdmit(t, s, Reserve{Input: 500}, b)
}

func TestALargeDebtTakesNoLongerToCompute(t *testing.T) {
	s, clock := newStore()
	b := bucket(Tokens, 1, time.Second)
	mustAdmit(t, s, Reserve{Input: 1}, b).Settle(Usage{Input: 1 << 60})
	for range 100 {
		mustRefuse(t, s, Reserve{Input: 1}, b)
		clock.pass(24 * time.Hour)
	}
}

func TestWhatWasReservedTooMuchIsGivenBackToItsPeriod(t *testing.T) {
	s, clock := newStore()
	b := bucket(Tokens, 1000, time.Minute)
	l := mustAdmit(t, s, Reserve{Input: 1000}, b)
	clock.pass(time.Minute)
	l.Settle(Usage{Input: 1})
	l.Settle(Usage{Input: 1})
	mustAdmit(t, s, Reserve{Input: 999}, b)
	mustRefuse(t, s, Reserve{Input: 1}, b) // nothing was given back twice

	s, clock = newStore()
	l = mustAdmit(t, s, Reserve{Input: 1000}, b)
	clock.pass(time.Hour)
	mustAdmit(t, s, Reserve{Input: 1000}, b)
	l.Settle(Usage{})
	mustRefuse(t, s, Reserve{Input: 1}, b) // nor to another period
}

func TestTrapAWindowEndsTooEarlyOrNever(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for range 2000 {
		s, clock := newStore()
		b := bucket(Tokens, 1+random.Int64N(50), time.Minute)
		for range random.IntN(20) {
			clock.pass(time.Duration(random.Int64N(int64(20 * time.Second))))
			if l, refused := s.Admit(t.Context(), []*Bucket{b}, Reserve{Input: 1 + random.Int64N(10)}); refused == nil {
				l.Settle(Usage{Input: random.Int64N(40)})
			}
		}
		r := Reserve{Input: 1 + random.Int64N(b.Limit)}
		_, refused := s.Admit(t.Context(), []*Bucket{b}, r)
		if refused == nil {
			continue
		}
		at := clock.t
		if clock.t = at.Add(refused.Wait - 1); refused.Wait > 1 {
			mustRefuse(t, s, r, b)
		}
		clock.t = at.Add(refused.Wait)
		mustAdmit(t, s, r, b)
	}
}

func TestALimitOfNothingLetsNobodyIn(t *testing.T) {
	s, _ := newStore()
	for _, b := range []*Bucket{bucket(Requests, 0, time.Minute), bucket(Tokens, 0, time.Minute), bucket(OutputTokens, 0, time.Minute), bucket(Concurrent, 0, 0), bucket(Money, 0, 0)} {
		if r := mustRefuse(t, s, Reserve{Input: 1, Output: 1, InputCost: 1, OutputCost: 1}, b); b.Unit != Concurrent && r.Wait >= 0 {
			t.Errorf("%s: may come again in %v", b.ID, r.Wait)
		}
	}
}

func TestABudgetIsOfThePeriodOfTheCalendar(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		period Period
		at     time.Time
		want   time.Duration // until the next one
	}{
		"a day":                          {Day, time.Date(2026, 11, 30, 22, 0, 0, 0, berlin), 2 * time.Hour},
		"the day when clocks go forward": {Day, time.Date(2026, 3, 29, 0, 0, 0, 0, berlin), 23 * time.Hour},
		"the day when clocks go back":    {Day, time.Date(2026, 10, 25, 0, 0, 0, 0, berlin), 25 * time.Hour},
		"a week from Monday":             {Week, time.Date(2026, 11, 30, 0, 0, 0, 0, berlin), 7 * 24 * time.Hour},
		"a week to Sunday":               {Week, time.Date(2026, 11, 29, 23, 0, 0, 0, berlin), time.Hour},
		"a month":                        {Month, time.Date(2026, 2, 1, 0, 0, 0, 0, berlin), 28 * 24 * time.Hour},
		"the last month of the year":     {Month, time.Date(2026, 12, 31, 0, 0, 0, 0, berlin), 24 * time.Hour},
		"a month with a longer hour":     {Month, time.Date(2026, 10, 1, 0, 0, 0, 0, berlin), 31*24*time.Hour + time.Hour},
		"all time":                       {Total, noon, -1},
	} {
		t.Run(name, func(t *testing.T) {
			c := &clock{tc.at}
			s := NewLocal(Options{Now: c.now})
			b := &Bucket{ID: "b", Unit: Money, Limit: 1000, Period: tc.period, Zone: berlin}
			mustAdmit(t, s, Reserve{InputCost: 1000}, b).Settle(Usage{Cost: 1000})
			r := mustRefuse(t, s, Reserve{InputCost: 1}, b)
			if r.Wait != tc.want {
				t.Fatalf("the next one begins in %v, want %v", r.Wait, tc.want)
			}
			mustAdmit(t, s, Reserve{}, b).Settle(Usage{}) // what is free
			if tc.want > 0 {
				c.pass(tc.want - time.Second)
				mustRefuse(t, s, Reserve{InputCost: 1}, b)
				c.pass(time.Second)
				mustAdmit(t, s, Reserve{InputCost: 1000}, b)
			}
		})
	}
}

func TestABudgetWarnsOnceInEachPeriod(t *testing.T) {
	c := &clock{noon}
	var told []int64
	s := NewLocal(Options{Now: c.now, Warn: func(_ *Bucket, spent int64) { told = append(told, spent) }})
	b := &Bucket{ID: "b", Unit: Money, Limit: 100, Warn: 80, Period: Day, Zone: time.UTC}
	for range 2 {
		for range 10 {
			mustAdmit(t, s, Reserve{InputCost: 10}, b).Settle(Usage{Cost: 10})
		}
		c.pass(24 * time.Hour)
	}
	if len(told) != 2 || told[0] != 80 || told[1] != 80 {
		t.Errorf("told at %v, want at 80 twice", told)
	}
}

func TestKeepForgetsOnlyWhatCountsNothing(t *testing.T) {
	s, clock := newStore()
	gone, running := bucket(Requests, 9, time.Minute), bucket(Concurrent, 9, 0)
	l := mustAdmit(t, s, Reserve{}, gone, running)
	if s.Keep(nil); len(s.counters) != 2 {
		t.Errorf("%d counts are left, want 2", len(s.counters))
	}
	l.Settle(Usage{})
	clock.pass(2 * time.Minute)
	if s.Keep(nil); len(s.counters) != 0 {
		t.Errorf("%d counts are left", len(s.counters))
	}
	tokens := bucket(Tokens, 100, time.Minute)
	l = mustAdmit(t, s, Reserve{}, tokens) // which reserves nothing
	s.Keep(nil)
	l.Settle(Usage{Input: 7})
	if used := s.Used([]*Bucket{tokens})[0]; used != 7 {
		t.Errorf("%d tokens are counted of a request that outlived a reload, want 7", used)
	}
}

// TestWhatIsSavedOfARequestThatRuns looks at what a ledger would have, if the process ended
// now.
func TestWhatIsSavedOfARequestThatRuns(t *testing.T) {
	s, clock := newStore()
	tokens, output, requests := bucket(Tokens, 1000, time.Minute), bucket(OutputTokens, 1000, time.Minute), bucket(Requests, 9, time.Minute)
	money := &Bucket{ID: "money", Unit: Money, Limit: 5000, Warn: 4000, Zone: time.UTC}
	all := []*Bucket{tokens, output, requests, money}
	saved := func(when string, want ...Saved) {
		t.Helper()
		got := s.Changed()
		for i, b := range all {
			g := got[b.ID]
			if g.Index, g.End = 0, 0; g != want[i] {
				t.Errorf("%s: %s has %+v, want %+v", when, b.ID, g, want[i])
			}
		}
	}
	reserve := Reserve{Input: 100, Output: 400, InputCost: 100, OutputCost: 40_000}
	one := mustAdmit(t, s, reserve, all...)
	saved("while it runs", Saved{Now: 100}, Saved{}, Saved{Now: 1}, Saved{Now: 100})
	one.Settle(Usage{Input: 90, Output: 30, Cost: 390})
	saved("when it is over", Saved{Now: 120}, Saved{Now: 30}, Saved{}, Saved{Now: 390}) // requests haven't changed
	two := mustAdmit(t, s, reserve, all...)
	clock.pass(time.Minute)
	mustAdmit(t, s, Reserve{}, all...).Settle(Usage{})
	saved("in the next period", Saved{Before: 220}, Saved{Before: 30}, Saved{Now: 1, Before: 2}, Saved{Now: 490})
	two.Settle(Usage{Input: 100, Output: 10, Cost: 200})
	saved("when it ends there", Saved{Before: 230}, Saved{Before: 40}, Saved{}, Saved{Now: 590})
}

func TestSavedCountsAreReadBack(t *testing.T) {
	want := Saved{Index: 1, End: 2, Now: 3, Before: 4, Debt: 5, Warned: true}
	b, _ := want.MarshalBinary()
	var got Saved
	if err := got.UnmarshalBinary(b); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for name, broken := range map[string][]byte{"too short": b[:len(b)-1], "too long": append(b, 0), "below zero": append(append(b[:16:16], 0, 0, 0, 0, 0, 0, 0, 0x80), b[24:]...)} {
		if err := got.UnmarshalBinary(broken); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
}

func TestNobodyTeachesNonsense(t *testing.T) {
	var e Estimator
	if e.Ratio() != 1 || e.Output() != defaultOutput {
		t.Errorf("it begins with %v and %d", e.Ratio(), e.Output())
	}
	for range 1000 {
		e.Observe(1_000_000, 1, 100)
	}
	if e.Ratio() < 1.0/maxFactor || e.Output() < 100 || e.Output() > 110 {
		t.Errorf("it learnt %v and %d", e.Ratio(), e.Output())
	}
	for range 1000 {
		e.Observe(100, 150, 0)
	}
	if r := e.Ratio(); r < 1.49 || r > 1.51 {
		t.Errorf("it learnt %v, want 1.5", r)
	}
}

// BenchmarkAdmission is a key with three limits and a budget, and a limit of the gateway.
func BenchmarkAdmission(b *testing.B) {
	s := NewLocal(Options{})
	buckets := []*Bucket{
		{ID: "key app requests 1s", Unit: Requests, Limit: 1 << 40, Window: time.Second},
		{ID: "key app requests 1m0s", Unit: Requests, Limit: 1 << 40, Window: time.Minute},
		{ID: "key app tokens 1m0s", Unit: Tokens, Limit: 1 << 60, Window: time.Minute},
		{ID: "key app money day", Unit: Money, Limit: 1 << 60, Warn: 1 << 60, Period: Day, Zone: time.UTC},
		{ID: "gateway  concurrent", Unit: Concurrent, Limit: 1 << 40},
	}
	b.ReportAllocs()
	for b.Loop() {
		l, refused := s.Admit(b.Context(), buckets, Reserve{Input: 100, Output: 500, InputCost: 1000, OutputCost: 5000})
		if refused != nil {
			b.Fatal(refused)
		}
		l.Settle(Usage{Input: 90, Output: 100, Cost: 3000})
	}
}
