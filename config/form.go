package config

import (
	"fmt"
	"slices"

	"cuelang.org/go/cue"
)

// form is what the schema says of a value: its constraint, and the attributes of
// its field. They are explained at the top of schema/config.cue.
type form struct {
	schema cue.Value
	name   string // of a field with a name
	must   string // what the value must be, in words; "" derives it from the schema
	item   string // the same for what the list or mapping holds
	key    string // what documents call the keys of this mapping
	bounds bounds // of a duration or a size

	required bool   // it must be given
	unless   string // but not beside this key, of which one must be given
	secret   bool   // a secret, or a list or mapping of secrets
	optional bool   // the variable that gives the secret may be unset

	// What is below, read when it is first asked for.
	keysRead, itemsRead bool
	below               *keys
	items               *form
}

// keys is what the schema says of the keys of a mapping.
type keys struct {
	fields []*form // in the schema's order
	named  map[string]*form
	rest   *form // of any other key; nil when there must be none
	secret bool  // the mapping is one of secrets, or stands among them
}

// get returns the form of a key, nil for an unknown one.
func (k *keys) get(name string) *form {
	if f := k.named[name]; f != nil {
		return f
	}
	return k.rest
}

// names returns the keys that have a name.
func (k *keys) names() []string {
	names := make([]string, len(k.fields))
	for i, f := range k.fields {
		names[i] = f.name
	}
	return names
}

// formOf reads the attributes of a field.
func formOf(schema cue.Value) *form {
	f := &form{
		schema: schema,
		must:   argument(schema, "must"), item: argument(schema, "item"), key: argument(schema, "key"),
		bounds: boundsOf(schema),
	}
	if a := schema.Attribute("secret"); a.Err() == nil {
		f.secret = true
		f.optional, _ = a.Flag(0, "optional")
	}
	return f
}

// keysOf reads the fields of a struct.
func keysOf(schema cue.Value) *keys {
	k := &keys{named: map[string]*form{}}
	fields, err := schema.Fields(cue.Optional(true))
	for err == nil && fields.Next() {
		f := formOf(fields.Value())
		f.name = fields.Selector().Unquoted()
		f.unless = argument(f.schema, "unless")
		switch fields.FieldType().ConstraintType() {
		case cue.OptionalConstraint:
			f.required = f.unless != ""
		case cue.RequiredConstraint:
			f.required = true
		default: // it has a value, unless that is not one yet
			value, _ := f.schema.Default()
			f.required = value.Validate(cue.Concrete(true)) != nil
		}
		k.fields = append(k.fields, f)
		k.named[f.name] = f
	}
	return k
}

// keys returns the form of the keys of a mapping; nil where the schema has none.
func (f *form) keys() *keys {
	if f == nil {
		return nil
	}
	if !f.keysRead {
		f.keysRead = true
		if schema, ok := pick(f.schema, cue.StructKind); ok {
			f.below = keysOf(schema)
			f.below.secret = f.secret
			f.below.rest = f.held(schema, cue.AnyString)
		}
	}
	return f.below
}

// element returns the form of the items of a list; nil where the schema has no
// list, or none with items of one form.
func (f *form) element() *form {
	if f == nil {
		return nil
	}
	if !f.itemsRead {
		f.itemsRead = true
		if schema, ok := pick(f.schema, cue.ListKind); ok {
			f.items = f.held(schema, cue.AnyIndex)
		}
	}
	return f.items
}

// held returns the form of what a list or a mapping holds, nil if it has none.
func (f *form) held(schema cue.Value, any cue.Selector) *form {
	inner := schema.LookupPath(cue.MakePath(any))
	if !inner.Exists() {
		return nil
	}
	return &form{schema: inner, must: f.item, secret: f.secret, optional: f.optional}
}

// argument returns the text of a field's @name("…"), or "".
func argument(schema cue.Value, name string) string {
	a := schema.Attribute(name)
	if a.Err() != nil {
		return ""
	}
	s, _ := a.String(0)
	return s
}

// describe says what a value must be, after "must be".
func (f *form) describe() string {
	switch {
	case f.must != "":
		return f.must
	case f.bounds.unit != noUnit:
		example, _ := f.schema.Default()
		text, _ := example.String()
		return f.bounds.describe(text)
	}
	return describe(f.schema, 0)
}

// pick returns the part of a schema that a struct or a list has to fit: the
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

// unit is what a text with a unit measures.
type unit int

const (
	noUnit unit = iota
	durations
	sizes
	quantities
)

// bounds are the least and the most that a duration, a size or a quantity may be, as
// @range, @size or @quantity has them.
type bounds struct {
	unit        unit
	least, most string
}

func boundsOf(schema cue.Value) bounds {
	if a := schema.Attribute("range"); a.Err() == nil {
		least, _ := a.String(0)
		most, _ := a.String(1)
		return bounds{durations, least, most}
	}
	if a := schema.Attribute("size"); a.Err() == nil {
		most, _ := a.String(0)
		least, err := a.String(1)
		if err != nil {
			least = "1 byte"
		}
		return bounds{sizes, least, most}
	}
	if most := argument(schema, "quantity"); most != "" {
		return bounds{quantities, "1", most}
	}
	return bounds{}
}

// describe says what the notation of the unit is, with an example.
func (b bounds) describe(example string) string {
	if b.unit == durations {
		if example == "" {
			example = "10s"
		}
		return fmt.Sprintf("a duration with a unit, such as %s", example)
	}
	if b.unit == quantities {
		return "a number such as 128000 or 128k"
	}
	if example == "" {
		example = "1GiB"
	}
	return fmt.Sprintf("a size such as %s, or a number of bytes", example)
}

// refuse says what is wrong with a value in the notation of the unit; "" if
// nothing is. One that is too large for its type is too large.
func (b bounds) refuse(text string) string {
	var n, least, most int64
	var ok bool
	switch b.unit {
	case noUnit:
		return ""
	case durations:
		n, ok = parseDuration(text)
		least, _ = parseDuration(b.least)
		most, _ = parseDuration(b.most)
	case sizes:
		n, ok = parseSize(text)
		most, _ = parseSize(b.most)
		if least = 1; b.least == "0" {
			least = 0
		}
	case quantities:
		n, ok = parseQuantity(text)
		least = 1
		most, _ = parseQuantity(b.most)
	}
	switch {
	case !ok || n > most:
		return "must be at most " + b.most
	case n < least:
		return "must be at least " + b.least
	}
	return ""
}
