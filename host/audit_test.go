package host_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestAuditOfAGateway reads the lines of requests that were answered, refused and lost,
// and moves the audit elsewhere by a reload.
func TestAuditOfAGateway(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.jsonl"), filepath.Join(dir, "two.jsonl")
	broken, up := mock.Start(t, mock.Status(500)), mock.Start(t, says("fine"))
	yaml := fmt.Sprintf("providers:\n  up0: {plugin: openai, base_url: %q, api_key: a}\n  up1: {plugin: openai, base_url: %q, api_key: b}\n"+
		"model_mapping:\n  m: {targets: [{provider: up0, model: m0}, {provider: up1, model: m1, tier: 2}], price: {input: 1, output: 1}}\n"+
		"auth: {enabled: true, api_keys: [{name: app, key: key-of-app-123456}]}\n", broken.URL, up.URL)
	g := newGateway(t, yaml+fmt.Sprintf("audit: {file: %q}\n", one))
	g.postAs(t, "key-of-app-123456", answerOfM)
	g.postAs(t, "key-of-nobody-123456", answerOfM)
	if err := g.host.Swap(t.Context(), parse(t, yaml+fmt.Sprintf("audit: {file: %q}\n", two)), testkit.Module); err != nil {
		t.Fatal(err)
	}
	g.postAs(t, "key-of-app-123456", strings.Replace(answerOfM, `"m"`, `"none"`, 1))
	if err := g.host.Swap(t.Context(), parse(t, yaml+fmt.Sprintf("audit: {file: %q}\n", dir)), testkit.Module); err == nil || !strings.Contains(err.Error(), "audit.file: can't be written: ") {
		t.Errorf("an audit into a folder: %v", err)
	}
	g.Close()
	lines := func(path string, n int) (all []map[string]any) {
		var b []byte
		for end := time.Now().Add(time.Minute); strings.Count(string(b), "\n") < n && time.Now().Before(end); time.Sleep(time.Millisecond) {
			b, _ = os.ReadFile(path) // which is written in the background
		}
		for line := range strings.Lines(string(b)) {
			var v map[string]any
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			all = append(all, v)
		}
		return all
	}
	first, second := lines(one, 2), lines(two, 1)
	if len(first) != 2 || len(second) != 1 {
		t.Fatalf("there are %d lines before the reload and %d after it: %v %v", len(first), len(second), first, second)
	}
	for _, tc := range []struct {
		line map[string]any
		want string // as fmt prints the fields
	}{
		{first[0], "app m up1/m1 200 <nil>"},
		{first[1], "<nil> <nil> <nil> 401 unauthenticated"},
		{second[0], "app <nil> <nil> 400 unknown_model"},
	} {
		if got := fmt.Sprint(tc.line["key"], " ", tc.line["alias"], " ", tc.line["target"], " ", tc.line["status"], " ", tc.line["class"]); got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
	}
	if trail, _ := first[0]["trail"].([]any); len(trail) != 2 || first[0]["cost_nano"] == nil || first[0]["tokens"] == nil {
		t.Errorf("the first line is %v", first[0])
	}
}
