package observe

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/kai-gateway/kai/host/record"
)

// parent is what a W3C traceparent says.
type parent struct {
	trace   [16]byte
	span    [8]byte
	sampled bool
}

// parseParent reads a traceparent: https://www.w3.org/TR/trace-context/#traceparent-header
func parseParent(header string) (p parent, ok bool) {
	// 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01, and more in later versions
	const length = 55
	if len(header) < length || len(header) > length && (header[:2] == "00" || header[length] != '-') || header[:2] == "ff" ||
		header[2] != '-' || header[35] != '-' || header[52] != '-' {
		return p, false
	}
	for i := range length {
		if c := header[i]; c >= 'A' && c <= 'F' {
			return p, false
		}
	}
	var version, flags [1]byte
	for _, part := range []struct {
		dst  []byte
		text string
	}{{version[:], header[:2]}, {p.trace[:], header[3:35]}, {p.span[:], header[36:52]}, {flags[:], header[53:55]}} {
		if _, err := hex.Decode(part.dst, []byte(part.text)); err != nil {
			return p, false
		}
	}
	p.sampled = flags[0]&1 == 1
	return p, p.trace != [16]byte{} && p.span != [8]byte{}
}

// traced is a request whose spans will be sent.
type traced struct {
	*record.Request
	systems map[string]string
	servers map[string]Server
}

// size is how many bytes of texts there are.
func (t *traced) size() int64 {
	if t.Content == nil {
		return 0
	}
	return int64(len(t.Content.Input) + len(t.Content.Output))
}

// conventions say which names attributes have.
type conventions struct{ now, v41 bool }

// spans returns the spans of a request: one of the server, and one for each attempt.
func (t *traced) spans(c conventions) []*trace.Span {
	identify(&t.Trace)
	traceID, spanID := t.Trace.ID, t.Trace.Span[:]
	server := &trace.Span{
		TraceId: traceID[:], SpanId: spanID, Name: "POST " + t.Endpoint, Kind: trace.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: nano(t.Began), EndTimeUnixNano: nano(t.Began.Add(t.Duration)),
		Attributes: []*common.KeyValue{text(attrHTTPMethod, "POST"), text(attrHTTPRoute, t.Endpoint), number(attrHTTPStatus, int64(t.Status)), text(attrRequestID, t.ID)},
	}
	if t.Trace.Parent != [8]byte{} {
		server.ParentSpanId = t.Trace.Parent[:]
	}
	server.Attributes = appendTexts(server.Attributes, attrAlias, t.Alias, attrInstead, t.Instead, attrKey, t.Key, attrGroup, t.Group, attrErrorType, t.Class, attrCode, record.KnownCode(t.Code))
	if t.Status >= 500 || t.Status < 400 && t.Class != "" {
		server.Status = &trace.Status{Code: trace.Status_STATUS_CODE_ERROR}
	}
	all := []*trace.Span{server}
	for i := range t.Attempts {
		s := t.attempt(&t.Attempts[i], c)
		s.TraceId, s.ParentSpanId = traceID[:], spanID
		if t.Content != nil && i == len(t.Attempts)-1 {
			s.Attributes = appendTexts(s.Attributes, attrInputMessages, t.Content.Input, attrOutputMessages, t.Content.Output)
		}
		all = append(all, s)
	}
	return all
}

