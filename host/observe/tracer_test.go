package observe

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/kai-gateway/kai/host/record"
)

// collector takes traces as OpenTelemetry's does.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	status  int // that it answers with
	spans   []*trace.Span
	headers http.Header // of the last request
	sender  string      // the attributes of the last one's resource
}

func newCollector(t testing.TB) *collector {
	c := &collector{status: 200}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		var data trace.TracesData
		if err == nil {
			err = proto.Unmarshal(b, &data)
		}
		if err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" || r.URL.Path != "/v1/traces" {
			t.Errorf("%s with %s: %v", r.URL, r.Header, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.headers = r.Header
		for _, rs := range data.ResourceSpans {
			c.sender = attributesOf(rs.Resource.Attributes)
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
		w.WriteHeader(c.status)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) config() TraceConfig {
	return TraceConfig{Endpoint: c.URL + "/v1/traces", Sample: 1, Conventions: "genai-0.1", Resource: []string{"service.name", "kai", "deployment.environment.name", "test"}, Systems: map[string]string{"groq": "openai"}}
}

// attributesOf shows attributes in their order.
func attributesOf(all []*common.KeyValue) string {
	var parts []string
	for _, a := range all {
		var v any
		switch x := a.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			v = x.StringValue
		case *common.AnyValue_IntValue:
			v = x.IntValue
		case *common.AnyValue_BoolValue:
			v = x.BoolValue
		case *common.AnyValue_DoubleValue:
			v = x.DoubleValue
		case *common.AnyValue_ArrayValue:
			v = x.ArrayValue.Values
		}
		parts = append(parts, fmt.Sprint(a.Key, "=", v))
	}
	return strings.Join(parts, " ")
}

// TestSpansOfARequest sends a request of two attempts that is part of a trace.
func TestSpansOfARequest(t *testing.T) {
	c := newCollector(t)
	config := c.config()
	config.Headers = http.Header{"X-Token": {"secret"}}
	config.Conventions = "both"
	tr := NewTracer(slog.New(slog.DiscardHandler))
	tr.Use(config)
	r := finished()
	r.Group, r.Instead = "team", "spare"
	r.ID, r.Endpoint, r.Began = "req_1", "/v1/messages", time.Unix(100, 0)
	r.Attempts[0].Began, r.Attempts[1].Began, r.Attempts[1].FirstContent = time.Unix(100, 0), time.Unix(101, 0), 2*time.Second
	r.Attempts[0].Code = "You asked me who I am"
	warmth := 0.5
	r.Asked = &record.Asked{MaxTokens: 300, Temperature: &warmth, TopP: new(float64)}
	r.Attempts[1].Reported = &record.Reported{ID: "msg_1", Model: "llama-1", Finish: []string{"stop", "length"}}
	config.Servers = map[string]Server{"groq": {"api.example.com", 443}}
	tr.Use(config)
	r.TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	tr.Add(r)
	tr.Close(time.Minute)
	if len(c.spans) != 3 || c.headers.Get("X-Token") != "secret" || c.sender != "service.name=kai deployment.environment.name=test" {
		t.Fatalf("the collector has %d spans of %s, with %v", len(c.spans), c.sender, c.headers)
	}
	for i, want := range []string{
		"SPAN_KIND_SERVER POST /v1/messages 100.000s STATUS_CODE_UNSET http.request.method=POST http.route=/v1/messages http.response.status_code=200 kai.request_id=req_1 kai.alias=fast kai.alias.instead=spare kai.key=app kai.group=team",
		"SPAN_KIND_CLIENT chat chosen/by-the-client 1.000s STATUS_CODE_ERROR gen_ai.operation.name=chat gen_ai.provider.name=openrouter gen_ai.request.model=chosen/by-the-client kai.provider=openrouter error.type=rate kai.error.code=other gen_ai.request.stream=true gen_ai.request.max_tokens=300 gen_ai.request.temperature=0.5 gen_ai.request.top_p=0",
		"SPAN_KIND_CLIENT chat llama 99.000s STATUS_CODE_UNSET gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=llama kai.provider=groq server.address=api.example.com server.port=443 gen_ai.request.stream=true gen_ai.response.time_to_first_chunk=2 " +
			"gen_ai.request.max_tokens=300 gen_ai.request.temperature=0.5 gen_ai.request.top_p=0 gen_ai.response.id=msg_1 gen_ai.response.model=llama-1 gen_ai.response.finish_reasons=[string_value:\"stop\" string_value:\"length\"] " +
			"gen_ai.usage.input_tokens=100 gen_ai.usage.output_tokens=20 gen_ai.usage.cache_read.input_tokens=60 gen_ai.usage.cache_write.input_tokens=5 gen_ai.usage.cache_creation.input_tokens=5 gen_ai.usage.reasoning.output_tokens=7 kai.usage.estimated=true",
	} {
		s := c.spans[i]
		got := fmt.Sprintf("%v %s %.3fs %v %s", s.Kind, s.Name, float64(s.EndTimeUnixNano-s.StartTimeUnixNano)/1e9, s.GetStatus().GetCode(), attributesOf(s.Attributes))
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		parent := c.spans[0].SpanId
		if i == 0 {
			parent = []byte{0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7}
		}
		if fmt.Sprintf("%x", s.TraceId) != "4bf92f3577b34da6a3ce929d0e0e4736" || string(s.ParentSpanId) != string(parent) || s.GetStatus().GetMessage() != "" {
			t.Errorf("span %d is in trace %x below %x and says %q", i, s.TraceId, s.ParentSpanId, s.GetStatus().GetMessage())
		}
	}
}

// TestTrapATraceHasOneEventAChunk traces a stream of many tokens: it has two spans without
// events, however long it is.
func TestTrapATraceHasOneEventAChunk(t *testing.T) {
	c := newCollector(t)
	tr := NewTracer(slog.New(slog.DiscardHandler))
	tr.Use(c.config())
	r := &record.Request{ForModel: true, Alias: "fast", Stream: true, Status: 200, Usage: record.Usage{Output: 100_000}}
	r.Add(record.Attempt{Provider: "groq", Model: "llama", Usage: r.Usage})
	tr.Add(r)
	tr.Close(time.Minute)
	if len(c.spans) != 2 || len(c.spans[0].Events)+len(c.spans[1].Events) > 0 {
		t.Errorf("a stream has %d spans: %v", len(c.spans), c.spans)
	}
}

func TestSampling(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"
	for name, tc := range map[string]struct {
		sample      float64
		alone       bool
		parent      string
		least, most int // of 1000 requests
	}{
		"all":                                  {1, false, "", 1000, 1000},
		"none":                                 {0, false, "", 0, 0},
		"a tenth":                              {0.1, false, "", 50, 200},
		"a sampled trace":                      {0, false, trace + "01", 1000, 1000},
		"a trace that isn't sampled":           {1, false, trace + "00", 0, 0},
		"something that is no parent":          {0, false, "01", 0, 0},
		"none, by the gateway alone":           {0, true, trace + "01", 0, 0},
		"all, by the gateway alone":            {1, true, trace + "00", 1000, 1000},
		"a trace whose id is in the part":      {0.65, true, trace + "00", 1000, 1000}, // 0xa3ce… of 0x10000… is 0.64
		"a trace whose id is not in the part":  {0.63, true, trace + "01", 0, 0},
		"what begins here, by itself, a tenth": {0.1, true, "", 50, 200},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCollector(t)
			config := c.config()
			config.Sample, config.Alone = tc.sample, tc.alone
			tr := NewTracer(slog.New(slog.DiscardHandler))
			tr.Use(config)
			for range 1000 {
				tr.Add(&record.Request{TraceParent: tc.parent})
			}
			tr.Close(time.Minute)
			if n := len(c.spans); n < tc.least || n > tc.most || tr.Dropped() > 0 {
				t.Errorf("%d spans of 1000, and %d dropped; want %d to %d", n, tr.Dropped(), tc.least, tc.most)
			}
		})
	}
}

