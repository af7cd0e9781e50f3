package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Target is one of the places where requests for an alias may go: a model of a provider,
// or all targets of another alias.
type Target struct {
	Provider string          `json:"provider"`
	Model    string          `json:"model"`
	Options  json.RawMessage `json:"options"` // the provider's, overridden by the alias's, overridden by the target's, checked and with defaults
	Alias    string          `json:"alias"`   // the other alias; "": none

	Weight   int            `json:"weight"` // the share within the tier
	Tier     int            `json:"tier"`
	Context  Quantity       `json:"context"` // tokens; 0: unknown
	Native   *bool          `json:"native"`  // nil: as its provider says
	Capacity Capacity       `json:"capacity"`
	Timeouts TargetTimeouts `json:"timeouts"`
	Price    *Price         `json:"price"` // the alias's, if it has none; nil: unknown
}

// TargetTimeouts are those that a target may have of its own.
type TargetTimeouts struct {
	FirstToken Duration `json:"first_token"` // 0: the provider's
}

// Capacity is how much an upstream can take. Zero values set no limit.
type Capacity struct {
	Requests   Rate `json:"requests"`
	Tokens     Rate `json:"tokens"`
	Concurrent int  `json:"concurrent"`
}

// Bounds of what aliases may lead to, as package route has them.
const (
	maxTargets = 32
	maxReached = 256
	maxHops    = 8
)

// targets reads the targets of an alias. The alias's own options and context are theirs,
// where they have none.
func (l *loader) targets(alias entry, m *Model, models *value, providers upstreams, path string) {
	v := alias.value.get("targets")
	if !v.usable(list) {
		return
	}
	path = join(path, "targets")
	if n := len(v.items); n == 0 || n > maxTargets {
		l.fault(v, path, fmt.Sprintf("must have from 1 to %d targets", maxTargets))
		return
	}
	m.Targets = nil
	for i, item := range v.items {
		if !item.usable(mapping) {
			continue
		}
		at := joinIndex(path, i)
		var t Target
		if !l.decode("#Target", item, at, &t) {
			continue
		}
		if t.Alias != "" {
			if !l.targetAlias(alias.key, item.get("alias"), models, join(at, "alias")) {
				continue
			}
		} else if name := item.get("provider"); name.isText() {
			u := l.knownProvider(name, providers, join(at, "provider"))
			if u == nil {
				continue
			}
			own := overlay(item.get("options"), alias.value.get("options"))
			t.Options = l.modelOptions(u, own, at, item.place)
			l.openModel(alias.key, item.get("model"), join(at, "model"))
		}
		l.checkPrice(item.get("price"), join(at, "price"), t.Price)
		if t.Price == nil {
			t.Price = m.Price
		}
		if t.Context == 0 {
			t.Context = m.Context
		}
		if t.Native == nil {
			t.Native = m.Native
		}
		if j := slices.IndexFunc(m.Targets, t.same); j >= 0 {
			l.fault(item, at, fmt.Sprintf("is the same as targets[%d]: raise that one's weight instead", j))
			continue
		}
		m.Targets = append(m.Targets, t)
	}
	known, unknown := false, false
	for _, t := range m.Targets {
		known = known || t.Context > 0
		unknown = unknown || t.Context == 0 && t.Alias == ""
	}
	if known && unknown {
		l.warn(v.place, path, "has targets without a context beside some with one: after a request that is too long, only those that are known to take more are asked")
	}
}

// same reports whether requests to both go to the same place.
func (t Target) same(other Target) bool {
	return t.Alias == other.Alias && t.Provider == other.Provider && t.Model == other.Model && string(t.Options) == string(other.Options)
}

// targetAlias checks the name of another alias.
func (l *loader) targetAlias(alias string, v, models *value, path string) bool {
	switch {
	case v.scalar == alias:
		l.fault(v, path, "leads back to the alias itself")
		return false
	case strings.HasSuffix(v.scalar, "*") && models.get(v.scalar) != nil:
		l.fault(v, path, "must be an alias of one name: this one stands for many")
		return false
	}
	return l.knownAlias(v, path, models)
}

// openModel checks that a model has the place for what a client's name has instead of *.
func (l *loader) openModel(alias string, v *value, path string) {
	if strings.HasSuffix(alias, "*") && v.isText() && strings.Count(v.scalar, "*") != 1 {
		l.fault(v, path, "must have one *, which stands for the end of the client's name")
	}
}

// checkAliases checks what only all aliases together can show: where they lead in the end.
func (l *loader) checkAliases(models []Model, root *value) {
	byName := map[string]*Model{}
	for i := range models {
		byName[models[i].Alias] = &models[i]
	}
	for i := range models {
		m := &models[i]
		v := root.get("model_mapping").get(m.Alias).get("targets")
		if n, circle := reach(m, byName, nil); circle != "" {
			l.fault(v, join(join("model_mapping", m.Alias), "targets"), circle)
		} else if n > maxReached {
			l.fault(v, join(join("model_mapping", m.Alias), "targets"), fmt.Sprintf("leads to more than %d targets by other aliases", maxReached))
		}
	}
}

// reach counts the targets of an alias, or says in what way they lead nowhere.
func reach(m *Model, byName map[string]*Model, path []string) (n int, circle string) {
	path = append(slices.Clone(path), m.Alias)
	if len(path)-1 > maxHops {
		return 0, fmt.Sprintf("leads through more than %d other aliases", maxHops)
	}
	for _, t := range m.Targets {
		other := byName[t.Alias]
		switch {
		case t.Alias == "" || other == nil:
			n++
		case slices.Contains(path, t.Alias):
			return 0, "leads in a circle: " + strings.Join(append(path, t.Alias), " → ")
		default:
			k, circle := reach(other, byName, path)
			if n += k; circle != "" || n > maxReached {
				return n, circle
			}
		}
	}
	return max(n, 1), ""
}
