package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
)

// ErrUnknownAdapter says that there is an adapter, but that nothing is known about it until it
// runs.
var ErrUnknownAdapter = errors.New("the adapter says what it is only when it runs")

// Adapter is what the configuration needs to know of an adapter's manifest.
type Adapter struct {
	OptionsCUE     string // fields in CUE, see CheckOptionsSchema; "" takes no options
	DefaultBaseURL string // used for a shipped adapter; "" when it needs no upstream
	Secret         bool   // it sends an API key
	SHA256         string // of the module, in lower case; "" if unknown
}

// cueConcrete asks for a value without anything left to choose.
var cueConcrete = cue.Concrete(true)

// adapter is what is known of an adapter, with the schema of its options.
type adapter struct {
	Adapter
	schema cue.Value
	keys   *keys
}

// adapterOf asks for an adapter once. The result is nil when nothing is known of
// it.
func (l *loader) adapterOf(plugin string) (*adapter, error) {
	if l.options.OptionsSchema == nil {
		return nil, nil
	}
	if a, asked := l.adapters[plugin]; asked {
		if a == nil {
			return nil, errors.New("cannot be used, as said before")
		}
		return a, nil
	}
	l.adapters[plugin] = nil
	known, err := l.options.OptionsSchema(plugin, l.dir)
	if errors.Is(err, ErrUnknownAdapter) {
		delete(l.adapters, plugin)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be used: %w", err)
	}
	fields, err := parseOptions(known.OptionsCUE)
	if err != nil {
		return nil, fmt.Errorf("cannot be used: the options of its manifest: %w", err)
	}
	a := &adapter{Adapter: known}
	if a.schema, err = compileOptions(l.cue, fields); err != nil {
		return nil, fmt.Errorf("cannot be used: the options of its manifest: %w", err)
	}
	a.keys = (&form{schema: a.schema}).keys()
	l.adapters[plugin] = a
	return a, nil
}

// compileOptions makes a schema of fields that were checked. As a definition it
// is closed, and so is every struct in it that does not say otherwise.
func compileOptions(c *cue.Context, fields []ast.Decl) (cue.Value, error) {
	const name = "#Options"
	file := c.BuildFile(&ast.File{Decls: []ast.Decl{
		&ast.Field{Label: ast.NewIdent(name), Value: &ast.StructLit{Elts: fields}},
	}})
	schema := file.LookupPath(cue.MakePath(cue.Def(name)))
	if schema.Validate() != nil {
		return schema, errors.New("they contradict themselves")
	}
	return schema, nil
}

// providerOptions checks the options of a provider and gives them with
// defaults. Required ones may be left to its models.
func (l *loader) providerOptions(u *upstream, path string) json.RawMessage {
	if u.options == nil {
		u.options = &value{kind: mapping}
	}
	if u.adapter != nil {
		l.checkMapping(u.adapter.keys, u.options, join(path, "options"))
	}
	return l.exportOptions(u)
}

// modelOptions merges a model's options into those of its provider, key by key, checks
// the result and returns it with defaults.
//
//   - own: the model's, or nil
//   - at: where the model stands
func (l *loader) modelOptions(u *upstream, own *value, path string, at place) json.RawMessage {
	path = join(path, "options")
	if !own.usable(mapping) {
		own = &value{kind: mapping, place: at}
	}
	both := &value{kind: mapping, entries: append([]entry(nil), own.entries...)}
	for _, inherited := range u.options.entries {
		if own.get(inherited.key) == nil {
			both.entries = append(both.entries, inherited)
		}
	}
	if u.adapter != nil {
		l.checkMapping(u.adapter.keys, own, path)
		l.checkMissing(u.adapter.keys, both, path, at)
	}
	if len(own.entries) == 0 && u.Options != nil {
		return u.Options
	}
	merged := &upstream{Provider: u.Provider, options: both, adapter: u.adapter}
	return l.exportOptions(merged)
}

// exportOptions returns a provider's options as JSON, nil when they have a
// problem. Fields that are required and not there are left out.
func (l *loader) exportOptions(u *upstream) json.RawMessage {
	if !u.options.sound() {
		return nil
	}
	var out bytes.Buffer
	if u.adapter == nil {
		u.options.given().appendJSON(&out)
		return out.Bytes()
	}
	unified := u.adapter.schema.Unify(l.cue.BuildExpr(u.options.given().expression()))
	fields, err := unified.Fields()
	if err != nil {
		return nil
	}
	out.WriteByte('{')
	for fields.Next() {
		b, err := fields.Value().MarshalJSON()
		if err != nil {
			continue
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		appendString(&out, fields.Selector().Unquoted())
		out.WriteByte(':')
		out.Write(b)
	}
	out.WriteByte('}')
	return out.Bytes()
}

// appendJSON writes a value as JSON, in file order.
func (v *value) appendJSON(out *bytes.Buffer) {
	switch v.kind {
	case null:
		out.WriteString("null")
	case text:
		appendString(out, v.scalar)
	case list:
		out.WriteByte('[')
		for i, item := range v.items {
			if i > 0 {
				out.WriteByte(',')
			}
			item.appendJSON(out)
		}
		out.WriteByte(']')
	case mapping:
		out.WriteByte('{')
		for i, e := range v.entries {
			if i > 0 {
				out.WriteByte(',')
			}
			appendString(out, e.key)
			out.WriteByte(':')
			e.value.appendJSON(out)
		}
		out.WriteByte('}')
	default:
		out.WriteString(v.scalar)
	}
}

func appendString(out *bytes.Buffer, s string) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string always encodes
	out.Truncate(out.Len() - 1)
}
