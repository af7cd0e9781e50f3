package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// form is what the schema says of a value.
type form struct {
	schema cue.Value
	must   string // what the value must be, in words; "" derives it from the schema
}

// describe says what a value must be, after "must be".
func (f form) describe() string {
	if f.must != "" {
		return f.must
	}
	return describe(f.schema, 0)
}

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
			l.checkMapping(form{fields, attribute(f.schema, "item")}, v, path)
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
		l.check(form{element, attribute(f.schema, "item")}, item, joinIndex(path, i), item.place)
		sound = sound && !item.bad
	}
	return !sound || len(v.items) > 0 && schema.LookupPath(cue.MakePath(cue.AnyIndex)).Exists()
}

// fits reports whether a value unifies with its schema. A value of another kind
// is not even shown to CUE.
func (l *loader) fits(schema cue.Value, v *value) bool {
	if schema.IncompleteKind()&v.cueKind() == 0 {
		return false
	}
	data := l.cue.BuildExpr(v.expression())
	return schema.Unify(data).Validate(cue.Concrete(true)) == nil
}

// cueKind gives the kind a value has in CUE.
func (v *value) cueKind() cue.Kind {
	switch v.kind {
	case boolean:
		return cue.BoolKind
	case number:
		if strings.ContainsAny(v.scalar, ".e") {
			return cue.FloatKind
		}
		return cue.IntKind
	case text:
		return cue.StringKind
	case list:
		return cue.ListKind
	case mapping:
		return cue.StructKind
	}
	return cue.NullKind
}

// expression gives the value as CUE.
func (v *value) expression() ast.Expr {
	switch v.kind {
	case boolean:
		return ast.NewBool(v.scalar == "true")
	case number:
		digits, negative := strings.CutPrefix(v.scalar, "-")
		kind := token.INT
		if v.cueKind() == cue.FloatKind {
			kind = token.FLOAT
		}
		var x ast.Expr = &ast.BasicLit{Kind: kind, Value: digits}
		if negative {
			x = &ast.UnaryExpr{Op: token.SUB, X: x}
		}
		return x
	case text:
		return ast.NewString(v.scalar)
	case list:
		items := make([]ast.Expr, len(v.items))
		for i, item := range v.items {
			items[i] = item.expression()
		}
		return ast.NewList(items...)
	case mapping:
		s := &ast.StructLit{}
		for _, e := range v.entries {
			s.Elts = append(s.Elts, &ast.Field{Label: ast.NewString(e.key), Value: e.value.expression()})
		}
		return s
	}
	return ast.NewNull()
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

// field gives the form of a key in a struct.
func field(schema cue.Value, key string) (form, bool) {
	for _, selector := range [...]cue.Selector{cue.Str(key), cue.Str(key).Optional(), cue.AnyString} {
		if found := schema.LookupPath(cue.MakePath(selector)); found.Exists() {
			return formOf(found), true
		}
	}
	return form{}, false
}

func formOf(schema cue.Value) form { return form{schema, attribute(schema, "must")} }

// attribute gives the text of a field's @name("…"), or "".
func attribute(schema cue.Value, name string) string {
	a := schema.Attribute(name)
	if a.Err() != nil {
		return ""
	}
	s, _ := a.String(0)
	return s
}

// pick gives the part of a schema that a struct or a list has to fit: the
// schema itself, or the one alternative of that kind.
func pick(schema cue.Value, kind cue.Kind) (cue.Value, bool) {
	if schema.IncompleteKind()&kind == 0 {
		return schema, false
	}
	op, alternatives := cue.Dereference(schema).Expr()
	if op != cue.OrOp {
		return schema, true
	}
	alternatives = slices.DeleteFunc(alternatives, func(a cue.Value) bool { return a.IncompleteKind()&kind == 0 })
	// ["*"] | [...string]: only the open one says what items may be.
	if open := slices.DeleteFunc(slices.Clone(alternatives), func(a cue.Value) bool {
		return kind == cue.ListKind && !a.LookupPath(cue.MakePath(cue.AnyIndex)).Exists()
	}); len(open) == 1 {
		return open[0], true
	}
	if len(alternatives) == 1 {
		return alternatives[0], true
	}
	return schema, false
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
