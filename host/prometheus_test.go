package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/redis"
)

// dashboardQueries returns all queries of the dashboard, by the titles of their panels.
func dashboardQueries(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile("../examples/observability/dashboard.json")
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
	queries := map[string][]string{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			queries[p.Title] = append(queries[p.Title], strings.ReplaceAll(target.Expr, "$__rate_interval", "10s"))
		}
		if len(queries[p.Title]) == 0 {
			t.Errorf("the panel %q asks for nothing", p.Title)
		}
	}
	return queries
}

// observed is a gateway with everything on that metrics tell of, under a load of requests that
// succeed, fail and are refused, until the test ends.
func observed(t *testing.T) *gateway {
	t.Helper()
	up, broken := mock.Start(t, mock.SSE(sseChunk("a"), sseStop, sseUsage, sseDone)), mock.Start(t, mock.Status(503))
	started := testkit.Start(t, testkit.Options{Now: time.Now, Config: parse(t, fmt.Sprintf(`
admin: {key_metrics: true}
cache: {}
providers:
  up: {plugin: openai, base_url: %q, api_key: k}
  broken: {plugin: openai, base_url: %q, api_key: k}
model_mapping:
  m: {targets: [{provider: broken, model: b}, {provider: up, model: m, tier: 2}], price: {input: 1, output: 10}}
  down: {provider: broken, model: c, price: free}
auth: {enabled: true, api_keys: [{name: app, key: app, limits: {requests: 10k/s}, budget: {day: 100}}]}
shared: {url: %q, secret: canary-secret-0123456789}
`, up.URL, broken.URL, "redis://"+redis.Start(t).Address))})
	if err := started.Ready(t); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var load sync.WaitGroup
	load.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			for _, body := range []string{
				asked, strings.Replace(asked, `"m"`, `"down"`, 1), strings.Replace(asked, `"m"`, `"nobody"`, 1),
				strings.Replace(asked, `"stream"`, fmt.Sprintf(`"temperature":0,"seed":%d,"stream"`, i/3), 1),
			} {
				r, _ := http.NewRequestWithContext(ctx, "POST", started.URL+"/v1/chat/completions", strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer app")
				r.Header.Set("Content-Type", "application/json")
				if res, err := http.DefaultClient.Do(r); err == nil {
					res.Body.Close()
				}
			}
		}
	})
	t.Cleanup(func() {
		stop()
		load.Wait()
	})
	return &gateway{started, started.Host, started.Log}
}

// prometheus runs Debian's Prometheus with the rules of the examples, which scrapes a listener.
// ask asks its API, and fills in the answer as JSON.
func prometheus(t *testing.T, scraped string) (ask func(path string, answer any)) {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("prometheus is not installed: Debian's package of that name has it")
		}
		t.Skip("prometheus is not installed: Debian's package of that name has it")
	}
	dir := t.TempDir()
	rules, err := filepath.Abs("../examples/observability/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 200ms, evaluation_interval: 200ms}\nrule_files: [%q]\nscrape_configs:\n  - job_name: kai\n    static_configs: [{targets: [%q]}]\n",
		rules, strings.TrimPrefix(scraped, "http://"))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var address, said string
	for range 5 { // another program may take the port before Prometheus does
		if address, said = startPrometheus(t, program, dir); address != "" {
			return func(path string, answer any) {
				res, err := http.Get("http://" + address + path)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				json.NewDecoder(res.Body).Decode(answer)
			}
		}
	}
	t.Fatalf("prometheus ends: %s", said)
	return nil
}

// startPrometheus runs a Prometheus on the files of a folder until the test ends. It returns
// its address once it is ready, or what it has said if it ends.
func startPrometheus(t *testing.T, program, dir string) (address, said string) {
	t.Helper()
	address = redis.Free(t)
	var out bytes.Buffer
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-ended })
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		if res, err := http.Get("http://" + address + "/-/ready"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return address, ""
			}
		}
		select {
		case <-ended:
			return "", out.String()
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatal("prometheus is never ready")
	return "", ""
}

// TestADashboardOfARealPrometheus has Prometheus scrape a gateway under load: each query of the
// dashboard finds something, and each rule for alerts can be evaluated.
func TestADashboardOfARealPrometheus(t *testing.T) {
	ask := prometheus(t, withAdmin(t, observed(t), nil).URL)
	const patience = 3 * time.Minute
	end := time.Now().Add(patience)
	for title, queries := range dashboardQueries(t) {
		for _, query := range queries {
			for found := 0; found == 0; time.Sleep(50 * time.Millisecond) { // until it has scraped more
				var answer struct{ Data struct{ Result []any } }
				ask("/api/v1/query?query="+url.QueryEscape(query), &answer)
				if found = len(answer.Data.Result); found == 0 && time.Now().After(end) {
					t.Errorf("%s: %s finds nothing", title, query)
					break
				}
			}
		}
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		var answer struct {
			Data struct {
				Groups []struct {
					Rules []struct{ Health, Name, LastError string }
				}
			}
		}
		ask("/api/v1/rules", &answer)
		rules, waiting := 0, ""
		for _, g := range answer.Data.Groups {
			for _, r := range g.Rules {
				rules++
				switch r.Health {
				case "ok":
				case "err":
					t.Errorf("the rule %s fails: %s", r.Name, r.LastError)
				default:
					waiting += " " + r.Name
				}
			}
		}
		if rules > 0 && waiting == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("of %d rules, these were never evaluated:%s", rules, waiting)
		}
	}
}
