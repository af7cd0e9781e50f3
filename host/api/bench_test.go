package api_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/buffer"
)

// discard is a response that costs nothing, so that what is measured is the
// package's own part.
type discard struct{ header http.Header }

func (d discard) Header() http.Header            { return d.header }
func (discard) Write(p []byte) (int, error)      { return len(p), nil }
func (discard) WriteHeader(int)                  {}
func (discard) SetReadDeadline(time.Time) error  { return nil }
func (discard) SetWriteDeadline(time.Time) error { return nil }

func BenchmarkChat(b *testing.B) {
	const small = `{"model":"granite-local","messages":[{"role":"user","content":"Hello!"}]}`
	for name, body := range map[string]string{"small": small, "200 KB": small + strings.Repeat(" ", 200_000)} {
		for logged, handler := range map[string]slog.Handler{
			"unlogged": slog.DiscardHandler,
			"logged":   slog.NewJSONHandler(io.Discard, nil),
		} {
			b.Run(name+", "+logged, func(b *testing.B) {
				answer := []byte(completion)
				h := api.New(api.Options{
					Logger:  slog.New(handler),
					CORS:    api.CORS{Enabled: true, AllowOrigins: []string{"*"}},
					Buffers: &buffer.Pool{},
					Routes: chatBy(func(_ context.Context, x *api.Exchange) error {
						if _, err := x.Body(); err != nil {
							return err
						}
						x.Record.Model, x.Record.Provider, x.Record.UpstreamModel = "granite-local", "ollama", "granite4:tiny-h"
						return x.JSON(200, answer)
					}),
				})
				r := httptest.NewRequest("POST", "/v1/chat/completions", nil)
				r.Header.Set("Content-Type", "application/json")
				r.ContentLength = int64(len(body))
				source := strings.NewReader(body)
				w := discard{http.Header{}}
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					source.Reset(body)
					r.Body = io.NopCloser(source)
					clear(w.header)
					h.ServeHTTP(w, r)
				}
			})
		}
	}
}
