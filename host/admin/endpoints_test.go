package admin

import (
	"io/fs"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTheConsoleAsksForWhatThereIs finds the calls in the console's scripts. All endpoints are
// called, but for the metrics, which are for Prometheus.
func TestTheConsoleAsksForWhatThereIs(t *testing.T) {
	call := regexp.MustCompile(`\b(get|post|request)\("(admin/[^"?]*)`)
	s := New(Options{Gateway: &fake{}})
	unused := map[string]bool{}
	for _, e := range endpoints {
		unused[e.method+" "+e.path] = e.path != "/metrics"
	}
	scripts, err := fs.Glob(files, "console/*.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range scripts {
		script, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range call.FindAllStringSubmatch(string(script), -1) {
			method := "GET"
			if found[1] == "post" {
				method = "POST"
			}
			_, pattern := s.mux.Handler(httptest.NewRequest(method, "/"+found[2], nil))
			if !strings.HasPrefix(pattern, method+" /admin/") {
				t.Errorf("%s asks for %s /%s, which the listener doesn't have", name, method, found[2])
			}
			unused[pattern] = false
		}
	}
	for pattern, is := range unused {
		if is {
			t.Errorf("no script asks for %s", pattern)
		}
	}
}

func TestTheDocumentHasTheEndpoints(t *testing.T) {
	page, err := os.ReadFile("../../docs/console.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range endpoints {
		if !strings.Contains(string(page), "\n| `"+e.String()+"` |") {
			t.Errorf("docs/console.md has no row for %s", e)
		}
	}
}
