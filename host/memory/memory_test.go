package memory_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/kai-gateway/kai/host/memory"
)

const grain = memory.Grain

// check holds what is in use against what should be.
func check(t *testing.T, when string, used map[*memory.Limit]int64) {
	t.Helper()
	for l, want := range used {
		if got := l.Used(); got != want {
			t.Errorf("%s: %d bytes are in use, want %d", when, got, want)
		}
	}
}

func TestGrantsTakeWholeGrains(t *testing.T) {
	total := memory.New(memory.Options{Limit: 100 * grain})
	g := total.Grant()
	hold := func(n int64) {
		t.Helper()
		if err := g.Hold(n); err != nil {
			t.Fatal(err)
		}
	}
	check(t, "at first", map[*memory.Limit]int64{&total.Limit: 0})
	hold(1)
	check(t, "with a byte", map[*memory.Limit]int64{&total.Limit: grain})
	hold(grain - 1)
	check(t, "with a grain", map[*memory.Limit]int64{&total.Limit: grain})
	hold(1)
	check(t, "with a byte more", map[*memory.Limit]int64{&total.Limit: 2 * grain})
	g.Drop(grain)
	check(t, "with little less", map[*memory.Limit]int64{&total.Limit: 2 * grain})
	hold(10 * grain)
	g.Drop(10*grain + 1)
	check(t, "with much less", map[*memory.Limit]int64{&total.Limit: 0})
	hold(5)
	g.Release()
	g.Release()
	check(t, "after its release", map[*memory.Limit]int64{&total.Limit: 0})
}

func TestWhatIsRefusedChangesNothing(t *testing.T) {
	total := memory.New(memory.Options{Limit: 10 * grain})
	a, b := total.Share("a", 6*grain), total.Share("b", 6*grain)
	all := map[*memory.Limit]int64{&total.Limit: 9 * grain, &a.Limit: 6 * grain, &b.Limit: 3 * grain}

	one := total.Grant()
	if err := errors.Join(one.Join(a), one.Hold(6*grain)); err != nil {
		t.Fatal(err)
	}
	two := total.Grant()
	if err := errors.Join(two.Hold(3*grain), two.Join(b)); err != nil {
		t.Fatal(err)
	}
	check(t, "held", all)

	var e *memory.Error
	if err := one.Hold(1); !errors.As(err, &e) || e.Share != "a" || !strings.Contains(err.Error(), "limits.share") {
		t.Errorf("beyond the share: %v, want an error that names it", err)
	}
	if err := two.Hold(2 * grain); !errors.As(err, &e) || e.Share != "" || !strings.Contains(err.Error(), "server.max_memory") {
		t.Errorf("beyond everything: %v, want an error that says so", err)
	}
	three := total.Grant()
	if err := three.Hold(1); err != nil {
		t.Fatal(err)
	}
	if err := three.Join(a); !errors.As(err, &e) || e.Share != "a" {
		t.Errorf("joining a share that is used up: %v", err)
	}
	three.Release()
	check(t, "after refusals", all)

	one.Release()
	two.Release()
	check(t, "at the end", map[*memory.Limit]int64{&total.Limit: 0, &a.Limit: 0, &b.Limit: 0})
}

func TestALowerBoundLeavesWhatIsHeld(t *testing.T) {
	total := memory.New(memory.Options{Limit: 10 * grain})
	g := total.Grant()
	if err := g.Hold(8 * grain); err != nil {
		t.Fatal(err)
	}
	total.Set(4 * grain)
	other := total.Grant()
	if err := other.Hold(1); err == nil {
		t.Error("a grant was made beyond the new bound")
	}
	g.Drop(6 * grain)
	if err := other.Hold(1); err != nil {
		t.Error(err)
	}
}

func TestReclaimMakesRoom(t *testing.T) {
	var kept *memory.Grant
	var asked []*memory.Share
	total := memory.New(memory.Options{Limit: 10 * grain, Reclaim: func(s *memory.Share) {
		asked = append(asked, s)
		kept.Release()
	}})
	a := total.Share("a", 5*grain)
	for name, tc := range map[string]struct {
		kept, more int64
		of         *memory.Share
	}{
		"in the share":  {5 * grain, grain, a},
		"in everything": {5 * grain, 6 * grain, nil},
	} {
		t.Run(name, func(t *testing.T) {
			asked = nil
			kept = a.Guest()
			if err := kept.Hold(tc.kept); err != nil {
				t.Fatal(err)
			}
			g := total.Grant()
			defer g.Release()
			if tc.of != nil {
				if err := g.Join(tc.of); err != nil {
					t.Fatal(err)
				}
			}
			if err := g.Hold(tc.more); err != nil {
				t.Errorf("Hold = %v although there was something to reclaim", err)
			}
			if len(asked) != 1 || asked[0] != tc.of {
				t.Errorf("asked to reclaim %v, want once of %v", asked, tc.of)
			}
		})
	}
	check(t, "at the end", map[*memory.Limit]int64{&total.Limit: 0, &a.Limit: 0})
}

