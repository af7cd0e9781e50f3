package route

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

var rule = Cooldown{
	Failures: 3, ErrorRate: 0.5, Window: 30 * time.Second, MinRequests: 10, Base: 5 * time.Second, Max: 2 * time.Minute, Sticky: 10 * time.Minute,
}

func health() Health { return Health{provider: &Cell{}, model: &Cell{}, rule: &rule} }

// done takes a lease and ends it.
func done(h Health, now time.Time, err error) {
	lease := h.Take()
	lease.Done(now, err)
}

func TestWhatFailuresCool(t *testing.T) {
	for name, tc := range map[string]struct {
		err             error
		times           int
		provider, model time.Duration // about how long it cools; 0: not at all
	}{
		"one failure of a server":          {failure(fault.Upstream), 1, 0, 0},
		"three failures of a server":       {failure(fault.Upstream), 3, 0, 5 * time.Second},
		"six: the probes double it":        {failure(fault.Upstream), 6, 0, 40 * time.Second},
		"many: no longer than the longest": {failure(fault.Upstream), 20, 0, 2 * time.Minute},
		"an answer that comes too late":    {failure(fault.Slow), 3, 0, 5 * time.Second},
		"no connection":                    {failure(fault.Unsent), 3, 5 * time.Second, 0},
		"a rate limit without a time":      {failure(fault.Rate), 2, 0, 0},
		"a rate limit with a time":         {told(fault.Rate, 7*time.Second), 1, 0, 7 * time.Second},
		"a time that nobody believes":      {told(fault.Rate, 100*time.Hour), 1, 0, time.Hour},
		"a refused key":                    {failure(fault.Auth), 1, 10 * time.Minute, 0},
		"used up credit":                   {failure(fault.Quota), 1, 10 * time.Minute, 0},
		"a missing model":                  {failure(fault.Missing), 1, 0, 10 * time.Minute},
		"a client's bad requests":          {failure(fault.Refused), 100, 0, 0},
		"requests that are too long":       {failure(fault.Context), 100, 0, 0},
		"forbidden content":                {failure(fault.Policy), 100, 0, 0},
		"clients that hang up":             {failure(fault.Gone), 100, 0, 0},
		"a broken adapter":                 {failure(fault.Adapter), 100, 0, 0},
		"a full target":                    {failure(fault.Saturated), 100, 0, 0},
		"what is the gateway's own":        {failure(fault.Internal), 100, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := health()
			for range tc.times {
				done(h, start, tc.err)
			}
			for what, c := range map[string]struct {
				cell *Cell
				want time.Duration
			}{"provider": {h.provider, tc.provider}, "model": {h.model, tc.model}} {
				until, _ := c.cell.Until()
				if c.want == 0 {
					if !until.IsZero() {
						t.Errorf("the %s cools for %v, want not at all", what, until.Sub(start))
					}
					continue
				}
				if got := until.Sub(start); got < c.want*9/10 || got > c.want*11/10 {
					t.Errorf("the %s cools for %v, want about %v", what, got, c.want)
				}
			}
		})
	}
}

// TestRecoolingNeverShortens: an upstream said a minute, and what comes later is less.
func TestRecoolingNeverShortens(t *testing.T) {
	h := health()
	done(h, start, told(fault.Rate, time.Minute))
	for range 5 {
		done(h, start.Add(time.Second), told(fault.Rate, time.Second))
		done(h, start.Add(time.Second), failure(fault.Upstream))
	}
	if until, told := h.until(start); until.Before(start.Add(time.Minute)) || !told.Equal(start.Add(time.Minute)) {
		t.Errorf("it cools until %v, told %v, want at least a minute", until.Sub(start), told.Sub(start))
	}
}

func TestASuccessForgetsEverything(t *testing.T) {
	h, rule := health(), rule
	rule.ErrorRate = 0 // which looks back further
	h.rule = &rule
	for range 7 {
		done(h, start, failure(fault.Upstream))
	}
	done(h, start, nil)
	if h.State(start) != Closed {
		t.Error("it still cools")
	}
	for range 2 {
		done(h, start, failure(fault.Upstream))
	}
	if h.State(start) != Closed {
		t.Error("it remembers failures before the success")
	}
}

