package config

import (
	"net/url"
	"strings"
)

// Telemetry says what is sent to a collector of OpenTelemetry.
type Telemetry struct {
	Traces      Traces `json:"traces"`
	Conventions string `json:"conventions"` // "genai-0.1", "v1.41" or "both"
}

// Traces says where traces go.
type Traces struct {
	Endpoint string            `json:"endpoint"` // the URL that takes them, complete; "": the environment may name one
	Sample   *float64          `json:"sample"`   // which part is sent, from 0 to 1; nil: the environment may say, else all
	Headers  map[string]Secret `json:"headers"`
}

// TracesPath is where a collector takes traces.
const TracesPath = "/v1/traces"

func (l *loader) telemetry(root *value) (t Telemetry) {
	v := root.get("telemetry")
	if !l.decode("#Telemetry", v, "telemetry", &t) || t.Traces.Endpoint == "" {
		return t
	}
	u, err := url.Parse(t.Traces.Endpoint)
	if err != nil || u.Host == "" || u.User != nil {
		l.fault(v.get("traces").get("endpoint"), "telemetry.traces.endpoint", "must be the URL of a collector, such as http://localhost:4318, without a user or password: these belong into telemetry.traces.headers")
		return t
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = TracesPath
	}
	t.Traces.Endpoint = u.String()
	return t
}
