package host

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/dialect/completions"
	"github.com/kai-gateway/kai/host/dialect/embeddings"
	"github.com/kai-gateway/kai/host/dialect/messages"
	"github.com/kai-gateway/kai/host/dialect/passed"
	"github.com/kai-gateway/kai/host/dialect/responses"
	"github.com/kai-gateway/kai/host/heads"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/observe"
	"github.com/kai-gateway/kai/host/price"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/schema"
)

// generation is everything that a configuration determines. A reload builds a new
// one; a request keeps the one it began with. What counts or remembers something is
// the Host's: a generation refers to it.
type generation struct {
	host       *Host
	config     *config.Config
	log        *slog.Logger
	now        func() time.Time
	handler    http.Handler
	routes     *route.Table
	capacities [][]*limit.Bucket           // by the ID of a target: what it can take
	limits     *limits                     // nil: there are none
	estimators map[string]*limit.Estimator // by alias: how many tokens requests have; nil: there are no limits
	caching    *caching                    // nil: no answers are kept
	prices     []*price.Price              // by the ID of a target; nil: nothing has a price
	providers  map[string]*provider        // which the generation holds
	order      []*provider                 // as configured
	targets    []string                    // names of targets, by their ID: provider/model
	metrics    *observe.View
	refs       atomic.Int64 // the host's and one for each request; closed at 0
}

// build makes a generation and begins to compile those of its adapters that no other
// generation has. The caller must release it.
func (h *Host) build(c *config.Config, module func(plugin string) ([]byte, error)) (*generation, error) {
	g := &generation{host: h, config: c, log: h.log, now: h.opts.Now, providers: map[string]*provider{}}
	g.refs.Store(1)

	var err error
	routes, capacities, prices := aliasesOf(c)
	g.capacities, g.prices, g.limits, g.caching = capacities, prices, limitsOf(c), h.cachingOf(c)
	if g.limits != nil {
		g.estimators = h.estimatorsOf(c)
	}
	if g.routes, err = route.New(routes, c.DefaultModel, h.cells); err != nil {
		return nil, err
	}
	names := labels(c, routes, h.conventions(c))
	for _, t := range names.Targets {
		g.targets = append(g.targets, t.Provider+"/"+t.Model)
	}
	g.metrics = h.metrics.View(names)
	for _, p := range loadOrder(c.Providers) {
		m, shipped, err := h.module(p.Plugin, module)
		if err == nil {
			err = checkPin(p, m.Digest)
		}
		if err != nil {
			g.release()
			return nil, problems(p.Problem(err.Error()))
		}
		id := identityOf(p, c.Server.Workers, m.Digest)
		g.providers[p.Name] = h.providers.hold(id, func() *provider {
			return newProvider(id, h.adapter(p, id.workers, m, shipped && h.current.Load() == nil), h.share(p), profileOf(m), g.now)
		})
	}
	for _, p := range c.Providers {
		g.order = append(g.order, g.providers[p.Name])
	}
	g.handler = g.api(h.opts.Version)
	return g, nil
}

// module returns the module of a plugin: a shipped one, or what read returns.
func (h *Host) module(plugin string, read func(plugin string) ([]byte, error)) (m modfile.Module, shipped bool, err error) {
	if h.opts.Shipped != nil {
		if m, shipped = h.opts.Shipped(plugin); shipped {
			return m, true, nil
		}
	}
	b, err := read(plugin)
	if err != nil {
		return modfile.Module{}, false, err
	}
	return modfile.ModuleOf(b), false, nil
}

// profileOf returns the profile in a module's manifest, if that can be read without running
// the module; else an empty one.
func profileOf(m modfile.Module) modfile.Profile {
	if !m.Found {
		return modfile.Profile{}
	}
	return m.Manifest.Profile()
}

// checkPin refuses a module that is not the one the configuration names.
func checkPin(p config.Provider, digest [sha256.Size]byte) error {
	if p.SHA256 == "" {
		return nil
	}
	if got := fmt.Sprintf("%x", digest); got != p.SHA256 {
		return fmt.Errorf("the module's sha256 is %s and not the one that providers.%s.sha256 names: check where %s comes from, or name its digest", got, p.Name, p.Plugin)
	}
	return nil
}

// problems makes one error of all problems of a configuration; nil if there are none.
func problems(list ...config.Problem) error {
	if len(list) == 0 {
		return nil
	}
	return &config.Problems{List: list}
}

// loadOrder puts providers without an upstream first, because a newcomer asks those first.
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

const (
	messagesPath  = "/v1/messages"
	responsesPath = "/v1/responses"

	completionsPath = "/v1/completions"
	fimPath         = "/v1/fim/completions"
	embeddingsPath  = "/v1/embeddings"
)

