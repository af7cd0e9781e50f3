package limit

import (
	"math/rand/v2"
	"testing"
	"time"
)

var start = time.Unix(1_700_000_000, 0)

func gauge(b Bounds) *Gauge {
	g := &Gauge{}
	g.Set(b)
	return g
}

func TestRequestsInAMinute(t *testing.T) {
	g := gauge(Bounds{Requests: Rate{10, time.Minute}})
	all := []*Gauge{g}
	passed := 0
	for i := range 600 { // one a second
		if s, ok := Take(all, start.Add(time.Duration(i)*time.Second), 0); ok {
			passed++
			s.Done(start, -1)
		}
	}
	if passed < 95 || passed > 110 {
		t.Errorf("%d requests passed in ten minutes, want about 100", passed)
	}
}

// TestWindowsHaveNoBursts counts what passes in any window, for requests at random.
func TestWindowsHaveNoBursts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	w := Window{Size: time.Minute, Limit: 100}
	var passed []time.Time
	now := start
	for range 20_000 {
		now = now.Add(time.Duration(random.Int64N(int64(200 * time.Millisecond))))
		if w.Room(now, 1) {
			w.Add(now, 1)
			passed = append(passed, now)
		}
	}
	for i, first := range passed {
		n := 0
		for _, other := range passed[i:] {
			if other.Sub(first) >= time.Minute {
				break
			}
			n++
		}
		if n > 200 { // twice the limit is what a fixed window would let through
			t.Fatalf("%d requests passed within a minute, of 100", n)
		}
	}
	if least := int(now.Sub(start)/time.Minute) * 90; len(passed) < least {
		t.Errorf("%d requests passed, want at least %d", len(passed), least)
	}
}

func TestARefusalTakesNothing(t *testing.T) {
	wide, narrow := gauge(Bounds{Requests: Rate{5, time.Minute}, Concurrent: 5}), gauge(Bounds{Concurrent: 1})
	first, ok := Take([]*Gauge{wide, narrow}, start, 0)
	if !ok {
		t.Fatal("the first request is refused")
	}
	for range 100 {
		if _, ok := Take([]*Gauge{wide, narrow}, start, 0); ok {
			t.Fatal("a second one runs beside it")
		}
	}
	if got := wide.requests.Used(start); got != 1 || wide.running != 1 {
		t.Errorf("refused requests are counted: %d, and %d run", got, wide.running)
	}
	first.Done(start, -1)
	first.Done(start, -1)
	if wide.running != 0 || narrow.running != 0 {
		t.Errorf("%d and %d run after the end", wide.running, narrow.running)
	}
}

func TestTokensAreCountedAsUsed(t *testing.T) {
	g := gauge(Bounds{Tokens: Rate{1000, time.Minute}})
	s, ok := Take([]*Gauge{g}, start, 5000) // more than there is, but the first
	if !ok {
		t.Fatal("a request that is larger than the limit never passes")
	}
	if _, ok := Take([]*Gauge{g}, start, 1); ok {
		t.Error("another one passes beside it")
	}
	s.Done(start, 100)
	if s, ok = Take([]*Gauge{g}, start, 900); !ok {
		t.Error("what was estimated too high is not given back")
	}
	s.Done(start, 3000)
	if _, ok := Take([]*Gauge{g}, start.Add(61*time.Second), 1); ok {
		t.Error("what was used beyond the limit is forgotten")
	}
	if _, ok := Take([]*Gauge{g}, start.Add(3*time.Minute), 1); !ok {
		t.Error("it is never forgotten")
	}
}

func TestAChangeOfBoundsKeepsTheCount(t *testing.T) {
	g := gauge(Bounds{Requests: Rate{3, time.Minute}})
	for range 3 {
		Take([]*Gauge{g}, start, 0)
	}
	g.Set(Bounds{Requests: Rate{4, time.Minute}})
	if _, ok := Take([]*Gauge{g}, start, 0); !ok {
		t.Error("one more is not allowed")
	}
	if _, ok := Take([]*Gauge{g}, start, 0); ok {
		t.Error("the count began again")
	}
}
