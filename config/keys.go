package config

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"time"
)

// Key is an API key of the gateway. Only its hash is kept.
type Key struct {
	Name   string   `json:"name"`   // as the file calls it, else "key 1" for the first of the list
	SHA256 Digest   `json:"sha256"` // of the key's bytes; zero with Keys
	Group  string   `json:"group"`  // the group it belongs to; "": none
	Models []string `json:"models"` // aliases, or what they begin with and a *; empty: all that its group may use

	Keys     []KeyVersion `json:"keys"`     // instead of SHA256: keys that count as one
	Expires  time.Time    `json:"expires"`  // it is refused from then on; zero: never
	Disabled bool         `json:"disabled"` // it is refused

	// Allowed are the aliases that it may use, in the order of model_mapping: what its
	// own models and those of its groups have in common. Nil means all. Keys share it.
	Allowed []string `json:"-"`

	Limits CallLimits `json:"limits"`
	Budget *Budget    `json:"budget"` // nil: none

	Content         bool `json:"content"`          // what it asks and is answered is in traces, if Telemetry.Content is set
	ProviderRouting bool `json:"provider_routing"` // its requests may choose models and providers at an upstream
	ProviderIDs     bool `json:"provider_ids"`     // its requests may name all that the provider's account keeps
}

// KeyVersion is one of the keys of an entry that has several, so that a new one can take
// the place of an old one.
type KeyVersion struct {
	SHA256 Digest    `json:"sha256"` // of the key's bytes
	Until  time.Time `json:"until"`  // it is refused from then on; zero: never
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
	names          map[string]origin // of the keys so far
	digests        map[Digest]origin
	forms          map[string]Key // see known
}

// origin is where a key stands.
type origin struct {
	file string
	line int
}

// of says where a key stands, for a message about a place in file.
func (o origin) of(file string) string {
	if o.file == file {
		return fmt.Sprintf("on line %d", o.line)
	}
	return fmt.Sprintf("on line %d of %s", o.line, o.file)
}

func newKeyReader(l *loader, auth *Auth, models, groups *value) *keyReader {
	return &keyReader{
		loader: l, auth: auth, models: models, groups: groups, allowed: newAllowances(auth, models),
		names: map[string]origin{}, digests: map[Digest]origin{}, forms: map[string]Key{},
	}
}

// checkGroups checks that each group may use something.
func (r *keyReader) checkGroups() {
	for _, g := range r.auth.Groups {
		v, path := r.groups.get(g.Name), join("auth.groups", g.Name)
		allowed := r.checkAllowed(v, path, g.Models, r.auth.Chain(g.Parent))
		r.expectPrices(v, path, allowed)
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

// read reads the list of keys in the configuration.
func (r *keyReader) read(v *value) {
	if v == nil || v.kind != list {
		return
	}
	for i, item := range v.items {
		path := joinIndex("auth.api_keys", i)
		if key, ok := r.key(item, path); ok {
			r.addKey(key, fmt.Sprintf("key %d", i+1), item, path)
		}
	}
}

// addKey adds a key, under the name unnamed if it has none. It reports names and keys that
// are there twice.
func (r *keyReader) addKey(key Key, unnamed string, item *value, path string) {
	if key.Name == "" {
		key.Name = unnamed
	} else if first, twice := r.names[key.Name]; twice {
		r.fault(item.get("name"), join(path, "name"), "is the name of another key "+first.of(r.file)+": take another name, or replace that key with \"kai keys rotate\"")
	} else {
		r.names[key.Name] = origin{r.file, item.place.line}
	}
	versions := key.Keys
	if len(versions) == 0 {
		versions = []KeyVersion{{SHA256: key.SHA256}}
	}
	for i, version := range versions {
		at, path := item, path
		if len(key.Keys) > 0 {
			at, path = item.get("keys").items[i], joinIndex(join(path, "keys"), i)
		}
		if first, twice := r.digests[version.SHA256]; twice {
			r.add(at.place, path, "is the same key as "+first.of(r.file)+": remove one")
		} else {
			r.digests[version.SHA256] = origin{r.file, at.place.line}
		}
	}
	if now := r.options.Now(); !key.Expires.IsZero() && !now.Before(key.Expires) {
		r.warn(item.get("expires").place, join(path, "expires"), "is over: the key is refused")
	}
	key.Allowed = r.checkAllowed(item, path, key.Models, r.auth.Chain(key.Group))
	r.expectPrices(item, path, key.Allowed)
	r.auth.Keys = append(r.auth.Keys, key)
}

// key reads one entry: a key, {name, key}, {name, sha256} or {name, keys}.
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
		Plain Secret            `json:"key"`  // dropped, only its hash is kept
		Keys  []json.RawMessage `json:"keys"` // read one by one, since there are two forms of them
	}
	r.checkInstant(item.get("expires"), join(path, "expires"))
	listed := item.get("keys")
	for i, version := range listed.elements() {
		r.checkInstant(version.get("until"), join(joinIndex(join(path, "keys"), i), "until"))
	}
	r.checkSpending(item, path)
	sound := r.decode("#Key", item, path, &f)
	key = f.Key
	if name := item.get("name"); name.isText() { // to compare it with others, though something else may be wrong
		key.Name = name.scalar
	}
	r.checkModels(item.get("models"), join(path, "models"), r.models)
	if group := item.get("group"); group.isText() && !r.knownGroup(group, join(path, "group"), r.groups) {
		key.Group = ""
	}
	if listed == nil || listed.kind == null {
		key.SHA256, ok = r.digest(item, path, sound)
		return key, ok
	}
	for _, other := range []string{"key", "sha256"} {
		if given := item.get(other); given != nil && given.kind != null {
			r.fault(given, join(path, other), "stands beside keys: put it into that list")
			return key, false
		}
	}
	if n := len(listed.items); sound && (n == 0 || n > maxVersions) {
		r.fault(listed, join(path, "keys"), fmt.Sprintf("must have from 1 to %d keys", maxVersions))
		return key, false
	}
	ok = sound
	for i, item := range listed.items {
		var version KeyVersion
		if s, cut := r.secrets[item]; cut {
			version.SHA256 = sha256.Sum256(s.text)
		} else {
			has := false
			version.SHA256, has = r.digest(item, joinIndex(join(path, "keys"), i), sound)
			ok = ok && has
			if until := item.get("until"); until.isText() {
				version.Until, _ = time.Parse(time.RFC3339, until.scalar) // as checkInstant has it
			}
		}
		key.Keys = append(key.Keys, version)
	}
	return key, ok
}

// maxVersions is how many keys may count as one.
const maxVersions = 8

// digest returns the digest of an entry's key, which it gives as it is or by its digest.
// sound says that nothing is wrong with the entry itself.
func (r *keyReader) digest(item *value, path string, sound bool) (d Digest, ok bool) {
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
		return sha256.Sum256(r.secrets[plain].text), true
	case hasHash && sound:
		d.UnmarshalText([]byte(hash.scalar)) // which the schema has checked
		if d == sha256.Sum256(nil) {
			r.fault(hash, join(path, "sha256"), "is the hash of nothing: the command that made it read no key")
		}
		return d, true
	}
	return d, false
}

// checkInstant checks that there is such a day and time.
func (r *keyReader) checkInstant(v *value, path string) {
	if v.isText() {
		if _, err := time.Parse(time.RFC3339, v.scalar); err != nil {
			r.fault(v, path, "is no instant of any calendar: write it such as 2027-03-01T00:00:00Z")
		}
	}
}