// endpoints are those of the APIs that clients speak.
func (g *generation) endpoints() []api.Route {
	responsesAPI := responses.Dialect()
	routes := []api.Route{
		// A chat completion's repaired form, and the one without long content, are copies
		// of it.
		{Method: "POST", Path: api.ChatPath, Dialect: dialect.OpenAI(), Handle: g.serve(chat.Parse, 2)},
		{Method: "POST", Path: completionsPath, Dialect: dialect.OpenAI(), Handle: g.serve(completions.Parse, 3)},
		{Method: "POST", Path: fimPath, Dialect: completions.FIM(), Handle: g.serve(completions.ParseFIM, 3)},
		{Method: "POST", Path: embeddingsPath, Dialect: dialect.OpenAI(), Handle: g.serve(embeddings.Parse, 2)},
		// A request of Messages is also written anew.
		{Method: "POST", Path: messagesPath, Dialect: messages.Messages(), Handle: g.serve(messages.Parse, 4)},
		{Method: "POST", Path: messagesPath + "/count_tokens", Dialect: messages.Messages(), Handle: g.serve(messages.ParseCount, 4)},
		// Here, the chat completion that the request becomes is one more copy.
		{Method: "POST", Path: responsesPath, Dialect: responsesAPI, Handle: g.serve(responses.Parse(g.responsesOptions()), 4)},
		{Method: "POST", Path: responsesPath + "/input_tokens", Dialect: responsesAPI, Handle: g.serve(responses.ParseCount(g.responsesOptions()), 4)},
		{Method: "POST", Path: responsesPath + "/compact", Dialect: responsesAPI, Handle: g.serve(responses.ParseCompact, 2)},
		{Method: "GET", Path: responsesPath + "/{id}", Dialect: responsesAPI, Handle: g.getResponse},
		{Method: "GET", Path: responsesPath + "/{id}/" + responses.InputItems, Dialect: responsesAPI, Handle: g.listInput},
		{Method: "DELETE", Path: responsesPath + "/{id}", Dialect: responsesAPI, Handle: g.deleteResponse},
		{Method: "POST", Path: responsesPath + "/{id}/cancel", Dialect: responsesAPI, Handle: g.cancelResponse},
	}
	for _, o := range passed.Operations() {
		copies := int64(2)
		if o.Form {
			copies = 0
		}
		routes = append(routes, api.Route{Method: "POST", Path: o.Path, Form: o.Form, Dialect: dialect.OpenAI(), Handle: g.serve(o.Parse, copies)})
	}
	return routes
}

// api is the HTTP surface of this generation.
func (g *generation) api(version string) http.Handler {
	c := g.config
	o := api.Options{
		Routes:       g.endpoints(),
		Models:       g.models,
		Model:        g.model,
		Suggest:      g.suggest,
		Example:      g.example(),
		Health:       g.health,
		Ready:        g.ready,
		Hosts:        append([]string{c.Server.Host}, c.Server.Hosts...),
		Private:      func() bool { return !c.Auth.Enabled && g.host.loopback.Load() },
		CORS:         api.CORS{Enabled: c.CORS.Enabled, AllowOrigins: c.CORS.AllowOrigins},
		MaxBody:      g.host.maxBody(c),
		Bodies:       g.host.bodies,
		Memory:       g.host.memory,
		AdmitHead:    heads.Admit,
		Buffers:      g.host.buffers,
		ReadTimeout:  time.Duration(c.Server.ReadTimeout),
		WriteTimeout: time.Duration(c.Server.WriteTimeout),
		Version:      version,
		OpenAPI:      sync.OnceValues(func() ([]byte, error) { return schema.OpenAPI(g.example()) }),
		Logger:       g.log,
		Console:      g.console,
		Observe:      g.observe,
		Access:       c.Log.Access,
		Now:          g.now,
	}
	if !c.Auth.Enabled {
		o.Offered = g.offered
	} else {
		o.Authenticate = authenticate(key.New(keysOf(&c.Auth)), g.now)
	}
	return api.New(o)
}

// wait waits until every adapter was compiled or failed to. The error is the
// context's cause, or *config.Problems with those that failed.
func (g *generation) wait(ctx context.Context) error {
	var failed []config.Problem
	for _, p := range g.config.Providers { // whose places are those of this configuration
		adapter := g.providers[p.Name].adapter
		if ready, _ := adapter.Status(); ready {
			continue // one that was loaded before need not be loaded now
		}
		if err := adapter.Wait(ctx, time.Hour); ctx.Err() != nil {
			return context.Cause(ctx)
		} else if err != nil {
			failed = append(failed, p.Problem(err.Error()))
		}
	}
	return problems(failed...)
}

// acquire keeps the generation open until the matching release. It fails once
// the generation is closed.
func (g *generation) acquire() bool {
	for {
		n := g.refs.Load()
		if n == 0 {
			return false
		}
		if g.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// retire closes what only further requests would need. This generation gets none, because
// next has taken its place.
func (g *generation) retire(next *generation) {
	for name, p := range g.providers {
		if next.providers[name] != p {
			p.retire()
		}
	}
}

// release undoes an acquire, or the host's hold. A generation that nobody uses lets
// go of its providers.
func (g *generation) release() {
	if g.refs.Add(-1) > 0 {
		return
	}
	for _, p := range g.providers {
		g.host.providers.release(p)
	}
	g.routes.Close()
	g.metrics.Close()
}
