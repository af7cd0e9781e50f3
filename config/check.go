package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
)

// check compares a value with its form, and everything below it.
//
// It walks the tree and unifies scalar by scalar. Unified as a whole, CUE
// reports a misspelt key only when nothing else is wrong in its struct, has no
// place for a missing field, and says three things of one conflict with a
// default. at is where v's key stands.
func (l *loader) check(f *form, v *value, path string, at place) {
	if v.bad {
		return
	}
	if f.schema.IncompleteKind() == cue.TopKind {
		l.fill(v, path) // anything goes
		return
	}
	if v.kind == text {
		l.fill(v, path)
		if v.bad {
			return
		}
	}
	switch v.kind {
	case mapping:
		if keys := f.keys(); keys != nil {
			l.checkMapping(keys, v, path)
			l.checkMissing(keys, v, path, at)
			return
		}
	case list:
		if schema, ok := pick(f.schema, cue.ListKind); ok && l.checkItems(f, schema, v, path) {
			return
		}
	}
	if !l.fits(f.schema, v) {
		l.fault(v, path, "must be "+f.describe()+l.hint(f.schema, v))
	} else if message := f.bounds.refuse(v.scalar); message != "" {
		l.fault(v, path, message)
	}
}

// checkMapping checks the keys that are there.
func (l *loader) checkMapping(keys *keys, v *value, path string) {
	for _, e := range v.entries {
		inner := join(path, e.key)
		f := keys.get(e.key)
		if f == nil {
			l.unknownKey(keys, e, path)
			continue
		}
		if e.value.kind == text {
			l.fill(e.value, inner)
		}
		if e.value.kind == null && f.schema.IncompleteKind()&cue.NullKind == 0 {
			// A key without a value has the default, and a section its own.
			if section := f.keys(); section != nil {
				l.checkMissing(section, e.value, inner, e.place)
			}
			continue
		}
		l.check(f, e.value, inner, e.place)
	}
}

// unknownKey reports a key that the schema does not have. Among secrets it may be
// one, so only what is much like a known key is shown.
func (l *loader) unknownKey(keys *keys, e entry, path string) {
	var hint string
	e.value.meant, hint = l.suggest(keys.names(), e, path)
	e.value.bad = true
	if keys.secret && e.value.meant == "" {
		l.add(e.place, path, "has an unknown key"+hint)
		return
	}
	l.add(e.place, join(path, e.key), "unknown key"+hint)
}

// checkMissing reports keys that must be given and are not, unless another key
// was taken for a misspelt one.
func (l *loader) checkMissing(keys *keys, v *value, path string, at place) {
	if v.partial {
		return
	}
	for _, f := range keys.fields {
		given := v.get(f.name)
		if other := v.get(f.unless); f.unless != "" && other != nil && other.kind != null {
			if given != nil && given.kind != null && !given.bad {
				l.fault(given, join(path, f.name), "is given beside "+f.unless+": give one of the two")
			}
			continue
		}
		if !f.required || given != nil && (given.kind != null || given.bad) || slices.ContainsFunc(v.entries, func(e entry) bool { return e.value.meant == f.name }) {
			continue
		}
		what, where := "is missing: it must be ", at
		if given != nil {
			what, where = "has no value: it must be ", given.place
		}
		v.lacks = true
		l.add(where, join(path, f.name), what+f.describe())
	}
}

// checkItems checks the items of a list; false means that the list as a whole
// has still to be compared.
func (l *loader) checkItems(f *form, schema cue.Value, v *value, path string) bool {
	sound := true
	for i, item := range v.items {
		element := f.element()
		if own := schema.LookupPath(cue.MakePath(cue.Index(i))); own.Exists() {
			element = &form{schema: own, must: f.item, secret: f.secret, optional: f.optional}
		}
		if element == nil {
			return false
		}
		l.check(element, item, joinIndex(path, i), item.place)
		sound = sound && !item.bad
	}
	return !sound || len(v.items) > 0 && f.element() != nil
}

// hint says what to change where the type of a value gives away what happened.
func (l *loader) hint(schema cue.Value, v *value) string {
	want := schema.IncompleteKind()
	switch {
	case v.kind == null:
		return "; it is empty"
	case v.kind == text && want&cue.BoolKind != 0:
		if truth, ok := truthWord(v.scalar); ok {
			return fmt.Sprintf("; write %t, %q is text", truth, strings.ToLower(v.scalar))
		}
	case v.kind == text && want&cue.NumberKind != 0 && want&cue.StringKind == 0:
		if _, err := strconv.ParseFloat(v.scalar, 64); err == nil && !v.plain {
			return "; remove the quotes, and give it a line of its own if it is a reference"
		}
	case (v.kind == number || v.kind == boolean) && l.fits(schema, &value{kind: text, scalar: v.written}):
		return "; put it in quotes"
	case v.kind == number && l.fits(schema, &value{kind: text, scalar: v.written + "/m"}):
		return "; add a unit of time, as in 600/m"
	case v.kind != list && v.kind != mapping && want&cue.ListKind != 0 && want&cue.StringKind == 0:
		return "; put it in [ ]"
	case v.kind == list && want&cue.StructKind != 0 && v.inline:
		return "; it is a list: write keys with values in { } instead of [ ]"
	case v.kind == list && want&cue.StructKind != 0:
		return "; remove the dashes"
	case v.kind == mapping && want&cue.StructKind == 0:
		return "; it is a mapping"
	case v.kind == list && want&cue.ListKind == 0:
		return "; it is a list"
	}
	return ""
}

// truthWord knows the words that are truth values in YAML 1.1, and in quotes.
func truthWord(word string) (truth, ok bool) {
	switch strings.ToLower(word) {
	case "yes", "on", "y", "true":
		return true, true
	case "no", "off", "n", "false":
		return false, true
	}
	return false, false
}
