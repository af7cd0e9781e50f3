package config

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of a file, which keep the time for any input small.
const (
	maxFile   = 1 << 20 // bytes
	maxValues = 20_000  // after aliases are expanded
	maxDepth  = 64
)

// readTree parses src and reports what is wrong with it as YAML, or as a tree
// of JSON values. whole says where secrets stand, of which no part is shown. A nil
// result means that nothing more can be said.
func readTree(src []byte, whole *form, r *report) *value {
	if len(src) > maxFile {
		r.add(place{1, 1}, "", "is larger than 1 MiB, the limit of a configuration")
		return nil
	}
	if !checkText(src, r) {
		return nil
	}
	document, second, err := parseYAML(src)
	switch {
	case err != nil:
		reportSyntax(src, err, r)
		return nil
	case second != nil:
		r.add(place{second.Line, second.Column}, "", "a second YAML document begins here: a configuration is one document, remove the --- line")
		return nil
	case document == nil:
		return &value{kind: mapping, place: place{1, 1}}
	}
	b := builder{report: r, open: map[*yaml.Node]bool{}}
	root := b.build(document, spot{form: whole}, 0)
	switch {
	case b.stopped:
		return nil
	case root.kind == null:
		root = &value{kind: mapping, place: place{1, 1}}
	case root.kind != mapping:
		r.add(root.place, "", "must be a mapping with sections such as server and model_mapping")
		return nil
	}
	return root
}

// checkText reports characters that YAML forbids. It returns whether there are none.
func checkText(src []byte, r *report) bool {
	if !utf8.Valid(src) {
		r.add(endOf(validPrefix(src)), "", "is not UTF-8 from here on: save the file as UTF-8")
		return false
	}
	if i := bytes.IndexFunc(src, forbidden); i >= 0 {
		r.add(endOf(src[:i]), "", "holds a control character here: remove it")
		return false
	}
	return true
}

// parseYAML returns the content of the one document that src should have; nil if it has
// none, and second if there is another one.
func parseYAML(src []byte) (content, second *yaml.Node, err error) {
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	var first, other yaml.Node
	if err := decode(decoder, &first); err == errEnd {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, err
	}
	switch err := decode(decoder, &other); err {
	case errEnd:
		return first.Content[0], nil, nil
	case nil:
		return first.Content[0], &other, nil
	default:
		return nil, nil, err
	}
}

// forbidden reports whether YAML forbids a character.
func forbidden(c rune) bool {
	return unicode.IsControl(c) && c != '\t' && c != '\n' && c != '\r' && c != '\u0085'
}

func validPrefix(src []byte) []byte {
	rest := src
	for len(rest) > 0 {
		c, size := utf8.DecodeRune(rest)
		if c == utf8.RuneError && size <= 1 {
			break
		}
		rest = rest[size:]
	}
	return src[:len(src)-len(rest)]
}

// endOf returns the place right after a text.
func endOf(src []byte) place {
	line := bytes.LastIndexByte(src, '\n') + 1
	return place{1 + bytes.Count(src, []byte{'\n'}), 1 + utf8.RuneCount(src[line:])}
}

// spot is where a value stands: its path, for messages, and what the schema says
// of it. The path goes no deeper than a secret, since names below it are parts of
// what was meant to be one.
type spot struct {
	path   string
	form   *form // nil if nothing is known
	hidden bool  // the path ends here
}

// key returns the spot of a key.
func (s spot) key(name string) spot {
	var f *form
	if keys := s.form.keys(); keys != nil {
		f = keys.get(name)
	}
	if s.hidden || f == nil && s.form != nil && s.form.secret {
		return spot{path: s.path, hidden: true}
	}
	return spot{path: join(s.path, name), form: f}
}

// item returns the spot of an item of a list.
func (s spot) item(i int) spot {
	element := s.form.element()
	if s.hidden || element == nil && s.form != nil && s.form.secret {
		return spot{path: s.path, hidden: true}
	}
	return spot{path: joinIndex(s.path, i), form: element}
}

// builder turns YAML nodes into values, with aliases and merge keys expanded.
type builder struct {
	report  *report
	values  int
	open    map[*yaml.Node]bool // the anchors being expanded
	stopped bool                // a bound was passed
	line    int                 // how many lines of the file stand before what was parsed
}

func (b *builder) build(n *yaml.Node, at spot, depth int) *value {
	v := &value{place: place{b.line + n.Line, n.Column}}
	if b.stopped {
		return v
	}
	b.values++
	switch {
	case b.values > maxValues:
		b.stop(v, fmt.Sprintf("the file holds more than %d values, counting each use of an alias (*name): shorten it", maxValues))
		return v
	case depth > maxDepth:
		b.stop(v, fmt.Sprintf("is nested more than %d levels deep", maxDepth))
		return v
	}
	if n.Kind != yaml.AliasNode && !knownTag(n) {
		b.bad(v, at.path, "has a YAML tag (!name), which is not supported: remove it, or put text that starts with ! in quotes")
		return v
	}
	switch n.Kind {
	case yaml.AliasNode:
		if b.open[n.Alias] {
			b.bad(v, at.path, "this alias (*name) stands inside of what it refers to")
			return v
		}
		b.open[n.Alias] = true
		v = b.build(n.Alias, at, depth)
		delete(b.open, n.Alias)
	case yaml.SequenceNode:
		v.kind, v.inline = list, n.Style&yaml.FlowStyle != 0
		for i, item := range n.Content {
			v.items = append(v.items, b.build(item, at.item(i), depth+1))
		}
	case yaml.MappingNode:
		v.kind = mapping
		if n.Anchor != "" {
			b.open[n] = true
			defer delete(b.open, n)
		}
		b.buildMapping(v, n, at, depth)
	default:
		b.buildScalar(v, n, at.path)
	}
	return v
}

