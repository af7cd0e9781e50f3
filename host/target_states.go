package host

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/route"
)

// TargetState is how a target has been doing. It has no addresses and no keys.
type TargetState struct {
	Target  string        `json:"target"`  // provider/model; a * in the model stands for what clients choose
	Aliases []string      `json:"aliases"` // that lead there, the hidden ones included
	State   string        `json:"state"`   // "well", "cooling", or "trying": one request at a time may ask it
	Only    string        `json:"only"`    // the operations in which it is so, such as "embeddings, images"; "": in all, or at least in answering
	But     []string      `json:"but"`     // behind a * that doesn't cool, the models that clients named and that do, sorted, the first maxBut of them
	Class   string        `json:"class"`   // of the failure that it cools for; "": it is well
	Wait    time.Duration `json:"wait"`    // nanoseconds until it may be asked again; 0: now
	Always  bool          `json:"always"`  // only aliases in the short form lead there, which ask it whatever its state is
}

// maxBut is how many models of a target with * are named.
const maxBut = 10

var stateNames = [...]string{route.Closed: "well", route.HalfOpen: "trying", route.Cooling: "cooling"}

// Targets returns the state of every target of the configuration that is served, in the
// order of their names.
func (h *Host) Targets() []TargetState {
	g := h.acquire()
	defer g.release()
	now := g.now()
	found := map[string]*TargetState{}
	g.routes.Each(func(p *route.Plan) {
		for i := range p.Targets {
			t := &p.Targets[i]
			name := t.Provider + "/" + t.Model
			s := found[name]
			if s == nil {
				s = stateOf(t, now)
				s.Target, s.Always, s.But = name, true, h.cooling(t, now)
				found[name] = s
			}
			s.Always = s.Always && p.Sole
			if !slices.Contains(s.Aliases, p.Alias) {
				s.Aliases = append(s.Aliases, p.Alias)
			}
		}
	})
	all := make([]TargetState, 0, len(found))
	for _, s := range found {
		slices.Sort(s.Aliases)
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b TargetState) int { return cmp.Compare(a.Target, b.Target) })
	return all
}

// cooling returns the models that clients named behind the * of a target, and that cool although the
// target doesn't.
func (h *Host) cooling(t *route.Target, now time.Time) []string {
	meant, pattern := matches(t.Model)
	if all, model := t.Health().Cells(); model != nil || !pattern || all.State(now) == route.Cooling {
		return []string{}
	}
	models := slices.DeleteFunc(h.cells.Named(t.Upstream, now), func(m string) bool { return !meant(m) })
	return models[:min(maxBut, len(models))]
}

// matches returns what says whether a model is meant by a name, in which a * stands for anything;
// pattern is false if it has none.
func matches(name string) (meant func(model string) bool, pattern bool) {
	before, after, pattern := strings.Cut(name, "*")
	return func(m string) bool {
		if pattern {
			return len(m) >= len(before)+len(after) && strings.HasPrefix(m, before) && strings.HasSuffix(m, after)
		}
		return m == name
	}, pattern
}

// stateOf returns the state of a target by the worse of its cells, or, if it answers well, by the
// worst of those of its other operations, with all operations that are in that state.
func stateOf(t *route.Target, now time.Time) *TargetState {
	s := &TargetState{State: stateNames[route.Closed]}
	for _, cells := range [...][]*route.Cell{cellsOf(t), t.Health().Others()} {
		worst := route.Closed
		var only []string
		for _, c := range cells {
			until, _ := c.Until()
			state := c.State(now)
			if state > worst {
				only = nil
			}
			if state >= worst && c.Operation() != "" {
				only = append(only, c.Operation())
			}
			if state > worst || state == worst && until.Sub(now) > s.Wait {
				worst = state
				s.State, s.Class, s.Wait = stateNames[state], c.Reason().String(), max(0, until.Sub(now))
			}
		}
		if worst != route.Closed {
			s.Only = strings.Join(only, ", ")
			break
		}
	}
	return s
}

// ResetTarget forgets how a target has been doing, so that it is asked again at once. name is
// one of Targets, a provider for all of its models, or a provider and a model that clients
// named behind a *. What it forgets of a provider, it forgets for its other models, too. It
// returns false if there is no such target.
func (h *Host) ResetTarget(name string) bool {
	g := h.acquire()
	defer g.release()
	provider, model, one := strings.Cut(name, "/")
	meant, pattern := matches(model)
	for _, p := range g.config.Providers {
		if p.Name == provider {
			return h.cells.Reset(upstreamID(p), func(m string) bool { return !one || meant(m) }, !one || pattern)
		}
	}
	return false
}
