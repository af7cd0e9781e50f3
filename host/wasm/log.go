package wasm

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const maxLogLine = 4 << 10

// logger writes what an adapter's guests log: at most so many lines a
// second for all of its instances, as quoted text.
type logger struct {
	log   *slog.Logger
	level slog.Level
	rate  *rate
}

// rate counts the lines of the current second.
type rate struct {
	limit   int
	mu      sync.Mutex
	second  int64
	written int
	dropped int
}

func (l logger) write(ctx context.Context, level int32, p []byte, now time.Time) {
	at := slog.Level(max(-4, min(level, 8)))
	if l.log == nil || at < l.level {
		return
	}
	dropped, ok := l.rate.allow(now)
	if dropped > 0 {
		l.log.LogAttrs(ctx, slog.LevelWarn, "adapter logged too much", slog.Int("lines_dropped", dropped))
	}
	if ok {
		l.log.LogAttrs(ctx, at, "adapter", slog.String("text", strings.ToValidUTF8(string(p), "\uFFFD")))
	}
}

// allow says whether one more line may be written now, and how many were
// dropped in the second before.
func (r *rate) allow(now time.Time) (dropped int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := now.Unix(); s != r.second {
		dropped, r.dropped = r.dropped, 0
		r.second, r.written = s, 0
	}
	if r.written >= r.limit {
		r.dropped++
		return dropped, false
	}
	r.written++
	return dropped, true
}
