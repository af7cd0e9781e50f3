// Package logqueue writes a log in the background, so that nobody who logs has to wait for
// the reader of the log.
package logqueue

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxQueued is how many bytes may wait to be written. As many again may be being written.
	maxQueued = 1 << 20

	// After each write the writer rests, so that lines which come quickly share the next one:
	// waking it up and writing cost more than making a line. It doesn't rest while many bytes
	// wait.
	rest = 5 * time.Millisecond
	many = maxQueued / 4
)

// Queue writes in the background what is written to it. The reader of the log may stand
// still, or its disk may be full; no request and no signal waits for it. Lines for which
// there is no room are dropped and counted. Where they are missing, a line says how many
// they were.
//
// A line that comes after a silence is written at once, and one soon after another up to 5 ms
// later, unless it is a warning or an error (see Handler). So a process that is killed, or
// crashes, loses the lines of its last 5 ms, but no warning from before that moment if out takes
// it at once. One that ends calls Close and loses none.
//
// Each Write must be one or more whole lines. Writes never fail.
type Queue struct {
	out  io.Writer
	note func(lines int) []byte // returns the line that says how many lines are missing
	done chan struct{}          // closed when nothing more will be written
	rise chan struct{}          // ends the writer's rest

	mu      sync.Mutex
	changed *sync.Cond
	waiting []byte
	dropped int // how many lines after waiting were dropped
	closed  bool
	lost    int64 // lines that were dropped, all in all

	// Only the goroutine that writes uses these.
	failed int  // how many lines out has refused since it last accepted one
	torn   bool // the last write ended within a line
}

// New returns a Queue that writes to out. note returns the line that is written where lines
// are missing, and says how many. The caller must close the queue.
func New(out io.Writer, note func(lines int) []byte) *Queue {
	q := &Queue{out: out, note: note, done: make(chan struct{}), rise: make(chan struct{}, 1)}
	q.changed = sync.NewCond(&q.mu)
	go q.run()
	return q
}

func (q *Queue) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.dropped > 0 || len(q.waiting)+len(p) > maxQueued {
		q.dropped += lines(p)
		q.lost += int64(lines(p))
		return len(p), nil
	}
	q.waiting = append(q.waiting, p...)
	if len(q.waiting) >= many {
		q.wake()
	}
	q.changed.Signal()
	return len(p), nil
}

// Handler returns h, which writes to the queue, for a logger whose warnings and errors are written
// without a rest, with all that was logged before them: they may be the last words of a process
// that crashes. Nobody waits for that.
func (q *Queue) Handler(h slog.Handler) slog.Handler { return &handler{h, q} }

type handler struct {
	slog.Handler
	queue *Queue
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		h.queue.wake()
	}
	return err
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.Handler.WithAttrs(attrs), h.queue}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.Handler.WithGroup(name), h.queue}
}

// wake ends the writer's rest, or its next one.
func (q *Queue) wake() {
	select {
	case q.rise <- struct{}{}:
	default: // it will rise anyway
	}
}

// Dropped returns how many lines were dropped so far because there was no room for them.
func (q *Queue) Dropped() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

// Close writes the lines that are waiting, for at most d. Later writes are dropped.
func (q *Queue) Close(d time.Duration) {
	q.mu.Lock()
	q.closed = true
	q.wake()
	q.changed.Signal()
	q.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-q.done:
	case <-timer.C:
	}
}

func (q *Queue) run() {
	defer close(q.done)
	var batch []byte
	resting := time.NewTimer(rest)
	defer resting.Stop()
	for {
		q.mu.Lock()
		for len(q.waiting) == 0 && !q.closed {
			q.changed.Wait()
		}
		if len(q.waiting) == 0 {
			q.mu.Unlock()
			return
		}
		batch, q.waiting = q.waiting, batch[:0]
		dropped, closed := q.dropped, q.closed
		q.dropped = 0
		q.mu.Unlock()
		q.write(batch, dropped)
		if cap(batch) > 64<<10 {
			batch = nil // the memory of a burst isn't kept
		}
		if closed {
			continue
		}
		resting.Reset(rest)
		select {
		case <-resting.C:
		case <-q.rise:
		}
	}
}

// write writes lines. Before them it says how many lines out has refused, and after them
// how many were dropped.
func (q *Queue) write(batch []byte, dropped int) {
	if q.failed > 0 && q.put(q.note(q.failed)) > 0 {
		q.failed += lines(batch) + dropped
		return
	}
	q.failed = q.put(batch)
	switch {
	case dropped == 0:
	case q.failed > 0 || q.put(q.note(dropped)) > 0:
		q.failed += dropped
	}
}

// put writes p to out, and returns how many lines of it are lost.
func (q *Queue) put(p []byte) (lost int) {
	begin := 0
	if q.torn {
		p, begin = append([]byte{'\n'}, p...), 1
	}
	n, err := q.out.Write(p)
	if err == nil {
		q.torn = false
		return 0
	}
	if n > 0 {
		q.torn = p[n-1] != '\n'
	}
	return lines(p[max(n, begin):])
}

func lines(p []byte) int { return bytes.Count(p, []byte("\n")) }
