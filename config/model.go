package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Model maps an alias that clients ask for to a model of a provider.
type Model struct {
	Alias    string          `json:"-"`
	Provider string          `json:"provider"` // the name of one of Config.Providers
	Model    string          `json:"model"`    // as the provider calls it
	Options  json.RawMessage `json:"options"`  // the provider's options, overridden key by key by the model's, checked and with defaults
}

// models reads model_mapping, which is the heart of a configuration.
func (l *loader) models(root *value, providers upstreams) []Model {
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
		var m Model
		l.decode("#Model", e.value, path, &m)
		m.Alias = e.key
		if name := e.value.get("provider"); name.isText() {
			u := providers.find(name.scalar)
			if u == nil {
				l.fault(name, join(path, "provider"), unknownName("provider", name, providers.names()))
				continue
			}
			m.Options = l.modelOptions(u, e, path)
		}
		list = append(list, m)
	}
	return list
}

func (l *loader) defaultModel(root *value) string {
	v := root.get("default_model")
	if !v.isText() || !l.knownAlias(v, "default_model", root.get("model_mapping")) {
		return ""
	}
	return v.scalar
}

// knownAlias reports, and says so, whether a text is an alias of model_mapping.
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
