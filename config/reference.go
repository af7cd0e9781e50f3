package config

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expansion is a text with its references filled in.
type expansion struct {
	text    string
	unset   string // the first variable without a value or default; text is then of no use
	foreign bool   // something came from the environment
	single  bool   // the whole text was one reference
}

// expand fills in ${NAME} and ${NAME:-default} and makes $${ a literal ${.
// A variable that is set but empty counts as unset.
func expand(s string, lookup func(string) (string, bool)) (expansion, error) {
	var e expansion
	var out strings.Builder
	for rest := s; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "$${"):
			out.WriteString("${")
			rest = rest[len("$${"):]
		case strings.HasPrefix(rest, "${"):
			inner, after, closed := strings.Cut(rest[len("${"):], "}")
			name, fallback, hasFallback := strings.Cut(inner, ":-")
			switch {
			case !closed:
				return e, fmt.Errorf("a reference is not closed: write ${NAME}, or $${ for the two characters themselves")
			case strings.Contains(fallback, "${"):
				return e, fmt.Errorf("the default of a reference cannot hold a reference: use one of the two")
			case !variableName.MatchString(name):
				return e, fmt.Errorf("a reference needs the name of a variable, of letters, digits and _: write ${NAME}, ${NAME:-default}, or $${ for the two characters themselves")
			}
			e.single = out.Len() == 0 && after == "" && len(rest) == len(s)
			e.foreign = true
			rest = after
			found, _ := lookup(name)
			switch {
			case found != "" && !utf8.ValidString(found):
				return e, fmt.Errorf("the variable %s does not hold UTF-8 text", name)
			case found != "":
				out.WriteString(found)
			case hasFallback:
				out.WriteString(fallback)
			case e.unset == "":
				e.unset = name
			}
		default:
			next := strings.IndexByte(rest[1:], '$') + 1
			if next == 0 {
				next = len(rest)
			}
			out.WriteString(rest[:next])
			rest = rest[next:]
		}
	}
	e.text = out.String()
	return e, nil
}

// fill fills in the references of a value and of all below it.
func (l *loader) fill(v *value, path string) {
	switch v.kind {
	case list:
		for i, item := range v.items {
			l.fill(item, joinIndex(path, i))
		}
	case mapping:
		for _, e := range v.entries {
			l.fill(e.value, join(path, e.key))
		}
	case text:
		if !v.filled && !v.bad {
			v.filled = true
			l.fillText(v, path)
		}
	}
}

func (l *loader) fillText(v *value, path string) {
	if !strings.Contains(v.scalar, "${") {
		return
	}
	e, err := expand(v.scalar, l.options.LookupEnv)
	switch {
	case err != nil:
		l.fault(v, path, err.Error())
		return
	case looksLikeKey(e.unset):
		l.fault(v, path, keyInReference)
		return
	case e.unset != "":
		l.fault(v, path, fmt.Sprintf("the variable %s is not set, or empty: set it, or write ${%s:-default}", e.unset, e.unset))
		return
	}
	v.scalar, v.foreign = e.text, e.foreign
	if !v.plain || !e.single {
		return
	}
	// A plain scalar that is one reference is what its value would be as a
	// plain scalar.
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: e.text}
	switch n.ShortTag() {
	case "!!null":
		v.kind = null
	case "!!bool":
		v.kind = boolean
	case "!!int", "!!float":
		v.kind = number
	default:
		return
	}
	if v.kind != null && !v.resolve(n) {
		v.kind, v.scalar = text, e.text
	}
}