func TestErrorRate(t *testing.T) {
	h := health()
	for i := range 9 { // never three in a row
		var err error
		if i%3 != 0 {
			err = failure(fault.Upstream)
		}
		done(h, start, err)
	}
	if h.State(start) != Closed {
		t.Fatal("it cools before there are ten requests")
	}
	done(h, start, nil)
	done(h, start, failure(fault.Upstream))
	if h.State(start) != Cooling {
		t.Error("more than half of ten requests failed, and it doesn't cool")
	}
	h = health()
	for i := range 30 {
		now := start.Add(time.Duration(i) * 31 * time.Second)
		var err error
		if i%3 != 0 {
			err = failure(fault.Upstream)
		}
		done(h, now, err)
		if h.State(now) != Closed {
			t.Fatal("it counts failures that are older than the window")
		}
	}
}

// TestProbesAreNeverLost: whoever tries a target that cooled gives the permit back, also
// if the client hangs up.
func TestProbesAreNeverLost(t *testing.T) {
	h := health()
	done(h, start, told(fault.Rate, time.Second))
	now := start.Add(2 * time.Second)
	for range 3 {
		lease, ok := h.enter(false)
		if !ok {
			t.Fatal("nobody may try it")
		}
		if _, ok := h.enter(false); ok {
			t.Error("two try it at one time")
		}
		lease.Done(now, failure(fault.Gone))
		lease.Done(now, nil) // does nothing
		if h.State(now) != HalfOpen {
			t.Error("that a client hung up changes its state")
		}
	}
	lease, _ := h.enter(false)
	lease.Done(now, nil)
	if h.State(now) != Closed {
		t.Error("a success doesn't close it")
	}
}

// plainCell is what a cell shall do, said plainly.
type plainCell struct {
	failures, rounds int
	until, told      time.Time
	probing          bool
}

func (p *plainCell) state(now time.Time) State {
	switch {
	case p.until.IsZero():
		return Closed
	case now.Before(p.until):
		return Cooling
	}
	return HalfOpen
}

// TestCellsDoAsTheyShould holds cells against plainCell, for random outcomes, times and
// permits.
func TestCellsDoAsTheyShould(t *testing.T) {
	rule := Cooldown{Failures: 2, Base: 5 * time.Second, Max: time.Minute, Sticky: 10 * time.Minute}
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		cell, want, now := &Cell{}, &plainCell{}, start
		type permit struct{ probe bool }
		var held []permit
		for step := range 200 {
			switch random.IntN(4) {
			case 0:
				now = now.Add(time.Duration(random.Int64N(int64(20 * time.Second))))
			case 1:
				probe, ok := cell.enter()
				if wantOK := want.until.IsZero() || !want.probing; ok != wantOK {
					t.Fatalf("seed %d, step %d: enter gives %v, want %v", seed, step, ok, wantOK)
				}
				if ok {
					held = append(held, permit{probe})
					want.probing = want.probing || probe
				}
			default:
				if len(held) == 0 {
					continue
				}
				p := held[0]
				held = held[1:]
				before := want.until
				switch outcome := random.IntN(5); outcome {
				case 0:
					cell.succeeded(now, &rule)
					*want = plainCell{probing: want.probing}
				case 1: // says nothing
				default:
					kind, wait := []fault.Kind{fault.Upstream, fault.Rate, fault.Missing}[outcome-2], time.Duration(0)
					if kind == fault.Rate {
						wait = time.Duration(1 + random.Int64N(int64(30*time.Second)))
					}
					cell.failed(now, kind, wait, p.probe, &rule)
					want.failures++
					least, most := time.Time{}, time.Time{}
					if wait > 0 {
						least, most = now.Add(wait), now.Add(wait)
						want.told = later(want.told, least)
					}
					if kind == fault.Missing {
						least, most = now.Add(rule.Sticky), now.Add(rule.Sticky)
					} else if p.probe || want.failures >= rule.Failures {
						d := min(rule.Max, rule.Base<<min(want.rounds, 10))
						want.rounds++
						least, most = later(least, now.Add(d*9/10)), later(most, now.Add(d*11/10))
					}
					until, told := cell.Until()
					if least, most = later(least, before), later(most, before); until.Before(least) || until.After(most) {
						t.Fatalf("seed %d, step %d: cools until %v, want %v to %v", seed, step, until, least, most)
					}
					if !told.Equal(want.told) {
						t.Fatalf("seed %d, step %d: told %v, want %v", seed, step, told, want.told)
					}
					want.until = until
				}
				if cell.leave(p.probe); p.probe {
					want.probing = false
				}
			}
			if got := cell.State(now); got != want.state(now) {
				t.Fatalf("seed %d, step %d: state %v, want %v", seed, step, got, want.state(now))
			}
		}
	}
}

