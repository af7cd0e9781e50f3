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
func (l *loader) check(f form, v *value, path string, at place) {
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
		if fields, ok := pick(f.schema, cue.StructKind); ok {
			inner := f.element(fields)
			l.checkMapping(inner, v, path)
			l.checkMissing(fields, v, path, at)
			return
		}
	case list:
		if items, ok := pick(f.schema, cue.ListKind); ok && l.checkItems(f, items, v, path) {
			return
		}
	}
	if !l.fits(f.schema, v) {
		l.fault(v, path, "must be "+f.describe()+l.hint(f.schema, v))
	} else if message := f.bounds.refuse(v.scalar); message != "" {
		l.fault(v, path, message)
	}
}

// checkMapping checks the keys that are there. fields.must is for those without
// words of their own.
func (l *loader) checkMapping(fields form, v *value, path string) {
	var known []string // once a key was unknown, which says that there is no pattern
	for _, e := range v.entries {
		inner := join(path, e.key)
		var f form
		var ok bool
		if known == nil || slices.Contains(known, e.key) {
			f, ok = field(fields.schema, e.key)
		}
		if !ok {
			if known == nil {
				known = append([]string{}, fieldNames(fields.schema)...)
			}
			var hint string
			e.value.meant, hint = l.suggest(known, e, path)
			e.value.bad = true
			l.add(e.place, inner, "unknown key"+hint)
			continue
		}
		if f.must == "" {
			f.must = fields.must
		}
		if e.value.kind == text {
			l.fill(e.value, inner)
		}
		if e.value.kind == null && f.schema.IncompleteKind()&cue.NullKind == 0 {
			// A key without a value has the default, and a section its own.
			if fields, ok := pick(f.schema, cue.StructKind); ok {
				l.checkMissing(fields, e.value, inner, e.place)
			}
			continue
		}
		l.check(f, e.value, inner, e.place)
	}
}

// checkMissing reports keys that must be given and are not, unless another key
// was taken for a misspelt one.
func (l *loader) checkMissing(schema cue.Value, v *value, path string, at place) {
	fields, err := schema.Fields(cue.Optional(true))
	if err != nil || v.partial {
		return
	}
	for fields.Next() {
		name := fields.Selector().Unquoted()
		given := v.get(name)
		if given != nil && (given.kind != null || given.bad) || slices.ContainsFunc(v.entries, func(e entry) bool { return e.value.meant == name }) {
			continue
		}
		switch fields.FieldType().ConstraintType() {
		case cue.OptionalConstraint:
			continue
		case cue.RequiredConstraint:
		default:
			if complete, _ := fields.Value().Default(); complete.Validate(cue.Concrete(true)) == nil {
				continue
			}
		}
		what, where := "is missing: it must be ", at
		if given != nil {
			what, where = "has no value: it must be ", given.place
		}
		f := formOf(fields.Value())
		v.lacks = true
		l.add(where, join(path, name), what+f.describe())
	}
}

// checkItems checks the items of a list; false means that the list as a whole
// has still to be compared.
func (l *loader) checkItems(f form, schema cue.Value, v *value, path string) bool {
	sound := true
	for i, item := range v.items {
		element := schema.LookupPath(cue.MakePath(cue.Index(i)))
		if !element.Exists() {
			element = schema.LookupPath(cue.MakePath(cue.AnyIndex))
		}
		if !element.Exists() {
			return false
		}
		l.check(f.element(element), item, joinIndex(path, i), item.place)
		sound = sound && !item.bad
	}
	return !sound || len(v.items) > 0 && schema.LookupPath(cue.MakePath(cue.AnyIndex)).Exists()
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
	case v.kind != list && v.kind != mapping && want&cue.ListKind != 0:
		return "; put it in [ ]"
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
