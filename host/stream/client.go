package stream

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// ErrClientGone is what Client's errors wrap when the client hung up or stopped
// reading.
var ErrClientGone = errors.New("client gone")

// errOver is for a write after Close or after Fail left the answer to the caller.
var errOver = errors.New("write to a stream that is over")

// ClientOptions configures NewClient. The zero value is ready for production use.
type ClientOptions struct {
	HeadWait     time.Duration // how long the head waits for the first write; default 10 s
	KeepAlive    time.Duration // the silence after which a comment is sent; default 10 s
	WriteTimeout time.Duration // how long a client may read nothing, give or take a second; default 60 s

	// Gone is called once, with an error that wraps ErrClientGone, when a write
	// failed, also one of a comment. It must not use the Client; a
	// context.CancelCauseFunc serves.
	Gone func(error)
}

// Client is the client's end of one streamed answer: it sends the head with the
// first write or when the wait for it is over, comments while nothing happens,
// and gives up a client that stops reading.
//
// Safe for concurrent use. Close it before the HTTP handler returns.
type Client struct {
	opts ClientOptions
	rc   *http.ResponseController

	mu       sync.Mutex
	w        http.ResponseWriter
	timer    *time.Timer
	head     bool      // the head was sent
	over     bool      // closed, or the answer was left to the caller
	err      error     // the first failed write
	last     time.Time // of the last write
	deadline time.Time // when the write deadline was last set
}

// NewClient begins the wait for the first write. Every header but those of a
// stream must have been set on w.
func NewClient(w http.ResponseWriter, opts ClientOptions) *Client {
	for _, d := range []struct {
		value *time.Duration
		unset time.Duration
	}{
		{&opts.HeadWait, 10 * time.Second},
		{&opts.KeepAlive, 10 * time.Second},
		{&opts.WriteTimeout, 60 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.unset
		}
	}
	c := &Client{opts: opts, w: w, rc: http.NewResponseController(w)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(opts.HeadWait, c.tick)
	return c
}

// Write sends whole events, after the head if it was not sent yet, and flushes
// them. Writing nothing does nothing. After a failed write every other one
// gives the same error, which wraps ErrClientGone.
func (c *Client) Write(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(p)
}

// Fail ends the answer with an error. If the head was sent, it sends event and
// reports true. If not, nothing will be sent any more and it reports false: the
// caller answers with a true status.
func (c *Client) Fail(event []byte) (sent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head {
		_ = c.write(event) // a client that is gone misses nothing
	}
	c.over = true
	return c.head
}

// Close waits until nothing touches the http.ResponseWriter any more and keeps
// it so. It may be called twice.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer.Stop()
	if c.head && c.err == nil && !c.over {
		c.extend(time.Now()) // net/http still has to write the end of the body
	}
	c.over = true
}

// write is Write without the lock.
func (c *Client) write(p []byte) error {
	switch {
	case c.err != nil:
		return c.err
	case c.over:
		return errOver
	case len(p) == 0:
		return nil
	}
	if !c.head {
		c.head = true
		h := c.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no") // nginx would hold events back
		c.w.WriteHeader(http.StatusOK)
		c.timer.Reset(c.opts.KeepAlive)
	}
	c.last = time.Now()
	c.extend(c.last)
	_, err := c.w.Write(p)
	if err == nil {
		err = c.rc.Flush()
	}
	if err != nil {
		c.err = fmt.Errorf("%w: %w", ErrClientGone, err)
		c.timer.Stop()
		if c.opts.Gone != nil {
			c.opts.Gone(c.err)
		}
	}
	return c.err
}

// extend gives the next writes their time. A deadline younger than a second
// will do, since setting one costs as much as a small write.
func (c *Client) extend(now time.Time) {
	if now.Sub(c.deadline) < min(time.Second, c.opts.WriteTimeout/2) {
		return
	}
	c.deadline = now
	// Not every ResponseWriter has deadlines; those of net/http do.
	_ = c.rc.SetWriteDeadline(now.Add(c.opts.WriteTimeout))
}

// tick runs when the timer fires. Writes do not set the timer, which would cost
// more than the few ticks that come too early and find that out.
func (c *Client) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || c.err != nil {
		return
	}
	silence := time.Since(c.last)
	if !c.head || silence >= c.opts.KeepAlive {
		if c.write([]byte(": keep-alive\n\n")) != nil {
			return
		}
		silence = 0
	}
	c.timer.Reset(c.opts.KeepAlive - silence)
}
