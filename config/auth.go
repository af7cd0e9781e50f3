package config

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// Auth says who may use the gateway.
type Auth struct {
	Enabled     bool  `json:"enabled"`       // a key is required; then Keys is not empty
	AllowNoAuth bool  `json:"allow_no_auth"` // running without keys is meant; always true when Enabled is false
	Keys        []Key `json:"api_keys"`      // in file order
}

// Key is an API key of the gateway. Only its hash is kept.
type Key struct {
	Name   string   `json:"name"`   // as the file calls it, else "key 1" for the first of the list
	SHA256 Digest   `json:"sha256"` // of the key's bytes
	Models []string `json:"models"` // the aliases it may use; empty means all

	ProviderRouting bool `json:"provider_routing"` // its requests may choose models and providers at an upstream
}

// auth checks that the parts of the section agree. They mean:
//
//   - enabled: every request needs a key, so there must be one
//   - not enabled: running open must be meant, so allow_no_auth says it
//   - no section: open, as the documentation of development has it
func (l *loader) auth(root *value) Auth {
	v := root.get("auth")
	if v == nil || v.kind == null || v.kind == mapping && len(v.entries) == 0 {
		return Auth{AllowNoAuth: true}
	}
	var f struct {
		Auth
		Keys []json.RawMessage `json:"api_keys"` // read one by one, since there are two forms of them
	}
	l.decode("#Auth", v, "auth", &f)
	f.Auth.Keys = l.authKeys(v.get("api_keys"), root.get("model_mapping"))
	enabled, known := v.get("enabled").truth()
	allowed, allowedKnown := v.get("allow_no_auth").truth()
	if v.kind != mapping || !known {
		return Auth{}
	}
	listed := v.get("api_keys")
	switch {
	case enabled && (listed == nil || listed.kind == null || listed.kind == list && len(listed.items) == 0):
		l.fault(v.get("enabled"), "auth.enabled", "true needs a key: list at least one under auth.api_keys")
	case !enabled && allowedKnown && !allowed && v.sound():
		culprit, at := v.get("allow_no_auth"), v.place
		if culprit != nil {
			at = culprit.place
		} else if e := v.get("enabled"); e != nil {
			at = e.place
		}
		l.add(at, "auth", "nobody needs a key unless enabled is true: set it, or set allow_no_auth: true to say that this is meant")
	}
	return f.Auth
}

func (l *loader) authKeys(v, models *value) []Key {
	if v == nil || v.kind != list {
		return nil
	}
	var keys []Key
	names, hashes := map[string]place{}, map[Digest]place{}
	for i, item := range v.items {
		path := joinIndex("auth.api_keys", i)
		key, ok := l.authKey(item, path, models)
		if !ok {
			continue
		}
		if key.Name == "" {
			key.Name = fmt.Sprintf("key %d", i+1)
		} else if first, twice := names[key.Name]; twice {
			l.fault(item.get("name"), join(path, "name"), fmt.Sprintf("is the name of another key on line %d: names tell keys apart in the log", first.line))
		} else {
			names[key.Name] = item.place
		}
		if first, twice := hashes[key.SHA256]; twice {
			l.add(item.place, path, fmt.Sprintf("is the same key as on line %d: remove one", first.line))
		} else {
			hashes[key.SHA256] = item.place
		}
		keys = append(keys, key)
	}
	return keys
}

// authKey reads one entry: a key, {name, key} or {name, sha256}.
func (l *loader) authKey(item *value, path string, models *value) (key Key, ok bool) {
	if item.bad {
		return key, false
	}
	if s, cut := l.secrets[item]; cut {
		return Key{SHA256: sha256.Sum256(s.text)}, true
	}
	if item.kind != mapping {
		return key, false
	}
	var f struct {
		Key
		Plain Secret `json:"key"` // dropped, only its hash is kept
	}
	sound := l.decode("#Key", item, path, &f)
	key = f.Key
	if name := item.get("name"); name.isText() { // to compare it with others, though something else may be wrong
		key.Name = name.scalar
	}
	l.checkKeyModels(item.get("models"), join(path, "models"), models)

	plain, hash := item.get("key"), item.get("sha256")
	hasPlain, hasHash := plain != nil && plain.kind != null, hash != nil && hash.kind != null
	switch {
	case !hasPlain && !hasHash && !sound:
		// a misspelt key, which was reported
	case !hasPlain && !hasHash:
		l.add(item.place, path, "has neither key nor sha256: give one of them")
	case hasPlain && hasHash:
		l.fault(hash, join(path, "sha256"), "stands beside key: give one of them")
	case hasPlain && !plain.bad:
		key.SHA256, ok = sha256.Sum256(l.secrets[plain].text), true
	case hasHash && sound:
		ok = true
		if key.SHA256 == sha256.Sum256(nil) {
			l.fault(hash, join(path, "sha256"), "is the hash of nothing: the command that made it read no key")
		}
	}
	return key, ok
}

// checkKeyModels checks the aliases a key is limited to. An empty list would mean
// all of them, which is hardly what it says.
func (l *loader) checkKeyModels(v *value, path string, models *value) {
	if v == nil || v.kind != list || v.bad {
		return
	}
	if len(v.items) == 0 {
		l.fault(v, path, "is empty: list the aliases that the key may use, or remove it for all of them")
	}
	for i, item := range v.items {
		if item.isText() {
			l.knownAlias(item, joinIndex(path, i), models)
		}
	}
}
