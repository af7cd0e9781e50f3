package config

import (
	"bytes"
	"cmp"
	"encoding/json"
)

// Cache says which answers are kept, for the same request again.
type Cache struct {
	Enabled  bool     `json:"-"`         // there is such a section; without it the rest is empty
	Size     Size     `json:"size"`      // of all of them
	TTL      Duration `json:"ttl"`       // how long one is kept
	Scope    string   `json:"scope"`     // who sees the same: "key", "group" or "all"
	When     string   `json:"when"`      // which requests take part: "deterministic", "always" or "asked"
	MaxEntry Size     `json:"max_entry"` // of one of them
	Shared   bool     `json:"shared"`    // where gateways share a store, they are kept there
}

// ModelCache says which answers of an alias are kept.
type ModelCache struct {
	Off  bool     `json:"-"`    // none is; the rest is empty
	TTL  Duration `json:"ttl"`  // as in Cache
	When string   `json:"when"` // as in Cache
}

// UnmarshalJSON reads false, or a mapping.
func (m *ModelCache) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("false")) {
		*m = ModelCache{Off: true}
		return nil
	}
	type mapping ModelCache // which has no method, so that this one isn't called again
	return json.Unmarshal(b, (*mapping)(m))
}

// cache reads the section.
func (l *loader) cache(root *value) (c Cache) {
	v := root.get("cache")
	if v == nil || v.kind == null && !v.bad {
		return Cache{}
	}
	if !l.decode("#Cache", v, "cache", &c) {
		return Cache{Enabled: true} // the configuration is refused
	}
	c.Enabled = true
	if c.Scope == "all" {
		l.warn(v.get("scope").place, "cache.scope", "lets every client see, by how fast it is answered, what others have asked for, and gives it their answers; use key or group unless all clients may know that of each other")
	}
	return c
}

// completeCache fills in what an alias doesn't say of its cache. own is what it says.
func (l *loader) completeCache(m *Model, own *value, shared Cache, path string) {
	if !shared.Enabled && own != nil && own.kind != null {
		l.fault(own, path, "needs a section cache, without which no answers are kept")
	}
	if !shared.Enabled || m.Cache.Off {
		m.Cache = ModelCache{Off: true}
		return
	}
	m.Cache.TTL, m.Cache.When = cmp.Or(m.Cache.TTL, shared.TTL), cmp.Or(m.Cache.When, shared.When)
}
