package config

import (
	"net/url"
	"strings"
)

// Telemetry says what is sent to a collector of OpenTelemetry.
type Telemetry struct {
	Traces      Traces `json:"traces"`
	Metrics     Pushed `json:"metrics"`
	Content     bool   `json:"content"`     // traces have what keys with Content ask and are answered
	Conventions string `json:"conventions"` // "genai-0.1", "v1.41" or "both"
}

// Traces says where traces go.
type Traces struct {
	Endpoint string            `json:"endpoint"` // the URL that takes them, complete; "": the environment may name one
	Sample   *float64          `json:"sample"`   // which part is sent, from 0 to 1; nil: the environment may say, else all
	Headers  map[string]Secret `json:"headers"`
}

// Pushed says where metrics go.
type Pushed struct {
	Endpoint string            `json:"endpoint"` // the URL that takes them, complete; "": the environment may name one
	Interval Duration          `json:"interval"` // 0: the environment may say, else a minute
	Headers  map[string]Secret `json:"headers"`
}

// Where a collector takes traces and metrics.
const (
	TracesPath  = "/v1/traces"
	MetricsPath = "/v1/metrics"
)

func (l *loader) telemetry(root *value) (t Telemetry) {
	v := root.get("telemetry")
	if l.decode("#Telemetry", v, "telemetry", &t) {
		l.collector(v, "traces", TracesPath, &t.Traces.Endpoint)
		l.collector(v, "metrics", MetricsPath, &t.Metrics.Endpoint)
		if t.Content {
			l.warn(v.get("content").place, "telemetry.content", "sends what keys with content: true ask, and what they are answered, to the collector of traces")
		}
	}
	return t
}

// collector checks the URL of a collector, and completes it.
func (l *loader) collector(v *value, section, path string, endpoint *string) {
	if *endpoint == "" {
		return
	}
	at := "telemetry." + section
	u, err := url.Parse(*endpoint)
	if err != nil || u.Host == "" || u.User != nil {
		l.fault(v.get(section).get("endpoint"), at+".endpoint", "must be the URL of a collector, such as http://localhost:4318, without a user or password: these belong into "+at+".headers")
		return
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = path
	}
	*endpoint = u.String()
}
