// Package logqueue keeps whoever logs from waiting for whoever reads the log.
package logqueue

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// maxQueued bounds what waits to be written, in bytes. As much again may be on its
// way.
const maxQueued = 1 << 20

// Queue writes in the background what is written to it. Whoever reads the log
// may stand still, and its disk may be full: no request and no signal waits for
// that. What finds no room is dropped and counted, and the count is written as a
// line of its own where the lines are missing.
//
// Each Write is one line or several whole ones. They never fail.
type Queue struct {
	out  io.Writer
	note func(lines int) []byte // the line that says how many are missing
	done chan struct{}          // closed when nothing more will be written

	mu      sync.Mutex
	changed *sync.Cond
	waiting []byte
	dropped int // lines that would stand behind waiting
	closed  bool

	// Only the writing goroutine looks at these.
	failed int  // lines that out didn't take since it took one
	torn   bool // out took a part of a line last
}

// New makes a Queue before out. note gives the line that says how many lines are
// missing where it stands. Close it at the end.
func New(out io.Writer, note func(lines int) []byte) *Queue {
	q := &Queue{out: out, note: note, done: make(chan struct{})}
	q.changed = sync.NewCond(&q.mu)
	go q.run()
	return q
}

func (q *Queue) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.dropped > 0 || len(q.waiting)+len(p) > maxQueued {
		q.dropped += lines(p)
		return len(p), nil
	}
	q.waiting = append(q.waiting, p...)
	q.changed.Signal()
	return len(p), nil
}

// Close writes what waits, for at most d. What is written later is dropped.
func (q *Queue) Close(d time.Duration) {
	q.mu.Lock()
	q.closed = true
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
		dropped := q.dropped
		q.dropped = 0
		q.mu.Unlock()
		q.write(batch, dropped)
		if cap(batch) > 64<<10 {
			batch = nil // a burst's room isn't kept
		}
	}
}

// write writes lines. Before them it says how many are missing since out took one,
// behind them how many were dropped.
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

// put gives p to out, and says how many lines of it are lost.
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
