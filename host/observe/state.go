package observe

import "github.com/prometheus/client_golang/prometheus"

// State is the state of a gateway at the moment.
type State struct {
	Targets   []TargetState
	Instances map[string]int // of each provider's adapter

	Generation int64 // how many configurations were taken since the start, the first one included
	Refused    bool  // the last one that was offered was not taken
	Refusals   int64 // how many were not taken
	LogDropped int64 // lines of the log that nobody will see

	TracesDropped int64 // requests whose spans nobody will see
	AuditDropped  int64 // lines of the audit that nobody will see

	Budgets []BudgetState // where the configuration says that keys have series
	Cache   *CacheState   // nil: there is no cache
	Shared  *bool         // whether the shared store can be reached; nil: there is none
}

// BudgetState is how much of a budget is used.
type BudgetState struct {
	Owner  string // such as "key app" or "group team"
	Period string // day, week, month or total
	Used   float64
}

// CacheState is how the cache of answers is doing.
type CacheState struct {
	Entries int64
	Bytes   int64
}

// TargetState is how a target is doing.
type TargetState struct {
	Target
	State int // 0: anybody may ask it, 1: one request at a time, 2: it cools down
}

var (
	targetState    = prometheus.NewDesc("kai_target_state", "How a target does. 0: it is asked, 1: one request at a time tries it, 2: it cools down.", []string{"provider", "model"}, nil)
	instances      = prometheus.NewDesc("kai_adapter_instances", "Instances of the provider's adapter that exist.", []string{"provider"}, nil)
	generation     = prometheus.NewDesc("kai_config_generation", "The configuration that is served, counted from the start of the program.", nil, nil)
	configRefused  = prometheus.NewDesc("kai_config_refused", "1 if the last configuration that was offered could not be taken, so that the one before keeps serving.", nil, nil)
	configRefusals = prometheus.NewDesc("kai_config_refusals_total", "Configurations that could not be taken.", nil, nil)
	logDropped     = prometheus.NewDesc("kai_log_dropped_total", "Lines of the log that were dropped because whoever takes it was too slow.", nil, nil)
	auditDropped   = prometheus.NewDesc("kai_audit_dropped_total", "Lines of the audit that were dropped, because they came too fast or could not be written.", nil, nil)
	tracesDropped  = prometheus.NewDesc("kai_traces_dropped_total", "Requests whose spans were dropped, because the collector was too slow, or away.", nil, nil)
)

// Series of what not every configuration has.
var (
	budgetUsed   = prometheus.NewDesc("kai_budget_used_ratio", "Which part of a budget is spent or reserved; 1 is all of it.", []string{"owner", "period"}, nil)
	cacheEntries = prometheus.NewDesc("kai_cache_entries", "Answers that are kept.", nil, nil)
	cacheBytes   = prometheus.NewDesc("kai_cache_bytes", "What the answers that are kept take of the memory.", nil, nil)
	sharedUp     = prometheus.NewDesc("kai_shared_up", "1 if the shared store can be reached.", nil, nil)
)

// stateCollector asks for the state at each scrape.
type stateCollector struct{ state func() State }

// Describe is for prometheus.Collector.
func (*stateCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{targetState, instances, generation, configRefused, configRefusals, logDropped, auditDropped, tracesDropped, budgetUsed, cacheEntries, cacheBytes, sharedUp} {
		to <- d
	}
}

// Collect is for prometheus.Collector.
func (c *stateCollector) Collect(to chan<- prometheus.Metric) {
	s := c.state()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v int64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	seen := map[Target]bool{}
	for _, t := range s.Targets {
		if !seen[t.Target] {
			seen[t.Target] = true
			gauge(targetState, float64(t.State), t.Provider, t.Model)
		}
	}
	for provider, n := range s.Instances {
		gauge(instances, float64(n), provider)
	}
	gauge(generation, float64(s.Generation))
	gauge(configRefused, one(s.Refused))
	count(configRefusals, s.Refusals)
	count(logDropped, s.LogDropped)
	count(auditDropped, s.AuditDropped)
	count(tracesDropped, s.TracesDropped)
	for _, b := range budgetSeries(s.Budgets) {
		gauge(budgetUsed, b.Used, b.Owner, b.Period)
	}
	if s.Cache != nil {
		gauge(cacheEntries, float64(s.Cache.Entries))
		gauge(cacheBytes, float64(s.Cache.Bytes))
	}
	if s.Shared != nil {
		gauge(sharedUp, one(*s.Shared))
	}
}

// one returns 1 for true and 0 for false.
func one(so bool) float64 {
	if so {
		return 1
	}
	return 0
}

// budgetSeries keeps the budgets of the first owners. Of all others it keeps, for each period,
// the budget of which the largest part is used.
func budgetSeries(all []BudgetState) []BudgetState {
	owners, most := map[string]bool{}, map[string]float64{}
	var kept []BudgetState
	for _, b := range all {
		if owners[b.Owner] || len(owners) < maxKeys {
			owners[b.Owner] = true
			kept = append(kept, b)
		} else {
			most[b.Period] = max(most[b.Period], b.Used)
		}
	}
	for period, used := range most {
		kept = append(kept, BudgetState{Other, period, used})
	}
	return kept
}
