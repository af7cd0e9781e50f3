package observe

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/kai-gateway/kai/host/record"
)

// TraceConfig says where traces go.
type TraceConfig struct {
	Endpoint    string      // the URL that takes OTLP over HTTP; "": there are no traces
	Headers     http.Header // that are sent along; secrets
	Sample      float64     // which part of the traces that begin here is sent, from 0 to 1
	Alone       bool        // which part of all others, too: whether the client samples them doesn't matter
	Conventions string      // "genai-0.1", "v1.41" or "both"
	Resource    []string    // attributes that say who sends, names and values in turn
	Version     string      // the gateway's

	Systems map[string]string // by provider: what conventions call its API
	Servers map[string]Server // by provider
}

// How traces wait and leave.
const (
	maxTraced  = 2048            // requests that may wait
	maxBatch   = 256             // requests that are sent at once
	batchDelay = 2 * time.Second // after which fewer are sent, too
	maxContent = 16 << 20        // bytes of texts that may wait; beyond it, spans go without
)

// Tracer sends spans of requests to a collector, in the background. A collector that is
// slow or away costs no request: what there is no room for, or can't be sent, is dropped
// and counted. Its methods are safe for concurrent use.
//
// It makes the spans of the records of requests that are over, so a request costs a
// decision, and a copy of its record if it is sampled.
type Tracer struct {
	log     *slog.Logger
	client  *http.Client
	queue   chan traced
	config  atomic.Pointer[TraceConfig] // nil: there are no traces
	dropped atomic.Int64
	content atomic.Int64 // bytes of texts in the queue
	background
}

// NewTracer returns a tracer that sends nothing before Use. The caller closes it.
func NewTracer(log *slog.Logger) *Tracer {
	t := &Tracer{
		log: log, queue: make(chan traced, maxTraced), background: newBackground(),
		client: newSender(),
	}
	go t.run()
	return t
}

// Use applies a configuration from now on, also to what is waiting.
func (t *Tracer) Use(c TraceConfig) {
	if c.Endpoint == "" {
		t.config.Store(nil)
		return
	}
	t.config.Store(&c)
}

// Dropped returns how many requests should have spans at the collector and don't.
func (t *Tracer) Dropped() int64 { return t.dropped.Load() }

// Begin decides whether the spans of a request are sent, if that wasn't decided yet. A
// request that is part of a trace is sampled if the trace is, unless the gateway decides
// alone.
func (t *Tracer) Begin(r *record.Request) {
	if r.Trace.Decided {
		return
	}
	c := t.config.Load()
	p, ok := parseParent(r.TraceParent)
	if ok {
		r.Trace = record.Trace{Decided: true, Sampled: p.sampled, ID: p.trace, Parent: p.span}
		if c != nil && c.Alone {
			r.Trace.Sampled = inPart(p.trace, c.Sample)
		}
		return
	}
	r.Trace = record.Trace{Decided: true, Sampled: c != nil && rand.Float64() < c.Sample}
}

// inPart reports whether a trace is in a part of all. It goes by the id, so that all programs
// which sample the same part have the same traces.
func inPart(id [16]byte, part float64) bool {
	const all = 1 << 63
	return part >= 1 || float64(binary.BigEndian.Uint64(id[8:])>>1) < part*all
}

// Outward returns a traceparent for an upstream that may know of the trace, and the id that
// the attempt's span has in it. Without a collector that is the client's, if it sent one,
// and there is no span. "": there is nothing to tell.
func (t *Tracer) Outward(r *record.Request) (header string, span [8]byte) {
	t.Begin(r)
	flags := 0
	if r.Trace.Sampled {
		flags = 1
	}
	if t.config.Load() == nil {
		if r.Trace.Parent == [8]byte{} {
			return "", span
		}
		return fmt.Sprintf("00-%x-%x-%02x", r.Trace.ID, r.Trace.Parent, flags), span
	}
	identify(&r.Trace)
	copy(span[:], id())
	return fmt.Sprintf("00-%x-%x-%02x", r.Trace.ID, span, flags), span
}

// Add sends the spans of a request that is over, if it is sampled.
func (t *Tracer) Add(r *record.Request) {
	c := t.config.Load()
	if c == nil {
		return
	}
	if t.Begin(r); !r.Trace.Sampled {
		return
	}
	one := traced{r.Clone(), c.Systems, c.Servers}
	if size := one.size(); size > 0 && t.content.Add(size) > maxContent {
		t.content.Add(-size)
		one.Content = nil
	}
	select {
	case t.queue <- one:
	default:
		t.content.Add(-one.size())
		t.dropped.Add(1)
	}
}

// Wanted reports whether a request's spans are sent, so that it is worth collecting more for
// them.
func (t *Tracer) Wanted(r *record.Request) bool {
	if t.config.Load() == nil {
		return false
	}
	t.Begin(r)
	return r.Trace.Sampled
}

// run sends batches until the tracer is closed.
func (t *Tracer) run() {
	defer close(t.done)
	tick := time.NewTicker(batchDelay)
	defer tick.Stop()
	var batch []traced
	failed := false
	send := func() {
		if len(batch) == 0 {
			return
		}
		err := t.send(batch)
		if err != nil {
			t.dropped.Add(int64(len(batch)))
		}
		if bad := err != nil; bad != failed {
			if failed = bad; bad {
				t.log.Error("traces can't be sent; they are dropped until they can be again", "err", err)
			} else {
				t.log.Info("traces are sent again", "dropped", t.Dropped())
			}
		}
		for i := range batch {
			t.content.Add(-batch[i].size())
		}
		clear(batch)
		batch = batch[:0]
	}
	for {
		select {
		case one := <-t.queue:
			if batch = append(batch, one); len(batch) >= maxBatch {
				send()
			}
		case <-tick.C:
			send()
		case <-t.quit:
			for len(t.queue) > 0 {
				if batch = append(batch, <-t.queue); len(batch) >= maxBatch {
					send()
				}
			}
			send()
			return
		}
	}
}

// send sends a batch. The error has no header and no answer of the collector.
func (t *Tracer) send(batch []traced) error {
	c := t.config.Load()
	if c == nil {
		return nil // by a reload
	}
	named := conventions{now: c.Conventions != "v1.41", v41: c.Conventions == "v1.41" || c.Conventions == "both"}
	body, err := proto.Marshal(message(batch, named, c.Resource, c.Version))
	if err != nil {
		return err
	}
	return post(t.client, c.Endpoint, c.Headers, body)
}
