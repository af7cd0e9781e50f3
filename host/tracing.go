package host

import (
	"net/url"
	"strconv"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/observe"
)

// traceConfig says where traces go: as configured, or else as the environment says.
func (h *Host) traceConfig(c *config.Config) observe.TraceConfig {
	env := environment(h.opts.Getenv)
	t := observe.TraceConfig{
		Endpoint: c.Telemetry.Traces.Endpoint, Headers: env.headers(traces, c.Telemetry.Traces.Headers), Conventions: c.Telemetry.Conventions,
		Resource: env.resource(h.opts.Version), Version: h.opts.Version, Systems: systemsOf(c), Servers: serversOf(c),
	}
	if t.Endpoint == "" {
		t.Endpoint, _ = env.endpoint(traces, config.TracesPath)
	}
	if c.Telemetry.Traces.Sample != nil {
		t.Sample = *c.Telemetry.Traces.Sample
	} else {
		t.Sample, t.Alone, _ = env.sampler()
	}
	return t
}

// pushConfig says the same about metrics.
func (h *Host) pushConfig(c *config.Config) observe.PushConfig {
	env := environment(h.opts.Getenv)
	m := c.Telemetry.Metrics
	p := observe.PushConfig{
		Endpoint: m.Endpoint, Headers: env.headers(metrics, m.Headers), Every: time.Duration(m.Interval), Resource: env.resource(h.opts.Version), Version: h.opts.Version,
		Servers: serversOf(c),
	}
	if p.Endpoint == "" {
		p.Endpoint, _ = env.endpoint(metrics, config.MetricsPath)
	}
	if p.Every == 0 {
		p.Every, _ = env.interval()
	}
	if p.Every == 0 {
		p.Every = time.Minute
	}
	return p
}

// conventions returns the names by which attempts are counted for a collector; "": there is
// no collector.
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

// serversOf says of each provider that has an upstream where that is.
func serversOf(c *config.Config) map[string]observe.Server {
	all := map[string]observe.Server{}
	for _, p := range c.Providers {
		u, err := url.Parse(p.BaseURL)
		if err != nil || u.Hostname() == "" {
			continue
		}
		port, err := strconv.ParseInt(u.Port(), 10, 64)
		if err != nil {
			if port = 80; u.Scheme == "https" {
				port = 443
			}
		}
		all[p.Name] = observe.Server{Address: u.Hostname(), Port: port}
	}
	return all
}
