package observe

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestWhatNotEveryConfigurationHas scrapes metrics with and without budgets, a cache and a
// shared store.
func TestWhatNotEveryConfigurationHas(t *testing.T) {
	s := State{}
	m := NewMetrics(func() State { return s })
	for _, name := range []string{"kai_budget_used_ratio", "kai_cache_", "kai_shared_"} {
		if all := scrape(t, m); strings.Contains(all, name) {
			t.Errorf("without any, there is %s", name)
		}
	}
	up := true
	s = State{
		Budgets: []BudgetState{{"key app", "day", 0.25}, {"key app", "month", 1.5}},
		Cache:   &CacheState{Entries: 3, Bytes: 77}, Shared: &up,
	}
	m.Shared(3 * time.Millisecond)
	all := scrape(t, m)
	for series, want := range map[string]string{
		`kai_budget_used_ratio{owner="key app",period="day"}`: "0.25", `kai_budget_used_ratio{owner="key app",period="month"}`: "1.5",
		`kai_cache_bytes`: "77", `kai_cache_entries`: "3",
		`kai_shared_up`: "1", `kai_shared_seconds_count`: "1",
	} {
		if got := value(all, series); got != want {
			t.Errorf("%s is %q, want %q", series, got, want)
		}
	}
}

// TestManyBudgetsHaveBoundedSeries has more owners than have series of their own.
func TestManyBudgetsHaveBoundedSeries(t *testing.T) {
	var all []BudgetState
	for i := range maxKeys + 50 {
		all = append(all, BudgetState{fmt.Sprint("key ", i), "day", float64(i) / 10000}, BudgetState{fmt.Sprint("key ", i), "month", 0.5})
	}
	kept := budgetSeries(all)
	if len(kept) != 2*maxKeys+2 {
		t.Fatalf("there are %d series", len(kept))
	}
	for _, b := range kept[2*maxKeys:] {
		if want := map[string]float64{"day": 0.1049, "month": 0.5}[b.Period]; b.Owner != Other || b.Used != want {
			t.Errorf("of the others there is %+v", b)
		}
	}
}
