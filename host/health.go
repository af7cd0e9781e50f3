package host

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/limit/fleet"
	"github.com/kai-gateway/kai/host/route"
)

// health returns what the gateway knows without asking upstreams. Everybody may see it, so
// it has no paths, addresses or errors.
func (g *generation) health() api.Health {
	services := []api.Service{
		{Key: "config", Name: "configuration", Status: api.Healthy, Message: "Configuration loaded successfully"},
		{Key: "models", Name: "model_mapping", Status: api.Healthy, Message: fmt.Sprintf("%d models configured", len(g.config.Models))},
	}
	served, broken := false, false
	if r := g.host.refused.Load(); r != nil {
		broken = true
		services[0].Status = api.Degraded
		where := ""
		if r.where != "" {
			where = " for " + r.where
		}
		services[0].Message = fmt.Sprintf("The configuration of %s was refused%s, the one before keeps serving; the log says why", r.at.UTC().Format(time.DateTime), where)
	}
	if s := g.host.shared; s != nil {
		up := api.Service{Key: "shared", Name: "shared", Status: api.Healthy, Message: "The shared store answers"}
		if !s.Up() {
			broken = true
			why := "does not answer"
			if what := s.Refused(); what != "" {
				why = "refuses this gateway: check " + what
			}
			up.Status, up.Message = api.Degraded, "The shared store "+why+"; "+awayMessages[g.host.outage]
		}
		services = append(services, up)
	}
	used := map[string]bool{}      // a provider that no model is mapped to serves nothing
	cooling := map[string]string{} // which part of a provider cools
	g.routes.Each(func(p *route.Plan) {
		for i := range p.Targets {
			t := &p.Targets[i]
			used[t.Provider] = true
			if what := coolingOf(t, g.now()); what != "" && !p.Sole {
				cooling[t.Provider] = max(cooling[t.Provider], what)
			}
		}
	})
	for _, p := range g.order {
		up := api.Service{Key: "provider:" + p.name, Name: p.name, Status: api.Healthy, Message: "Configured"}
		if p.config.Unset != "" {
			up.Status, up.Message = "not_configured", "No API key: set "+p.config.Unset
		} else if p.failed.Load() {
			up.Status, up.Message = api.Unhealthy, "The last request got no answer"
			broken = broken || used[p.name]
		} else if what := cooling[p.name]; what != "" {
			up.Status, up.Message = api.Degraded, what
			broken = true
		}
		serves := used[p.name] && p.config.Unset == ""
		module := api.Service{Key: "adapter:" + p.name, Name: filepath.Base(p.config.Plugin), Status: api.Healthy, Message: "Ready"}
		switch ready, err := p.adapter.Status(); {
		case err != nil:
			module.Status, module.Message = api.Unhealthy, "Could not be loaded; the log says why"
			broken = true
		case !ready:
			module.Status, module.Message = "loading", "Is being compiled"
			served = served || serves
		case p.adapter.Paused() > 0:
			module.Status, module.Message = "paused", "Failed repeatedly; the log says why"
			broken = true
		default:
			served = served || serves
		}
		services = append(services, up, module)
	}
	status := api.Healthy
	switch {
	case !served:
		status = api.Unhealthy
	case broken:
		status = api.Degraded
	}
	return api.Health{Status: status, Services: services}
}

// awayMessages say what follows if a shared store doesn't answer, or refuses.
var awayMessages = [...]string{
	fleet.Divide: "this gateway enforces its share of each limit",
	fleet.Deny:   "requests with limits are refused",
	fleet.Allow:  "limits are not enforced",
}

// coolingOf says which part of a target is left alone for a while; "": none.
func coolingOf(t *route.Target, now time.Time) string {
	provider, model := t.Health().Cells()
	switch {
	case provider.State(now) == route.Cooling:
		return "The provider is left alone for a while"
	case model != nil && model.State(now) == route.Cooling,
		slices.ContainsFunc(t.Health().Others(), func(c *route.Cell) bool { return c.State(now) == route.Cooling }):
		return "A model is left alone for a while"
	}
	return ""
}

// ready reports whether no request has to wait for an adapter any more.
func (g *generation) ready() bool {
	for _, p := range g.order {
		if ready, err := p.adapter.Status(); !ready && err == nil {
			return false
		}
	}
	return true
}
