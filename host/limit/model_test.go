package limit

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// modelled is a bucket as a model has it that counts period by period, with nothing clever.
type modelled struct {
	bucket                    *Bucket // as the last request had it; nil: none had it in this process
	now, before, debt, period int64
	known                     bool
	changed                   bool // since the ledger was written
}

func (m *modelled) roll(t time.Time) {
	b := m.bucket
	if b.Unit == Concurrent {
		return
	}
	size := 24 * time.Hour
	if b.Unit != Money {
		size = b.Window
	}
	period := t.UnixNano() / int64(size)
	if !m.known {
		m.known, m.period = true, period
	}
	for m.period < period {
		m.period++
		if b.Unit == Money {
			m.now = 0
			continue
		}
		pays := min(m.debt, b.Limit)
		m.before, m.now, m.debt = m.now, pays, m.debt-pays
	}
}

func (m *modelled) used(t time.Time) int64 {
	b := m.bucket
	if b.Window == 0 {
		return m.now
	}
	size := int64(b.Window)
	left := size - t.UnixNano()%size
	return m.now + m.debt + (m.before*left+size-1)/size
}

// held is a request that was let in, as the model has it.
type held struct {
	lease   Lease
	buckets []*Bucket
	taken   []int64
	open    []int64 // of it, beyond the estimate of the input
	periods []int64
}

// written is what a ledger has of a bucket.
func (m *modelled) written(running []held, id string) *modelled {
	w := *m
	w.bucket, w.changed = nil, false
	for _, h := range running {
		for i, b := range h.buckets {
			switch {
			case b.ID != id:
			case h.periods[i] == m.period:
				w.now -= h.open[i]
			case h.periods[i] == m.period-1 && b.Window > 0:
				w.before -= h.open[i]
			}
		}
	}
	return &w
}

