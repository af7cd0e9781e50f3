package limit

import (
	"testing"
	"time"
)

// TestWhatIsUsedIsShownAndNotCounted looks at buckets that were never used, that are used,
// that come from a ledger, and whose period is over.
func TestWhatIsUsedIsShownAndNotCounted(t *testing.T) {
	clock := &clock{noon}
	requests := &Bucket{ID: "r", Unit: Requests, Limit: 2, Window: time.Minute}
	money := &Bucket{ID: "m", Unit: Money, Limit: 100, Period: Day, Zone: time.UTC, Warn: 1 << 60}
	start, end := Day.Around(noon, time.UTC)
	s := NewLocal(Options{Now: clock.now, Track: true, Saved: map[string]Saved{"m": {Index: start, End: end, Now: 40}}})
	both := []*Bucket{requests, money}
	check := func(when string, wantRequests, wantMoney int64) {
		t.Helper()
		for range 2 { // looking changes nothing
			if got := s.Used(both); got[0] != wantRequests || got[1] != wantMoney {
				t.Errorf("%s, %v are used, want %d and %d", when, got, wantRequests, wantMoney)
			}
		}
	}
	check("before any request", 0, 40)
	if len(s.counters) != 0 || len(s.Changed()) != 0 {
		t.Error("looking made counters")
	}
	l, refused := s.Admit(t.Context(), both, Reserve{InputCost: 10})
	if refused != nil {
		t.Fatal(refused)
	}
	check("while a request runs", 1, 50)
	l.Settle(Usage{Cost: 7})
	check("after it", 1, 47)
	clock.pass(24 * time.Hour)
	check("on the next day", 0, 0)
}
