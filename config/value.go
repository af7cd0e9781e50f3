package config

// kind is what a value is in JSON's terms.
type kind int

const (
	null kind = iota
	boolean
	number
	text
	list
	mapping
)

// value is a node of the file as JSON would have it, with its place.
type value struct {
	kind    kind
	place   place
	scalar  string // text; "true" or "false"; a number's JSON notation
	written string // a boolean or number as the file has it
	plain   bool   // text without quotes
	filled  bool   // its references, if any, are filled in
	foreign bool   // its text came from outside the file
	bad     bool   // a problem was reported: nothing more is said about it
	partial bool   // keys of this mapping were reported and dropped: others may not be missing
	inline  bool   // a list in brackets, on one line or several
	lacks   bool   // a key that this mapping must have was reported as missing
	meant   string // for the value of an unknown key: the key it was taken for
	items   []*value
	entries []entry
}

// entry is a key of a mapping with its value.
type entry struct {
	key   string
	place place
	value *value
}

// place is a position in the file, from 1; the column counts characters.
type place struct{ line, column int }

// get returns the value of a key, or nil.
func (v *value) get(key string) *value {
	if v == nil || v.kind != mapping {
		return nil
	}
	for _, e := range v.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// elements returns the items of a list that can be looked at further.
func (v *value) elements() []*value {
	if !v.usable(list) {
		return nil
	}
	return v.items
}

// sound reports whether no problem was found in a value or below it.
func (v *value) sound() bool {
	if v.bad || v.partial || v.lacks {
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

// truth returns a boolean that defaults to false; known is false when the value
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

// given is v without the keys that have no value, so that defaults apply.
func (v *value) given() *value {
	if v.kind != mapping {
		return v
	}
	w := *v
	w.entries = nil
	for _, e := range v.entries {
		if e.value.kind != null {
			w.entries = append(w.entries, entry{e.key, e.place, e.value.given()})
		}
	}
	return &w
}
