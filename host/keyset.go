package host

import (
	"context"
	"net/http"
	"strings"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/key"
)

// keysOf returns the keys of a configuration. Those of one group share what is of the
// group, and those that may use the same models share the set of them.
func keysOf(c *config.Auth) []key.Key {
	keys := make([]key.Key, len(c.Keys))
	chains, models := map[string][]string{}, map[string]*key.Models{}
	for i, k := range c.Keys {
		if _, known := chains[k.Group]; !known {
			chains[k.Group] = c.Chain(k.Group)
		}
		keys[i] = key.Key{Name: k.Name, SHA256: k.SHA256, Groups: chains[k.Group], Routes: k.ProviderRouting}
		if k.Allowed == nil {
			continue
		}
		id := strings.Join(k.Allowed, "\n") // no alias has one in it
		if models[id] == nil {
			models[id] = key.NewModels(k.Allowed)
		}
		keys[i].Models = models[id]
	}
	return keys
}

// authenticate finds the principal of a request, for the API.
func authenticate(known *key.Keys) func(*http.Request, *dialect.Dialect) (context.Context, string, error) {
	return func(r *http.Request, d *dialect.Dialect) (context.Context, string, error) {
		candidates, err := d.Keys(r)
		for _, candidate := range candidates {
			var who key.Principal
			if who, err = known.Check(candidate); err == nil {
				return key.WithPrincipal(r.Context(), who), who.Name, nil
			}
		}
		return nil, "", err
	}
}
