package observe

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/record"
)

// dashboardQueries returns the queries of the dashboard, by the titles of their panels.
func dashboardQueries(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("../../examples/observability/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil || len(d.Panels) == 0 {
		t.Fatalf("the dashboard has %d panels, %v", len(d.Panels), err)
	}
	queries := map[string]string{}
	for _, p := range d.Panels {
		queries[p.Title] = strings.ReplaceAll(p.Targets[0].Expr, "$__rate_interval", "10s")
	}
	return queries
}

// TestADashboardOfARealPrometheus has Prometheus, where it is installed, scrape metrics
// that are being counted, load the rules of the examples, and answer each query of the
// dashboard.
func TestADashboardOfARealPrometheus(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed; it is Debian's package of that name")
	}
	up := true
	m := NewMetrics(func() State {
		return State{
			Targets: []TargetState{{Target{"groq", "llama"}, 0}}, Budgets: []BudgetState{{"key app", "day", 0.95}},
			Cache: &CacheState{Entries: 1, Bytes: 1}, Shared: &up,
		}
	})
	v := m.View(names)
	scraped := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 10 {
			v.Begin("fast")
			v.End(finished())
			v.End(&record.Request{ForModel: true, Class: "invalid", Status: 400})
			m.Shared(time.Millisecond)
		}
		m.Handler().ServeHTTP(w, r)
	}))
	defer scraped.Close()
	dir := t.TempDir()
	rules, err := filepath.Abs("../../examples/observability/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 200ms, evaluation_interval: 200ms}\nrule_files: [%q]\nscrape_configs:\n  - job_name: kai\n    static_configs: [{targets: [%q]}]\n",
		rules, strings.TrimPrefix(scraped.URL, "http://"))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.CommandContext(t.Context(), program, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	var answered struct {
		Data struct {
			Result []any
			Groups []struct {
				Rules []struct{ Health, Name string }
			}
		}
	}
	ask := func(path string) {
		answered.Data.Result, answered.Data.Groups = nil, nil
		res, err := http.Get("http://" + address + path)
		if err != nil {
			return
		}
		defer res.Body.Close()
		json.NewDecoder(res.Body).Decode(&answered)
	}
	end := time.Now().Add(30 * time.Second)
	for title, query := range dashboardQueries(t) {
		for ask("/api/v1/query?query=" + url.QueryEscape(query)); len(answered.Data.Result) == 0; ask("/api/v1/query?query=" + url.QueryEscape(query)) {
			if time.Now().After(end) {
				t.Errorf("%s: %s finds nothing", title, query)
				break
			}
			time.Sleep(50 * time.Millisecond) // until it has scraped more
		}
	}
	healthy := 0
	for ask("/api/v1/rules"); healthy == 0 && time.Now().Before(end); ask("/api/v1/rules") {
		for _, g := range answered.Data.Groups {
			for _, r := range g.Rules {
				if r.Health == "err" {
					t.Errorf("the rule %s fails", r.Name)
				} else if r.Health == "ok" {
					healthy++
				}
			}
		}
	}
	if healthy == 0 {
		t.Error("no rule was evaluated")
	}
}
