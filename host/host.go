// Package host is the gateway as a library: it joins the HTTP surface, the
// routes, the adapters in their sandbox and the upstreams into one handler.
//
// pipeline.go shows the way of a request from top to bottom. The packages below
// host do the work and don't know each other.
package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/admin"
	"github.com/kai-gateway/kai/host/audit"
	"github.com/kai-gateway/kai/host/buffer"
	"github.com/kai-gateway/kai/host/cache"
	"github.com/kai-gateway/kai/host/dialect/responses"
	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/limit/fleet"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/observe"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/shared"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
)

// Options configures New. Config and Module are required.
type Options struct {
	Config *config.Config
	Module func(plugin string) ([]byte, error) // gives the module of a config.Provider's Plugin
	// Shipped returns what is known of a module whose bytes need not be read before it is
	// loaded. So an adapter that was loaded in an earlier process and is not used takes no
	// time or memory. Default: Module returns all modules.
	Shipped func(plugin string) (modfile.Module, bool)

	Logger   *slog.Logger     // default: discard
	CacheDir string           // for compiled adapters; "": nothing is kept
	Modules  *wasm.Modules    // compiled adapters in memory, which gateways of one process may share; default: its own
	Version  string           // the gateway's
	Now      func() time.Time // for "created" and the log; default time.Now

	// Sleep waits for d where an adapter asks for that, or until ctx ends. Default: a timer.
	Sleep func(ctx context.Context, d time.Duration) error

	// Adapter returns adapters that run in place of providers' modules and without the
	// guarantees of the sandbox, to measure what the sandbox costs. Default: modules are run.
	Adapter func(config.Provider) Adapter

	// SetHeapLimit is called with the size that Go's heap may grow to, at the start and
	// whenever it changes. A process that does nothing else can use debug.SetMemoryLimit.
	// Default: nobody is told.
	SetHeapLimit func(bytes int64)

	// Level is set to log.level of the configuration, at the start and when that changes. The
	// Logger should use it. Default: the level is not passed on.
	Level *slog.LevelVar

	// Getenv returns the OTEL_… variables, which fill in what telemetry leaves out.
	// Default: none is set.
	Getenv func(name string) string

	Stdout io.Writer // where audit.file: stdout goes; default: nowhere

	// Buffers lends what large requests are held in. Default: one of its own. Tests give one
	// that is poisoned.
	Buffers *buffer.Pool

	// LogDropped returns how many lines of the log were dropped so far, for the metrics.
	// Default: none.
	LogDropped func() int64
}

// Host is a running gateway. Its Handler serves requests at once; those for an
// adapter that is still being compiled wait. Its methods are safe for concurrent
// use.
type Host struct {
	opts    Options
	log     *slog.Logger
	engine  *wasm.Engine
	swap    sync.Mutex // one Swap at a time
	current atomic.Pointer[generation]

	// What outlives a configuration: everything that counts or remembers. All
	// generations refer to the same.
	memory     *memory.Total // what is held
	bodies     *memory.Limit // of requests, which is a part of it
	buffers    *buffer.Pool  // what large requests are held in
	machine    int64         // the memory there is; 0: nobody knows
	providers  providers
	storedIDs  storedIDs         // what providers keep for their accounts, by the client whose it is
	responses  *responses.Memory // what clients of the Responses API refer to
	cells      *route.Cells      // how providers and their models have been doing
	limits     limit.Store       // what keys, groups, aliases and the whole gateway have used and spent
	fleet      *fleet.Store      // limits, if they are shared with other gateways; else nil
	shared     *shared.Client    // the store that gateways share; nil: there is none
	outage     fleet.Outage      // what happens while the store is away
	estimators sync.Map          // of *limit.Estimator: how many tokens requests have, by alias
	cache      *cache.Local      // answers that are kept
	unsent     memory.Limit      // bytes of answers on their way to where all gateways keep them
	hits       atomic.Int64      // requests that got a kept answer
	misses     atomic.Int64      // requests whose answers may be kept, for which there was none
	ledger     *ledgerKeeper     // keeps counts and ids in a file; nil: there is none
	loopback   atomic.Bool       // the gateway serves this machine alone
	port       atomic.Int64      // of the API; 0: it isn't served yet
	adminPort  atomic.Int64      // of the admin listener; 0: there is none
	metrics    *observe.Metrics
	requests   *admin.Requests // the last ones, for the admin listener
	swaps      swaps           // of modules
	started    time.Time
	since      atomic.Int64 // when the current configuration was taken, in Unix milliseconds
	audit      *audit.Writer
	tracer     *observe.Tracer
	pusher     *observe.Pusher
	taken      atomic.Int64            // configurations
	refusals   atomic.Int64            // configurations that were not taken
	refused    atomic.Pointer[refusal] // of the last Swap; nil: it was taken
}

