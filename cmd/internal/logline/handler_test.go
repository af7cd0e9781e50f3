package logline

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"
)

// both returns the line of a record as slog writes it, and as Handler does.
func both(t *testing.T, r slog.Record) (want, got string) {
	t.Helper()
	var theirs, ours bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	if err := errors.Join(slog.NewJSONHandler(&theirs, options).Handle(context.Background(), r), New(&ours, slog.LevelDebug).Handle(context.Background(), r)); err != nil {
		t.Fatal(err)
	}
	return theirs.String(), ours.String()
}

func TestLinesAreThoseOfSlog(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 5, 13, 120_000_000, time.UTC)
	for name, tc := range map[string]struct {
		at     time.Time
		level  slog.Level
		text   string
		attrs  []slog.Attr
		simple bool
	}{
		"a request": {at: at, text: "request finished", simple: true, attrs: []slog.Attr{
			slog.String("request_id", "req_ABC"), slog.Int("status", 200), slog.Bool("stream", true), slog.Float64("duration_ms", 12.345), slog.Uint64("n", 7),
		}},
		"no attributes":             {at: at, text: "serving", simple: true},
		"no time":                   {text: "serving", simple: true},
		"another zone":              {at: at.In(time.FixedZone("", -3*3600-1800)), text: "a", simple: true},
		"whole seconds":             {at: at.Truncate(time.Second), text: "a", simple: true},
		"nanoseconds":               {at: at.Add(123), text: "a", simple: true},
		"a time far away":           {at: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), text: "a"},
		"a time long ago":           {at: time.Date(26, 1, 1, 0, 0, 0, 0, time.UTC), text: "a"},
		"the clock of the process":  {at: time.Now(), text: "a", simple: true},
		"a warning":                 {at: at, level: slog.LevelWarn, text: "a", simple: true},
		"a level between":           {at: at, level: slog.LevelWarn + 2, text: "a", simple: true},
		"an empty text":             {at: at, simple: true},
		"an empty key":              {at: at, text: "a", attrs: []slog.Attr{slog.String("", "b")}, simple: true},
		"no attribute":              {at: at, text: "a", attrs: []slog.Attr{{}}},
		"a quote":                   {at: at, text: `a "b"`},
		"a backslash in a key":      {at: at, text: "a", attrs: []slog.Attr{slog.Int(`a\b`, 1)}},
		"a line end":                {at: at, text: "a", attrs: []slog.Attr{slog.String("err", "a\nb")}},
		"beyond ASCII":              {at: at, text: "a", attrs: []slog.Attr{slog.String("key", "ä\u2028")}},
		"no UTF-8":                  {at: at, text: "a", attrs: []slog.Attr{slog.String("key", "\xff")}},
		"DEL":                       {at: at, text: "a", attrs: []slog.Attr{slog.String("key", "\x7f")}},
		"what HTML escapes":         {at: at, text: "<a> & 'b'", simple: true},
		"a list":                    {at: at, text: "a", attrs: []slog.Attr{slog.Any("trail", []int{1, 2})}},
		"an error":                  {at: at, text: "a", attrs: []slog.Attr{slog.Any("err", errors.New("no"))}},
		"a group":                   {at: at, text: "a", attrs: []slog.Attr{slog.Group("g", slog.Int("a", 1))}},
		"a duration":                {at: at, text: "a", attrs: []slog.Attr{slog.Duration("d", time.Second)}},
		"numbers of all sizes":      {at: at, text: "a", attrs: floats(0, 1, -1, 0.001, 1e-6, 123456789.125, 1e20, -9.87e20, 1.0/3), simple: true},
		"a number near zero":        {at: at, text: "a", attrs: floats(9e-7)},
		"a number that is too high": {at: at, text: "a", attrs: floats(1e21)},
		"minus nothing":             {at: at, text: "a", attrs: floats(math.Copysign(0, -1)), simple: true},
		"the least integer":         {at: at, text: "a", attrs: []slog.Attr{slog.Int64("n", math.MinInt64), slog.Uint64("u", math.MaxUint64)}, simple: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := slog.NewRecord(tc.at, tc.level, tc.text, 0)
			r.AddAttrs(tc.attrs...)
			if want, got := both(t, r); got != want {
				t.Errorf("the line is %s, want %s", got, want)
			}
			if _, ok := appendRecord(nil, &r); ok != tc.simple {
				t.Errorf("it is simple: %v, want %v", ok, tc.simple)
			}
		})
	}
}

