package observe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
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
	Conventions string      // "genai-0.1", "v1.41" or "both"
	Service     string      // service.name
	Version     string      // service.version

	Systems map[string]string // by provider: what conventions call its API
}

// How traces wait and leave.
const (
	maxTraced   = 2048            // requests that may wait
	maxBatch    = 256             // requests that are sent at once
	batchDelay  = 2 * time.Second // after which fewer are sent, too
	sendTimeout = 10 * time.Second
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
	quit    chan struct{}
	stop    sync.Once
	done    chan struct{}
}

// NewTracer returns a tracer that sends nothing before Use. The caller closes it.
func NewTracer(log *slog.Logger) *Tracer {
	t := &Tracer{
		log: log, queue: make(chan traced, maxTraced), quit: make(chan struct{}), done: make(chan struct{}),
		client: &http.Client{
			Timeout:       sendTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("a redirect is not followed") },
		},
	}
	go t.run()
	return t
}

// Use makes what follows go by c. What waits goes by it, too.
func (t *Tracer) Use(c TraceConfig) {
	if c.Endpoint == "" {
		t.config.Store(nil)
		return
	}
	t.config.Store(&c)
}

// Dropped returns how many requests have no spans at the collector though they should.
func (t *Tracer) Dropped() int64 { return t.dropped.Load() }

// Add sends the spans of a request that is over, if it is sampled. A request that is part
// of a trace is sampled if the trace is.
func (t *Tracer) Add(r *record.Request) {
	c := t.config.Load()
	if c == nil {
		return
	}
	p, ok := parseParent(r.TraceParent)
	if ok && !p.sampled || !ok && rand.Float64() >= c.Sample {
		return
	}
	if !ok {
		p = parent{}
	}
	select {
	case t.queue <- traced{r.Clone(), p, c.Systems}:
	default:
		t.dropped.Add(1)
	}
}

// Close sends what waits, for at most d. Nothing may be added any more.
func (t *Tracer) Close(d time.Duration) {
	t.stop.Do(func() { close(t.quit) })
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.done:
	case <-timer.C:
	}
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
	body, err := proto.Marshal(message(batch, named, c.Service, c.Version))
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(context.Background(), "POST", c.Endpoint, bytes.NewReader(body))
	if err != nil {
		return errors.New("the endpoint is no URL")
	}
	for name, values := range c.Headers {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	res, err := t.client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	io.CopyN(io.Discard, res.Body, 64<<10)
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answers with status %d", res.StatusCode)
	}
	return nil
}
