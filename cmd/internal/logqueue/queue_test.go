package logqueue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reader takes a log when it is let, and as the test says.
type reader struct {
	mu    sync.Mutex
	text  bytes.Buffer
	take  func(p []byte) (int, error) // nil: all
	calls chan struct{}               // gets one for each Write that begins
	let   chan struct{}               // closed: nobody waits
}

func (r *reader) Write(p []byte) (int, error) {
	select {
	case r.calls <- struct{}{}:
	default:
	}
	<-r.let
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := len(p), error(nil)
	if r.take != nil {
		n, err = r.take(p)
	}
	r.text.Write(p[:n])
	return n, err
}

func newReader() *reader {
	return &reader{calls: make(chan struct{}, 1), let: make(chan struct{})}
}

func missing(lines int) []byte { return fmt.Appendf(nil, "%d missing\n", lines) }

func TestQueueDropsAndCounts(t *testing.T) {
	r := newReader()
	q := New(r, missing)
	io.WriteString(q, "first\n")
	<-r.calls // which is on its way now, and stands
	line := strings.Repeat("x", 1023) + "\n"
	for range maxQueued/len(line) + 5 {
		if n, err := io.WriteString(q, line); n != len(line) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	io.WriteString(q, "short\n") // would find room, but not its place
	close(r.let)
	q.Close(time.Minute)
	want := "first\n" + strings.Repeat(line, maxQueued/len(line)) + "6 missing\n"
	if got := r.text.String(); got != want {
		t.Errorf("%d bytes were written that end in %q, want %d that end in %q", len(got), got[max(0, len(got)-40):], len(want), want[len(want)-40:])
	}
}

func TestQueueOutlivesAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		close(r.let)
		q := New(r, missing)
		written := func(text string) { // alone, in a batch of its own
			io.WriteString(q, text)
			time.Sleep(2 * rest)
			synctest.Wait()
		}
		written("one\n")
		r.take = func(p []byte) (int, error) { return min(2, len(p)), errors.New("no space left") }
		written("two\n")
		r.take = func([]byte) (int, error) { return 0, errors.New("no space left") }
		written("three\nfour\n")
		written("five\n")
		r.take = nil
		written("six\n")
		q.Close(time.Minute)
		io.WriteString(q, "late\n")
		if got, want := r.text.String(), "one\ntw\n4 missing\nsix\n"; got != want {
			t.Errorf("the log is %q, want %q", got, want)
		}
	})
}

// batches keeps what each write has brought.
type batches struct {
	mu  sync.Mutex
	all []string
}

func (b *batches) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, string(p))
	return len(p), nil
}

func (b *batches) written() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.all)
}

func TestLinesThatComeQuicklyShareAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out batches
		q := New(&out, missing)
		write := func(line string) {
			io.WriteString(q, line)
			synctest.Wait()
		}
		begin := time.Now()
		write("at once\n")
		write("soon\n")
		write("after it\n")
		if all := out.written(); len(all) != 1 {
			t.Fatalf("written so far: %q, want the first line", all)
		}
		time.Sleep(rest)
		synctest.Wait()
		large := strings.Repeat("x", many-1) + "\n"
		write(large)
		if took := time.Since(begin); took != rest {
			t.Errorf("the writer rested for %v, want %v, and not while many bytes wait", took, rest)
		}
		time.Sleep(rest)
		write("later\n")
		want := []string{"at once\n", "soon\nafter it\n", large, "later\n"}
		if all := out.written(); !slices.Equal(all, want) {
			t.Errorf("%d batches were written: %.60q, want %.60q", len(all), all, want)
		}
		io.WriteString(q, "last\n")
		q.Close(time.Minute)
		all := out.written()
		if took := time.Since(begin); took != 2*rest || all[len(all)-1] != "last\n" {
			t.Errorf("the end took until %v, and %.60q was written last", took, all[len(all)-1])
		}
	})
}

// TestWarningsAreWrittenAtOnce, with what was logged before them, whatever logger they are from.
func TestWarningsAreWrittenAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		level   slog.Level
		derived func(*slog.Logger) *slog.Logger
		want    bool
	}{
		"information may wait": {slog.LevelInfo, func(l *slog.Logger) *slog.Logger { return l }, false},
		"a warning":            {slog.LevelWarn, func(l *slog.Logger) *slog.Logger { return l }, true},
		"an error":             {slog.LevelError, func(l *slog.Logger) *slog.Logger { return l }, true},
		"with attributes":      {slog.LevelWarn, func(l *slog.Logger) *slog.Logger { return l.With("a", 1) }, true},
		"in a group":           {slog.LevelWarn, func(l *slog.Logger) *slog.Logger { return l.WithGroup("a") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out batches
				q := New(&out, missing)
				log := slog.New(q.Handler(slog.NewTextHandler(q, nil)))
				begin := time.Now()
				log.Info("first")
				synctest.Wait()
				log.Info("before it")
				tc.derived(log).Log(t.Context(), tc.level, "the last words")
				synctest.Wait()
				text := strings.Join(out.written(), "")
				if got := strings.Contains(text, "the last words") && strings.Contains(text, "before it"); got != tc.want || time.Since(begin) != 0 {
					t.Errorf("after %v it is written: %v, want %v at once: %q", time.Since(begin), got, tc.want, text)
				}
				q.Close(time.Minute)
			})
		})
	}
}

func TestQueueEndsInTime(t *testing.T) {
	r := newReader()
	defer close(r.let)
	q := New(r, missing)
	io.WriteString(q, "first\n")
	q.Close(time.Millisecond) // returns, although the reader stands
}