// refusal is a new configuration that could not be used.
type refusal struct {
	at    time.Time
	where string // "api.yaml:3", "api.yaml" for the file as a whole, or "" if it was no place of the configuration

	problems []admin.Problem // for the admin listener
}

// New builds a gateway and begins to compile its adapters. The error is
// *config.Problems if a module can't be read. Close it when no request runs any
// more.
func New(o Options) (*Host, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.Buffers == nil {
		o.Buffers = &buffer.Pool{}
	}
	h := &Host{opts: o, log: o.Logger, buffers: o.Buffers, cells: route.NewCells(), requests: admin.NewRequests(), started: o.Now()}
	h.since.Store(h.started.UnixMilli())
	h.metrics = observe.NewMetrics(h.state)
	h.audit = audit.NewWriter(o.Logger)
	h.tracer, h.pusher = observe.NewTracer(o.Logger), h.metrics.Pusher(o.Logger)
	h.loopback.Store(config.IsLoopback(o.Config.Server.Host))
	h.engine = wasm.New(wasm.Options{Logger: o.Logger, CacheDir: o.CacheDir, Modules: o.Modules})
	h.machine = memory.Machine()
	h.bodies = memory.NewLimit(0)
	h.memory = memory.New(memory.Options{
		Limit: h.memoryLimit(o.Config), Machine: h.machine, Reclaim: h.reclaim, SetHeapLimit: o.SetHeapLimit,
	})
	h.cache = cache.NewLocal(h.memory, o.Now)
	h.responses = responses.NewMemory(h.memory.Grant(), o.Now)
	h.setMemoryBounds(o.Config)
	lines, err := h.openAudit(o.Config)
	if err == nil {
		err = h.openLimits(o.Config)
	}
	if err != nil {
		lines.Close()
		h.close(0)
		return nil, err
	}
	g, err := h.build(o.Config, o.Module)
	if err != nil {
		lines.Close()
		h.close(0)
		return nil, err
	}
	h.audit.Use(lines)
	h.tracer.Use(h.traceConfig(o.Config))
	h.pusher.Use(h.pushConfig(o.Config))
	h.limits.Keep(g.buckets())
	h.current.Store(g)
	h.followShared()
	h.taken.Add(1)
	h.opts.Module = nil // which may hold every module
	for _, w := range environment(o.Getenv).warnings(o.Config) {
		h.log.Warn(w)
	}
	return h, nil
}

// Swap replaces the configuration and the adapters in one step. The new ones are
// built and checked completely beside the old ones first: every adapter must be
// compiled, shake hands, take its options and repeat the transcript it carries. If
// anything fails, or ctx ends before, the old ones keep serving and /health says
// so. The error is *config.Problems when an adapter is to blame.
//
// A provider of which nothing changes, neither in its section nor in its module,
// stays as it is, with its instances, a pause and its connections. Requests keep the
// configuration and adapters they began with, which are freed when the last of them
// has ended. The address that is served does not change.
func (h *Host) Swap(ctx context.Context, c *config.Config, module func(plugin string) ([]byte, error)) error {
	h.swap.Lock()
	defer h.swap.Unlock()
	g, err := h.build(c, module)
	if err == nil {
		if err = g.wait(ctx); err != nil {
			g.release()
		}
	}
	var lines *audit.Output
	if err == nil {
		if lines, err = h.openAudit(c); err != nil {
			g.release()
		}
	}
	if err != nil {
		h.refuse(err, adapterProblems(err))
		return err
	}
	h.refused.Store(nil)
	h.audit.Use(lines)
	h.tracer.Use(h.traceConfig(c))
	h.pusher.Use(h.pushConfig(c))
	h.setMemoryBounds(c)
	h.limits.Keep(g.buckets())
	h.since.Store(h.opts.Now().UnixMilli())
	h.taken.Add(1)
	old := h.current.Swap(g)
	h.swapped(old, g)
	old.retire(g)
	old.release()
	return nil
}

// reclaim frees what is only kept for reuse: of a provider, or of all and the answers that are
// kept.
func (h *Host) reclaim(of *memory.Share) {
	h.engine.Reclaim(of)
	if of == nil {
		h.cache.Clear()
	}
}

