package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// decode unifies a section, which may be absent, with its definition and gives the result, with
// defaults. A section with a problem inside of it gives none.
func (l *loader) decode(definition string, v *value, path string, into any) bool {
	switch {
	case v != nil && !v.sound():
		return false
	case v == nil || v.kind == null:
		v = &value{kind: mapping}
	}
	unified := l.definition(definition).Unify(l.cue.BuildExpr(v.given().expression()))
	err := unified.Validate(cueConcrete)
	if err == nil {
		var b []byte
		if b, err = unified.MarshalJSON(); err == nil {
			decoder := json.NewDecoder(bytes.NewReader(b))
			decoder.DisallowUnknownFields()
			err = decoder.Decode(into)
		}
	}
	if err != nil {
		// check has found every difference there is, so this names a gap in it.
		l.add(v.place, path, "does not fit schema/config.cue "+definition)
		return false
	}
	l.reveal(v, reflect.ValueOf(into))
	return true
}

// reveal puts the secrets of a section, which CUE and JSON never see, into the
// struct that the section was decoded into.
func (l *loader) reveal(v *value, into reflect.Value) {
	into = reflect.Indirect(into)
	if s, cut := l.secrets[v]; cut {
		if field, ok := into.Addr().Interface().(*Secret); ok {
			*field = s.Secret
		}
		return
	}
	switch {
	case v.kind == list && into.Kind() == reflect.Slice:
		for i, item := range v.items {
			l.reveal(item, into.Index(i))
		}
	case v.kind == mapping && into.Kind() == reflect.Map:
		for _, e := range v.entries {
			if s, cut := l.secrets[e.value]; cut {
				into.SetMapIndex(reflect.ValueOf(e.key), reflect.ValueOf(s.Secret))
			}
		}
	case v.kind == mapping && into.Kind() == reflect.Struct:
		for _, f := range reflect.VisibleFields(into.Type()) {
			if given := v.get(f.Tag.Get("json")); given != nil {
				l.reveal(given, into.FieldByIndex(f.Index))
			}
		}
	}
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

// cueKind returns the kind a value has in CUE.
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

// expression returns the value as CUE.
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
