package observe

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/record"
)

// scrape returns the gateway's own lines of the metrics.
func scrape(t testing.TB, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("got %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// value returns the value of a series, "" if there is none.
func value(metrics, series string) string {
	for line := range strings.Lines(metrics) {
		if v, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// count returns how many series there are of the gateway's own.
func count(metrics string) (n int) {
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "kai_") {
			n++
		}
	}
	return n
}

var names = Names{
	Aliases:   []string{"fast", "or/*"},
	Targets:   []Target{{"groq", "llama"}, {"openrouter", "*"}},
	Providers: []string{"groq", "openrouter"},
	Keys:      []string{"app"},
}

// finished is the record of a stream that a second attempt answered.
func finished() *record.Request {
	r := &record.Request{
		ForModel: true, Alias: "fast", Model: "fast", Key: "app", Stream: true, Status: 200, Cache: "miss",
		Duration: 100 * time.Second, FirstContent: 3 * time.Second,
	}
	r.Add(record.Attempt{Target: 1, Provider: "openrouter", Model: "chosen/by-the-client", Duration: time.Second, Class: "rate", Cooled: true})
	r.Add(record.Attempt{
		Target: 0, Provider: "groq", Model: "llama", Duration: 99 * time.Second,
		Usage: record.Usage{Input: 100, CachedInput: 60, CacheWrite: 5, Output: 20, Reasoning: 7, Estimated: true},
		Cost:  record.Cost{Nano: 250_000_000, Known: true}, Uncertain: true,
		Calls: record.Calls{OK: 9, Failed: 1, Broken: 2, Fuel: 5000},
	})
	return r
}

func none() State { return State{} }

func TestARequestIsCounted(t *testing.T) {
	m := NewMetrics(func() State {
		return State{
			Targets: []TargetState{{Target{"groq", "llama"}, 0}, {Target{"openrouter", "*"}, 2}}, Instances: map[string]int{"groq": 3},
			Generation: 4, Refused: true, Refusals: 5, LogDropped: 6,
		}
	})
	v := m.View(names)
	for range 3 {
		v.Begin("fast")
	}
	v.End(finished())
	v.End(&record.Request{ForModel: true, Model: "no such model", Class: fault.UnknownModel.String(), Code: "model_not_found", Status: 400})
	v.End(&record.Request{ForModel: true, Alias: "fast", Class: fault.Limited.String(), Code: "budget_exceeded", Status: 429})
	v.Begin("fast")
	v.End(&record.Request{ForModel: true, Alias: "fast", Class: fault.Limited.String(), Code: "what a client said", Status: 429})
	v.Begin("fast")
	v.End(&record.Request{ForModel: true, Alias: "fast", Status: 200, Cache: "hit"})
	v.End(&record.Request{Class: fault.Unauthenticated.String(), Status: 401})
	v.End(&record.Request{Class: fault.Gone.String(), Status: 499})
	got := scrape(t, m)
	for series, want := range map[string]string{
		`kai_requests_total{alias="fast",cache="miss",status="200"}`:            "1",
		`kai_requests_total{alias="fast",cache="hit",status="200"}`:             "1",
		`kai_requests_total{alias="fast",cache="",status="200"}`:                "",
		`kai_requests_total{alias="_unknown",cache="",status="400"}`:            "1",
		`kai_requests_total{alias="_unknown",cache="",status="401"}`:            "", // it came to no endpoint of a model
		`kai_inflight{alias="fast"}`:                                            "1",
		`kai_request_seconds_bucket{alias="fast",stream="true",le="81.92"}`:     "0",
		`kai_request_seconds_bucket{alias="fast",stream="true",le="163.84"}`:    "1",
		`kai_first_token_seconds_bucket{alias="fast",le="2.56"}`:                "0",
		`kai_first_token_seconds_bucket{alias="fast",le="5.12"}`:                "1",
		`kai_attempts_total{class="ok",model="llama",provider="groq"}`:          "1",
		`kai_attempts_total{class="rate",model="*",provider="openrouter"}`:      "1",
		`kai_cooldowns_total{class="rate",model="*",provider="openrouter"}`:     "1",
		`kai_attempt_seconds_bucket{model="llama",provider="groq",le="163.84"}`: "1",
		`kai_tokens_total{model="llama",provider="groq",type="input"}`:          "100",
		`kai_tokens_total{model="llama",provider="groq",type="cached_input"}`:   "60",
		`kai_tokens_total{model="llama",provider="groq",type="cache_write"}`:    "5",
		`kai_tokens_total{model="llama",provider="groq",type="output"}`:         "20",
		`kai_tokens_total{model="llama",provider="groq",type="reasoning"}`:      "7",
		`kai_usage_estimated_total{model="llama",provider="groq"}`:              "1",
		`kai_cost_total{model="llama",provider="groq"}`:                         "0.25",
		`kai_uncertain_cost_total`:                                              "1",
		`kai_cache_requests_total{alias="fast",result="miss"}`:                  "1",
		`kai_cache_requests_total{alias="fast",result="hit"}`:                   "1",
		`kai_key_tokens_total{key="app"}`:                                       "120",
		`kai_adapter_calls_total{provider="groq",result="ok"}`:                  "9",
		`kai_adapter_calls_total{provider="groq",result="failed"}`:              "1",
		`kai_adapter_calls_total{provider="groq",result="broken"}`:              "2",
		`kai_adapter_fuel_total{provider="groq"}`:                               "5000",
		`kai_adapter_instances{provider="groq"}`:                                "3",
		`kai_refusals_total{code="model_not_found",kind="unknown_model"}`:       "1",
		`kai_refusals_total{code="",kind="unauthenticated"}`:                    "1",
		`kai_refusals_total{code="budget_exceeded",kind="limited"}`:             "1",
		`kai_refusals_total{code="other",kind="limited"}`:                       "1",
		`kai_refusals_total{code="",kind="gone"}`:                               "",
		`kai_target_state{model="llama",provider="groq"}`:                       "0",
		`kai_target_state{model="*",provider="openrouter"}`:                     "2",
		`kai_config_generation`:                                                 "4",
		`kai_config_refused`:                                                    "1",
		`kai_config_refusals_total`:                                             "5",
		`kai_log_dropped_total`:                                                 "6",
	} {
		if v := value(got, series); v != want {
			t.Errorf("%s is %q, want %q", series, v, want)
		}
	}
	if strings.Contains(got, "chosen/by-the-client") || strings.Contains(got, "no such model") {
		t.Error("a client's words are a label")
	}
	for _, own := range []string{"go_goroutines", "process_open_fds"} {
		if value(got, own) == "" {
			t.Errorf("there is no %s", own)
		}
	}
}

// TestTrapClientsAddNoSeries has clients and upstreams say what they like.
func TestTrapClientsAddNoSeries(t *testing.T) {
	n := names
	n.Keys = nil
	for i := range 10_000 {
		n.Keys = append(n.Keys, fmt.Sprint("key", i))
	}
	m := NewMetrics(none)
	v := m.View(n)
	random := rand.New(rand.NewPCG(1, 2))
	request := func(i int) {
		name := fmt.Sprintf("model-%x", random.Uint64())
		r := &record.Request{ForModel: true, Model: name, Class: fault.UnknownModel.String(), Status: 400 + i%200, Key: n.Keys[i%len(n.Keys)]}
		if i%2 == 0 { // behind the *
			r = &record.Request{ForModel: true, Model: "or/*", Alias: "or/*", Stream: i%4 == 0, Status: 200, FirstContent: 1, Key: n.Keys[i%len(n.Keys)]}
			r.Add(record.Attempt{Target: 1, Provider: "openrouter", Model: name, Usage: record.Usage{Input: 1}})
			v.Begin(r.Alias)
		}
		v.End(r)
	}
	for i := range 20_000 {
		request(i)
	}
	before := count(scrape(t, m))
	for i := range 200_000 {
		request(i)
	}
	after := scrape(t, m)
	if count(after) != before {
		t.Errorf("200,000 names made %d series of %d", count(after), before)
	}
	if keys := strings.Count(after, "\nkai_key_tokens_total{"); keys > maxKeys+1 || value(after, `kai_key_tokens_total{key="_other"}`) == "" {
		t.Errorf("10,000 keys made %d series", keys)
	}
	if bound := maxKeys + 1 + 400; count(after) > bound {
		t.Errorf("there are %d series, want at most %d", count(after), bound)
	}
}

// TestTrapSeriesOutliveTheirModel: a reload removes an alias, a target, a provider and a key.
func TestTrapSeriesOutliveTheirModel(t *testing.T) {
	m := NewMetrics(none)
	old := m.View(names)
	old.Begin("fast")
	old.End(finished())
	next := m.View(Names{Aliases: []string{"or/*"}, Targets: []Target{{"openrouter", "*"}}, Providers: []string{"openrouter"}})
	if got := scrape(t, m); value(got, `kai_requests_total{alias="fast",cache="miss",status="200"}`) == "" {
		t.Errorf("series are gone while requests of the old configuration may run:\n%s", got)
	}
	old.Close()
	got := scrape(t, m)
	for _, gone := range []string{`alias="fast"`, `provider="groq"`, `key="app"`} {
		if strings.Contains(got, gone) {
			t.Errorf("there still are series with %s", gone)
		}
	}
	if value(got, `kai_attempts_total{class="rate",model="*",provider="openrouter"}`) != "1" {
		t.Error("a target that stays has lost its count")
	}
	next.Close()
	if got := scrape(t, m); strings.Contains(got, "openrouter") {
		t.Error("series of the last view stay")
	}
}

// TestMetricsAreLinted asks Prometheus' own tool where it is installed.
func TestMetricsAreLinted(t *testing.T) {
	tool := promtool(t)
	up := true
	m := NewMetrics(func() State {
		return State{
			Targets: []TargetState{{Target{"groq", "llama"}, 0}}, Instances: map[string]int{"groq": 1}, Budgets: []BudgetState{{"key app", "day", 0.5}},
			Cache: &CacheState{}, Shared: &up,
		}
	})
	m.Shared(time.Millisecond)
	n := names
	n.Conventions.Names = "both"
	v := m.View(n)
	v.Begin("fast")
	v.End(finished())
	v.End(&record.Request{ForModel: true, Class: "invalid", Status: 400})
	cmd := exec.Command(tool, "check", "metrics")
	cmd.Stdin = strings.NewReader(scrape(t, m))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

func BenchmarkRequest(b *testing.B) {
	m := NewMetrics(none)
	v := m.View(names)
	r := finished()
	b.ReportAllocs()
	for b.Loop() {
		v.Begin("fast")
		v.End(r)
	}
	aim(b, 1500*time.Nanosecond)
}

// aim reports how long one run may take, and says if it took longer.
func aim(b *testing.B, most time.Duration) {
	b.ReportMetric(float64(most.Nanoseconds()), "ns-allowed")
	if each := b.Elapsed() / time.Duration(max(1, b.N)); each > most {
		b.Logf("MISSED: %v each, and %v are allowed", each, most)
	}
}

// BenchmarkScrape is of a gateway with a thousand aliases, each of which was used.
func BenchmarkScrape(b *testing.B) {
	m := NewMetrics(none)
	var n Names
	for i := range 1000 {
		n.Aliases = append(n.Aliases, fmt.Sprint("alias", i))
		n.Targets = append(n.Targets, Target{"groq", fmt.Sprint("model", i)})
	}
	v := m.View(n)
	for i, alias := range n.Aliases {
		r := finished()
		r.Alias, r.Attempts = alias, r.Attempts[1:]
		r.Attempts[0].Target = i
		v.Begin(alias)
		v.End(r)
	}
	for b.Loop() {
		scrape(b, m)
	}
	aim(b, 300*time.Millisecond)
}

// TestTrapHistogramsEndTooSoon has an answer take five minutes, as those of reasoning models
// do.
func TestTrapHistogramsEndTooSoon(t *testing.T) {
	m := NewMetrics(none)
	v := m.View(names)
	r := finished()
	r.Duration, r.FirstContent = 5*time.Minute, 4*time.Minute
	v.Begin("fast")
	v.End(r)
	got := scrape(t, m)
	for series, want := range map[string]string{
		`kai_request_seconds_bucket{alias="fast",stream="true",le="163.84"}`: "0", `kai_request_seconds_bucket{alias="fast",stream="true",le="327.68"}`: "1",
		`kai_first_token_seconds_bucket{alias="fast",le="163.84"}`: "0", `kai_first_token_seconds_bucket{alias="fast",le="327.68"}`: "1",
	} {
		if v := value(got, series); v != want {
			t.Errorf("%s is %q, want %q", series, v, want)
		}
	}
}

// TestTrapMetricsAreSpreadOverFiles counts in many goroutines at once: one scrape has all of
// it, and nothing was written anywhere.
func TestTrapMetricsAreSpreadOverFiles(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("TMPDIR", dir)
	t.Setenv("PROMETHEUS_MULTIPROC_DIR", dir)
	m := NewMetrics(none)
	v := m.View(names)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 50 {
				v.Begin("fast")
				v.End(finished())
			}
		})
	}
	all.Wait()
	if got := value(scrape(t, m), `kai_requests_total{alias="fast",cache="miss",status="200"}`); got != "1000" {
		t.Errorf("%s of 1000 requests were counted", got)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("counting made the files %v (%v)", files, err)
	}
}
