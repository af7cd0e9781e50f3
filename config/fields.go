package config

import (
	"fmt"
	"strings"

	"cuelang.org/go/cue"
)

// Field is a key that may stand in a configuration, as the schema has it.
type Field struct {
	Path     string // such as server.port, providers.NAME.api_key or auth.api_keys[].name
	Type     string // text, secret, duration, size, quantity, number, "true, false", list or mapping
	Default  string // in words, with constants as code in Markdown; "" for none
	Range    string // what it may be, in words; "" where the type says it
	Required bool
	Secret   bool // it is one, or a list or mapping of them
}

// Fields returns every key that may stand in a configuration, in the schema's order.
func Fields() []Field {
	l, err := newLoader("", Options{})
	if err != nil {
		panic(fmt.Sprintf("config: %v", err))
	}
	var all []Field
	walk(l.whole, "", func(path string, f *form) {
		all = append(all, Field{
			Path: path, Type: f.typeWords(), Default: f.defaultWords(), Range: f.rangeWords(),
			Required: f.required && f.unless == "", Secret: f.secret,
		})
	})
	return all
}

// walk visits every field below f. Keys of a mapping that have no name of their
// own, and items of a list, have one place in the path.
func walk(f *form, path string, visit func(path string, f *form)) {
	if f == nil || f.schema.IncompleteKind() == cue.TopKind {
		return
	}
	if keys := f.keys(); keys != nil {
		for _, inner := range keys.fields {
			visit(join(path, inner.name), inner)
			walk(inner, join(path, inner.name), visit)
		}
		walk(keys.rest, join(path, f.key), visit)
	}
	walk(f.element(), path+"[]", visit)
}

func (f *form) typeWords() string {
	kinds := f.schema.IncompleteKind()
	switch {
	case f.bounds.unit == durations:
		return "duration"
	case f.bounds.unit == sizes:
		return "size"
	case f.bounds.unit == quantities:
		return "quantity"
	case kinds&cue.ListKind != 0:
		return "list"
	case kinds&cue.StructKind != 0:
		return "mapping"
	case f.secret:
		return "secret"
	case kinds&cue.BoolKind != 0:
		return "true, false"
	case kinds&cue.NumberKind != 0 && kinds&cue.StringKind == 0:
		return "number"
	}
	return "text"
}

func (f *form) rangeWords() string {
	kinds := f.schema.IncompleteKind()
	switch {
	case f.bounds.unit == durations:
		return f.bounds.least + " to " + f.bounds.most
	case f.bounds.unit == sizes && f.bounds.least == "0":
		return "0, or up to " + f.bounds.most
	case f.bounds.unit == sizes, f.bounds.unit == quantities:
		return "up to " + f.bounds.most
	case kinds&cue.ListKind != 0:
		return "each " + f.element().describe()
	case kinds&cue.StructKind != 0, kinds == cue.BoolKind, f.secret:
		return ""
	case kinds&cue.NumberKind != 0 && kinds&cue.StringKind == 0: // without its words, which repeat the type
		return strings.TrimPrefix(describe(f.schema, 0), "a whole number from ")
	}
	return f.describe()
}

func (f *form) defaultWords() string {
	if words := argument(f.schema, "default"); words != "" {
		return words
	}
	if f.unless != "" {
		return "required without `" + f.unless + "`"
	}
	value, ok := f.schema.Default()
	if !ok || f.schema.IncompleteKind()&cue.StructKind != 0 && f.schema.IncompleteKind()&cue.ListKind == 0 {
		return ""
	}
	if s, err := value.String(); err == nil {
		return "`" + s + "`"
	}
	b, err := value.MarshalJSON()
	if err != nil {
		return ""
	}
	return "`" + string(b) + "`"
}
