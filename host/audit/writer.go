package audit

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kai-gateway/kai/host/record"
)

// What may wait to be written. As much again may be being written.
const (
	maxLines = 4096
	maxBytes = 4 << 20
)

// Writer writes lines in the background. A disk that is full or slow costs no request:
// lines for which there is no room, or that can't be written, are dropped and counted.
// Its methods are safe for concurrent use.
type Writer struct {
	log  *slog.Logger
	done chan struct{}

	mu      sync.Mutex
	changed *sync.Cond // there is something to write, or room again
	out     *Output    // nil: nothing is written
	waiting []byte
	lines   int
	closed  bool

	dropped atomic.Int64
}

// Output is where lines go. It is made by Open, and used by one Writer.
type Output struct {
	path string
	file *os.File
	to   io.Writer // instead of a file; nil: file
	wait bool
	torn bool // the last write ended within a line
	bad  bool // the last write failed
}

// Open opens a file to append to it, and makes it if there is none, for its owner alone.
//
//   - path: "stdout" is stdout
//   - wait: the end of a request waits for room, instead of dropping its line
func Open(path string, stdout io.Writer, wait bool) (*Output, error) {
	if path == "stdout" {
		return &Output{path: path, to: stdout, wait: wait}, nil
	}
	o := &Output{path: path, wait: wait}
	return o, o.open()
}

// open opens the file of the path.
func (o *Output) open() error {
	f, err := os.OpenFile(o.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeCharDevice == 0 {
		err = &fs.PathError{Op: "open", Path: o.path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return err
	}
	if o.file != nil {
		o.file.Close()
	}
	o.file, o.to, o.torn = f, f, false
	return nil
}

// moved reports whether the path leads to another file than the one that is open, or to
// none, as after logrotate.
func (o *Output) moved() bool {
	if o.file == nil {
		return false
	}
	there, err := os.Stat(o.path)
	if err != nil {
		return true
	}
	ours, err := o.file.Stat()
	return err != nil || !os.SameFile(there, ours)
}

// Close closes the file.
func (o *Output) Close() {
	if o != nil && o.file != nil {
		o.file.Close()
	}
}

// NewWriter returns a writer that writes nothing before Use. The caller closes it.
func NewWriter(log *slog.Logger) *Writer {
	w := &Writer{log: log, done: make(chan struct{})}
	w.changed = sync.NewCond(&w.mu)
	go w.run()
	return w
}

// Use sends the lines that follow to o; nil: nowhere. Lines that are waiting go there, too.
func (w *Writer) Use(o *Output) {
	w.mu.Lock()
	w.out = o
	w.changed.Broadcast()
	w.mu.Unlock()
}

// Dropped returns how many lines nobody will see.
func (w *Writer) Dropped() int64 { return w.dropped.Load() }

// Add writes the line of a request. The record is not kept.
func (w *Writer) Add(r *record.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.out != nil && !w.closed && w.full() && w.out.wait {
		w.changed.Wait()
	}
	switch {
	case w.out == nil:
		return
	case w.closed, w.full():
		w.dropped.Add(1)
		return
	}
	w.waiting = appendLine(w.waiting, r)
	if w.lines++; w.lines == 1 {
		w.changed.Broadcast()
	}
}

// full must be called with the lock.
func (w *Writer) full() bool { return w.lines >= maxLines || len(w.waiting) >= maxBytes }

// Close writes the lines that are waiting, for at most d, and closes the output. Lines that
// are added later are dropped.
func (w *Writer) Close(d time.Duration) {
	w.mu.Lock()
	w.closed = true
	w.changed.Broadcast()
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(d):
	}
}

// run writes what is waiting until the writer is closed. It alone uses the output.
func (w *Writer) run() {
	defer close(w.done)
	var batch []byte
	var used *Output
	for {
		w.mu.Lock()
		for w.lines == 0 && !w.closed && w.out == used {
			w.changed.Wait()
		}
		out, n, ended := w.out, w.lines, w.closed && w.lines == 0
		batch, w.waiting, w.lines = w.waiting, batch[:0], 0
		w.changed.Broadcast() // there is room again
		w.mu.Unlock()
		if out != used {
			used.Close()
			used = out
		}
		if n > 0 {
			w.write(out, batch, n)
		}
		if ended {
			out.Close()
			return
		}
		if cap(batch) > maxBytes/16 {
			batch = nil // the memory of a burst isn't kept
		}
	}
}

// write writes a batch of n lines, to a new file if the old one was moved away.
func (w *Writer) write(o *Output, batch []byte, n int) {
	if o == nil {
		w.dropped.Add(int64(n))
		return
	}
	var err error
	if o.moved() {
		err = o.open()
	}
	written := 0
	if err == nil {
		begin := 0
		if o.torn {
			batch, begin = append([]byte{'\n'}, batch...), 1
		}
		written, err = o.to.Write(batch)
		if written > 0 {
			o.torn = batch[written-1] != '\n'
		}
		written = max(written, begin)
	}
	if err != nil {
		w.dropped.Add(int64(bytes.Count(batch[written:], []byte{'\n'})))
	}
	if bad := err != nil; bad != o.bad {
		if o.bad = bad; bad {
			w.log.Error("the audit can't be written; its lines are dropped until it can be again", "err", err)
		} else {
			w.log.Info("the audit is written again", "dropped", w.Dropped())
		}
	}
}
