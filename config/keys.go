package config

import (
	"crypto/sha256"
	"fmt"
	"regexp"
)

// Key is an API key of the gateway. Only its hash is kept.
type Key struct {
	Name   string   `json:"name"`   // as the file calls it, else "key 1" for the first of the list
	SHA256 Digest   `json:"sha256"` // of the key's bytes
	Group  string   `json:"group"`  // the group it belongs to; "": none
	Models []string `json:"models"` // aliases, or what they begin with and a *; empty: all that its group may use

	// Allowed are the aliases that it may use, in the order of model_mapping: what its
	// own models and those of its groups have in common. Nil means all. Keys share it.
	Allowed []string `json:"-"`

	ProviderRouting bool `json:"provider_routing"` // its requests may choose models and providers at an upstream
}

// keyName is what the names of keys and groups may look like: they go into logs, into
// headers and into metrics. The schema has the same.
var keyName = regexp.MustCompile(`^[0-9A-Za-z._@-]{1,64}$`)

// keyReader reads the lists of keys.
type keyReader struct {
	*loader
	auth           *Auth // which gets the keys
	models, groups *value
	allowed        *allowances
}

// checkGroups checks that each group may use something.
func (r *keyReader) checkGroups() {
	for _, g := range r.auth.Groups {
		r.checkAllowed(r.groups.get(g.Name), join("auth.groups", g.Name), g.Models, r.auth.Chain(g.Parent))
	}
}

// checkAllowed returns what a key or a group may use, and reports if that is nothing.
func (r *keyReader) checkAllowed(v *value, path string, own, chain []string) []string {
	all := r.allowed.of(own, chain)
	if models := v.get("models"); all.limited && len(all.aliases) == 0 && models != nil && models.sound() && r.models.usable(mapping) {
		message := "allow nothing: no alias begins so"
		if len(chain) > 0 {
			message = "allow nothing together with those of the groups above: no alias is in all of these lists"
		}
		r.fault(models, join(path, "models"), message)
	}
	return all.aliases
}

// read reads a list of keys.
func (r *keyReader) read(v *value) {
	if v == nil || v.kind != list {
		return
	}
	names, hashes := map[string]place{}, map[Digest]place{}
	for i, item := range v.items {
		path := joinIndex("auth.api_keys", i)
		key, ok := r.key(item, path)
		if !ok {
			continue
		}
		if key.Name == "" {
			key.Name = fmt.Sprintf("key %d", i+1)
		} else if first, twice := names[key.Name]; twice {
			r.fault(item.get("name"), join(path, "name"), fmt.Sprintf("is the name of another key on line %d: names tell keys apart in the log", first.line))
		} else {
			names[key.Name] = item.place
		}
		if first, twice := hashes[key.SHA256]; twice {
			r.add(item.place, path, fmt.Sprintf("is the same key as on line %d: remove one", first.line))
		} else {
			hashes[key.SHA256] = item.place
		}
		key.Allowed = r.checkAllowed(item, path, key.Models, r.auth.Chain(key.Group))
		r.auth.Keys = append(r.auth.Keys, key)
	}
}

// key reads one entry: a key, {name, key} or {name, sha256}.
func (r *keyReader) key(item *value, path string) (key Key, ok bool) {
	if item.bad {
		return key, false
	}
	if s, cut := r.secrets[item]; cut {
		return Key{SHA256: sha256.Sum256(s.text)}, true
	}
	if item.kind != mapping {
		return key, false
	}
	var f struct {
		Key
		Plain Secret `json:"key"` // dropped, only its hash is kept
	}
	sound := r.decode("#Key", item, path, &f)
	key = f.Key
	if name := item.get("name"); name.isText() { // to compare it with others, though something else may be wrong
		key.Name = name.scalar
	}
	r.checkModels(item.get("models"), join(path, "models"), r.models)
	if group := item.get("group"); group.isText() && !r.knownGroup(group, join(path, "group"), r.groups) {
		key.Group = ""
	}

	plain, hash := item.get("key"), item.get("sha256")
	hasPlain, hasHash := plain != nil && plain.kind != null, hash != nil && hash.kind != null
	switch {
	case !hasPlain && !hasHash && !sound:
		// a misspelt key, which was reported
	case !hasPlain && !hasHash:
		r.add(item.place, path, "has neither key nor sha256: give one of them")
	case hasPlain && hasHash:
		r.fault(hash, join(path, "sha256"), "stands beside key: give one of them")
	case hasPlain && !plain.bad:
		key.SHA256, ok = sha256.Sum256(r.secrets[plain].text), true
	case hasHash && sound:
		ok = true
		if key.SHA256 == sha256.Sum256(nil) {
			r.fault(hash, join(path, "sha256"), "is the hash of nothing: the command that made it read no key")
		}
	}
	return key, ok
}