// knownTag reports whether a node has no tag of its own, or one of JSON's types.
func knownTag(n *yaml.Node) bool {
	if n.Style&yaml.TaggedStyle == 0 {
		return n.Tag != "!"
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq":
		return true
	}
	return false
}

func (b *builder) buildMapping(v *value, n *yaml.Node, at spot, depth int) {
	seen := map[string]place{}
	var merged []*value
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, content := n.Content[i], n.Content[i+1]
		where := place{b.line + key.Line, key.Column}
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			v.partial = true
			b.report.add(where, at.path, "a key must be plain text; text that starts with { or [ needs quotes")
			continue
		}
		name := key.Value
		inner := at.key(name)
		if first, twice := seen[name]; twice {
			b.report.add(where, inner.path, fmt.Sprintf("is given twice, on line %d and on line %d: keep one", first.line, where.line))
			continue
		}
		seen[name] = where
		if key.ShortTag() == "!!merge" {
			sources := b.mergeSources(b.build(content, at, depth+1), at.path)
			merged = append(merged, sources...)
			v.partial = v.partial || sources == nil
			continue
		}
		switch {
		case name == "" || strings.ContainsFunc(name, unicode.IsControl):
			v.partial = true
			b.report.add(where, inner.path, "a key must not be empty or hold control characters")
			continue
		case strings.Contains(name, "${"):
			v.partial = true
			b.report.add(where, inner.path, "references (${NAME}) are filled in in values only: write the key out")
			continue
		}
		child := b.build(content, inner, depth+1)
		if child.kind == null && child.scalar == "" {
			child.place = where // an absent value has no place of its own
		}
		v.entries = append(v.entries, entry{name, where, child})
	}
	// Explicit keys win over merged ones, and earlier sources over later ones.
	for _, source := range merged {
		for _, e := range source.entries {
			if v.get(e.key) == nil {
				v.entries = append(v.entries, e)
			}
		}
	}
}

// mergeSources returns the mappings that the value of a << key stands for.
func (b *builder) mergeSources(v *value, path string) []*value {
	sources := []*value{v}
	if v.kind == list {
		sources = v.items
	}
	for _, source := range sources {
		if source.kind != mapping {
			b.bad(v, path, "<< must refer to a mapping or to a list of mappings, such as <<: *name")
			return nil
		}
	}
	return sources
}

func (b *builder) buildScalar(v *value, n *yaml.Node, path string) {
	v.scalar, v.written = n.Value, n.Value
	v.plain = n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	switch n.ShortTag() {
	case "!!null":
		v.kind = null
		if n.Anchor != "" && n.Value == "" {
			b.bad(v, path, "has an anchor (&name) but no value: put text that starts with & in quotes")
		}
		return
	case "!!bool":
		v.kind = boolean
	case "!!int", "!!float":
		v.kind = number
	default:
		v.kind = text
		return
	}
	if !v.resolve(n) {
		b.bad(v, path, "is not a number or a truth value that can be read: put text in quotes")
	}
}

// resolve returns a boolean or a number its JSON notation.
func (v *value) resolve(n *yaml.Node) bool {
	var x any
	if err := n.Decode(&x); err != nil {
		return false
	}
	switch x := x.(type) {
	case bool:
		v.scalar = strconv.FormatBool(x)
	case int:
		v.scalar = strconv.Itoa(x)
	case int64:
		v.scalar = strconv.FormatInt(x, 10)
	case uint64:
		v.scalar = strconv.FormatUint(x, 10)
	case float64:
		if math.IsInf(x, 0) || math.IsNaN(x) {
			return false
		}
		v.scalar = formatFloat(x)
	default:
		return false
	}
	return true
}

// formatFloat keeps a float one: 1 becomes 1.0.
func formatFloat(x float64) string {
	s := strconv.FormatFloat(x, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

func (b *builder) bad(v *value, path, message string) {
	v.bad = true
	b.report.add(v.place, path, message)
}

func (b *builder) stop(v *value, message string) {
	b.bad(v, "", message)
	b.stopped = true
}

// maxShown is how much of a name a message shows, in bytes.
const maxShown = 128

// join extends a path by a key: model_mapping."gpt-3.5-turbo".
func join(path, key string) string {
	if len(key) > maxShown {
		key = strings.ToValidUTF8(key[:maxShown], "") + "…"
	}
	if key == "" || strings.ContainsFunc(key, needsQuotes) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// joinIndex extends a path by the index of a list: auth.api_keys[0].
func joinIndex(path string, i int) string {
	return path + "[" + strconv.Itoa(i) + "]"
}

func needsQuotes(c rune) bool {
	return c != '_' && c != '-' && c != '/' && c != '@' && !unicode.IsLetter(c) && !unicode.IsDigit(c)
}