func TestForcedGrantsAreCountedAndNotRefused(t *testing.T) {
	total := memory.New(memory.Options{Limit: grain})
	s := total.Share("a", grain)
	g := s.Guest()
	g.Force(true)
	if err := g.Hold(5 * grain); err != nil {
		t.Fatal(err)
	}
	check(t, "forced", map[*memory.Limit]int64{&total.Limit: 5 * grain, &s.Limit: 5 * grain})
	g.Force(false)
	if err := g.Hold(grain); err == nil {
		t.Error("it still refuses nothing")
	}
	g.Release()
	check(t, "at the end", map[*memory.Limit]int64{&total.Limit: 0, &s.Limit: 0})
}

func TestGrowCountsWhatItAllocates(t *testing.T) {
	total := memory.New(memory.Options{Limit: 100 * grain})
	g := total.Grant()
	defer g.Release()
	var b []byte
	var err error
	for len(b) < 20*grain {
		if b, err = g.Grow(b, 1000); err != nil {
			t.Fatal(err)
		}
		if cap(b)-len(b) < 1000 {
			t.Fatalf("there is room for %d bytes only", cap(b)-len(b))
		}
		b = append(b, strings.Repeat("x", 1000)...)
		if got := g.Used(); got != int64(cap(b)) {
			t.Fatalf("%d bytes are counted for an array of %d", got, cap(b))
		}
	}
	if strings.Trim(string(b), "x") != "" {
		t.Error("the bytes changed")
	}
	before := g.Used()
	if same, err := g.Grow(b, 100*grain); err == nil || len(same) != len(b) || g.Used() != before {
		t.Errorf("growing beyond the limit: %v, %d bytes, %d counted", err, len(same), g.Used())
	}
}

func TestNoGrantAllowsEverything(t *testing.T) {
	var none *memory.Grant
	var zero memory.Grant
	var share *memory.Share
	for _, g := range []*memory.Grant{none, &zero, share.Guest()} {
		if err := errors.Join(g.Hold(1<<40), g.Join(nil)); err != nil {
			t.Error(err)
		}
		if b, err := g.Grow(nil, 10); err != nil || cap(b) < 10 {
			t.Errorf("Grow gave %d bytes, %v", cap(b), err)
		}
		g.Drop(1)
		g.Release()
	}
	var l *memory.Limit
	if !l.Take(1 << 40) {
		t.Error("no limit refuses")
	}
	l.Give(1)
}

func TestAGrantIsNotUsedAfterItsRelease(t *testing.T) {
	total := memory.New(memory.Options{Limit: grain})
	g := total.Grant()
	g.Release()
	defer func() {
		if recover() == nil {
			t.Error("it can be used after its release, which nobody would give back")
		}
	}()
	g.Hold(1)
}

// TestManyGrantsAtOnce has goroutines take, join, grow and release beyond the
// limit: it is never exceeded, and in the end nothing is left.
func TestManyGrantsAtOnce(t *testing.T) {
	const limit = 64 * grain
	total := memory.New(memory.Options{Limit: limit})
	shares := []*memory.Share{total.Share("a", limit/2), total.Share("b", limit/2)}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for n := range 2000 {
				g := total.Grant()
				if g.Hold(int64(n%7)*grain) == nil && g.Join(shares[i%2]) == nil {
					_ = g.Hold(int64(n % 1000 * 100))
					g.Drop(int64(n % 500 * 100))
				}
				if used := total.Used(); used > limit || used < 0 {
					t.Errorf("%d bytes are in use", used)
				}
				g.Release()
			}
		})
	}
	all.Wait()
	check(t, "at the end", map[*memory.Limit]int64{&total.Limit: 0, &shares[0].Limit: 0, &shares[1].Limit: 0})
}

// BenchmarkSmallRequest is all that a small streamed request pays for being
// counted: its grant, a share, and a few hundred emissions.
func BenchmarkSmallRequest(b *testing.B) {
	total := memory.New(memory.Options{Limit: 1 << 30})
	share := total.Share("a", 1<<29)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g := total.Grant()
			_ = g.Hold(1 << 10)
			_ = g.Join(share)
			for range 200 {
				_ = g.Hold(100)
				g.Drop(100)
			}
			g.Release()
		}
	})
}
