// Package sse sends a streamed answer to its client as server-sent events. It takes care
// of the head, keep-alives and deadlines, and of clients that stop reading. It knows
// nothing of what events mean.
package sse

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// ErrGone is wrapped by a Writer's errors when the client hung up or stopped reading.
var ErrGone = errors.New("client gone")

// errOver is the error of a write after Close, or after Fail reported false.
var errOver = errors.New("write to a stream that is over")

// Options configures New. The zero value is ready for production use.
type Options struct {
	HeadWait     time.Duration // how long the head waits for the first write; default 10 s
	KeepAlive    time.Duration // the silence after which something is sent; default 10 s
	WriteTimeout time.Duration // how long a client may read nothing, give or take a second; default 60 s

	// Alive appends what is sent after a silence. If it appends nothing, nothing is sent. It
	// is called while the Writer is locked, and must not use it. Default: a comment.
	Alive func(dst []byte) []byte

	// Conn is the client's connection. Events that net/http would cut are gathered there,
	// and written at once. Default: they are not gathered.
	Conn *Conn

	// Gone is called once, with an error that wraps ErrGone, when a write fails, even
	// the write of a comment. It must not use the Writer. It can be a
	// context.CancelCauseFunc.
	Gone func(error)
}

// Writer sends one streamed answer. It sends the head with the first write, or when
// HeadWait is over, and comments while nothing else is sent. It gives up on a client
// that stops reading.
//
// It is safe for concurrent use. Close it before the HTTP handler returns.
type Writer struct {
	opts Options
	rc   *http.ResponseController

	mu       sync.Mutex
	w        http.ResponseWriter
	timer    *time.Timer
	head     bool      // the head was sent
	over     bool      // closed, or Fail reported false
	err      error     // the first failed write
	last     time.Time // of the last write
	deadline time.Time // when the write deadline was last set
}

// New starts a Writer and with it the wait for the first write. Headers besides those of
// an event stream must already be set on w, or be set by SetHeader.
func New(w http.ResponseWriter, opts Options) *Writer {
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
	if opts.Alive == nil {
		opts.Alive = func(dst []byte) []byte { return append(dst, ": keep-alive\n\n"...) }
	}
	s := &Writer{opts: opts, w: w, rc: http.NewResponseController(w)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(opts.HeadWait, s.tick)
	return s
}

// SetHeader sets a header of the answer, unless the head was sent already. Nothing but the
// Writer may touch the headers while it may send the head.
func (s *Writer) SetHeader(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.head {
		s.w.Header().Set(name, value)
	}
}

// Write sends whole events, after the head if that was not sent yet, and flushes them.
// An empty p does nothing. After a failed write, every other one returns the same error,
// which wraps ErrGone.
func (s *Writer) Write(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(p)
}

// Fail ends the answer with an error. If the head was sent, it sends what event appends
// and reports true. If not, the Writer sends nothing any more and Fail reports false: the
// caller then answers with the error's status. event must not use the Writer.
func (s *Writer) Fail(event func(dst []byte) []byte) (sent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.head {
		_ = s.write(event(nil)) // if the client is gone, there is nothing to do
	}
	s.over = true
	return s.head
}

// Close returns when the Writer no longer uses the http.ResponseWriter. Further calls do
// nothing.
func (s *Writer) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
	if s.head && s.err == nil && !s.over {
		s.extend(time.Now()) // net/http still has to write the end of the body
	}
	s.over = true
}

// write is Write without the lock.
func (s *Writer) write(p []byte) error {
	switch {
	case s.err != nil:
		return s.err
	case s.over:
		return errOver
	case len(p) == 0:
		return nil
	}
	if !s.head {
		s.head = true
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no") // otherwise nginx would hold events back
		s.w.WriteHeader(http.StatusOK)
		s.timer.Reset(s.opts.KeepAlive)
	}
	s.last = time.Now()
	s.extend(s.last)
	if err := s.send(p); err != nil {
		s.err = fmt.Errorf("%w: %w", ErrGone, err)
		s.timer.Stop()
		if s.opts.Gone != nil {
			s.opts.Gone(s.err)
		}
	}
	return s.err
}

// corkFrom is from how many bytes on events are gathered. Less fits into net/http's buffer,
// even with the head.
const corkFrom = 3 << 10

// send writes p and flushes it.
func (s *Writer) send(p []byte) (err error) {
	if c := s.opts.Conn; c != nil && len(p) >= corkFrom {
		c.Cork()
		defer func() { err = cmp.Or(c.Uncork(), err) }()
	}
	if _, err = s.w.Write(p); err != nil {
		return err
	}
	return s.rc.Flush()
}

// extend sets the deadline for the next writes. One that was set less than a second ago
// is kept, since setting one costs as much as a small write.
func (s *Writer) extend(now time.Time) {
	if now.Sub(s.deadline) < min(time.Second, s.opts.WriteTimeout/2) {
		return
	}
	s.deadline = now
	// net/http's ResponseWriter has deadlines. Others may not, so the error is ignored.
	_ = s.rc.SetWriteDeadline(now.Add(s.opts.WriteTimeout))
}

// tick runs when the timer fires. Writes do not reset the timer: that would cost more
// than the few ticks that come too early and notice it.
func (s *Writer) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.err != nil {
		return
	}
	silence := time.Since(s.last)
	if !s.head || silence >= s.opts.KeepAlive {
		if s.write(s.opts.Alive(nil)) != nil {
			return
		}
		silence = 0
	}
	s.timer.Reset(s.opts.KeepAlive - silence)
}
