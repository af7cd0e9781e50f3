package host

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/observe"
)

// environment gives the variables that all programs with OpenTelemetry have.
type environment func(name string) string

// first returns the first variable that is set.
func (e environment) first(names ...string) string {
	for _, name := range names {
		if v := strings.TrimSpace(e(name)); v != "" {
			return v
		}
	}
	return ""
}

// endpoint is where a signal, TRACES or METRICS, goes to; "": nowhere.
func (e environment) endpoint(signal, path string) string {
	if e.first("OTEL_SDK_DISABLED") == "true" || e.first("OTEL_"+signal+"_EXPORTER") == "none" {
		return ""
	}
	if own := e.first("OTEL_EXPORTER_OTLP_" + signal + "_ENDPOINT"); own != "" {
		return own
	}
	if base := e.first("OTEL_EXPORTER_OTLP_ENDPOINT"); base != "" {
		return strings.TrimSuffix(base, "/") + path
	}
	return ""
}

// headers are those that are sent along with a signal. The configuration's go before.
func (e environment) headers(signal string, configured map[string]config.Secret) http.Header {
	h := http.Header{}
	for pair := range strings.SplitSeq(e.first("OTEL_EXPORTER_OTLP_"+signal+"_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"), ",") {
		name, value, ok := strings.Cut(pair, "=")
		if decoded, err := url.PathUnescape(strings.TrimSpace(value)); ok && err == nil {
			h.Set(strings.TrimSpace(name), decoded)
		}
	}
	for name, value := range configured {
		h.Set(name, value.Reveal())
	}
	return h
}

const serviceName = "kai"

// traceConfig says where traces go: as configured, and what that leaves out as the
// environment says.
func (h *Host) traceConfig(c *config.Config) observe.TraceConfig {
	env := environment(h.opts.Getenv)
	t := observe.TraceConfig{
		Endpoint: c.Telemetry.Traces.Endpoint, Headers: env.headers("TRACES", c.Telemetry.Traces.Headers), Sample: 1, Conventions: c.Telemetry.Conventions,
		Service: serviceName, Version: h.opts.Version, Systems: systemsOf(c),
	}
	if t.Endpoint == "" {
		t.Endpoint = env.endpoint("TRACES", config.TracesPath)
	}
	if name := env.first("OTEL_SERVICE_NAME"); name != "" {
		t.Service = name
	}
	if part, err := strconv.ParseFloat(env.first("OTEL_TRACES_SAMPLER_ARG"), 64); err == nil && part >= 0 && part <= 1 {
		t.Sample = part
	}
	if c.Telemetry.Traces.Sample != nil {
		t.Sample = *c.Telemetry.Traces.Sample
	}
	return t
}

// pushConfig says the same of metrics.
func (h *Host) pushConfig(c *config.Config) observe.PushConfig {
	env := environment(h.opts.Getenv)
	m := c.Telemetry.Metrics
	p := observe.PushConfig{
		Endpoint: m.Endpoint, Headers: env.headers("METRICS", m.Headers), Every: time.Duration(m.Interval), Service: serviceName, Version: h.opts.Version,
	}
	if p.Endpoint == "" {
		p.Endpoint = env.endpoint("METRICS", config.MetricsPath)
	}
	if name := env.first("OTEL_SERVICE_NAME"); name != "" {
		p.Service = name
	}
	if ms, err := strconv.Atoi(env.first("OTEL_METRIC_EXPORT_INTERVAL")); p.Every == 0 && err == nil && ms >= 1000 && ms <= 3_600_000 {
		p.Every = time.Duration(ms) * time.Millisecond
	}
	if p.Every == 0 {
		p.Every = time.Minute
	}
	return p
}

// conventions are the names by which attempts are counted for a collector; "": there is none.
func (h *Host) conventions(c *config.Config) string {
	if h.pushConfig(c).Endpoint == "" {
		return ""
	}
	return c.Telemetry.Conventions
}

// systemsOf says of each provider what conventions call its API.
func systemsOf(c *config.Config) map[string]string {
	all := map[string]string{}
	for _, p := range c.Providers {
		all[p.Name] = observe.System(p.Name, p.Plugin)
	}
	return all
}
