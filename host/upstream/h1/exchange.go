package h1

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// staleWithin is how soon a request on a kept connection fails if the server had
	// closed the connection. If it takes longer, the server has received the request.
	staleWithin = 2 * time.Second

	// lastWords is how long to wait for the answer of a server that no longer takes the
	// request.
	lastWords = time.Second
)

// Exchange is one request and its answer. One goroutine uses it, and must close it.
type Exchange struct {
	// What the head of the answer says, after Send.
	Status int         // 200 or more, or 101
	Header http.Header // by canonical names
	Length int64       // how long the body is; -1: unknown

	client *Client
	ctx    context.Context
	stop   func() bool // stops waiting for the context's end
	body   body
	begun  time.Duration // when the request was sent
	whole  bool          // it was sent to its end
	heard  bool          // a byte of the answer has come
	keep   bool          // the server lets the connection go on
	closed bool

	index int          // in the client's active exchanges; its mutex guards it
	due   atomic.Int64 // when the present wait is too long, on the client's clock; 0: nothing is waited for. The mutex is held for writing

	mu    sync.Mutex
	stage Stage
	conn  *conn
	cause error // why it was ended from this side
}

// Start begins an exchange. It sends nothing yet. If ctx ends before the exchange is
// closed, the exchange ends, and its connection with it.
func (c *Client) Start(ctx context.Context) *Exchange {
	x := &Exchange{client: c, ctx: ctx, Length: -1}
	c.enlist(x)
	x.stop = context.AfterFunc(ctx, func() { x.end(context.Cause(ctx)) })
	return x
}

// Stage returns the stage that the exchange is in, or failed in.
func (x *Exchange) Stage() Stage {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stage
}

// Cause returns why the exchange was ended from this side: the cause of the context's end,
// or a *Timeout. It is nil if it was not.
func (x *Exchange) Cause() error {
	x.mu.Lock()
	cause := x.cause
	x.mu.Unlock()
	if cause == nil && x.ctx.Err() != nil {
		cause = context.Cause(x.ctx)
	}
	return cause
}

// Send sends the request and waits for the head of the answer. It may be called once.
//
// The request is sent on a connection that is idle, or on a new one. It is sent once more,
// on a new connection, if a kept connection fails within two seconds without a byte of an
// answer: then the server has closed it before the request came.
//
//   - r: its bytes must not change until Send returns
//   - error: a *RequestError, and nothing was sent; what Cause returns, if that is not nil;
//     else what failed in Stage: a *FormatError or ErrHeadTooLong for a head that is
//     refused, io.ErrUnexpectedEOF for one that broke off
func (x *Exchange) Send(r Request) error {
	if r.Head == nil {
		head, err := x.client.Prepare(&r)
		if err != nil {
			return err
		}
		r.Head = head
	}
	if cause := x.Cause(); cause != nil {
		return cause
	}
	k, err := x.client.take(), error(nil)
	if k == nil {
		if k, err = x.dial(); err != nil {
			return err
		}
	}
	kept := k.kept
	if err = x.ask(k, &r); err == nil || !kept || !x.stale() {
		return err
	}
	// The server closes connections that were idle for a while, or was restarted. The
	// other idle ones are hardly better, so the repeat gets a new connection.
	x.client.CloseIdle()
	x.detach(Connecting).close()
	if k, err = x.dial(); err != nil {
		return err
	}
	return x.ask(k, &r)
}

func (x *Exchange) dial() (*conn, error) {
	k, err := x.client.dial(x.ctx)
	if late, ok := err.(*Timeout); ok {
		x.end(late)
	}
	return k, err
}

// stale reports whether the request failed because its connection had been closed
// before it was sent.
func (x *Exchange) stale() bool {
	return !x.heard && x.client.clock()-x.begun < staleWithin && x.Cause() == nil
}

// ask sends the request over k, which then belongs to the exchange, and reads the head of
// the answer.
func (x *Exchange) ask(k *conn, r *Request) error {
	if err := x.attach(k); err != nil {
		k.close()
		return err
	}
	err := x.sendOver(k, r)
	x.rest()
	if err != nil {
		if cause := x.Cause(); cause != nil {
			return cause
		}
	}
	return err
}

func (x *Exchange) sendOver(k *conn, r *Request) error {
	var refused error
	if x.whole, refused = x.write(k, r); refused != nil {
		// The server may have answered before it closed the connection, for example
		// that the request is too large.
		x.readBy(time.Now().Add(lastWords))
	}
	if _, err := k.in.Peek(1); err != nil {
		if refused != nil {
			err = refused
		}
		return cut(err)
	}
	x.heard = true
	h, err := k.readHead()
	if err != nil {
		return err
	}
	if refused != nil {
		x.readBy(time.Time{})
	}
	x.Status, x.Header, x.Length, x.keep = h.status, h.header, h.length, !h.close
	x.body = body{in: k.in, framing: h.framing, left: max(h.length, 0)}
	return nil
}