// attempt returns the span of an attempt, without its trace and its parent.
func (t *traced) attempt(a *record.Attempt, c conventions) *trace.Span {
	operation := operationOf(t.Endpoint)
	system := t.systems[a.Provider]
	if system == "" {
		system = a.Provider
	}
	spanID := a.Span[:]
	if a.Span == [8]byte{} {
		spanID = id()
	}
	s := &trace.Span{
		SpanId: spanID, Name: operation + " " + a.Model, Kind: trace.Span_SPAN_KIND_CLIENT,
		StartTimeUnixNano: nano(a.Began), EndTimeUnixNano: nano(a.Began.Add(a.Duration)),
		Attributes: []*common.KeyValue{text(attrOperation, operation), text(attrProvider, system), text(attrModel, a.Model), text(attrTarget, a.Provider)},
	}
	s.Attributes = appendServer(s.Attributes, t.servers[a.Provider])
	s.Attributes = appendTexts(s.Attributes, attrErrorType, a.Class, attrCode, record.KnownCode(a.Code))
	if t.Stream {
		s.Attributes = append(s.Attributes, flag(attrStream))
	}
	if a.FirstContent > 0 {
		s.Attributes = append(s.Attributes, decimal(attrFirstChunk, a.FirstContent.Seconds()))
	}
	s.Attributes = append(s.Attributes, t.details(a)...)
	u := a.Usage
	if u.Input > 0 || u.Output > 0 {
		s.Attributes = append(s.Attributes, number(attrInput, u.Input), number(attrOutput, u.Output))
	}
	for _, n := range []struct {
		key string
		n   int64
		is  bool
	}{
		{attrCacheRead, u.CachedInput, true}, {attrCacheWrite, u.CacheWrite, c.now}, {attrCacheWrite41, u.CacheWrite, c.v41}, {attrReasoning, u.Reasoning, true},
	} {
		if n.is && n.n > 0 {
			s.Attributes = append(s.Attributes, number(n.key, n.n))
		}
	}
	if u.Estimated {
		s.Attributes = append(s.Attributes, flag(attrEstimated))
	}
	if a.Class != "" {
		s.Status = &trace.Status{Code: trace.Status_STATUS_CODE_ERROR}
	}
	return s
}

// details are what was asked of the model, and what was told of its answer.
func (t *traced) details(a *record.Attempt) (all []*common.KeyValue) {
	if asked := t.Asked; asked != nil {
		if asked.MaxTokens > 0 {
			all = append(all, number(attrMaxTokens, asked.MaxTokens))
		}
		if asked.Temperature != nil {
			all = append(all, decimal(attrTemperature, *asked.Temperature))
		}
		if asked.TopP != nil {
			all = append(all, decimal(attrTopP, *asked.TopP))
		}
	}
	if told := a.Reported; told != nil {
		all = appendTexts(all, attrResponseID, told.ID, attrResponseModel, told.Model)
		if len(told.Finish) > 0 {
			reasons := &common.ArrayValue{}
			for _, reason := range told.Finish {
				reasons.Values = append(reasons.Values, text("", reason).Value)
			}
			all = append(all, &common.KeyValue{Key: attrFinish, Value: &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: reasons}}})
		}
	}
	return all
}

// scopeName says who makes the spans and the metrics.
const scopeName = "github.com/kai-gateway/kai"

// message returns what is sent for some requests. On the wire it is an
// ExportTraceServiceRequest, whose only field has the same number.
func message(batch []traced, c conventions, sender []string, version string) *trace.TracesData {
	scope := &trace.ScopeSpans{Scope: &common.InstrumentationScope{Name: scopeName, Version: version}}
	for i := range batch {
		scope.Spans = append(scope.Spans, batch[i].spans(c)...)
	}
	return &trace.TracesData{ResourceSpans: []*trace.ResourceSpans{{
		Resource:   &resource.Resource{Attributes: appendTexts(nil, sender...)},
		ScopeSpans: []*trace.ScopeSpans{scope},
	}}}
}

// identify gives a trace and the request's span in it the ids that they don't have yet.
func identify(t *record.Trace) {
	if t.ID == [16]byte{} {
		rand.Read(t.ID[:])
	}
	if t.Span == [8]byte{} {
		rand.Read(t.Span[:])
	}
}

func id() []byte {
	b := make([]byte, 8)
	rand.Read(b)
	return b
}

func nano(t time.Time) uint64 { return uint64(t.UnixNano()) }

func text(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}

func number(key string, n int64) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: n}}}
}

func decimal(key string, f float64) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: f}}}
}

func flag(key string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: true}}}
}

// appendTexts appends attributes, given as key and value in turn, whose value isn't "".
func appendTexts(to []*common.KeyValue, pairs ...string) []*common.KeyValue {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			to = append(to, text(pairs[i], pairs[i+1]))
		}
	}
	return to
}
