package host

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/observe"
)

// traceConfig says where traces go: as configured, and what that leaves out as the
// environment says, by the variables that all programs with OpenTelemetry have.
func (h *Host) traceConfig(c *config.Config) observe.TraceConfig {
	env := h.opts.Getenv
	first := func(names ...string) string {
		for _, name := range names {
			if v := strings.TrimSpace(env(name)); v != "" {
				return v
			}
		}
		return ""
	}
	t := observe.TraceConfig{
		Endpoint: c.Telemetry.Traces.Endpoint, Headers: http.Header{}, Sample: 1, Conventions: c.Telemetry.Conventions,
		Service: "kai", Version: h.opts.Version, Systems: map[string]string{},
	}
	if t.Endpoint == "" && env("OTEL_SDK_DISABLED") != "true" && env("OTEL_TRACES_EXPORTER") != "none" {
		t.Endpoint = env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
		if base := env("OTEL_EXPORTER_OTLP_ENDPOINT"); t.Endpoint == "" && base != "" {
			t.Endpoint = strings.TrimSuffix(base, "/") + config.TracesPath
		}
	}
	if name := first("OTEL_SERVICE_NAME"); name != "" {
		t.Service = name
	}
	if part, err := strconv.ParseFloat(first("OTEL_TRACES_SAMPLER_ARG"), 64); err == nil && part >= 0 && part <= 1 {
		t.Sample = part
	}
	if c.Telemetry.Traces.Sample != nil {
		t.Sample = *c.Telemetry.Traces.Sample
	}
	for pair := range strings.SplitSeq(first("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"), ",") {
		name, value, ok := strings.Cut(pair, "=")
		if decoded, err := url.PathUnescape(strings.TrimSpace(value)); ok && err == nil {
			t.Headers.Set(strings.TrimSpace(name), decoded)
		}
	}
	for name, value := range c.Telemetry.Traces.Headers {
		t.Headers.Set(name, value.Reveal())
	}
	for _, p := range c.Providers {
		t.Systems[p.Name] = observe.System(p.Name, p.Plugin)
	}
	return t
}