// TestRandomSchedules lets requests in, settles them, lets them hang up, writes the ledger
// or fails to, ends the process and changes limits at random, and compares all that is
// decided and counted with the model.
func TestRandomSchedules(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		clock := &clock{noon}
		s := NewLocal(Options{Now: clock.now, Track: true})
		model := map[string]*modelled{}
		disk, diskModel := map[string]Saved{}, map[string]*modelled{}
		all := []*Bucket{
			{ID: "a", Unit: Requests, Limit: 5, Window: 10 * time.Second}, {ID: "b", Unit: Requests, Limit: 20, Window: time.Minute},
			{ID: "c", Unit: Tokens, Limit: 300, Window: 10 * time.Second}, {ID: "d", Unit: InputTokens, Limit: 500, Window: time.Minute},
			{ID: "e", Unit: OutputTokens, Limit: 200, Window: 10 * time.Second}, {ID: "f", Unit: Concurrent, Limit: 3},
			{ID: "g", Unit: Money, Limit: 20_000, Period: Day, Zone: time.UTC, Warn: 1 << 60},
		}
		var running []held
		var sumUsed, sumCounted int64 // of tokens in bucket c, before anything expires
		for step := range 3000 {
			clock.pass(time.Duration(random.Int64N(int64(3 * time.Second))))
			if random.IntN(200) == 0 {
				clock.pass(time.Duration(random.Int64N(int64(30 * time.Hour))))
			}
			switch action := random.IntN(100); {
			case action < 55: // a request
				var chosen []*Bucket
				for _, b := range all {
					if random.IntN(3) > 0 {
						chosen = append(chosen, b)
					}
				}
				r := Reserve{Input: 1 + random.Int64N(200), Output: random.Int64N(150)}
				r.InputCost, r.OutputCost = r.Input*3, r.Output*10
				h := held{buckets: chosen}
				let := true
				for _, b := range chosen {
					m := model[b.ID]
					if m == nil {
						m = &modelled{}
						model[b.ID] = m
					}
					m.bucket = b
					m.roll(clock.t)
					must, may := b.Needs(r)
					free := b.Limit - m.used(clock.t)
					fits := min(must, b.Limit)
					if must+may > 0 && free < max(1, fits) || must > 2*b.Limit && must > 1 {
						let = false
					}
					open := min(may, max(0, free-fits))
					h.taken, h.open, h.periods = append(h.taken, fits+open), append(h.open, open), append(h.periods, m.period)
				}
				l, refused := s.Admit(t.Context(), chosen, r)
				if (refused == nil) != let {
					t.Fatalf("seed %d, step %d: let in %t, by the model %t (%+v)", seed, step, refused == nil, let, refused)
				}
				if !let {
					break
				}
				for i, b := range chosen {
					m := model[b.ID]
					if m.now += h.taken[i]; m.used(clock.t) > b.Limit && h.taken[i] > 0 {
						t.Fatalf("seed %d, step %d: %s has %d of %d", seed, step, b.ID, m.used(clock.t), b.Limit)
					}
					m.changed = true
					if b.ID == "c" {
						sumCounted += h.taken[i]
					}
				}
				h.lease = l
				running = append(running, h)
			case action < 90 && len(running) > 0: // one ends, by itself or by a hang-up
				i := random.IntN(len(running))
				h := running[i]
				running[i] = running[len(running)-1]
				running = running[:len(running)-1]
				u := Usage{Input: random.Int64N(250), Output: random.Int64N(200)}
				u.Cost = u.Input*3 + u.Output*10
				h.lease.Settle(u)
				h.lease.Settle(Usage{Input: 1 << 40}) // what is settled stays so
				for i, b := range h.buckets {
					m := model[b.ID]
					m.roll(clock.t)
					if b.Unit == Concurrent {
						m.now--
					}
					if b.Unit == Requests || b.Unit == Concurrent {
						continue
					}
					more := b.Spent(u) - h.taken[i]
					if b.ID == "c" {
						sumUsed, sumCounted = sumUsed+b.Spent(u), sumCounted+more
					}
					switch {
					case more > 0 && b.Unit == Money:
						m.now += more
					case more > 0:
						fits := min(more, max(0, m.bucket.Limit-m.used(clock.t)))
						m.now, m.debt = m.now+fits, m.debt+more-fits
					case m.period == h.periods[i]:
						m.now = max(0, m.now+more)
					case m.period == h.periods[i]+1 && b.Unit != Money:
						m.before = max(0, m.before+more)
					}
					m.changed = true
				}
			case action < 93: // the ledger is written
				maps.Copy(disk, s.Changed())
				for id, m := range model {
					if m.changed && id != "f" {
						diskModel[id], m.changed = m.written(running, id), false
					}
				}
			case action < 94: // the ledger can't be written
				s.Unsaved(s.Changed())
			case action < 95: // the process ends, and comes again
				s = NewLocal(Options{Now: clock.now, Track: true, Saved: maps.Clone(disk)})
				clear(model)
				for id, m := range diskModel {
					again := *m
					model[id] = &again
				}
				running, sumUsed, sumCounted = nil, 0, 0
			case action < 97: // a reload changes a limit, or takes it away for a while
				i := random.IntN(len(all))
				b := *all[i]
				b.Limit = max(1, b.Limit*(50+random.Int64N(100))/100)
				all[i] = &b
				if random.IntN(2) == 0 {
					s.Keep(all)
					break
				}
				s.Keep(slices.Concat(all[:i], all[i+1:]))
				if m := model[b.ID]; m != nil && m.bucket != nil {
					m.roll(clock.t)
				}
			}
			for id, m := range model {
				if c := s.counters[id]; c != nil && (c.debt < 0 || m.now < 0 || c.open < 0 || c.openBefore < 0 || c.open > c.now || c.openBefore > c.before) {
					t.Fatalf("seed %d, step %d: %s can't be: %+v", seed, step, id, c)
				}
			}
		}
		pending := int64(0)
		for _, h := range running {
			for i, b := range h.buckets {
				if b.ID == "c" {
					pending += h.taken[i]
				}
			}
		}
		if sumCounted != sumUsed+pending {
			t.Errorf("seed %d: %d tokens were counted; %d were used and %d are reserved", seed, sumCounted, sumUsed, pending)
		}
	}
}