// TestReloadsForgetNothingThatStays makes random tables of the same upstreams, of which some
// are replaced, while requests to the targets of older ones end: a cell is remembered as
// long as a table has its upstream and model, and no longer.
func TestReloadsForgetNothingThatStays(t *testing.T) {
	rule := Cooldown{Base: time.Second, Max: time.Minute, Sticky: 10 * time.Minute} // failures cool by the upstream's word alone
	type lease struct {
		Lease
		provider, model *plainCell
	}
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 2))
		cells, now := NewCells(), start
		plain := map[cellKey]*plainCell{} // of all tables
		holds := map[cellKey]int{}
		var tables []*Table
		var leases []lease
		keys := func(target *Target) [2]cellKey {
			return [2]cellKey{{provider: target.Upstream, whole: true}, {provider: target.Upstream, model: target.Model}}
		}
		reload := func() {
			a := Alias{Name: "a", Routing: Routing{Cooldown: rule}}
			for _, provider := range []string{"x", "y"} {
				upstream := provider + string('0'+rune(random.IntN(3))) // its key or address may be another
				for _, model := range []string{"m", "n"} {
					a.Entries = append(a.Entries, Entry{Target: Target{Provider: provider, Upstream: upstream, Model: model}, Weight: 1, Tier: 1})
				}
			}
			table, err := New([]Alias{a}, "", cells)
			if err != nil {
				t.Fatal(err)
			}
			tables = append(tables, table)
			for i := range a.Entries {
				for _, k := range keys(&a.Entries[i].Target) {
					if holds[k]++; plain[k] == nil {
						plain[k] = &plainCell{}
					}
				}
			}
		}
		targets := func(table *Table) []Target {
			plan, err := table.Plan("a")
			if err != nil {
				t.Fatal(err)
			}
			return plan.Targets
		}
		reload()
		for step := range 200 {
			switch random.IntN(6) {
			case 0:
				now = now.Add(time.Duration(random.Int64N(int64(5 * time.Minute))))
			case 1:
				reload()
			case 2:
				if len(tables) == 1 {
					continue
				}
				for _, target := range targets(tables[0]) {
					for _, k := range keys(&target) {
						if holds[k]--; holds[k] == 0 {
							delete(plain, k)
						}
					}
				}
				tables[0].Close()
				tables = tables[1:]
			case 3:
				target := &targets(tables[random.IntN(len(tables))])[random.IntN(4)]
				k := keys(target)
				leases = append(leases, lease{target.Health().Take(), plain[k[0]], plain[k[1]]})
			default:
				if len(leases) == 0 {
					continue
				}
				l := leases[0]
				leases = leases[1:]
				switch random.IntN(4) {
				case 0:
					l.Done(now, nil)
					*l.provider, *l.model = plainCell{}, plainCell{}
				case 1:
					wait := time.Duration(1 + random.Int64N(int64(time.Minute)))
					l.Done(now, told(fault.Rate, wait))
					l.model.until = later(l.model.until, now.Add(wait))
				case 2:
					l.Done(now, failure(fault.Auth))
					l.provider.until = later(l.provider.until, now.Add(rule.Sticky))
				default:
					l.Done(now, failure(fault.Gone))
				}
			}
			for _, table := range tables {
				for _, target := range targets(table) {
					k := keys(&target)
					if got, want := target.Health().State(now), max(plain[k[0]].state(now), plain[k[1]].state(now)); got != want {
						t.Fatalf("seed %d, step %d: %s of %s is %v, want %v", seed, step, target.Model, target.Upstream, got, want)
					}
				}
			}
		}
		for _, table := range tables {
			table.Close()
		}
		if len(cells.held) > 0 {
			t.Errorf("seed %d: %d cells are held for nobody", seed, len(cells.held))
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
