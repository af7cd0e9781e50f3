package host

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kai-gateway/kai/config"
)

// environment returns the value of a variable. It is for those that all programs with
// OpenTelemetry have:
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
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

// The signals that are sent, as variables call them.
const (
	traces  = "TRACES"
	metrics = "METRICS"
)

// off reports whether a signal is sent nowhere, whatever its endpoint is.
func (e environment) off(signal string) bool {
	exporters := e.first("OTEL_" + signal + "_EXPORTER")
	return e.first("OTEL_SDK_DISABLED") == "true" || exporters != "" && !slices.Contains(listOf(exporters), "otlp")
}

// endpoint is where a signal goes to; "": nowhere.
//
//   - wrong: the variable that says where and is no URL; "": none
func (e environment) endpoint(signal, path string) (at, wrong string) {
	own, base := "OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
	switch {
	case e.off(signal):
		return "", ""
	case e.first(own) != "":
		at = e.first(own)
	case e.first(base) != "":
		own, at = base, strings.TrimSuffix(e.first(base), "/")+path
	default:
		return "", ""
	}
	if u, err := url.Parse(at); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", own
	}
	return at, ""
}

// headers returns those that are sent along with a signal. The configuration's take
// precedence.
func (e environment) headers(signal string, configured map[string]config.Secret) http.Header {
	h := http.Header{}
	pairs, _ := e.pairs("OTEL_EXPORTER_OTLP_"+signal+"_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
	for _, p := range pairs {
		h.Set(p[0], p[1])
	}
	for name, value := range configured {
		h.Set(name, value.Reveal())
	}
	return h
}

// pairs reads the first variable that is set, such as "a=1,b=x%20y". It leaves out what is
// not a pair, and then all is false.
func (e environment) pairs(names ...string) (pairs [][2]string, all bool) {
	all = true
	for _, pair := range listOf(e.first(names...)) {
		name, value, ok := strings.Cut(pair, "=")
		decoded, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || err != nil || name == "" {
			all = false
			continue
		}
		pairs = append(pairs, [2]string{name, decoded})
	}
	return pairs, all
}

// listOf returns the parts of a list such as "a, b".
func listOf(s string) (parts []string) {
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

const serviceName = "kai"

// resource says who sends, as attributes of OpenTelemetry: names and values in turn.
func (e environment) resource(version string) (attributes []string) {
	service, rest := e.first("OTEL_SERVICE_NAME"), []string(nil)
	given, ok := e.pairs("OTEL_RESOURCE_ATTRIBUTES")
	if !ok {
		given = nil // as the specification wants it: all or nothing
	}
	for _, a := range given {
		switch a[0] {
		case "service.name":
			if service == "" {
				service = a[1]
			}
		case "service.version":
			version = a[1]
		default:
			rest = append(rest, a[0], a[1])
		}
	}
	if service == "" {
		service = serviceName
	}
	return append([]string{"service.name", service, "service.version", version}, rest...)
}

// sampler says which fraction of the traces is sent.
//
//   - alone: whether the client's trace is sampled doesn't matter
//   - wrong: the variable with a value that it may not have; "": none
func (e environment) sampler() (part float64, alone bool, wrong string) {
	name, argument := e.first("OTEL_TRACES_SAMPLER"), e.first("OTEL_TRACES_SAMPLER_ARG")
	kind, byParent := strings.CutPrefix(name, "parentbased_")
	alone = name != "" && !byParent
	switch kind {
	case "always_on":
		return 1, alone, ""
	case "always_off":
		return 0, alone, ""
	case "", "traceidratio":
		if argument == "" {
			return 1, alone, ""
		}
		if part, err := strconv.ParseFloat(argument, 64); err == nil && part >= 0 && part <= 1 {
			return part, alone, ""
		}
		return 1, alone, "OTEL_TRACES_SAMPLER_ARG"
	}
	return 1, false, "OTEL_TRACES_SAMPLER"
}

// interval is how often metrics are sent; 0: nothing is said.
func (e environment) interval() (every time.Duration, ok bool) {
	text := e.first("OTEL_METRIC_EXPORT_INTERVAL")
	if text == "" {
		return 0, true
	}
	ms, err := strconv.Atoi(text)
	if err != nil || ms < 1000 || ms > 3_600_000 {
		return 0, false
	}
	return time.Duration(ms) * time.Millisecond, true
}

// unfollowed are variables that Kai ignores, with the values that ask for what it does anyway.
// A % stands for nothing, or for the name of a signal and _.
var unfollowed = []struct {
	name string
	same []string
}{
	{"OTEL_EXPORTER_OTLP_%CERTIFICATE", nil}, {"OTEL_EXPORTER_OTLP_%CLIENT_CERTIFICATE", nil}, {"OTEL_EXPORTER_OTLP_%CLIENT_KEY", nil},
	{"OTEL_EXPORTER_OTLP_%COMPRESSION", []string{"none"}}, {"OTEL_EXPORTER_OTLP_%TIMEOUT", []string{"10000"}},
	{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", []string{"cumulative"}},
	{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", []string{"explicit_bucket_histogram"}},
	{"OTEL_BSP_SCHEDULE_DELAY", nil}, {"OTEL_BSP_EXPORT_TIMEOUT", nil}, {"OTEL_BSP_MAX_QUEUE_SIZE", []string{"2048"}}, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", nil},
	{"OTEL_METRIC_EXPORT_TIMEOUT", nil}, {"OTEL_PROPAGATORS", []string{"tracecontext", "tracecontext,baggage"}},
}

// warnings tell the operator what the variables ask for and Kai doesn't do. Otherwise it
// would look as if Kai did it. They contain no value of a variable that may be a secret.
func (e environment) warnings(c *config.Config) (all []string) {
	if e.first("OTEL_SDK_DISABLED") == "true" {
		return nil
	}
	sends := ""
	for _, s := range []struct{ name, path, configured string }{
		{traces, config.TracesPath, c.Telemetry.Traces.Endpoint}, {metrics, config.MetricsPath, c.Telemetry.Metrics.Endpoint},
	} {
		at, wrong := e.endpoint(s.name, s.path)
		if s.configured == "" {
			all = append(all, e.signalWarnings(s.name, at, wrong)...)
		}
		if s.configured != "" || at != "" {
			sends += s.name + " "
		}
	}
	if sends == "" {
		return unique(all)
	}
	if _, _, wrong := e.sampler(); wrong != "" && c.Telemetry.Traces.Sample == nil && strings.Contains(sends, traces) {
		all = append(all, wrong+" is nothing that Kai knows: all traces that begin here are sent; it knows always_on, always_off and traceidratio, with parentbased_ or without, and a part from 0 to 1")
	}
	if _, ok := e.interval(); !ok && c.Telemetry.Metrics.Interval == 0 && strings.Contains(sends, metrics) {
		all = append(all, "OTEL_METRIC_EXPORT_INTERVAL must be a number of milliseconds from 1000 to 3600000: metrics are sent once a minute")
	}
	if _, ok := e.pairs("OTEL_RESOURCE_ATTRIBUTES"); !ok {
		all = append(all, "OTEL_RESOURCE_ATTRIBUTES must have the form name=value,name=value with values as in URLs: it is left out")
	}
	if ignored := e.ignored(); len(ignored) > 0 {
		all = append(all, fmt.Sprintf("Kai does not go by what is set as %s", strings.Join(ignored, ", ")))
	}
	return unique(all)
}

// signalWarnings are those about where and how a signal is sent that the configuration
// doesn't mention.
func (e environment) signalWarnings(signal, at, wrong string) (all []string) {
	if wrong != "" {
		all = append(all, fmt.Sprintf("%s must be a URL that begins with http:// or https://, such as http://localhost:4318: no %s are sent", wrong, strings.ToLower(signal)))
	}
	own := "OTEL_EXPORTER_OTLP_" + signal + "_PROTOCOL"
	if protocol := e.first(own, "OTEL_EXPORTER_OTLP_PROTOCOL"); at != "" && protocol != "" && protocol != "http/protobuf" {
		if e.first(own) == "" {
			own = "OTEL_EXPORTER_OTLP_PROTOCOL"
		}
		all = append(all, fmt.Sprintf("%s is %q: Kai sends by http/protobuf all the same, for which collectors usually have port 4318", own, protocol))
	}
	for _, exporter := range listOf(e.first("OTEL_" + signal + "_EXPORTER")) {
		if exporter != "otlp" && exporter != "none" {
			all = append(all, fmt.Sprintf("OTEL_%s_EXPORTER has %q: Kai has otlp and none", signal, exporter))
		}
	}
	headers := "OTEL_EXPORTER_OTLP_" + signal + "_HEADERS"
	if e.first(headers) == "" {
		headers = "OTEL_EXPORTER_OTLP_HEADERS"
	}
	if _, ok := e.pairs(headers); at != "" && !ok {
		all = append(all, headers+" has something that is not name=value with a value as in URLs: that is left out")
	}
	return all
}

// ignored are the variables that are set and unfollowed.
func (e environment) ignored() (names []string) {
	for _, v := range unfollowed {
		spelt := []string{strings.Replace(v.name, "%", "", 1)}
		if spelt[0] != v.name {
			spelt = append(spelt, strings.Replace(v.name, "%", traces+"_", 1), strings.Replace(v.name, "%", metrics+"_", 1))
		}
		for _, name := range spelt {
			if set := e.first(name); set != "" && !slices.Contains(v.same, set) {
				names = append(names, name)
			}
		}
	}
	return names
}

// unique returns a list without repetitions.
func unique(list []string) (once []string) {
	for _, s := range list {
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return once
}
