package config

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue"
)

// describe puts a schema into words, to stand after "must be": int & >=1 is "a whole
// number, at least 1". What it prints comes from the schema alone.
func describe(schema cue.Value, depth int) string {
	if depth > 8 {
		return kindWords(schema.IncompleteKind())
	}
	op, parts := cue.Dereference(schema).Expr()
	switch op {
	case cue.OrOp:
		return describeAny(parts, depth)
	case cue.AndOp:
		var words []string
		for _, part := range parts {
			if w := describe(part, depth+1); !slices.Contains(words, w) {
				words = append(words, w)
			}
		}
		// The type first: >=1 & int is read as int & >=1.
		slices.SortStableFunc(words, func(a, b string) int { return rank(a) - rank(b) })
		if len(words) > 1 && words[0] == "a number" && words[1] == "a whole number" {
			words = words[1:]
		}
		return strings.Join(words, ", ")
	case cue.GreaterThanEqualOp:
		return "at least " + constant(parts[0])
	case cue.GreaterThanOp:
		return "more than " + constant(parts[0])
	case cue.LessThanEqualOp:
		return "at most " + constant(parts[0])
	case cue.LessThanOp:
		return "less than " + constant(parts[0])
	case cue.NotEqualOp:
		if constant(parts[0]) == `""` {
			return "not empty"
		}
		return "not " + constant(parts[0])
	case cue.RegexMatchOp:
		return "text that matches " + constant(parts[0])
	case cue.NotRegexMatchOp:
		return "text that does not match " + constant(parts[0])
	case cue.NoOp:
		if schema.IncompleteKind()&(cue.StructKind|cue.ListKind) == 0 && schema.IsConcrete() {
			return constant(schema)
		}
		if len(parts) == 1 && depth < 8 {
			if inner, _ := parts[0].Expr(); inner != cue.NoOp {
				return describe(parts[0], depth+1)
			}
		}
	}
	if schema.IncompleteKind() == cue.ListKind {
		if element := schema.LookupPath(cue.MakePath(cue.AnyIndex)); element.Exists() {
			return "a list, each item " + describe(element, depth+1)
		}
	}
	return kindWords(schema.IncompleteKind())
}

// describeAny joins alternatives with or, constants first.
func describeAny(parts []cue.Value, depth int) string {
	var words []string
	for _, part := range parts {
		if w := describe(part, depth+1); !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// rank orders words so that types come before bounds.
func rank(words string) int {
	if strings.HasPrefix(words, "a ") || strings.HasPrefix(words, "an ") || words == "text" {
		return 0
	}
	return 1
}

// constant writes a constant as it would stand in the file.
func constant(v cue.Value) string {
	if d, ok := v.Default(); ok {
		v = d
	}
	return fmt.Sprint(v)
}

func kindWords(kind cue.Kind) string {
	if kind == cue.TopKind {
		return "any value"
	}
	var words []string
	for _, k := range [...]struct {
		kind  cue.Kind
		words string
	}{
		{cue.BoolKind, "true or false"},
		{cue.NumberKind, "a number"},
		{cue.IntKind, "a whole number"},
		{cue.FloatKind, "a number with a decimal point"},
		{cue.StringKind, "text"},
		{cue.ListKind, "a list"},
		{cue.StructKind, "a mapping"},
		{cue.NullKind, "null"},
	} {
		if kind&k.kind == k.kind {
			words = append(words, k.words)
			kind &^= k.kind
		}
	}
	return strings.Join(words, " or ")
}
