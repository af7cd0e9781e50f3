package wasm

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

const maxLogLine = 4 << 10

// logger writes what an adapter's guests log, as quoted text. The limit of lines per
// second is for all instances of the adapter together.
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
		l.log.LogAttrs(ctx, at, "adapter", slog.String("text", cutQuoted(string(p), maxLogLine)))
	}
}

// cutQuoted makes s valid UTF-8 and cuts it so that it has at most limit bytes when it
// is quoted. A control character then has six.
func cutQuoted(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			limit -= 2
		case r < ' ' || r == 0x7f:
			limit -= len(`\u0000`)
		case r > ' ' && !unicode.IsPrint(r):
			limit -= len(`\U0010ffff`)
		default:
			limit -= utf8.RuneLen(r)
		}
		if limit < 0 {
			return s[:i] + "…"
		}
	}
	return s
}

// allow reports whether one more line may be written now (ok). With the first line of
// a second it returns how many lines were dropped before.
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
