// Package sse is the client's end of an answer that is streamed as server-sent
// events: the head, keep-alives, deadlines, and clients that stop reading.
package sse

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// ErrGone is what a Writer's errors wrap when the client hung up or stopped
// reading.
var ErrGone = errors.New("client gone")

// errOver is for a write after Close or after Fail left the answer to the caller.
var errOver = errors.New("write to a stream that is over")

// Options configures New. The zero value is ready for production use.
type Options struct {
	HeadWait     time.Duration // how long the head waits for the first write; default 10 s
	KeepAlive    time.Duration // the silence after which a comment is sent; default 10 s
	WriteTimeout time.Duration // how long a client may read nothing, give or take a second; default 60 s

	// Gone is called once, with an error that wraps ErrGone, when a write
	// failed, also one of a comment. It must not use the Writer; a
	// context.CancelCauseFunc serves.
	Gone func(error)
}

// Writer is the client's end of one streamed answer: it sends the head with the
// first write or when the wait for it is over, comments while nothing happens,
// and gives up a client that stops reading.
//
// Safe for concurrent use. Close it before the HTTP handler returns.
type Writer struct {
	opts Options
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

// New begins the wait for the first write. Every header but those of a
// stream must have been set on w.
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
	s := &Writer{opts: opts, w: w, rc: http.NewResponseController(w)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(opts.HeadWait, s.tick)
	return s
}

// Write sends whole events, after the head if it was not sent yet, and flushes
// them. Writing nothing does nothing. After a failed write every other one
// gives the same error, which wraps ErrGone.
func (s *Writer) Write(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(p)
}

// Fail ends the answer with an error. If the head was sent, it sends event and
// reports true. If not, nothing will be sent any more and it reports false: the
// caller answers with a true status.
func (s *Writer) Fail(event []byte) (sent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.head {
		_ = s.write(event) // a client that is gone misses nothing
	}
	s.over = true
	return s.head
}

// Close waits until nothing touches the http.ResponseWriter any more and keeps
// it so. It may be called twice.
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
		h.Set("X-Accel-Buffering", "no") // nginx would hold events back
		s.w.WriteHeader(http.StatusOK)
		s.timer.Reset(s.opts.KeepAlive)
	}
	s.last = time.Now()
	s.extend(s.last)
	_, err := s.w.Write(p)
	if err == nil {
		err = s.rc.Flush()
	}
	if err != nil {
		s.err = fmt.Errorf("%w: %w", ErrGone, err)
		s.timer.Stop()
		if s.opts.Gone != nil {
			s.opts.Gone(s.err)
		}
	}
	return s.err
}

// extend gives the next writes their time. A deadline younger than a second
// will do, since setting one costs as much as a small write.
func (s *Writer) extend(now time.Time) {
	if now.Sub(s.deadline) < min(time.Second, s.opts.WriteTimeout/2) {
		return
	}
	s.deadline = now
	// Not every ResponseWriter has deadlines; those of net/http do.
	_ = s.rc.SetWriteDeadline(now.Add(s.opts.WriteTimeout))
}

// tick runs when the timer fires. Writes do not set the timer, which would cost
// more than the few ticks that come too early and find that out.
func (s *Writer) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.err != nil {
		return
	}
	silence := time.Since(s.last)
	if !s.head || silence >= s.opts.KeepAlive {
		if s.write([]byte(": keep-alive\n\n")) != nil {
			return
		}
		silence = 0
	}
	s.timer.Reset(s.opts.KeepAlive - silence)
}