// unknownMachine is the memory that is assumed of a machine whose memory is not known.
const unknownMachine = 4 << 30

// memoryLimit is how many bytes may be held at one time.
func (h *Host) memoryLimit(c *config.Config) int64 {
	if c.Server.MaxMemory > 0 {
		return int64(c.Server.MaxMemory)
	}
	return cmp.Or(h.machine, unknownMachine) / 2
}

// maxBody is the largest body that is accepted. On a machine with little memory that is less
// than configured: a body that there will never be room for is too large, and sending it again
// later would not help.
func (h *Host) maxBody(c *config.Config) int64 {
	return min(int64(c.Server.MaxBody), h.memoryLimit(c)/4)
}

// share returns the part of memory that a provider may have. All generations use the same
// one, so a reload gives nobody twice as much. setMemoryBounds changes its size.
func (h *Host) share(p config.Provider) *memory.Share {
	return h.memory.Share(p.Name, cmp.Or(int64(p.Limits.Share), h.memory.Max()/2))
}

// setMemoryBounds sets the bounds of memory that a configuration has. What is held stays
// held: if a bound is lower than before, nothing is added until enough was given back.
func (h *Host) setMemoryBounds(c *config.Config) {
	if level := slog.LevelInfo; h.opts.Level != nil && level.UnmarshalText([]byte(c.Log.Level)) == nil {
		h.opts.Level.Set(level)
	}
	h.memory.Set(h.memoryLimit(c))
	h.bodies.Set(min(int64(c.Server.MaxBodies), h.memory.Max()))
	h.responses.Set(min(int64(c.Responses.Memory), h.memory.Max()/8), time.Duration(c.Responses.TTL))
	h.cache.Set(h.cacheSize(c))
	h.unsent.Set(h.cacheSize(c) / 2)
	for _, p := range c.Providers {
		h.share(p).Set(cmp.Or(int64(p.Limits.Share), h.memory.Max()/2))
	}
}

// Refuse notes for /health that a new configuration can't be used, for callers that find
// that out before Swap does. Anybody may ask for /health, so it shows only the place that
// err names. What is wrong there is for the log.
func (h *Host) Refuse(err error) { h.refuse(err, problemsOf(err)) }

func (h *Host) refuse(err error, shown []admin.Problem) {
	r := &refusal{at: h.opts.Now(), problems: shown}
	var problems *config.Problems
	if errors.As(err, &problems) {
		p := problems.List[0]
		r.where = filepath.Base(p.File)
		if p.Line > 0 {
			r.where = fmt.Sprintf("%s:%d", r.where, p.Line)
		}
	}
	h.refused.Store(r)
	h.refusals.Add(1)
}

// Handler serves the gateway's paths. Until Serve knows better, server.host decides whether
// it serves this machine alone. If it does, and there are no keys, only requests to an
// address, to localhost and to the names in server.hosts are let in.
func (h *Host) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := h.acquire()
		defer g.release()
		g.handler.ServeHTTP(w, r)
	})
}

// acquire gives the current generation, which stays usable until it is released.
func (h *Host) acquire() *generation {
	for {
		if g := h.current.Load(); g.acquire() {
			return g
		}
		// It was swapped and released in between, so the next one is there already.
	}
}

// WaitReady waits until every adapter was compiled or failed to. The error is
// *config.Problems with those that failed.
func (h *Host) WaitReady(ctx context.Context) error {
	g := h.acquire()
	defer g.release()
	return g.wait(ctx)
}

// flushTime is how long it may take at the end to write what waits of the audit, and as
// long again to send what waits of the traces.
const flushTime = 2 * time.Second

// close ends what the host runs.
func (h *Host) close(flush time.Duration) {
	h.engine.Close()
	h.audit.Close(flush)
	h.tracer.Close(flush)
	h.pusher.Close(flush)
	h.ledger.close()
	h.closeShared()
}

// openAudit opens what a configuration says for the audit; nil: nothing is written.
func (h *Host) openAudit(c *config.Config) (*audit.Output, error) {
	if c.Audit.File == "" {
		return nil, nil
	}
	o, err := audit.Open(c.Audit.File, h.opts.Stdout, c.Audit.Full == "wait")
	if err != nil {
		return nil, problems(auditProblem(c, explained(c.Audit.File, write, err)))
	}
	return o, nil
}

// Close frees the adapters and the idle connections to upstreams. Nothing may be
// served any more.
func (h *Host) Close() {
	h.pusher.Close(flushTime) // which looks at the state a last time
	h.current.Load().release()
	h.close(flushTime)
}
