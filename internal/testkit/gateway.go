package testkit

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/host/buffer"
)

// Time is "created" in every answer of a test's gateway.
var Time = time.Unix(1_700_000_000, 0)

// Options configures Start. Only Config is required.
type Options struct {
	Config *config.Config
	Level  slog.Leveler // of the log; default: debug

	Now func() time.Time // default: always Time

	// Sleep is host.Options.Sleep. Default: no time passes, and Slept counts it.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Gateway is a running Kai with everything but a process of its own.
type Gateway struct {
	*httptest.Server
	Host  *host.Host
	Log   *Log
	Slept atomic.Int64 // nanoseconds that adapters asked for, and that took no time
}

// Start serves a configuration until the test ends. Its adapters may still load:
// Ready waits for them.
func Start(t testing.TB, o Options) *Gateway {
	t.Helper()
	g := &Gateway{Log: &Log{}}
	if o.Sleep == nil {
		o.Sleep = func(ctx context.Context, d time.Duration) error {
			g.Slept.Add(int64(d))
			return ctx.Err()
		}
	}
	if o.Now == nil {
		o.Now = func() time.Time { return Time }
	}
	if o.Level == nil {
		o.Level = slog.LevelDebug
	}
	var err error
	g.Host, err = host.New(host.Options{
		Config: o.Config, Module: Module, CacheDir: CacheDir, Modules: compiled, Version: "test", Sleep: o.Sleep,
		Logger: slog.New(slog.NewJSONHandler(g.Log, &slog.HandlerOptions{Level: o.Level})),
		Now:    o.Now, Buffers: &buffer.Pool{Poison: true},
	})
	if err != nil {
		t.Fatalf("%v (run \"make plugins\")", err)
	}
	g.Server = httptest.NewServer(g.Host.Handler())
	t.Cleanup(func() {
		g.Server.Close()
		g.Host.Close()
	})
	return g
}

// Ready waits until every adapter was loaded. The error is of those that were not.
func (g *Gateway) Ready(t testing.TB) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	return g.Host.WaitReady(ctx)
}
