package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Model maps an alias that clients ask for to a model of a provider, or to several.
type Model struct {
	Alias    string          `json:"-"`        // "name*" stands for every name that begins so
	Provider string          `json:"provider"` // the name of one of Config.Providers; "" with Targets
	Model    string          `json:"model"`    // as the provider calls it; "" with Targets
	Options  json.RawMessage `json:"options"`  // the provider's options, overridden key by key by the model's, checked and with defaults

	Targets []Target   `json:"targets"` // instead of Provider and Model; else empty
	Context Quantity   `json:"context"` // tokens that the model takes; 0: unknown
	Hidden  bool       `json:"hidden"`  // it is not listed
	Native  *bool      `json:"native"`  // nil: as its provider, or its targets' providers, say
	FallOn  []string   `json:"fall_on"` // "policy": what its rules forbid goes to the next target
	Price   *Price     `json:"price"`   // nil: unknown
	Cache   ModelCache `json:"cache"`   // complete: what the alias doesn't say is the file's
	Limits  CallLimits `json:"limits"`  // of all callers together
	Routing Routing    `json:"routing"` // complete: what the alias doesn't say is the file's
}

// models reads model_mapping, which is the heart of a configuration. shared and kept are
// the routing and the cache of aliases that have none of their own.
func (l *loader) models(root *value, providers upstreams, shared Routing, kept Cache) []Model {
	v := root.get("model_mapping")
	if v == nil || v.kind != mapping || v.bad {
		return nil
	}
	if len(v.entries) == 0 && !v.partial {
		l.fault(v, "model_mapping", "is empty: map at least one alias to {provider, model}")
	}
	var list []Model
	for _, e := range v.entries {
		path := join("model_mapping", e.key)
		if i := strings.IndexByte(e.key, '*'); i >= 0 && i < len(e.key)-1 {
			l.add(e.place, path, "may have a * at its end only, where it stands for the rest of a name")
			continue
		}
		if e.key == "*" {
			l.warn(e.place, path, "takes every name that clients make up; a prefix such as \"ollama/*\" is safer")
		}
		var m Model
		l.checkAmounts(e.value, path)
		l.decode("#Model", e.value, path, &m)
		m.Alias, m.Options = e.key, nil
		l.checkPrice(e.value.get("price"), join(path, "price"), m.Price)
		l.completeCache(&m, e.value.get("cache"), kept, join(path, "cache"))
		m.Routing = shared
		if own := e.value.get("routing"); own != nil && own.sound() {
			m.Routing = l.routing(own, root.get("routing"), join(path, "routing"))
		}
		if name := e.value.get("provider"); name.isText() {
			u := l.knownProvider(name, providers, join(path, "provider"))
			if u == nil {
				continue
			}
			m.Options = l.modelOptions(u, e.value.get("options"), path, e.place)
			l.openModel(e.key, e.value.get("model"), join(path, "model"))
		}
		l.targets(e, &m, v, providers, path)
		list = append(list, m)
	}
	l.checkAliases(list, root)
	return list
}

// knownProvider returns the provider of a name, or reports that there is none.
func (l *loader) knownProvider(name *value, providers upstreams, path string) *upstream {
	u := providers.find(name.scalar)
	switch {
	case u != nil:
	case slices.Contains(l.options.Shipped, name.scalar) && !name.foreign:
		l.fault(name, path, fmt.Sprintf("there is no provider %q: it is a shipped adapter, so list it under providers, with its api_key if it has one", name.scalar))
	default:
		l.fault(name, path, unknownName("provider", name, providers.names()))
	}
	return u
}

func (l *loader) defaultModel(root *value) string {
	v := root.get("default_model")
	if !v.isText() || !l.knownAlias(v, "default_model", root.get("model_mapping")) {
		return ""
	}
	if strings.HasSuffix(v.scalar, "*") {
		l.fault(v, "default_model", "must be an alias of one name: this one stands for many")
		return ""
	}
	return v.scalar
}

// knownAlias reports whether a text is an alias of model_mapping, and adds a problem if it
// isn't.
func (l *loader) knownAlias(v *value, path string, models *value) bool {
	if models == nil || models.kind != mapping || models.get(v.scalar) != nil {
		return true
	}
	var aliases []string
	for _, e := range models.entries {
		aliases = append(aliases, e.key)
	}
	l.fault(v, path, unknownName("model", v, aliases))
	return false
}

// unknownName says that a name refers to nothing, and what it may have meant.
func unknownName(what string, v *value, known []string) string {
	message := fmt.Sprintf("there is no %s of this name", what)
	if !v.foreign && len(v.scalar) <= 64 {
		message = fmt.Sprintf("there is no %s %q", what, v.scalar)
		if best := Closest(v.scalar, known); best != "" {
			return message + fmt.Sprintf("; did you mean %q?", best)
		}
	}
	const most = 20
	if len(known) > most {
		known = append(slices.Clone(known[:most]), "…")
	}
	return message + "; there are " + strings.Join(known, ", ")
}
