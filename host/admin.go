package host

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/admin"
	"github.com/kai-gateway/kai/host/record"
	"github.com/kai-gateway/kai/host/wasm"
)

// Admin returns what serves the admin listener. loopback says that only this machine can
// reach it. reload reads the configuration again; nil: that can't be done.
func (h *Host) Admin(loopback bool, reload func(context.Context) error) *admin.Server {
	o := admin.Options{
		Gateway: adminGateway{h}, Loopback: loopback, Requests: h.requests,
		Metrics: h.Metrics(), API: h.Handler(), Now: h.opts.Now,
	}
	if reload != nil {
		o.Reload = func(ctx context.Context) error {
			err := reload(ctx)
			if _, ok := errors.AsType[*config.Problems](err); !ok {
				return err
			}
			refused := &admin.Refused{}
			if r := h.refused.Load(); r != nil {
				refused.Problems = r.problems
			}
			return refused
		}
	}
	return admin.New(o)
}

// ServeAdmin serves the admin listener on l until ctx ends, as Serve does the API's.
func (h *Host) ServeAdmin(ctx context.Context, l net.Listener, reload func(context.Context) error) error {
	s := h.Admin(admin.IsLoopback(l.Addr()), reload)
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		h.adminPort.Store(int64(a.Port))
	}
	return h.serve(ctx, l, s, s.Stop)
}

// console returns the console's address for a browser on this machine; "" for all others,
// which are not told where it is.
func (g *generation) console(r *http.Request) string {
	name, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		name = r.Host
	}
	port, c := g.host.adminPort.Load(), g.config.Admin
	if port == 0 || !c.Enabled || !c.Console || !config.IsLoopback(strings.Trim(name, "[]")) {
		return ""
	}
	host := c.Host
	if address, err := netip.ParseAddr(host); err == nil && (address.IsUnspecified() || address.IsLoopback()) {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.FormatInt(port, 10)) + "/"
}

// observe takes the record of a request that is over.
func (g *generation) observe(r *record.Request) {
	if r.ForModel {
		g.host.tracer.Add(r)
	}
	if r.ForModel || r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden {
		g.host.audit.Add(r)
	}
	g.metrics.End(r)
	g.host.countCached(r.Cache)
	if g.config.Admin.Enabled && (r.ForModel || strings.HasPrefix(r.Endpoint, "/v1/") && r.Status >= 400) {
		g.host.requests.Add(r, g.targets)
	}
}

// swaps counts how often the module of a provider was replaced.
type swaps struct {
	mu sync.Mutex
	of map[string]int64
}

func (s *swaps) get(provider string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[provider]
}

// swapped notes what a new generation replaced.
func (h *Host) swapped(old, now *generation) {
	aliases, providers := map[string]bool{}, map[string]bool{}
	for _, m := range now.config.Models {
		aliases[m.Alias] = true
	}
	h.swaps.mu.Lock()
	left := map[string]int64{}
	for name, p := range now.providers {
		providers[name] = true
		left[name] = h.swaps.of[name]
		if before := old.providers[name]; before != nil && before.identity.digest != p.identity.digest {
			left[name]++
		}
	}
	h.swaps.of = left
	h.swaps.mu.Unlock()
	targets := map[string]bool{}
	for _, name := range now.targets {
		targets[name] = true
	}
	h.requests.Forget(aliases, providers, targets)
}

// problemsOf returns what is wrong with a configuration, for the admin listener.
func problemsOf(err error) []admin.Problem {
	problems, ok := errors.AsType[*config.Problems](err)
	if !ok {
		return []admin.Problem{{Message: "could not be read; the log says why"}}
	}
	var all []admin.Problem
	for _, p := range problems.List {
		where := filepath.Base(p.File)
		if p.Line > 0 {
			where = fmt.Sprintf("%s:%d:%d", where, p.Line, p.Column)
		}
		all = append(all, admin.Problem{Where: where, Path: p.Path, Message: p.Message})
	}
	return all
}

// adapterProblems is problemsOf without the texts: here they come from an adapter, and may
// repeat anything.
func adapterProblems(err error) []admin.Problem {
	all := problemsOf(err)
	for i := range all {
		all[i].Message = "the adapter can't be used; the log says why"
	}
	return all
}

// adminGateway is the gateway as the admin listener sees it.
type adminGateway struct{ h *Host }

// ResetTarget is Host.ResetTarget.
func (a adminGateway) ResetTarget(name string) bool { return a.h.ResetTarget(name) }

