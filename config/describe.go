package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"go.yaml.in/yaml/v3"
)

// describe puts a schema into words, to stand after "must be": int & >=1 & <=9 is
// "a whole number from 1 to 9". What it prints comes from the schema alone.
func describe(schema cue.Value, depth int) string {
	if depth > 8 {
		return kindWords(schema.IncompleteKind())
	}
	op, parts := cue.Dereference(schema).Expr()
	switch op {
	case cue.OrOp:
		return describeAny(parts, depth)
	case cue.AndOp:
		words := conjuncts(parts, depth)
		// The type first: >=1 & int is read as int & >=1.
		slices.SortStableFunc(words, func(a, b string) int { return rank(a) - rank(b) })
		if len(words) > 1 && words[0] == "a number" && words[1] == "a whole number" {
			words = words[1:]
		}
		return strings.Join(joinBounds(words), ", ")
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

// conjuncts returns the words of each part of a & b & c, which CUE nests.
func conjuncts(parts []cue.Value, depth int) []string {
	var words []string
	for _, part := range parts {
		inner := []string{}
		if op, nested := part.Expr(); op == cue.AndOp && depth < 8 {
			inner = conjuncts(nested, depth+1)
		} else {
			inner = append(inner, describe(part, depth+1))
		}
		for _, w := range inner {
			if !slices.Contains(words, w) {
				words = append(words, w)
			}
		}
	}
	return words
}

// joinBounds makes "a number", "at least 0", "at most 2" into "a number from 0 to 2".
func joinBounds(words []string) []string {
	if len(words) != 3 {
		return words
	}
	least, hasLeast := strings.CutPrefix(words[1], "at least ")
	most, hasMost := strings.CutPrefix(words[2], "at most ")
	if !hasLeast || !hasMost {
		return words
	}
	return []string{words[0] + " from " + least + " to " + most}
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

// plainWord is text that needs no quotes in a file, but for the words that
// YAML reads as something else.
var plainWord = regexp.MustCompile(`^[A-Za-z_][0-9A-Za-z_./-]*$`)

// constant writes a constant as it would stand in the file.
func constant(v cue.Value) string {
	if d, ok := v.Default(); ok {
		v = d
	}
	if s, err := v.String(); err == nil && plainWord.MatchString(s) {
		if n := (&yaml.Node{Kind: yaml.ScalarNode, Value: s}); n.ShortTag() == "!!str" {
			return s
		}
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
