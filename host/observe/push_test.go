package observe

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// metricsCollector takes metrics as OpenTelemetry's does, and gives each message on.
func metricsCollector(t *testing.T, status int) (*httptest.Server, chan *metrics.MetricsData) {
	taken := make(chan *metrics.MetricsData, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		data := &metrics.MetricsData{}
		if err == nil {
			err = proto.Unmarshal(b, data)
		}
		if err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("X-Key") != "secret" {
			t.Errorf("%s with %s: %v", r.URL, r.Header, err)
		}
		taken <- data
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s, taken
}

// points returns the series of a message as text, by name and attributes.
func points(data *metrics.MetricsData) map[string]string {
	all := map[string]string{}
	name := func(m *metrics.Metric, attributes []*common.KeyValue) string {
		var of []string
		for _, a := range attributes {
			if value := a.Value.GetStringValue(); value != "" {
				of = append(of, a.Key+"="+value)
			} else {
				of = append(of, fmt.Sprint(a.Key, "=", a.Value.GetIntValue()))
			}
		}
		return m.Name + "{" + strings.Join(of, ",") + "}" + m.Unit
	}
	for _, m := range data.ResourceMetrics[0].ScopeMetrics[0].Metrics {
		for _, p := range m.GetSum().GetDataPoints() {
			all[name(m, p.Attributes)] = fmt.Sprint("sum ", p.GetAsDouble(), " ", m.GetSum().IsMonotonic, " ", p.StartTimeUnixNano > 0 && p.StartTimeUnixNano <= p.TimeUnixNano)
		}
		for _, p := range m.GetGauge().GetDataPoints() {
			all[name(m, p.Attributes)] = fmt.Sprint("gauge ", p.GetAsDouble())
		}
		for _, p := range m.GetHistogram().GetDataPoints() {
			all[name(m, p.Attributes)] = fmt.Sprint("histogram ", p.Count, " ", p.GetSum(), " ", len(p.ExplicitBounds), " ", p.BucketCounts)
		}
	}
	return all
}

// TestMetricsAreSentToACollector counts one request by both generations of names, and
// compares what a collector gets with what /metrics has.
func TestMetricsAreSentToACollector(t *testing.T) {
	server, taken := metricsCollector(t, 200)
	m := NewMetrics(func() State { return State{Generation: 3, Instances: map[string]int{"groq": 2}} })
	n := names
	n.Conventions = Conventions{Names: "both", Systems: map[string]string{"groq": "openai"}}
	v := m.View(n)
	r := finished()
	r.Endpoint, r.Attempts[1].FirstContent = "/v1/chat/completions", 3*time.Second
	v.Begin("fast")
	v.End(r)
	p := m.Pusher(slog.New(slog.DiscardHandler))
	p.Use(PushConfig{Endpoint: server.URL, Headers: http.Header{"X-Key": {"secret"}}, Every: time.Hour, Resource: []string{"service.name", "gw"}, Version: "1", Servers: map[string]Server{"groq": {"api.example.com", 443}}})
	p.Close(time.Minute)
	if len(taken) != 1 {
		t.Fatalf("the collector got %d messages", len(taken))
	}
	data := <-taken
	got := points(data)
	const of = "{gen_ai.operation.name=chat,gen_ai.provider.name=openai,gen_ai.request.model=llama,kai.provider=groq,server.address=api.example.com,server.port=443}"
	for series, want := range map[string]string{
		"kai_requests_total{alias=fast,cache=miss,status=200}":                   "sum 1 true true",
		"kai_inflight{alias=fast}":                                               "gauge 0",
		"kai_config_generation{}":                                                "gauge 3",
		"kai_adapter_instances{provider=groq}":                                   "gauge 2",
		"kai_attempt_seconds{model=llama,provider=groq}":                         "histogram 1 99 17 [0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 0 0]",
		"gen_ai.client.inference.duration" + of + "s":                            "histogram 1 99 14 [0 0 0 0 0 0 0 0 0 0 0 0 0 0 1]",
		"gen_ai.client.inference.time_to_first_chunk" + of + "s":                 "histogram 1 3 14 [0 0 0 0 0 0 0 0 0 1 0 0 0 0 0]",
		"gen_ai.client.inference.usage.input_tokens" + of + "{token}":            "sum 100 true true",
		"gen_ai.client.inference.usage.cache_read.input_tokens" + of + "{token}": "sum 60 true true",
		"gen_ai.client.inference.operation.output_tokens" + of + "{token}":       "histogram 1 20 14 [0 0 0 1 0 0 0 0 0 0 0 0 0 0 0]",
		"gen_ai.client.operation.duration" + of + "s":                            "histogram 1 99 14 [0 0 0 0 0 0 0 0 0 0 0 0 0 0 1]",
		"gen_ai.client.inference.duration{error.type=rate,gen_ai.operation.name=chat,gen_ai.provider.name=openrouter,gen_ai.request.model=*,kai.provider=openrouter}s": "histogram 1 1 14 [0 0 0 0 0 0 0 1 0 0 0 0 0 0 0]",
		"gen_ai.client.token.usage" + strings.Replace(of, ",kai.provider=groq", ",gen_ai.token.type=input,kai.provider=groq", 1) + "{token}":                           "histogram 1 100 14 [0 0 0 0 1 0 0 0 0 0 0 0 0 0 0]",
	} {
		if got[series] != want {
			t.Errorf("%s is %q, want %q", series, got[series], want)
		}
	}
	if s := fmt.Sprint(data.ResourceMetrics[0].Resource.Attributes); !strings.Contains(s, "gw") {
		t.Errorf("the resource is %s", s)
	}
	if t.Failed() {
		for series, value := range got {
			if strings.Contains(series, "gen_ai") {
				t.Log(series, value)
			}
		}
	}
	v.Close()
	if all := scrape(t, m); strings.Contains(all, "gen_ai_") {
		t.Error("series by the conventions outlive their target")
	}
}

// TestMetricsByConventionsOnlyForACollector counts a request of a gateway that sends none,
// and of ones that want one kind of names.
func TestMetricsByConventionsOnlyForACollector(t *testing.T) {
	for conventions, want := range map[string][2]bool{"": {}, "genai-0.1": {true, false}, "v1.41": {false, true}, "both": {true, true}} {
		m := NewMetrics(none)
		n := names
		n.Conventions.Names = conventions
		v := m.View(n)
		v.Begin("fast")
		v.End(finished())
		all := scrape(t, m)
		got := [2]bool{strings.Contains(all, "gen_ai_client_inference_duration_seconds_count"), strings.Contains(all, "gen_ai_client_operation_duration_seconds_count")}
		if got != want {
			t.Errorf("with conventions %q, metrics have the new and the old names: %v, want %v", conventions, got, want)
		}
	}
}

// TestACollectorThatTakesNoMetrics is told of once, and once when it does again.
func TestACollectorThatTakesNoMetrics(t *testing.T) {
	server, taken := metricsCollector(t, 503)
	m := NewMetrics(none)
	var log strings.Builder
	p := m.Pusher(slog.New(slog.NewTextHandler(&log, nil)))
	c := PushConfig{Endpoint: server.URL, Headers: http.Header{"X-Key": {"secret"}}, Every: time.Millisecond}
	p.Use(c)
	for range 3 {
		<-taken
	}
	p.Use(PushConfig{}) // nothing is sent any more
	p.Close(time.Minute)
	if strings.Count(log.String(), "metrics can't be sent") != 1 || strings.Contains(log.String(), "secret") {
		t.Errorf("the log says %s", log.String())
	}
}
