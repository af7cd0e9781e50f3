package config

import "encoding/json"

// Auth says who may use the gateway.
type Auth struct {
	Enabled     bool    `json:"enabled"`       // a key is required; then Keys is not empty
	AllowNoAuth bool    `json:"allow_no_auth"` // running without keys is meant; always true when Enabled is false
	Groups      []Group `json:"groups"`        // in file order
	Keys        []Key   `json:"api_keys"`      // in file order, then those of KeysFile
	KeysFile    string  `json:"keys_file"`     // a file with more keys, as the configuration has it; "": none
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
		Groups map[string]json.RawMessage `json:"groups"`   // read one by one, to keep their order
		Keys   []json.RawMessage          `json:"api_keys"` // read one by one, since there are two forms of them
	}
	l.decode("#Auth", v, "auth", &f)
	models := root.get("model_mapping")
	f.Auth.Groups = l.groups(v.get("groups"), models)
	r := newKeyReader(l, &f.Auth, models, v.get("groups"))
	r.checkGroups()
	r.read(v.get("api_keys"))
	file := v.get("keys_file")
	r.readFile(file)
	enabled, known := v.get("enabled").truth()
	allowed, allowedKnown := v.get("allow_no_auth").truth()
	if v.kind != mapping || !known {
		return Auth{}
	}
	listed := v.get("api_keys")
	switch {
	case enabled && file != nil && file.kind != null:
		if !file.bad && len(f.Auth.Keys) == 0 && len(l.problems) == 0 && len(l.more[len(l.more)-1].problems) == 0 {
			l.fault(file, "auth.keys_file", "has no key yet, nor has auth.api_keys: list at least one")
		}
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
	case !enabled && len(f.Auth.Keys) > 0:
		at := v.place
		if e := v.get("enabled"); e != nil {
			at = e.place
		}
		l.warn(at, "auth.enabled", "is false: nobody needs a key, although keys are listed; set it to true to let in only those who have one")
	}
	return f.Auth
}
