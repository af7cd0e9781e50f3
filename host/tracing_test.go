package host

import (
	"fmt"
	"testing"

	"github.com/kai-gateway/kai/config"
)

// TestWhereTracesGo compares what the environment says with what the configuration says.
func TestWhereTracesGo(t *testing.T) {
	const models = "model_mapping:\n  m: {provider: demo, model: demo}\n"
	for name, tc := range map[string]struct {
		yaml string
		env  map[string]string
		want string // endpoint, sample, service and the header X-Key
	}{
		"nowhere":       {"", nil, " 1 kai "},
		"as configured": {`telemetry: {traces: {endpoint: "http://otel:4318", sample: 0.5, headers: {X-Key: secret}}}`, nil, "http://otel:4318/v1/traces 0.5 kai secret"},
		"with a path":   {`telemetry: {traces: {endpoint: "http://otel:4318/otlp/traces"}}`, nil, "http://otel:4318/otlp/traces 1 kai "},
		"as the environment says": {"", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env:4318/", "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b, other = c", "OTEL_SERVICE_NAME": "gw", "OTEL_TRACES_SAMPLER_ARG": "0.25",
		}, "http://env:4318/v1/traces 0.25 gw a b"},
		"as it says for traces": {"", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://env/t"}, "http://env/t 1 kai "},
		"configured before the environment": {
			`telemetry: {traces: {endpoint: "http://otel:4318", sample: 0, headers: {x-key: mine}}}`,
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env", "OTEL_EXPORTER_OTLP_HEADERS": "X-Key=theirs", "OTEL_TRACES_SAMPLER_ARG": "1"},
			"http://otel:4318/v1/traces 0 kai mine",
		},
		"turned off":           {"", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env:4318", "OTEL_SDK_DISABLED": "true"}, " 1 kai "},
		"turned off otherwise": {"", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env:4318", "OTEL_TRACES_EXPORTER": "none"}, " 1 kai "},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Parse("api.yaml", []byte(models+tc.yaml+"\n"), config.Options{})
			if err != nil {
				t.Fatal(err)
			}
			h := &Host{opts: Options{Getenv: func(name string) string { return tc.env[name] }}}
			got := h.traceConfig(c)
			if s := fmt.Sprint(got.Endpoint, " ", got.Sample, " ", got.Service, " ", got.Headers.Get("X-Key")); s != tc.want {
				t.Errorf("got %q, want %q", s, tc.want)
			}
		})
	}
}

// TestWhereMetricsGo does the same for metrics.
func TestWhereMetricsGo(t *testing.T) {
	const models = "model_mapping:\n  m: {provider: demo, model: demo}\n"
	base := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env:4318/", "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b", "OTEL_METRIC_EXPORT_INTERVAL": "5000"}
	for name, tc := range map[string]struct {
		yaml string
		env  map[string]string
		want string // endpoint, interval, the header X-Key, and by which names attempts are counted
	}{
		"nowhere":                 {"", nil, " 1m0s  "},
		"as configured":           {`telemetry: {metrics: {endpoint: "http://otel:4318", interval: 15s, headers: {X-Key: secret}}, conventions: both}`, nil, "http://otel:4318/v1/metrics 15s secret both"},
		"as the environment says": {"", base, "http://env:4318/v1/metrics 5s a b genai-0.1"},
		"as it says for metrics":  {"", map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://env/m"}, "http://env/m 1m0s  genai-0.1"},
		"traces alone":            {"", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env", "OTEL_METRICS_EXPORTER": "none"}, " 1m0s  "},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Parse("api.yaml", []byte(models+tc.yaml+"\n"), config.Options{})
			if err != nil {
				t.Fatal(err)
			}
			h := &Host{opts: Options{Getenv: func(name string) string { return tc.env[name] }}}
			got := h.pushConfig(c)
			if s := fmt.Sprint(got.Endpoint, " ", got.Every, " ", got.Headers.Get("X-Key"), " ", h.conventions(c)); s != tc.want {
				t.Errorf("got %q, want %q", s, tc.want)
			}
		})
	}
}
