package host

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/price"
	"github.com/kai-gateway/kai/host/record"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/sdk/abi"
)

// What the limits of a request may cost: of a key with three limits and a budget, from its
// admission to its settlement, on one processor.
const (
	mayTake     = 5 * time.Microsecond
	mayAllocate = 4
	eachSecond  = 50_000
)

// BenchmarkAdmission takes a request of such a key through enter and leave, and says MISSED
// where that costs more than it may.
func BenchmarkAdmission(b *testing.B) {
	million, day := config.Money(1e12), 24*time.Hour
	c := &config.Config{Auth: config.Auth{Keys: []config.Key{{
		Name: "app", Limits: config.CallLimits{Requests: config.Rates{{N: 1 << 40, Per: time.Second}, {N: 1 << 40, Per: day}}, Tokens: config.Rates{{N: 1 << 50, Per: day}}},
		Budget: &config.Budget{Day: &million, Warn: 1},
	}}}, Pricing: config.Pricing{Zone: time.UTC}}
	h := &Host{limits: limit.NewLocal(limit.Options{})}
	g := &generation{host: h, limits: limitsOf(c), estimators: map[string]*limit.Estimator{"m": {}}, prices: []*price.Price{price.New(&price.Rates{Input: 1e6, Output: 1e7}, false)}, now: time.Now}
	asked, err := chat.ParseRequest([]byte(`{"model":"m","messages":[{"role":"user","content":"Anybody?"}]}`))
	if err != nil {
		b.Fatal(err)
	}
	plan := &route.Plan{Alias: "m", Targets: []route.Target{{}}}
	ctx := key.WithPrincipal(context.Background(), key.Principal{Name: "app"})
	r := &record.Request{Usage: record.Usage{Input: 9, Output: 40}, Attempts: []record.Attempt{{}}, Cost: record.Cost{Nano: 4000, Known: true}}
	x := &api.Exchange{Writer: headerWriter{http.Header{}}, Record: r}
	var made *call // which every request has, with limits or without
	begin := func() {
		made = &call{gateway: g, http: x, plan: plan, request: &dialect.Request{Op: abi.Chat}, body: asked, size: asked.Tokens()}
	}
	once := func() {
		begin()
		if err := made.enter(ctx); err != nil {
			b.Fatal(err)
		}
		made.leave()
	}
	b.ReportAllocs()
	for b.Loop() {
		once()
	}
	each := b.Elapsed() / time.Duration(b.N)
	allocs := testing.AllocsPerRun(1000, once) - testing.AllocsPerRun(1000, begin)
	b.ReportMetric(float64(time.Second/max(1, each)), "admissions/s")
	b.ReportMetric(allocs, "own-allocs/op")
	if b.N > 1000 && (each > mayTake || allocs > mayAllocate || time.Second/max(1, each) < eachSecond) {
		b.Logf("MISSED: it takes %v and %v allocations, and may take %v and %d", each, allocs, mayTake, mayAllocate)
	}
}

// mayAdd is what a request may take longer where the configuration says nothing of limits.
const mayAdd = 200 * time.Nanosecond

// BenchmarkNoLimits is BenchmarkAdmission without any of what it takes, and says MISSED where
// that can be measured beside a request.
func BenchmarkNoLimits(b *testing.B) {
	c := &call{
		gateway: &generation{host: &Host{}, now: time.Now}, http: &api.Exchange{Writer: headerWriter{http.Header{}}, Record: &record.Request{}},
		plan: &route.Plan{Alias: "m", Targets: []route.Target{{}}}, request: &dialect.Request{Op: abi.Chat},
	}
	ctx := key.WithPrincipal(context.Background(), key.Principal{Name: "app"})
	b.ReportAllocs()
	for b.Loop() {
		if err := c.enter(ctx); err != nil {
			b.Fatal(err)
		}
		c.leave()
	}
	if each := b.Elapsed() / time.Duration(b.N); b.N > 1000 && each > mayAdd {
		b.Logf("MISSED: it takes %v, and may take %v", each, mayAdd)
	}
}

// headerWriter has the header of an answer.
type headerWriter struct{ header http.Header }

func (w headerWriter) Header() http.Header       { return w.header }
func (headerWriter) Write(p []byte) (int, error) { return len(p), nil }
func (headerWriter) WriteHeader(int)             {}
