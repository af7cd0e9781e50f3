package host

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/config"
)

// TestWhereTracesGo compares what the environment says with what the configuration says.
func TestWhereTracesGo(t *testing.T) {
	const models = "model_mapping:\n  m: {provider: demo, model: demo}\n"
	for name, tc := range map[string]struct {
		yaml string
		env  map[string]string
		want string // endpoint, sample, who sends, the header X-Key, and whether the gateway samples alone
	}{
		"nowhere":       {"", nil, " 1 [service.name kai service.version 1]  false"},
		"as configured": {`telemetry: {traces: {endpoint: "http://otel:4318", sample: 0.5, headers: {X-Key: secret}}}`, nil, "http://otel:4318/v1/traces 0.5 [service.name kai service.version 1] secret false"},
		"with a path":   {`telemetry: {traces: {endpoint: "http://otel:4318/otlp/traces"}}`, nil, "http://otel:4318/otlp/traces 1 [service.name kai service.version 1]  false"},
		"as the environment says": {"", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env:4318/", "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b, other = c", "OTEL_SERVICE_NAME": "gw", "OTEL_TRACES_SAMPLER_ARG": "0.25",
		}, "http://env:4318/v1/traces 0.25 [service.name gw service.version 1] a b false"},
		"as it says for traces": {"", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://env/t"}, "http://env/t 1 [service.name kai service.version 1]  false"},
		"configured before the environment": {
			`telemetry: {traces: {endpoint: "http://otel:4318", sample: 0, headers: {x-key: mine}}}`,
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env", "OTEL_EXPORTER_OTLP_HEADERS": "X-Key=theirs", "OTEL_TRACES_SAMPLER_ARG": "1", "OTEL_TRACES_SAMPLER": "always_on"},
			"http://otel:4318/v1/traces 0 [service.name kai service.version 1] mine false",
		},
		"turned off": {"", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env:4318", "OTEL_SDK_DISABLED": "true"}, " 1 [service.name kai service.version 1]  false"},
		"by the samplers that the environment names": {"", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env", "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5",
		}, "http://env/v1/traces 0.5 [service.name kai service.version 1]  true"},
		"by the client's sampling, else none": {"", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env", "OTEL_TRACES_SAMPLER": "parentbased_always_off", "OTEL_TRACES_SAMPLER_ARG": "0.5",
		}, "http://env/v1/traces 0 [service.name kai service.version 1]  false"},
		"by a sampler that nobody knows": {"", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env", "OTEL_TRACES_SAMPLER": "xray", "OTEL_TRACES_SAMPLER_ARG": "0.5",
		}, "http://env/v1/traces 1 [service.name kai service.version 1]  false"},
		"with more about who sends": {"", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env", "OTEL_RESOURCE_ATTRIBUTES": "service.version=2,deployment.environment.name=in%20test, k8s.pod.name = kai-0,service.name=theirs",
		}, "http://env/v1/traces 1 [service.name theirs service.version 2 deployment.environment.name in test k8s.pod.name kai-0]  false"},
		"with a name for who sends that goes before": {"", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env", "OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs", "OTEL_SERVICE_NAME": "gw",
		}, "http://env/v1/traces 1 [service.name gw service.version 1]  false"},
		"with what can't be read about who sends": {"", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env", "OTEL_RESOURCE_ATTRIBUTES": "a=b,c",
		}, "http://env/v1/traces 1 [service.name kai service.version 1]  false"},
		"to what is no URL":                 {"", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, " 1 [service.name kai service.version 1]  false"},
		"to another program than asked for": {"", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env", "OTEL_TRACES_EXPORTER": "zipkin"}, " 1 [service.name kai service.version 1]  false"},
		"turned off otherwise":              {"", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env:4318", "OTEL_TRACES_EXPORTER": "none"}, " 1 [service.name kai service.version 1]  false"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Parse("api.yaml", []byte(models+tc.yaml+"\n"), config.Options{})
			if err != nil {
				t.Fatal(err)
			}
			h := &Host{opts: Options{Version: "1", Getenv: func(name string) string { return tc.env[name] }}}
			got := h.traceConfig(c)
			if s := fmt.Sprint(got.Endpoint, " ", got.Sample, " ", got.Resource, " ", got.Headers.Get("X-Key"), " ", got.Alone); s != tc.want {
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

// TestWhatTheEnvironmentSaysInVain has variables say what Kai doesn't do, and wants its
// operator to be told.
func TestWhatTheEnvironmentSaysInVain(t *testing.T) {
	const models = "model_mapping:\n  m: {provider: demo, model: demo}\n"
	const collector = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for name, tc := range map[string]struct {
		yaml string
		env  map[string]string
		want []string // how the warnings begin
	}{
		"nothing":                  {"", nil, nil},
		"what Kai does":            {"", map[string]string{collector: "http://env", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_PROPAGATORS": "tracecontext,baggage", "OTEL_TRACES_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "none"}, nil},
		"an address without http":  {"", map[string]string{collector: "user:secret@collector:4317"}, []string{collector + " must be a URL that begins with http:// or https://, such as http://localhost:4318: no traces are sent", collector + " must be a URL that begins with http:// or https://, such as http://localhost:4318: no metrics are sent"}},
		"one of gRPC":              {"", map[string]string{collector: "grpc://collector:4317", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://env"}, []string{collector + " must be a URL that begins with http:// or https://, such as http://localhost:4318: no traces are sent"}},
		"another protocol":         {"", map[string]string{collector: "http://env", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, []string{`OTEL_EXPORTER_OTLP_PROTOCOL is "grpc"`}},
		"one for traces alone":     {"", map[string]string{collector: "http://env", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, []string{`OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is "http/json"`}},
		"another way":              {"", map[string]string{collector: "http://env", "OTEL_METRICS_EXPORTER": "otlp, console"}, []string{`OTEL_METRICS_EXPORTER has "console"`}},
		"another sampler":          {"", map[string]string{collector: "http://env", "OTEL_TRACES_SAMPLER": "jaeger_remote"}, []string{"OTEL_TRACES_SAMPLER is nothing that Kai knows"}},
		"a part that is none":      {"", map[string]string{collector: "http://env", "OTEL_TRACES_SAMPLER_ARG": "50%"}, []string{"OTEL_TRACES_SAMPLER_ARG is nothing that Kai knows"}},
		"an interval that is none": {"", map[string]string{collector: "http://env", "OTEL_METRIC_EXPORT_INTERVAL": "5s"}, []string{"OTEL_METRIC_EXPORT_INTERVAL must be"}},
		"no attributes":            {"", map[string]string{collector: "http://env", "OTEL_RESOURCE_ATTRIBUTES": "a=b,secret"}, []string{"OTEL_RESOURCE_ATTRIBUTES must have the form"}},
		"no headers":               {"", map[string]string{collector: "http://env", "OTEL_EXPORTER_OTLP_HEADERS": "secret"}, []string{"OTEL_EXPORTER_OTLP_HEADERS has something that is not name=value"}},
		"what Kai doesn't go by": {"", map[string]string{collector: "http://env", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": "/secret", "OTEL_BSP_SCHEDULE_DELAY": "1", "OTEL_PROPAGATORS": "b3"},
			[]string{"Kai does not go by what is set as OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE, OTEL_BSP_SCHEDULE_DELAY, OTEL_PROPAGATORS"}},
		"all of it, where nothing is sent": {"", map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_TRACES_SAMPLER": "xray", "OTEL_BSP_SCHEDULE_DELAY": "1"}, nil},
		"all of it, where it is off":       {"", map[string]string{"OTEL_SDK_DISABLED": "true", collector: "collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, nil},
		"all of it, where the configuration says what holds": {`telemetry: {traces: {endpoint: "http://otel", sample: 1}, metrics: {endpoint: "http://otel", interval: 1s}}`,
			map[string]string{collector: "collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_TRACES_SAMPLER": "xray", "OTEL_METRIC_EXPORT_INTERVAL": "x"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Parse("api.yaml", []byte(models+tc.yaml+"\n"), config.Options{})
			if err != nil {
				t.Fatal(err)
			}
			got := environment(func(name string) string { return tc.env[name] }).warnings(c)
			ok := len(got) == len(tc.want)
			for i := range min(len(got), len(tc.want)) {
				ok = ok && strings.HasPrefix(got[i], tc.want[i])
			}
			if !ok || strings.Contains(strings.Join(got, ""), "secret") {
				t.Errorf("the warnings are %q, want %q", got, tc.want)
			}
		})
	}
}

// TestWhereProvidersAre reads addresses with and without a port.
func TestWhereProvidersAre(t *testing.T) {
	c := &config.Config{Providers: []config.Provider{
		{Name: "demo"}, {Name: "far", BaseURL: "https://api.example.com/v1"}, {Name: "near", BaseURL: "http://[::1]:11434"}, {Name: "plain", BaseURL: "http://10.0.0.1"},
	}}
	if got := fmt.Sprint(serversOf(c)); got != "map[far:{api.example.com 443} near:{::1 11434} plain:{10.0.0.1 80}]" {
		t.Errorf("got %s", got)
	}
}
