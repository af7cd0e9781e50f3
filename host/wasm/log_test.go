package wasm

import (
	"bytes"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestLogLinesAreCutAfterQuoting(t *testing.T) {
	for name, text := range map[string]string{
		"letters": "x", "quotes": `"`, "line ends": "\n", "NULs": "\x00", "escapes": "\x1b", "no UTF-8": "\xffx", "invisible": "\U000e0001", "umlauts": "ü", "separators": "\u2028",
	} {
		for form, handler := range map[string]func(*bytes.Buffer) slog.Handler{
			"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
			"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		} {
			var b bytes.Buffer
			l := logger{log: slog.New(handler(&b)), level: slog.LevelInfo, rate: &rate{limit: 20}}
			l.write(t.Context(), 0, []byte(strings.Repeat(text, maxLogLine)), time.Now())
			if n := b.Len(); n > maxLogLine+150 || n < maxLogLine/4 {
				t.Errorf("a line of %s has %d bytes as %s, want at most %d", name, n, form, maxLogLine+150)
			}
		}
	}
	for _, s := range []string{"", "short", "a \"quote\""} {
		if got := cutQuoted(s, len(strconv.Quote(s))); got != s {
			t.Errorf("cutQuoted(%q) = %q", s, got)
		}
	}
}