func floats(all ...float64) (attrs []slog.Attr) {
	for _, f := range all {
		attrs = append(attrs, slog.Float64("f", f))
	}
	return attrs
}

func TestHandlerIsThatOfSlogOtherwise(t *testing.T) {
	var theirs, ours bytes.Buffer
	level := &slog.LevelVar{}
	without := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	for _, log := range []*slog.Logger{slog.New(slog.NewJSONHandler(&theirs, &slog.HandlerOptions{Level: level, ReplaceAttr: without})), slog.New(New(&ours, level))} {
		log.With("provider", "p").Info("with", "a", 1)
		log.WithGroup("g").Info("within", "a", 1)
		log.Debug("not shown")
		level.Set(slog.LevelDebug)
		log.Debug("shown")
		level.Set(slog.LevelInfo)
	}
	var lines []byte
	for line := range bytes.Lines(ours.Bytes()) {
		_, rest, _ := bytes.Cut(line, []byte(`",`)) // the time
		lines = append(append(lines, '{'), rest...)
	}
	if string(lines) != theirs.String() {
		t.Errorf("the lines are\n%swant\n%s", lines, theirs.String())
	}
}

// TestBuffersOfLongLinesAreNotKept: one long line takes no memory for ever.
func TestBuffersOfLongLinesAreNotKept(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	h := New(io.Discard, slog.LevelInfo)
	for range 10 {
		for _, text := range []string{long, long + "\n"} { // it is written here, and by slog
			r := slog.NewRecord(time.Now(), slog.LevelInfo, "a", 0)
			r.AddAttrs(slog.String("long", long), slog.String("text", text))
			if err := h.Handle(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			b := lines.Get().(*[]byte)
			if cap(*b) > maxKept {
				t.Fatalf("a buffer of %d bytes is kept", cap(*b))
			}
			lines.Put(b)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add("request finished", "key", "value", int64(1), 12.5, true)
	f.Fuzz(func(t *testing.T, text, key, value string, n int64, x float64, yes bool) {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return // slog reports an error in the line, with words of encoding/json
		}
		r := slog.NewRecord(time.Unix(0, n), slog.Level(n%16), text, 0)
		r.AddAttrs(slog.String(key, value), slog.Int64("n", n), slog.Float64("x", x), slog.Bool("yes", yes))
		if want, got := both(t, r); got != want {
			t.Errorf("the line is %s, want %s", got, want)
		}
	})
}

func BenchmarkLine(b *testing.B) {
	var out bytes.Buffer
	for name, h := range map[string]slog.Handler{"slog": slog.NewJSONHandler(&out, nil), "logline": New(&out, slog.LevelInfo)} {
		b.Run(name, func(b *testing.B) {
			log := slog.New(h)
			b.ReportAllocs()
			for b.Loop() {
				out.Reset()
				log.LogAttrs(context.Background(), slog.LevelInfo, "request finished",
					slog.String("request_id", "req_ABCDEFGHIJKLMNOPQRSTUVWXYZ"), slog.String("endpoint", "/v1/chat/completions"), slog.String("model", "small"),
					slog.String("provider", "small"), slog.String("upstream_model", "openai/gpt-4o-mini"), slog.String("plugin", "openrouter"), slog.Int("status", 200),
					slog.Int("attempt", 1), slog.Int("prompt_tokens", 15), slog.Int("completion_tokens", 2000), slog.Float64("duration_ms", 0.412))
			}
		})
	}
}
