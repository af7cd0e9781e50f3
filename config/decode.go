package config

import "encoding/json"

// decode unifies a section, which may be absent, with its definition and gives the result, with
// defaults. A section with a problem inside of it gives none.
func (l *loader) decode(definition string, v *value, path string, into any) bool {
	if v == nil || v.kind == null {
		v = &value{kind: mapping}
	}
	if !v.sound() {
		return false
	}
	unified := l.definition(definition).Unify(l.cue.BuildExpr(v.given().expression()))
	err := unified.Validate(cueConcrete)
	if err == nil {
		var b []byte
		if b, err = unified.MarshalJSON(); err == nil {
			err = json.Unmarshal(b, into)
		}
	}
	if err != nil {
		// check has found every difference there is, so this names a gap in it.
		l.add(v.place, path, "does not fit schema/config.cue "+definition)
		return false
	}
	return true
}

// sound reports whether no problem was found in a value or below it.
func (v *value) sound() bool {
	if v.bad {
		return false
	}
	for _, item := range v.items {
		if !item.sound() {
			return false
		}
	}
	for _, e := range v.entries {
		if !e.value.sound() {
			return false
		}
	}
	return true
}

// isText reports whether there is a text that can be looked at further.
func (v *value) isText() bool { return v != nil && !v.bad && v.kind == text }

// usable reports whether there is a value of a kind that can be looked at
// further.
func (v *value) usable(k kind) bool { return v != nil && !v.bad && v.kind == k }

// truth gives a boolean that defaults to false; known is false when the value
// is of no use.
func (v *value) truth() (truth, known bool) {
	switch {
	case v == nil || v.kind == null:
		return false, true
	case v.bad || v.kind != boolean:
		return false, false
	}
	return v.scalar == "true", true
}
