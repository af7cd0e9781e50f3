// Package observe shows operators how their gateway is doing. It makes metrics for Prometheus,
// and spans, of the records of requests (package record) and of the gateway's state.
//
// Nothing in it has a prompt, an answer or a key. Labels are names of the configuration
// and words of the gateway's own, never what a client or an upstream said, so the number
// of series is bounded by the configuration. It is the only package that knows Prometheus.
package observe

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// secondsBuckets are those of OpenTelemetry's conventions for generative AI, from 10 ms to
// 82 s, and three more, since reasoning models take minutes.
var secondsBuckets = []float64{
	0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36,
}

// Unknown is the alias of requests without one: there is no such model, or they were refused
// before their model was looked up.
const Unknown = "_unknown"

// Other stands for all keys beyond the first maxKeys.
const Other = "_other"

// maxKeys is how many names of keys have series of their own.
const maxKeys = 1000

// Metrics are a gateway's. They outlive configurations: a counter goes on where it was.
// Their methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	requests       *prometheus.CounterVec
	seconds        *prometheus.HistogramVec
	firstToken     *prometheus.HistogramVec
	inFlight       *prometheus.GaugeVec
	attempts       *prometheus.CounterVec
	attemptSeconds *prometheus.HistogramVec
	tokens         *prometheus.CounterVec
	estimated      *prometheus.CounterVec
	cost           *prometheus.CounterVec
	uncertain      prometheus.Counter
	cooldowns      *prometheus.CounterVec
	refusals       *prometheus.CounterVec
	cached         *prometheus.CounterVec
	warnings       *prometheus.CounterVec
	keyTokens      *prometheus.CounterVec
	calls          *prometheus.CounterVec
	fuel           *prometheus.CounterVec
	sharedSeconds  *prometheus.HistogramVec // without labels; a vector, so that it is there once it is used
	genAI          *genAI

	unknown *aliasSeries // of requests that came to no alias

	mu      sync.Mutex
	aliases shared[string, aliasSeries]
	targets shared[Target, targetSeries]
	plugins shared[string, providerSeries]
	keys    shared[string, keySeries]
}

// NewMetrics returns metrics of which nothing has been counted. state is asked at each
// scrape.
func NewMetrics(state func() State) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: secondsBuckets}, labels)
	}
	m := &Metrics{
		registry:       prometheus.NewRegistry(),
		requests:       counter("kai_requests_total", "Requests for a model, by the status of the answer; 499: the client hung up.", "alias", "status", "cache"),
		seconds:        histogram("kai_request_seconds", "How long requests for a model took, to the end of the answer.", "alias", "stream"),
		firstToken:     histogram("kai_first_token_seconds", "How long streams took to their first content. Keep-alives are none.", "alias"),
		inFlight:       prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kai_inflight", Help: "Requests for a model that are being served."}, []string{"alias"}),
		attempts:       counter("kai_attempts_total", "Attempts to get an answer of a target, by the class of the failure; ok: it answered.", "provider", "model", "class"),
		attemptSeconds: histogram("kai_attempt_seconds", "How long attempts took, to the end of the answer.", "provider", "model"),
		tokens:         counter("kai_tokens_total", "Tokens by type. Input includes those of the cache, output those of the reasoning.", "provider", "model", "type"),
		estimated:      counter("kai_usage_estimated_total", "Answers whose tokens the provider did not count, or not to the end.", "provider", "model"),
		cost:           counter("kai_cost_total", "What attempts cost by the configured prices, in the configured currency.", "provider", "model"),
		uncertain:      prometheus.NewCounter(prometheus.CounterOpts{Name: "kai_uncertain_cost_total", Help: "Attempts that the provider may bill though it never counted what they used."}),
		cooldowns:      counter("kai_cooldowns_total", "Failures that made a target or its provider cool down.", "provider", "model", "class"),
		refusals:       counter("kai_refusals_total", "Requests that failed before any target was asked, by the kind of the failure and its code.", "kind", "code"),
		cached:         counter("kai_cache_requests_total", "Requests whose answers may be kept. hit: one was; miss: none was.", "alias", "result"),
		warnings:       counter("kai_budget_warnings_total", "Budgets of which most was spent, each once in its period, by whose they are.", "owner"),
		keyTokens:      counter("kai_key_tokens_total", "Tokens by the name of the client's key.", "key"),
		calls:          counter("kai_adapter_calls_total", "Calls of adapters in their sandbox. failed: the adapter stated an error; broken: it broke its contract.", "provider", "result"),
		fuel:           counter("kai_adapter_fuel_total", "What adapters have executed, in units of fuel.", "provider"),
	}
	m.sharedSeconds = histogram("kai_shared_seconds", "How long the shared store took to answer.")
	m.genAI = newGenAI(m.registry.MustRegister)
	m.unknown = newAliasSeries(m, Unknown)
	m.registry.MustRegister(
		m.requests, m.seconds, m.firstToken, m.inFlight, m.attempts, m.attemptSeconds, m.tokens, m.estimated, m.cost, m.uncertain, m.cooldowns, m.refusals, m.cached, m.warnings, m.keyTokens, m.calls, m.fuel, m.sharedSeconds,
		&stateCollector{state}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Shared counts how long the store took to answer that several gateways share.
func (m *Metrics) Shared(d time.Duration) { m.sharedSeconds.WithLabelValues().Observe(d.Seconds()) }

// BudgetWarning counts that most of a budget is spent.
//
//   - owner: the kind of owner, such as "key", of which there are few
func (m *Metrics) BudgetWarning(owner string) { m.warnings.WithLabelValues(owner).Inc() }

// scrapeTime is how long a scrape may take. Prometheus gives up after 10 s by default.
const scrapeTime = 10 * time.Second

// Handler serves the metrics in Prometheus' text format. It asks nobody for a key.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: scrapeTime})
}
