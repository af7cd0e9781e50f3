package host_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What an open console may cost: it asks every two seconds for the state and for a series.
const (
	consoleAsks = 2 * time.Second
	consolePart = 0.01 // of a core
)

// BenchmarkOpenConsole answers what the overview asks for once, at a gateway with a hundred
// models and keys of which each was used, and says MISSED where that takes more of a core.
func BenchmarkOpenConsole(b *testing.B) {
	var yaml strings.Builder
	yaml.WriteString("admin: {console: true}\nmodel_mapping:\n")
	for i := range 100 {
		fmt.Fprintf(&yaml, "  m%d: {provider: demo, model: demo, price: free}\n", i)
	}
	yaml.WriteString("auth:\n  enabled: true\n  api_keys:\n")
	for i := range 100 {
		fmt.Fprintf(&yaml, "    - {name: k%d, key: the-key-number-%d, limits: {requests: [1k/s, 100k/d]}, budget: {day: 5}}\n", i, i)
	}
	g := newGateway(b, yaml.String())
	for i := range 600 {
		if res, answer := g.postAs(b, fmt.Sprint("the-key-number-", i%100), fmt.Sprintf(`{"model":"m%d","messages":[{"role":"user","content":"Hello!"}]}`, i%100)); res.StatusCode != 200 {
			b.Fatalf("%d %s", res.StatusCode, answer)
		}
	}
	a := g.host.Admin(true, nil)
	defer a.Stop()
	for b.Loop() {
		for _, path := range []string{"state", "series"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", "/admin/v1/"+path, nil)
			r.Host = "127.0.0.1:9001"
			if a.ServeHTTP(w, r); w.Code != 200 {
				b.Fatalf("%s is %d %s", path, w.Code, w.Body)
			}
		}
	}
	part := (b.Elapsed() / time.Duration(b.N)).Seconds() / consoleAsks.Seconds()
	b.ReportMetric(part, "of-a-core")
	if b.N > 10 && part > consolePart {
		b.Logf("MISSED: it takes %.4f of a core, and may take %v", part, consolePart)
	}
}
