package observe

import (
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kai-gateway/kai/host/record"
)

// Metrics by OpenTelemetry's conventions for generative AI. Attempts are counted in them
// only where metrics are sent to a collector: /metrics has the same by Kai's own names.

// conventional are the names by which a collector gets them.
var conventional = func() map[string]struct{ name, unit string } {
	all := map[string]struct{ name, unit string }{}
	for _, m := range [...]struct{ name, suffix, unit string }{
		{nameSeconds, secondsSuffix, "s"}, {nameFirst, secondsSuffix, "s"}, {nameSeconds41, secondsSuffix, "s"},
		{nameInput, "", "{token}"}, {nameOutput, "", "{token}"}, {nameTokens41, "", "{token}"},
	} {
		all[plainName(m.name, m.suffix)] = struct{ name, unit string }{m.name, m.unit}
	}
	for _, of := range usageNames {
		all[plainName(nameUsage+of, totalSuffix)] = struct{ name, unit string }{nameUsage + of, "{token}"}
	}
	return all
}()

// Names of the conventions, and the suffixes that Prometheus wants.
const (
	nameSeconds   = "gen_ai.client.inference.duration"
	nameFirst     = "gen_ai.client.inference.time_to_first_chunk"
	nameInput     = "gen_ai.client.inference.operation.input_tokens"
	nameOutput    = "gen_ai.client.inference.operation.output_tokens"
	nameUsage     = "gen_ai.client.inference.usage." // and one of usageNames
	nameSeconds41 = "gen_ai.client.operation.duration"
	nameTokens41  = "gen_ai.client.token.usage"

	secondsSuffix = "_seconds"
	totalSuffix   = "_total"
)

// plainName is a name as Prometheus takes it.
func plainName(dotted, suffix string) string { return strings.ReplaceAll(dotted, ".", "_") + suffix }

// Labels of these metrics. In Prometheus they have no dots; as attributes they do.
const (
	labelOperation = "gen_ai_operation_name"
	labelSystem    = "gen_ai_provider_name"
	labelModel     = "gen_ai_request_model"
	labelProvider  = "kai_provider"
	labelError     = "error_type"
	labelToken     = "gen_ai_token_type" // until v1.41
)

var attributeOf = map[string]string{
	labelOperation: attrOperation, labelSystem: attrProvider, labelModel: attrModel, labelProvider: attrTarget, labelError: attrErrorType, labelToken: "gen_ai.token.type",
}

// tokenBuckets are those of the conventions.
var tokenBuckets = prometheus.ExponentialBuckets(1, 4, 14)

// usageNames are the conventions' counters, in the order of tokenTypes.
var usageNames = [len(tokenTypes)]string{"input_tokens", "cache_read.input_tokens", "cache_write.input_tokens", "output_tokens", "reasoning.output_tokens"}

// genAI are the instruments of the conventions.
type genAI struct {
	seconds, first *prometheus.HistogramVec                // v0.1
	usage          [len(tokenTypes)]*prometheus.CounterVec // v0.1
	input, output  *prometheus.HistogramVec                // v0.1
	seconds41      *prometheus.HistogramVec                // until v1.41
	tokens41       *prometheus.HistogramVec                // until v1.41
}

// conventionalBuckets are Kai's own without the last three, as the conventions have them.
var conventionalBuckets = secondsBuckets[:len(secondsBuckets)-3]

func newGenAI(register func(...prometheus.Collector)) *genAI {
	labels := []string{labelOperation, labelSystem, labelModel, labelProvider}
	histogram := func(name, help string, buckets []float64, more ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, append(labels[:len(labels):len(labels)], more...))
		register(h)
		return h
	}
	g := &genAI{
		seconds:   histogram(plainName(nameSeconds, secondsSuffix), "How long attempts took, to the end of the answer.", conventionalBuckets, labelError),
		first:     histogram(plainName(nameFirst, secondsSuffix), "How long streams took to their first content.", conventionalBuckets),
		input:     histogram(plainName(nameInput, ""), "Tokens of the input of an attempt.", tokenBuckets),
		output:    histogram(plainName(nameOutput, ""), "Tokens of the output of an attempt.", tokenBuckets),
		seconds41: histogram(plainName(nameSeconds41, secondsSuffix), "How long attempts took, by the name of older conventions.", conventionalBuckets, labelError),
		tokens41:  histogram(plainName(nameTokens41, ""), "Tokens of an attempt, by the name of older conventions.", tokenBuckets, labelToken),
	}
	for i, of := range usageNames {
		g.usage[i] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: plainName(nameUsage+of, totalSuffix), Help: "Tokens by type."}, labels)
		register(g.usage[i])
	}
	return g
}

