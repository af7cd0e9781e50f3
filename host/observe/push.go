package observe

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"
)

// PushConfig says where metrics are sent.
type PushConfig struct {
	Endpoint string        // the URL that takes OTLP over HTTP; "": they are not sent
	Headers  http.Header   // that are sent along; secrets
	Every    time.Duration // how often
	Resource []string      // attributes that say who sends, names and values in turn
	Version  string        // the gateway's

	Servers map[string]Server // by provider
}

// Pusher sends metrics to a collector, in the background: those that Handler serves, from
// the same instruments, so nothing is counted twice. What a collector doesn't take is not
// sent again, since the next message has it all. Its methods are safe for concurrent use.
type Pusher struct {
	log     *slog.Logger
	from    prometheus.Gatherer
	client  *http.Client
	started time.Time
	config  atomic.Pointer[PushConfig] // nil: nothing is sent
	changed chan struct{}
	background
	failed bool // the last message was not taken
}

// Pusher returns one that sends nothing before Use. The caller closes it.
func (m *Metrics) Pusher(log *slog.Logger) *Pusher {
	p := &Pusher{
		log: log, from: m.registry, client: newSender(), started: time.Now(),
		changed: make(chan struct{}, 1), background: newBackground(),
	}
	go p.run()
	return p
}

// Use applies a configuration from now on.
func (p *Pusher) Use(c PushConfig) {
	if c.Endpoint == "" {
		p.config.Store(nil)
	} else {
		p.config.Store(&c)
	}
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *Pusher) run() {
	defer close(p.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			p.push()
		case <-p.changed:
		case <-p.quit:
			p.push()
			return
		}
		every := time.Hour
		if c := p.config.Load(); c != nil {
			every = c.Every
		}
		timer.Reset(every)
	}
}

// push sends the metrics once.
func (p *Pusher) push() {
	c := p.config.Load()
	if c == nil {
		return
	}
	families, err := p.from.Gather()
	var body []byte
	if err == nil {
		body, err = proto.Marshal(otlpMetrics(families, c, p.started, time.Now()))
	}
	if err == nil {
		err = post(p.client, c.Endpoint, c.Headers, body)
	}
	if bad := err != nil; bad != p.failed {
		if p.failed = bad; bad {
			p.log.Error("metrics can't be sent", "err", err)
		} else {
			p.log.Info("metrics are sent again")
		}
	}
}

// otlpMetrics returns what is sent. On the wire it is an ExportMetricsServiceRequest, whose
// only field has the same number.
func otlpMetrics(families []*dto.MetricFamily, c *PushConfig, started, now time.Time) *metrics.MetricsData {
	scope := &metrics.ScopeMetrics{Scope: &common.InstrumentationScope{Name: scopeName, Version: c.Version}}
	for _, f := range families {
		scope.Metrics = append(scope.Metrics, otlpMetric(f, c.Servers, nano(started), nano(now)))
	}
	return &metrics.MetricsData{ResourceMetrics: []*metrics.ResourceMetrics{{
		Resource:     &resource.Resource{Attributes: appendTexts(nil, c.Resource...)},
		ScopeMetrics: []*metrics.ScopeMetrics{scope},
	}}}
}

// otlpMetric translates one metric with all its series. Counts are since begin, unless it is
// known when a series began.
func otlpMetric(f *dto.MetricFamily, servers map[string]Server, begin, now uint64) *metrics.Metric {
	m := &metrics.Metric{Name: f.GetName(), Description: f.GetHelp()}
	names, conventional := conventional[f.GetName()]
	if conventional {
		m.Name, m.Unit = names.name, names.unit
	}
	var numbers []*metrics.NumberDataPoint
	var histograms []*metrics.HistogramDataPoint
	var summaries []*metrics.SummaryDataPoint
	for _, one := range f.Metric {
		attributes := otlpLabels(one.Label, conventional, servers)
		switch f.GetType() {
		case dto.MetricType_HISTOGRAM:
			histograms = append(histograms, otlpHistogram(one.Histogram, attributes, begin, now))
		case dto.MetricType_SUMMARY:
			s := &metrics.SummaryDataPoint{Attributes: attributes, StartTimeUnixNano: begin, TimeUnixNano: now, Count: one.Summary.GetSampleCount(), Sum: one.Summary.GetSampleSum()}
			for _, q := range one.Summary.Quantile {
				s.QuantileValues = append(s.QuantileValues, &metrics.SummaryDataPoint_ValueAtQuantile{Quantile: q.GetQuantile(), Value: q.GetValue()})
			}
			summaries = append(summaries, s)
		default:
			value, since := one.Gauge.GetValue(), uint64(0)
			if one.Counter != nil {
				value, since = one.Counter.GetValue(), begin
				if made := one.Counter.CreatedTimestamp; made != nil {
					since = nano(made.AsTime())
				}
			}
			numbers = append(numbers, &metrics.NumberDataPoint{
				Attributes: attributes, StartTimeUnixNano: since, TimeUnixNano: now, Value: &metrics.NumberDataPoint_AsDouble{AsDouble: value},
			})
		}
	}
	const cumulative = metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	switch f.GetType() {
	case dto.MetricType_HISTOGRAM:
		m.Data = &metrics.Metric_Histogram{Histogram: &metrics.Histogram{DataPoints: histograms, AggregationTemporality: cumulative}}
	case dto.MetricType_SUMMARY:
		m.Data = &metrics.Metric_Summary{Summary: &metrics.Summary{DataPoints: summaries}}
	case dto.MetricType_COUNTER:
		m.Data = &metrics.Metric_Sum{Sum: &metrics.Sum{DataPoints: numbers, AggregationTemporality: cumulative, IsMonotonic: true}}
	default:
		m.Data = &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: numbers}}
	}
	return m
}

// otlpHistogram translates a series of a histogram. Prometheus' buckets count what is in
// those below, too; OTLP's don't.
func otlpHistogram(h *dto.Histogram, attributes []*common.KeyValue, begin, now uint64) *metrics.HistogramDataPoint {
	if made := h.CreatedTimestamp; made != nil {
		begin = nano(made.AsTime())
	}
	p := &metrics.HistogramDataPoint{Attributes: attributes, StartTimeUnixNano: begin, TimeUnixNano: now, Count: h.GetSampleCount(), Sum: h.SampleSum}
	below := uint64(0)
	for _, b := range h.Bucket {
		p.ExplicitBounds = append(p.ExplicitBounds, b.GetUpperBound())
		p.BucketCounts = append(p.BucketCounts, b.GetCumulativeCount()-below)
		below = b.GetCumulativeCount()
	}
	p.BucketCounts = append(p.BucketCounts, h.GetSampleCount()-below)
	return p
}

// otlpLabels translates the labels of a series. Those of the conventions' metrics have the
// conventions' names, and where the provider is, which /metrics doesn't tell.
func otlpLabels(labels []*dto.LabelPair, conventional bool, servers map[string]Server) []*common.KeyValue {
	var all []*common.KeyValue
	for _, l := range labels {
		name := l.GetName()
		if conventional {
			name = attributeOf[name]
		}
		all = appendTexts(all, name, l.GetValue())
		if conventional && name == attrTarget {
			all = appendServer(all, servers[l.GetValue()])
		}
	}
	return all
}
