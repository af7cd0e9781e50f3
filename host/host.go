// Package host is the gateway as a library: it joins the HTTP surface, the
// routes, the adapters in their sandbox and the upstreams into one handler.
//
// pipeline.go shows the way of a request from top to bottom. The packages below
// host do the work and don't know each other.
package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/auth"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/schema"
)

// Options configures New. Config and Module are required.
type Options struct {
	Config   *config.Config
	Module   func(plugin string) ([]byte, error) // gives the module of a config.Provider's Plugin
	Logger   *slog.Logger                        // default: discard
	CacheDir string                              // for compiled adapters; "": nothing is kept
	Version  string                              // the gateway's
	Now      func() time.Time                    // for "created" and the log; default time.Now
}

// Host is a running gateway. Its Handler serves requests at once; those for an
// adapter that is still being compiled wait.
type Host struct {
	config    *config.Config
	log       *slog.Logger
	now       func() time.Time
	handler   http.Handler
	engine    *wasm.Engine
	routes    *route.Table
	providers map[string]*provider
	order     []*provider // as configured
}

// New builds a gateway and begins to compile its adapters. The error names the
// provider whose module can't be read. Close it when no request runs any more.
func New(o Options) (*Host, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := o.Config
	h := &Host{config: c, log: o.Logger, now: o.Now, providers: map[string]*provider{}}

	targets := make([]route.Target, len(c.Models))
	for i, m := range c.Models {
		targets[i] = route.Target{Alias: m.Alias, Provider: m.Provider, Model: m.Model, Options: m.Options}
	}
	var err error
	if h.routes, err = route.New(targets, c.DefaultModel); err != nil {
		return nil, err
	}
	document, err := schema.OpenAPI()
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	h.handler = h.api(o.Version, document)

	h.engine = wasm.New(wasm.Options{Logger: o.Logger, CacheDir: o.CacheDir})
	for _, p := range loadOrder(c.Providers) {
		module, err := o.Module(p.Plugin)
		if err != nil {
			h.Close()
			return nil, fmt.Errorf("provider %s: %w", p.Name, err)
		}
		h.providers[p.Name] = newProvider(p, c.Server.Workers, h.engine, module)
	}
	for _, p := range c.Providers {
		h.order = append(h.order, h.providers[p.Name])
	}
	return h, nil
}

// loadOrder puts what answers without an upstream first, since that is what a
// newcomer asks first.
func loadOrder(all []config.Provider) []config.Provider {
	var first, rest []config.Provider
	for _, p := range all {
		if p.BaseURL == "" {
			first = append(first, p)
		} else {
			rest = append(rest, p)
		}
	}
	return append(first, rest...)
}

// api is the HTTP surface of this gateway.
func (h *Host) api(version string, document []byte) http.Handler {
	c := h.config
	o := api.Options{
		Chat:         h.chat,
		Models:       h.models,
		Health:       h.health,
		Ready:        h.ready,
		CORS:         api.CORS{Enabled: c.CORS.Enabled, AllowOrigins: c.CORS.AllowOrigins},
		MaxBody:      c.Server.MaxBody,
		MaxBodies:    c.Server.MaxBodies,
		ReadTimeout:  c.Server.ReadTimeout,
		WriteTimeout: c.Server.WriteTimeout,
		Version:      version,
		OpenAPI:      document,
		Logger:       h.log,
		Now:          h.now,
	}
	if c.Auth.Enabled {
		keys := make([]auth.Key, len(c.Auth.Keys))
		for i, k := range c.Auth.Keys {
			keys[i] = auth.Key{Name: k.Name, SHA256: k.SHA256, Models: k.Models}
		}
		o.Authenticate = auth.New(keys).Authenticate
	}
	return api.New(o)
}

// models lists what the request's principal may use.
func (h *Host) models(ctx context.Context) []string {
	who := auth.PrincipalFrom(ctx)
	var aliases []string
	for _, a := range h.routes.Aliases() {
		if who.MayUse(a) {
			aliases = append(aliases, a)
		}
	}
	return aliases
}

// Handler serves the gateway's paths.
func (h *Host) Handler() http.Handler { return h.handler }

// WaitReady waits until every adapter was compiled or failed to. The error names
// those that failed.
func (h *Host) WaitReady(ctx context.Context) error {
	var problems []error
	for _, p := range h.order {
		if err := p.adapter.Wait(ctx, time.Hour); err != nil {
			problems = append(problems, fmt.Errorf("provider %s: %w", p.name, err))
		}
	}
	return errors.Join(problems...)
}

// Close frees the adapters and the idle connections to upstreams.
func (h *Host) Close() {
	for _, p := range h.providers {
		p.close()
	}
	h.engine.Close()
}
