package host

import (
	"context"
	"log/slog"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Adapter is what the gateway needs of a provider's adapter. It is a *wasm.Adapter, whose
// methods are documented there, unless Options.Adapter returns another one. It is safe
// for concurrent use.
type Adapter interface {
	Wait(ctx context.Context, d time.Duration) error
	Status() (ready bool, err error)
	Paused() time.Duration
	Manifest() modfile.Manifest
	Close()
	Request(ctx context.Context, op abi.Op, stream bool, options, body []byte, out *wasm.Batch) (failed bool, err error)
	Response(ctx context.Context, op abi.Op, status int, state, head, body []byte, out *wasm.Batch) (failed bool, err error)
	Event(ctx context.Context, op abi.Op, flags int, state, name, data []byte, out *wasm.Batch) (failed bool, err error)
}

// forRequest returns the adapter for the calls of one attempt, and a function to call
// at its end.
func forRequest(a Adapter) (Adapter, func()) {
	sandboxed, ok := a.(*wasm.Adapter)
	if !ok {
		return a, func() {}
	}
	return sandboxed.ForRequest()
}

// logOff is a level above that of every line.
const logOff = slog.Level(100)

var logLevels = map[string]slog.Level{
	"off": logOff, "error": slog.LevelError, "warn": slog.LevelWarn, "info": slog.LevelInfo, "debug": slog.LevelDebug,
}

// adapter begins to load the module of a provider into its sandbox. workers is how many
// idle instances are kept. With later, the module may be loaded when it is first used.
func (h *Host) adapter(p config.Provider, workers int, m modfile.Module, later bool) Adapter {
	if h.opts.Adapter != nil {
		return h.opts.Adapter(p)
	}
	l := p.Limits
	return h.engine.Open(p.Name, m, wasm.AdapterOptions{
		Later: later, Options: p.Options, MaxIdle: workers, LogLevel: logLevels[p.Log], Fresh: p.Isolation == "request", Share: h.share(p),
		Limits: wasm.Limits{
			Memory: int64(l.Memory), KeptMemory: int64(l.KeptMemory), Input: int(l.Input), Fuel: l.Fuel, Time: time.Duration(l.Time),
			Output: int(l.Output), State: l.State, LogLines: l.LogLines,
		},
	})
}