// TestTracesThatCantBeSent has a collector refuse them, and one that isn't there.
func TestTracesThatCantBeSent(t *testing.T) {
	refuses, away := newCollector(t), newCollector(t)
	refuses.status = 503
	away.Close()
	for _, c := range []*collector{refuses, away} {
		tr := NewTracer(slog.New(slog.DiscardHandler))
		tr.Add(finished()) // nothing is sent yet
		tr.Use(c.config())
		for range 3 {
			tr.Add(finished())
		}
		tr.Close(time.Minute)
		if tr.Dropped() != 3 {
			t.Errorf("%d were dropped, want 3", tr.Dropped())
		}
	}
}

// TestASlowCollectorCostsNoRequest fills the queue while a batch is being sent.
func TestASlowCollectorCostsNoRequest(t *testing.T) {
	began, end := make(chan struct{}, 1), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case began <- struct{}{}:
		default:
		}
		<-end
	}))
	defer slow.Close()
	tr := NewTracer(slog.New(slog.DiscardHandler))
	tr.Use(TraceConfig{Endpoint: slow.URL, Sample: 1})
	for range maxBatch {
		tr.Add(finished())
	}
	<-began
	for range maxTraced + 10 {
		tr.Add(finished())
	}
	if tr.Dropped() != 10 {
		t.Errorf("%d were dropped, want 10", tr.Dropped())
	}
	close(end)
	tr.Close(time.Minute)
}