// Settings are those of the configuration that is served.
func (a adminGateway) Settings() admin.Settings {
	c := a.h.current.Load().config.Admin
	s := admin.Settings{Enabled: c.Enabled, Names: []string{c.Host}, Metrics: c.Metrics, Console: c.Console}
	if !c.Token.IsZero() {
		s.Token = c.Token.Reveal()
	}
	return s
}

// State is what the admin listener shows of the present moment.
func (a adminGateway) State() admin.State {
	targets := a.h.Targets()
	g := a.h.acquire()
	defer g.release()
	s := admin.State{
		Version: a.h.opts.Version, Started: a.h.started, Now: g.now(), Health: g.health().Status, Auth: g.config.Auth.Enabled, Example: g.example(), Port: int(a.h.port.Load()), Shared: a.h.sharedState(),
		Configuration: a.configuration(g), Models: []admin.Model{}, Targets: []admin.Target{}, Providers: []admin.Provider{}, Keys: []admin.Key{},
		Memory: admin.Use{Used: a.h.memory.Used(), Max: a.h.memory.Max()}, Bodies: admin.Use{Used: a.h.bodies.Used(), Max: a.h.bodies.Max()},
	}
	for _, m := range g.config.Models {
		s.Models = append(s.Models, g.adminModel(m))
	}
	for _, t := range targets {
		s.Targets = append(s.Targets, admin.Target{Name: t.Target, State: t.State, Only: t.Only, But: t.But, Class: t.Class, WaitMS: t.Wait.Milliseconds(), Always: t.Always, Recent: a.h.requests.Recent(t.Target, g.now())})
	}
	for _, p := range g.order {
		s.Providers = append(s.Providers, a.provider(p))
	}
	a.showKeys(g, &s)
	s.Cache = g.cacheState()
	return s
}

func (a adminGateway) configuration(g *generation) admin.Configuration {
	c := admin.Configuration{Generation: a.h.taken.Load(), Taken: a.h.since.Load(), Refusals: a.h.refusals.Load()}
	if g.config.File != "" {
		c.File = filepath.Base(g.config.File)
	}
	if r := a.h.refused.Load(); r != nil {
		c.Refused = &admin.Refusal{At: r.at, Problems: r.problems}
	}
	return c
}

// adminModel is an alias as it was configured.
func (g *generation) adminModel(m config.Model) admin.Model {
	shown := admin.Model{
		Alias: m.Alias, Hidden: m.Hidden, Default: m.Alias == g.config.DefaultModel, Sole: len(m.Targets) == 0,
		Attempts: m.Routing.Attempts, Sticky: m.Routing.Sticky, Entries: []admin.Entry{},
	}
	if !strings.HasSuffix(m.Alias, "*") {
		shown.Needs = g.needs(m.Alias)
	}
	for _, t := range m.Targets {
		e := admin.Entry{Alias: t.Alias, Weight: t.Weight, Tier: t.Tier}
		if t.Alias == "" {
			e.Target = t.Provider + "/" + t.Model
		}
		shown.Entries = append(shown.Entries, e)
	}
	if shown.Sole {
		shown.Entries = append(shown.Entries, admin.Entry{Target: m.Provider + "/" + m.Model, Weight: 1, Tier: 1})
	}
	return shown
}

func (a adminGateway) provider(p *provider) admin.Provider {
	share := a.h.share(p.config)
	s := admin.Provider{
		Name: p.name, State: "ready", Needs: p.config.Unset, Adapter: filepath.Base(p.config.Plugin), Digest: hex.EncodeToString(p.identity.digest[:]),
		Pinned: p.config.SHA256 != "", Isolation: p.config.Isolation, Memory: admin.Use{Used: share.Used(), Max: share.Max()},
		Swaps: a.h.swaps.get(p.name), PausedMS: p.adapter.Paused().Milliseconds(), Calls: a.h.requests.Calls(p.name),
	}
	if sandboxed, ok := p.adapter.(*wasm.Adapter); ok {
		s.Calls.MaxFuel = sandboxed.Fuel()
		s.Instances = sandboxed.Instances()
	}
	ready, err := p.adapter.Status()
	if ready && err == nil {
		s.Version = p.adapter.Manifest().Version
	}
	switch {
	case err != nil:
		s.State = "failed"
	case !ready:
		s.State = "loading"
	case s.PausedMS > 0:
		s.State = "paused"
	case p.config.Unset != "":
		s.State = "unconfigured"
	case p.failed.Load():
		s.State = "unreachable"
	}
	return s
}
