package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kai-gateway/kai/host/upstream/h1"
)

// errEnded is the cause of a roundTrip's context when it simply ended.
var errEnded = errors.New("the exchange is over")

// roundTrip is one request and its answer over net/http: their context, and the timer that
// ends it. It is safe for concurrent use, because net/http calls it from its own
// goroutines.
//
// One timer serves all stages. A read doesn't reset the timer. It only sets its deadline in
// due, which is checked when the timer fires.
type roundTrip struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	waits  h1.Waits
	start  time.Time

	due      atomic.Int64  // the current wait's deadline, in ns after start; 0: nothing is waited for
	answered atomic.Bool   // a byte of the answer has come
	raw      io.ReadCloser // the answer's body; nil: there is no answer yet

	mu        sync.Mutex
	stage     h1.Stage
	timer     *time.Timer
	ended     bool
	reused    bool      // the connection had served an earlier request
	connected time.Time // when the request got its connection
}

// newRoundTrip starts the connecting stage. http2 says that the connection can be of nothing
// else. The caller must close it.
func newRoundTrip(parent context.Context, w h1.Waits, http2 bool) *roundTrip {
	ctx, cancel := context.WithCancelCause(parent)
	x := &roundTrip{cancel: cancel, waits: w, start: time.Now()}
	x.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:              func(string) { x.enter(h1.Connecting) },
		GotConn:              func(info httptrace.GotConnInfo) { x.gotConn(info, http2) },
		GotFirstResponseByte: func() { x.answered.Store(true) },
	})
	x.mu.Lock()
	defer x.mu.Unlock()
	x.due.Store(int64(w[h1.Connecting]))
	x.timer = time.AfterFunc(w[h1.Connecting], x.expire)
	return x
}

// gotConn is called with the connection that will carry the request.
func (x *roundTrip) gotConn(info httptrace.GotConnInfo, http2 bool) {
	if c, ok := info.Conn.(*tls.Conn); ok {
		http2 = c.ConnectionState().NegotiatedProtocol == "h2"
	}
	x.enter(h1.Answering)
	x.mu.Lock()
	// HTTP/2 says which requests were not handled, and net/http repeats those itself.
	x.reused, x.connected = info.Reused && !http2, time.Now()
	x.mu.Unlock()
}

// staleWithin is how soon a request on a reused connection fails if the server had closed
// the connection. If it takes longer, the server has received the request.
const staleWithin = 2 * time.Second

// stale reports whether the request failed because its connection had been closed
// before it was sent. Then no server has seen it, and it may be repeated.
func (x *roundTrip) stale() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stage == h1.Answering && x.reused && !x.answered.Load() && x.ctx.Err() == nil &&
		time.Since(x.connected) < staleWithin
}

// enter starts a stage and its time-out.
func (x *roundTrip) enter(s h1.Stage) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended {
		return
	}
	x.stage = s
	x.due.Store(int64(time.Since(x.start) + x.waits[s]))
	x.timer.Reset(x.waits[s])
}

// beginRead starts the time-out of a read.
func (x *roundTrip) beginRead() { x.due.Store(int64(time.Since(x.start) + x.waits[h1.Reading])) }

// endRead stops the time-out until the next read: a client that reads slowly must
// not make its upstream look silent.
func (x *roundTrip) endRead() { x.due.Store(0) }

// expire is the timer's function.
func (x *roundTrip) expire() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended {
		return
	}
	wait := x.waits[x.stage]
	if due := x.due.Load(); due != 0 {
		left := time.Duration(due) - time.Since(x.start)
		if left <= 0 {
			x.cancel(&h1.Timeout{Stage: x.stage, After: wait})
			return
		}
		wait = left
	}
	x.timer.Reset(wait)
}

// end stops the timer and ends the context, and with it whatever still runs of the
// request.
func (x *roundTrip) end() {
	x.mu.Lock()
	x.ended = true
	x.timer.Stop()
	x.mu.Unlock()
	x.cancel(errEnded)
}

// Stage returns the stage that was entered last.
func (x *roundTrip) Stage() h1.Stage {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stage
}

// Cause returns why the context has ended: the cause of the caller's, or an *h1.Timeout; nil
// if it has not.
func (x *roundTrip) Cause() error { return context.Cause(x.ctx) }

// Read reads the answer's body as it comes over the connection. Every byte restarts the
// idle time-out, whatever it is: a comment in an event stream shows that the upstream is
// alive.
func (x *roundTrip) Read(p []byte) (int, error) {
	if x.Stage() == h1.Draining {
		return x.raw.Read(p)
	}
	x.beginRead()
	n, err := x.raw.Read(p)
	x.endRead()
	return n, err
}

// Wait does nothing: net/http has no way to wait without reading.
func (x *roundTrip) Wait() {}

// Drain says that the rest of the body is only read so that the connection can be kept. All
// of it must come within the wait for that.
func (x *roundTrip) Drain() { x.enter(h1.Draining) }

// Close ends whatever still runs of the request. If the answer was read to its end, its
// connection is kept.
func (x *roundTrip) Close() {
	if x.raw != nil {
		x.raw.Close()
	}
	x.end()
}
