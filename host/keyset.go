package host

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/key"
)

// keysOf returns the keys of a configuration. Keys of one group share the list of groups, and
// keys that may use the same models share the set of models.
func keysOf(c *config.Auth) []key.Key {
	keys := make([]key.Key, len(c.Keys))
	chains, models := map[string][]string{}, map[string]*key.Models{}
	for i, k := range c.Keys {
		if _, known := chains[k.Group]; !known {
			chains[k.Group] = c.Chain(k.Group)
		}
		keys[i] = key.Key{
			Name: k.Name, Groups: chains[k.Group], Routes: k.ProviderRouting, Trusted: k.ProviderIDs, Content: k.Content,
			Digests: []key.Digest{{SHA256: k.SHA256}}, Expires: k.Expires, Disabled: k.Disabled,
		}
		if len(k.Keys) > 0 {
			keys[i].Digests = nil
			for _, version := range k.Keys {
				keys[i].Digests = append(keys[i].Digests, key.Digest{SHA256: version.SHA256, Until: version.Until})
			}
		}
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

// authenticate returns what finds the principal of a request, for the API. With an error,
// that returns the name of a key that is known and refused.
func authenticate(known *key.Keys, now func() time.Time) func(*http.Request, *dialect.Dialect) (context.Context, string, error) {
	return func(r *http.Request, d *dialect.Dialect) (context.Context, string, error) {
		candidates, err := d.Keys(r)
		refused := ""
		for _, candidate := range candidates {
			var who key.Principal
			if who, err = known.Check(candidate, now()); err == nil {
				return key.WithPrincipal(r.Context(), who), who.Name, nil
			}
			refused = cmp.Or(refused, who.Name)
		}
		return nil, refused, err
	}
}
