package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// stage is what an exchange waits for.
type stage int32

const (
	connecting stage = iota // a usable connection
	answering               // the head of the answer
	reading                 // the next bytes of its body
	draining                // the end of a body nobody reads any more
	stages
)

// waits says how long each stage may take.
type waits [stages]time.Duration

// errEnded is why an exchange's context ends when nobody failed.
var errEnded = errors.New("the exchange is over")

// timeout is why it ends when a stage took too long.
type timeout struct {
	stage stage
	after time.Duration
}

func (t *timeout) Error() string {
	what := [stages]string{"no connection", "no answer", "no data", "no end"}[t.stage]
	return fmt.Sprintf("%s after %v", what, t.after)
}

// exchange is the life of one request: its context and what ends it.
//
// One timer serves all stages and is set again lazily: a read only notes until
// when it may take, and the timer, when it fires, looks at that note.
type exchange struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	waits  waits
	start  time.Time

	due      atomic.Int64 // when the wait is too long, in ns after start; 0: nobody waits
	answered atomic.Bool  // a byte of the answer came

	mu        sync.Mutex
	stage     stage
	timer     *time.Timer
	ended     bool
	reused    bool      // the connection had served an earlier request
	connected time.Time // when the request got its connection
}

// newExchange starts the connecting stage. The caller must call end.
func newExchange(parent context.Context, w waits, body bool) *exchange {
	ctx, cancel := context.WithCancelCause(parent)
	x := &exchange{cancel: cancel, waits: w, start: time.Now()}
	x.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:              func(string) { x.enter(connecting) },
		GotConn:              func(info httptrace.GotConnInfo) { x.gotConn(info, body) },
		GotFirstResponseByte: func() { x.answered.Store(true) },
	})
	x.mu.Lock()
	defer x.mu.Unlock()
	x.due.Store(int64(w[connecting]))
	x.timer = time.AfterFunc(w[connecting], x.fire)
	return x
}

// gotConn is told the connection that will carry the request.
func (x *exchange) gotConn(info httptrace.GotConnInfo, body bool) {
	kept := info.Reused
	switch c := info.Conn.(type) {
	case *conn:
		c.expect(body)
	case *tls.Conn:
		// HTTP/2 tells which requests were not handled, and net/http repeats those.
		kept = kept && c.ConnectionState().NegotiatedProtocol != "h2"
	}
	x.enter(answering)
	x.mu.Lock()
	x.reused, x.connected = kept, time.Now()
	x.mu.Unlock()
}

// staleWithin is how soon a kept connection fails that was closed while idle.
// A server that thought for longer has had the request.
const staleWithin = 2 * time.Second

// stale reports whether the request failed because its connection had been
// closed before it was sent: then it reached nobody and may be repeated.
func (x *exchange) stale() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stage == answering && x.reused && !x.answered.Load() && x.ctx.Err() == nil &&
		time.Since(x.connected) < staleWithin
}

// enter starts a stage, which may take as long as its wait.
func (x *exchange) enter(s stage) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended {
		return
	}
	x.stage = s
	x.due.Store(int64(time.Since(x.start) + x.waits[s]))
	x.timer.Reset(x.waits[s])
}

// read notes that a read begins, which may take as long as the stage's wait.
func (x *exchange) read() { x.due.Store(int64(time.Since(x.start) + x.waits[reading])) }

// rest notes that nobody waits for the upstream: a client that reads slowly
// must not make its upstream look silent.
func (x *exchange) rest() { x.due.Store(0) }

// fire is the timer's function.
func (x *exchange) fire() {
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

// end stops the timer and ends the context, and with it whatever of the
// exchange still goes on.
func (x *exchange) end() {
	x.mu.Lock()
	x.ended = true
	x.timer.Stop()
	x.mu.Unlock()
	x.cancel(errEnded)
}

// at is the stage the exchange is in.
func (x *exchange) at() stage {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stage
}