// operations are those of attempts. Any other is the last.
var operations = [...]string{"chat", "text_completion", "embeddings", "moderations", "rerank", "generations", "speech", "transcriptions", "count_tokens", "other"}

func indexOfOperation(name string) int {
	for i, o := range operations {
		if o == name {
			return i
		}
	}
	return len(operations) - 1
}

// genAISeries are the series of one target and one operation.
type genAISeries struct {
	of                prometheus.Labels
	seconds           []lazy[prometheus.Observer] // by class
	seconds41         []lazy[prometheus.Observer] // by class
	first             lazy[prometheus.Observer]
	usage             [len(tokenTypes)]lazy[prometheus.Counter]
	input, output     lazy[prometheus.Observer]
	input41, output41 lazy[prometheus.Observer]
}

// Conventions are the names that are counted by for a collector.
type Conventions struct {
	Names   string            // "genai-0.1", "v1.41" or "both"; "": none
	Systems map[string]string // by provider: what conventions call its API
}

// observe counts an attempt of a request.
func (g *genAI) observe(c *Conventions, s *targetSeries, r *record.Request, a *record.Attempt) {
	operation := indexOfOperation(operationOf(r.Endpoint))
	series := s.genAI[operation].Load()
	if series == nil {
		system := c.Systems[s.target.Provider]
		if system == "" {
			system = s.target.Provider
		}
		series = &genAISeries{
			of:      prometheus.Labels{labelOperation: operations[operation], labelSystem: system, labelModel: s.target.Model, labelProvider: s.target.Provider},
			seconds: make([]lazy[prometheus.Observer], len(classes)), seconds41: make([]lazy[prometheus.Observer], len(classes)),
		}
		s.genAI[operation].Store(series)
	}
	class, seconds := classIndex[a.Class], a.Duration.Seconds()
	if c.Names != "v1.41" {
		g.now(series, class, seconds, a)
	}
	if c.Names != "genai-0.1" {
		series.observer(&series.seconds41[class], g.seconds41, labelError, errorOf(class)).Observe(seconds)
		if a.Usage.Input > 0 || a.Usage.Output > 0 {
			series.observer(&series.input41, g.tokens41, labelToken, "input").Observe(float64(a.Usage.Input))
			series.observer(&series.output41, g.tokens41, labelToken, "output").Observe(float64(a.Usage.Output))
		}
	}
}

// now counts an attempt by v0.1.
func (g *genAI) now(s *genAISeries, class int, seconds float64, a *record.Attempt) {
	s.observer(&s.seconds[class], g.seconds, labelError, errorOf(class)).Observe(seconds)
	if a.FirstContent > 0 {
		s.observer(&s.first, g.first, "", "").Observe(a.FirstContent.Seconds())
	}
	u := a.Usage
	for i, n := range u.ByType() {
		if n > 0 {
			s.usage[i].get(func() prometheus.Counter { return g.usage[i].With(s.of) }).Add(float64(n))
		}
	}
	if u.Input > 0 || u.Output > 0 {
		s.observer(&s.input, g.input, "", "").Observe(float64(u.Input))
		s.observer(&s.output, g.output, "", "").Observe(float64(u.Output))
	}
}

// observer returns a series of a histogram, with one more label if it has one.
func (s *genAISeries) observer(l *lazy[prometheus.Observer], vec *prometheus.HistogramVec, label, value string) prometheus.Observer {
	return l.get(func() prometheus.Observer {
		if label == "" {
			return vec.With(s.of)
		}
		of := prometheus.Labels{label: value}
		for name, v := range s.of {
			of[name] = v
		}
		return vec.With(of)
	})
}

// errorOf is the error.type of a class; "": there was no error.
func errorOf(class int) string {
	if class == 0 {
		return ""
	}
	return classes[class]
}

// remove deletes the series of a target.
func (g *genAI) remove(t Target) {
	of := prometheus.Labels{labelProvider: t.Provider, labelModel: t.Model}
	for _, vec := range []*prometheus.HistogramVec{g.seconds, g.first, g.input, g.output, g.seconds41, g.tokens41} {
		vec.DeletePartialMatch(of)
	}
	for _, vec := range g.usage {
		vec.DeletePartialMatch(of)
	}
}

// genAIByOperation has the series of a target by operation; nil: none was needed yet.
type genAIByOperation [len(operations)]atomic.Pointer[genAISeries]
