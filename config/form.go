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
	must   string // what the value must be, in words; "" derives it from the schema
	item   string // the same for what the list or mapping holds
	bounds bounds // of a duration or a size
	key    string // what documents call the keys of this mapping

	secret   bool // a secret, or a list or mapping of secrets
	optional bool // the variable that gives the secret may be unset
}

// formOf reads the attributes of a field.
func formOf(schema cue.Value) form {
	f := form{
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

// argument gives the text of a field's @name("…"), or "".
func argument(schema cue.Value, name string) string {
	a := schema.Attribute(name)
	if a.Err() != nil {
		return ""
	}
	s, _ := a.String(0)
	return s
}

// element gives the form of what a list or a mapping holds.
func (f form) element(schema cue.Value) form {
	return form{schema: schema, must: f.item, secret: f.secret}
}

// describe says what a value must be, after "must be".
func (f form) describe() string {
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

// field gives the form of a key in a struct.
func field(schema cue.Value, key string) (form, bool) {
	for _, selector := range [...]cue.Selector{cue.Str(key), cue.Str(key).Optional(), cue.AnyString} {
		if found := schema.LookupPath(cue.MakePath(selector)); found.Exists() {
			return formOf(found), true
		}
	}
	return form{}, false
}

func fieldNames(schema cue.Value) []string {
	fields, err := schema.Fields(cue.Optional(true))
	if err != nil {
		return nil
	}
	var names []string
	for fields.Next() {
		names = append(names, fields.Selector().Unquoted())
	}
	return names
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

// unit is what a text with a unit measures.
type unit int

const (
	noUnit unit = iota
	durations
	sizes
)

// bounds are the least and the most that a duration or a size may be, as @range
// or @size has them.
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
	if most := argument(schema, "size"); most != "" {
		return bounds{sizes, "1 byte", most}
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
		least = 1
		most, _ = parseSize(b.most)
	}
	switch {
	case !ok || n > most:
		return "must be at most " + b.most
	case n < least:
		return "must be at least " + b.least
	}
	return ""
}
