// Package logline writes lines of a log in JSON, as slog does, in a fraction of the time.
package logline

import (
	"context"
	"io"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"
)

// Handler writes what slog.JSONHandler writes. It writes records of ASCII words, numbers and
// booleans itself, as those of requests are, and leaves all others to slog.
type Handler struct {
	out   io.Writer
	level slog.Leveler
	slog  slog.Handler
}

// New returns a handler. Each record is one Write to out, which must be safe for concurrent use.
func New(out io.Writer, level slog.Leveler) *Handler {
	return &Handler{out, level, slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level})}
}

// Enabled is that of slog.JSONHandler.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

// WithAttrs returns one of slog's handlers.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler { return h.slog.WithAttrs(attrs) }

// WithGroup returns one of slog's handlers.
func (h *Handler) WithGroup(name string) slog.Handler { return h.slog.WithGroup(name) }

// maxKept is how many bytes a buffer of lines may have. A larger one, of a rare long line, is given
// back to Go.
const maxKept = 16 << 10

var lines = sync.Pool{New: func() any { b := make([]byte, 0, 1<<10); return &b }}

// Handle writes a record.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	b := lines.Get().(*[]byte)
	line, ok := appendRecord((*b)[:0], &r)
	var err error
	if ok {
		_, err = h.out.Write(line)
	} else {
		err = h.slog.Handle(ctx, r)
	}
	if cap(line) <= maxKept {
		*b = line
		lines.Put(b)
	}
	return err
}

// appendRecord appends the line of a record to b. ok is false if it is not one of the simple
// ones.
func appendRecord(b []byte, r *slog.Record) (line []byte, ok bool) {
	ok = true
	b = append(b, '{')
	if !r.Time.IsZero() {
		if year := r.Time.Year(); year < 1000 || year > 9999 {
			return b, false
		}
		b = append(b, `"time":"`...)
		b = append(r.Time.AppendFormat(b, time.RFC3339Nano), `",`...)
	}
	b = append(append(append(b, `"level":"`...), r.Level.String()...), `","msg":`...)
	b, ok = appendWord(b, r.Message)
	if !ok {
		return b, false
	}
	r.Attrs(func(a slog.Attr) bool {
		b = append(b, ',')
		if b, ok = appendWord(b, a.Key); ok {
			b = append(b, ':')
			b, ok = appendValue(b, a.Value)
		}
		return ok
	})
	return append(b, "}\n"...), ok
}

func appendValue(b []byte, v slog.Value) (longer []byte, ok bool) {
	switch v.Kind() {
	case slog.KindString:
		return appendWord(b, v.String())
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10), true
	case slog.KindUint64:
		return strconv.AppendUint(b, v.Uint64(), 10), true
	case slog.KindBool:
		return strconv.AppendBool(b, v.Bool()), true
	case slog.KindFloat64:
		// encoding/json writes others with an exponent, or not at all.
		if f := v.Float64(); f == 0 || math.Abs(f) >= 1e-6 && math.Abs(f) < 1e21 {
			return strconv.AppendFloat(b, f, 'f', -1, 64), true
		}
	}
	return b, false
}

// appendWord appends a string, unless something in it has to be escaped.
func appendWord(b []byte, s string) (longer []byte, ok bool) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return b, false
		}
	}
	return append(append(append(b, '"'), s...), '"'), true
}
