package conform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// kit has what all checks of a module share.
type kit struct {
	engine   *wasm.Engine
	module   []byte
	manifest modfile.Manifest
	update   bool
	log      *keptLog
}

// guest is an adapter with options. Like in the gateway, it runs in the sandbox. All its
// calls run in one instance.
type guest struct {
	kit     *kit
	ctx     context.Context
	options []byte
	adapter *wasm.Adapter
	batch   wasm.Batch

	calls  int
	cost   wasm.Cost
	broken error // how a call of the last replay broke
}

var _ transcript.Caller = (*guest)(nil)

// guest returns a new guest with an instance of its own.
func (k *kit) guest(ctx context.Context, options []byte) (*guest, error) {
	g := &guest{kit: k, ctx: ctx, options: options}
	return g, g.start()
}

func (g *guest) start() error {
	g.adapter = g.kit.engine.Adapter("adapter", g.kit.module, wasm.AdapterOptions{
		Options: g.options, LogLevel: slog.LevelDebug,
	})
	if err := g.adapter.Wait(g.ctx, time.Minute); err != nil {
		g.adapter.Close()
		return err
	}
	return nil
}

func (g *guest) close() { g.adapter.Close() }

// restart replaces the adapter after a call broke. Otherwise the adapter could be paused,
// and the next input would not reach it.
func (g *guest) restart() error {
	g.adapter.Close()
	return g.start()
}

var errSilent = errors.New("it returned 1, which says that the request failed, without an ERROR that says why")

// Call implements transcript.Caller.
func (g *guest) Call(in sdk.Input) ([]abi.Emission, error) {
	g.kit.log.reset()
	name := abi.ExportEvent
	switch {
	case in.Request != nil:
		name = abi.ExportRequest
	case in.Response != nil:
		name = abi.ExportResponse
	}
	failed, err := g.adapter.Call(g.ctx, in, &g.batch)
	out := g.batch.Clone()
	g.calls++
	if g.batch.Cost.Fuel > g.cost.Fuel {
		g.cost.Fuel, g.cost.Limit = g.batch.Cost.Fuel, g.batch.Cost.Limit
	}
	g.cost.Memory = max(g.cost.Memory, g.batch.Cost.Memory)

	explained := slices.ContainsFunc(out, func(e abi.Emission) bool { return e.Kind == abi.Error })
	if err == nil && failed && !explained {
		err = errSilent
	}
	if err != nil {
		g.broken = fmt.Errorf("%s: %w%s", name, err, g.kit.log.words("it logged: "))
		if err := g.restart(); err != nil {
			g.broken = fmt.Errorf("%w\nand then it could not be started again: %w", g.broken, err)
		}
		return nil, g.broken
	}
	return out, nil
}

// keptLog is a slog.Handler that keeps the values of one attribute.
type keptLog struct {
	key string // the attribute's

	mu    sync.Mutex
	lines []string
}

// Attributes of log lines.
const (
	adapterText  = "text" // what an adapter has logged
	gatewayError = "err"  // why a request failed, in the gateway's words
)

func (l *keptLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = nil
}

// words returns what was kept as the rest of a message, after a title.
func (l *keptLog) words(title string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == 0 {
		return ""
	}
	return "\n" + title + strings.Join(l.lines, "\n"+strings.Repeat(" ", len(title)))
}

// Enabled, Handle, WithAttrs and WithGroup make it a slog.Handler.
func (l *keptLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *keptLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == l.key {
			l.mu.Lock()
			defer l.mu.Unlock()
			if text := a.Value.String(); len(l.lines) < 20 && (len(l.lines) == 0 || l.lines[len(l.lines)-1] != text) {
				l.lines = append(l.lines, text)
			}
		}
		return true
	})
	return nil
}

func (l *keptLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *keptLog) WithGroup(string) slog.Handler      { return l }