// Wait waits until there is something to read, or nothing more to wait for; Read then says
// which. So reading a slow body needs no memory while nothing comes.
func (x *Exchange) Wait() {
	if x.closed || x.body.err != nil || x.body.framing == nothingFollows || x.body.in.Buffered() > 0 {
		return
	}
	if draining, err := x.await(Reading); draining || err != nil {
		return
	}
	if _, err := x.body.in.Peek(1); err != nil && err != io.EOF {
		// The system reports only once that a connection was reset. The next read would see an
		// end, and take it for the end of the body.
		if cause := x.Cause(); cause != nil {
			err = cause
		}
		x.body.err = err
	}
	x.rest()
}

// Read reads the body of the answer. It waits for the first bytes, and returns what came
// with them.
//
// The error is io.EOF at the body's end, perhaps together with its last bytes; what Cause
// returns, if that is not nil; io.ErrUnexpectedEOF for a body that broke off; a
// *FormatError for chunks that are refused; or an error of the connection.
func (x *Exchange) Read(p []byte) (int, error) {
	if x.body.err != nil || x.closed {
		return 0, x.body.ended()
	}
	draining, err := x.await(Reading)
	if err != nil {
		return 0, err
	}
	n, err := x.body.read(p)
	if !draining {
		x.rest()
	}
	if err != nil && err != io.EOF {
		if cause := x.Cause(); cause != nil {
			err = cause
		}
	}
	return n, err
}

// Drain says that the rest of the body is only read so that the connection can be kept. All
// reads from now on must end within the wait for that.
func (x *Exchange) Drain() {
	x.mu.Lock()
	x.stage = Draining
	x.due.Store(0)
	x.mu.Unlock()
	if x.body.err == nil {
		x.readBy(time.Now().Add(x.client.waits[Draining]))
	}
}

// Close ends the exchange. If its connection can serve another one, it is kept; otherwise
// it is closed. Close doesn't wait for the network. Further calls do nothing.
func (x *Exchange) Close() {
	if x.closed {
		return
	}
	x.closed = true
	running, last := x.stop(), x.Stage()
	k := x.detach(last)
	if k != nil {
		if running && x.Cause() == nil && x.whole && x.keep && x.body.err == io.EOF && k.in.Buffered() == 0 {
			if last == Draining {
				k.socket.SetReadDeadline(time.Time{})
			}
			x.client.keep(k)
		} else {
			k.close()
		}
	}
	x.client.dismiss(x)
}

// attach gives the exchange a connection, and begins to wait for the answer. If the
// exchange has ended, the error is the cause.
func (x *Exchange) attach(k *conn) error {
	now := x.client.clock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cause != nil {
		return x.cause
	}
	x.conn, x.stage, x.begun = k, Answering, now
	x.due.Store(int64(now + x.client.waits[Answering]))
	return nil
}

// detach takes the connection from the exchange, so that nothing but the caller touches it
// any more; nil: it has none.
func (x *Exchange) detach(s Stage) *conn {
	x.mu.Lock()
	defer x.mu.Unlock()
	k := x.conn
	x.conn, x.stage = nil, s
	x.due.Store(0)
	return k
}

// await starts the time-out of a stage, unless the exchange is draining, which has a
// deadline already. If the exchange has ended, the error is the cause.
func (x *Exchange) await(s Stage) (draining bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cause != nil || x.stage == Draining {
		return true, x.cause
	}
	x.stage = s
	x.due.Store(int64(x.client.clock() + x.client.waits[s]))
	return false, nil
}

// rest stops the time-out: a client that reads slowly must not make the server look silent.
func (x *Exchange) rest() {
	x.mu.Lock()
	x.due.Store(0)
	x.mu.Unlock()
}

// expire ends the exchange if it still waits for what was due before now.
func (x *Exchange) expire(now time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if due := x.due.Load(); due != 0 && time.Duration(due) <= now {
		x.endLocked(&Timeout{x.stage, x.client.waits[x.stage]})
	}
}

// end ends the exchange: its connection is closed, and with it ends whatever its goroutine
// waits for.
func (x *Exchange) end(cause error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.endLocked(cause)
}

func (x *Exchange) endLocked(cause error) {
	if x.cause != nil {
		return
	}
	x.cause = cause
	if x.conn != nil {
		x.conn.close()
	}
}

// readBy sets until when reads may last, unless the exchange has ended.
func (x *Exchange) readBy(t time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cause == nil && x.conn != nil {
		x.conn.socket.SetReadDeadline(t)
	}
}

// writeBy is readBy for writes.
func (x *Exchange) writeBy(t time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cause == nil && x.conn != nil {
		x.conn.socket.SetWriteDeadline(t)
	}
}
