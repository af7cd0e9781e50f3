package observe

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// described returns the names of all metrics.
func described(m *Metrics) map[string]bool {
	names := map[string]bool{}
	found := make(chan *prometheus.Desc, 200)
	m.registry.Describe(found)
	close(found)
	for d := range found {
		_, name, _ := strings.Cut(d.String(), `fqName: "`)
		name, _, _ = strings.Cut(name, `"`)
		names[name] = true
	}
	return names
}

// TestAlertsAskForMetricsThatExist compares the rules of the examples, and the table of the
// document, with the metrics.
func TestAlertsAskForMetricsThatExist(t *testing.T) {
	known := described(NewMetrics(none))
	document, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile("../../examples/observability/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`kai_[a-z_]+`).FindAllString(string(rules)+string(document), -1) {
		if !known[strings.TrimSuffix(name, "_bucket")] {
			t.Errorf("there is no metric %s", name)
		}
	}
	for name := range known {
		if strings.HasPrefix(name, "kai_") && !strings.Contains(string(document), "| `"+name+"` |") {
			t.Errorf("docs/observability.md has no row for %s", name)
		}
	}
}

// promtool returns Prometheus' own tool.
func promtool(t *testing.T) string {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("promtool is not installed: it is in Debian's package prometheus")
		}
		t.Skip("promtool is not installed: it is in Debian's package prometheus")
	}
	return tool
}

// TestExamplesArePrometheusOwn asks Prometheus' own tool where it is installed.
func TestExamplesArePrometheusOwn(t *testing.T) {
	tool := promtool(t)
	if out, err := exec.Command(tool, "check", "config", "../../examples/observability/prometheus.yml").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