// TestAnUpstreamThatMayKnowTheTrace is told of spans that the collector gets, or, without a
// collector, of the client's.
func TestAnUpstreamThatMayKnowTheTrace(t *testing.T) {
	const client = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"
	c := newCollector(t)
	tr := NewTracer(slog.New(slog.DiscardHandler))
	for parent, want := range map[string]string{"": "", client + "1": client + "1", client + "0": client + "0", "nonsense": ""} {
		if got, span := tr.Outward(&record.Request{TraceParent: parent}); got != want || span != [8]byte{} {
			t.Errorf("without a collector, %q becomes %q", parent, got)
		}
	}
	tr.Use(c.config())
	r := finished()
	r.TraceParent = client + "1"
	for i := range r.Attempts {
		header, span := tr.Outward(r)
		if want := fmt.Sprintf("%s%x-01", client[:36], span); header != want || span == [8]byte{} {
			t.Errorf("attempt %d is told %q, want %q", i, header, want)
		}
		r.Attempts[i].Span = span
	}
	unsampled := &record.Request{TraceParent: client + "0"}
	if header, _ := tr.Outward(unsampled); !strings.HasPrefix(header, client[:36]) || !strings.HasSuffix(header, "-00") {
		t.Errorf("an upstream is told %q of a trace that isn't sampled", header)
	}
	begun := &record.Request{}
	header, span := tr.Outward(begun)
	begun.Add(record.Attempt{Span: span})
	for _, r := range []*record.Request{r, unsampled, begun} {
		tr.Add(r)
	}
	tr.Close(time.Minute)
	if len(c.spans) != 5 {
		t.Fatalf("the collector has %d spans", len(c.spans))
	}
	for i, a := range r.Attempts {
		if s := c.spans[1+i]; string(s.SpanId) != string(a.Span[:]) || string(s.ParentSpanId) != string(c.spans[0].SpanId) {
			t.Errorf("the span of attempt %d is %x below %x, but the upstream was told %x", i, s.SpanId, s.ParentSpanId, a.Span)
		}
	}
	if s := c.spans[4]; header != fmt.Sprintf("00-%x-%x-01", s.TraceId, s.SpanId) {
		t.Errorf("the upstream was told %q, but the span is %x of %x", header, s.SpanId, s.TraceId)
	}
}

func TestTraceparent(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for header, want := range map[string]bool{
		good: true, "": false, good + "-x": false, "cc" + good[2:] + "-more": true, "cc" + good[2:] + "more": false, "ff" + good[2:]: false,
		strings.ToUpper(good): false, strings.Replace(good, "4b", "4g", 1): false, good[:54]: false, strings.ReplaceAll(good, "-", "_"): false,
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": false, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01": false,
	} {
		if p, ok := parseParent(header); ok != want || ok && !p.sampled {
			t.Errorf("parseParent(%q) = %+v, %v", header, p, ok)
		}
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Fuzz(func(t *testing.T, header string) {
		if p, ok := parseParent(header); ok && !strings.Contains(header, fmt.Sprintf("-%x-%x-", p.trace, p.span)) {
			t.Errorf("parseParent(%q) = %+v", header, p)
		}
	})
}

func BenchmarkTraceOfATenth(b *testing.B) {
	c := newCollector(b)
	config := c.config()
	config.Sample = 0.1
	tr := NewTracer(slog.New(slog.DiscardHandler))
	defer tr.Close(time.Second)
	tr.Use(config)
	r := finished()
	b.ReportAllocs()
	for b.Loop() {
		r.Trace = record.Trace{} // decided anew
		tr.Add(r)
	}
	aim(b, 3*time.Microsecond)
}
