package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// stage says what a roundTrip waits for.
type stage int32

const (
	connecting stage = iota // a usable connection
	answering               // the head of the answer
	reading                 // the next bytes of its body
	draining                // the end of a body that is no longer wanted
	stages
)

// waits has the time that each stage may take.
type waits [stages]time.Duration

// errEnded is the cause of a roundTrip's context when it simply ended.
var errEnded = errors.New("the exchange is over")

// timeout is the cause of a roundTrip's context when a stage took too long.
type timeout struct {
	stage stage
	after time.Duration
}

func (t *timeout) Error() string {
	what := [stages]string{"no connection", "no answer", "no data", "no end"}[t.stage]
	return fmt.Sprintf("%s after %v", what, t.after)
}

// roundTrip is the lifetime of one request and its answer: their context, and the timer
// that ends it. It is safe for concurrent use, because net/http calls it from its own
// goroutines.
//
// One timer serves all stages. A read doesn't reset the timer. It only sets its deadline in
// due, which is checked when the timer fires.
type roundTrip struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	waits  waits
	start  time.Time

	due      atomic.Int64 // the current wait's deadline, in ns after start; 0: nothing is waited for
	answered atomic.Bool  // a byte of the answer has come

	mu        sync.Mutex
	stage     stage
	timer     *time.Timer
	ended     bool
	reused    bool      // the connection had served an earlier request
	connected time.Time // when the request got its connection
}

// newRoundTrip starts the connecting stage. body says whether the request has one.
// The caller must call end.
func newRoundTrip(parent context.Context, w waits, body bool) *roundTrip {
	ctx, cancel := context.WithCancelCause(parent)
	x := &roundTrip{cancel: cancel, waits: w, start: time.Now()}
	x.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:              func(string) { x.enter(connecting) },
		GotConn:              func(info httptrace.GotConnInfo) { x.gotConn(info, body) },
		GotFirstResponseByte: func() { x.answered.Store(true) },
	})
	x.mu.Lock()
	defer x.mu.Unlock()
	x.due.Store(int64(w[connecting]))
	x.timer = time.AfterFunc(w[connecting], x.expire)
	return x
}

// gotConn is called with the connection that will carry the request.
func (x *roundTrip) gotConn(info httptrace.GotConnInfo, body bool) {
	kept := info.Reused
	switch c := info.Conn.(type) {
	case *conn:
		c.expect(body)
	case *tls.Conn:
		// HTTP/2 says which requests were not handled, and net/http repeats those itself.
		kept = kept && c.ConnectionState().NegotiatedProtocol != "h2"
	}
	x.enter(answering)
	x.mu.Lock()
	x.reused, x.connected = kept, time.Now()
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
	return x.stage == answering && x.reused && !x.answered.Load() && x.ctx.Err() == nil &&
		time.Since(x.connected) < staleWithin
}

// enter starts a stage and its time-out.
func (x *roundTrip) enter(s stage) {
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
func (x *roundTrip) beginRead() { x.due.Store(int64(time.Since(x.start) + x.waits[reading])) }

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
			x.cancel(&timeout{x.stage, wait})
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

// currentStage returns the stage that was entered last.
func (x *roundTrip) currentStage() stage {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stage
}

// timedBody reads an answer's body as it comes over the connection. Every byte restarts
// the idle time-out, whatever it is: a comment in an event stream shows that the
// upstream is alive.
type timedBody struct {
	body io.Reader
	x    *roundTrip
}

func (b *timedBody) Read(p []byte) (int, error) {
	b.x.beginRead()
	n, err := b.body.Read(p)
	b.x.endRead()
	return n, err
}
