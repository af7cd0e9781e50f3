package limit

import (
	"maps"
	"math/rand/v2"
	"testing"
	"time"
)

// modelled is a bucket as a model has it that counts period by period, with nothing clever.
type modelled struct {
	now, before, debt, period int64
	known                     bool
}

func (m *modelled) roll(b *Bucket, t time.Time) {
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

func (m *modelled) used(b *Bucket, t time.Time) int64 {
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
	periods []int64
}

// TestRandomSchedules lets requests in, settles them, lets them hang up, ends the process
// and changes limits at random, and compares all that is decided and counted with the model.
func TestRandomSchedules(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		clock := &clock{noon}
		s := NewLocal(Options{Now: clock.now, Track: true})
		model := map[string]*modelled{}
		disk, diskModel := map[string]Saved{}, map[string]modelled{}
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
					m.roll(b, clock.t)
					must, may := b.Needs(r)
					free := b.Limit - m.used(b, clock.t)
					fits := min(must, b.Limit)
					if must+may > 0 && free < max(1, fits) || must > 2*b.Limit && must > 1 {
						let = false
					}
					taken := fits + min(may, max(0, free-fits))
					if must+may == 0 {
						taken = 0
					}
					h.taken, h.periods = append(h.taken, taken), append(h.periods, m.period)
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
					if m.now += h.taken[i]; m.used(b, clock.t) > b.Limit && h.taken[i] > 0 {
						t.Fatalf("seed %d, step %d: %s has %d of %d", seed, step, b.ID, m.used(b, clock.t), b.Limit)
					}
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
					m.roll(b, clock.t)
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
						fits := min(more, max(0, b.Limit-m.used(b, clock.t)))
						m.now, m.debt = m.now+fits, m.debt+more-fits
					case m.period == h.periods[i]:
						m.now = max(0, m.now+more)
					case m.period == h.periods[i]+1 && b.Unit != Money:
						m.before = max(0, m.before+more)
					}
				}
			case action < 94: // the ledger is written
				maps.Copy(disk, s.Changed())
				clear(diskModel)
				for id, m := range model {
					diskModel[id] = *m
				}
			case action < 95: // the process ends, and comes again
				s = NewLocal(Options{Now: clock.now, Track: true, Saved: maps.Clone(disk)})
				clear(model)
				for id, m := range diskModel {
					model[id] = &m
				}
				if m := model["f"]; m != nil {
					m.now = 0
				}
				running, sumUsed, sumCounted = nil, 0, 0
			case action < 97: // a limit changes
				i := random.IntN(len(all))
				b := *all[i]
				if model[b.ID] == nil || s.counters[b.ID] == nil {
					break
				}
				s.counters[b.ID].roll(clock.t)
				model[b.ID].roll(&b, clock.t)
				b.Limit = max(1, b.Limit*(50+random.Int64N(100))/100)
				all[i], s.counters[b.ID].bucket = &b, &b
				for _, h := range running {
					for k, old := range h.buckets {
						if old.ID == b.ID {
							h.buckets[k] = &b
						}
					}
				}
				s.mark(s.counters[b.ID])
				maps.Copy(disk, s.Changed())
				for id, m := range model {
					diskModel[id] = *m
				}
			}
			for id, m := range model {
				if c := s.counters[id]; c != nil && (c.now < 0 || c.before < 0 || c.debt < 0 || m.now < 0) {
					t.Fatalf("seed %d, step %d: %s is below zero: %+v", seed, step, id, c)
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
