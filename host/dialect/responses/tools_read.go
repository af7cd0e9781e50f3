package responses

import (
	"strings"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

// maxTools is how many tools one request may offer. What is kept of a tool may take more
// memory than its declaration has bytes.
const maxTools = 4096

// declaration is a tool as the client declared it.
type declaration struct {
	tool
	flat string // its name upstream
	at   spot

	description, parameters, strict, format sdk.JSON // nil: absent
}

// declarations are the tools that a request offers, in their order. A tool that is declared
// again counts as it was declared last, at its first place.
type declarations struct {
	list  []declaration
	index map[identity]int // the place of each in list
}

// identity tells tools apart. A tool_search, a shell and so on have names of their own.
type identity struct{ namespace, name string }

// add adds the tools of an array.
func (d *declarations) add(array sdk.JSON, at spot) *fault.Error {
	if !isList(array) {
		return at.wrong("must be an array of tools")
	}
	it := body.ElementsOf(array)
	for i := 0; it.Next(); i++ {
		if err := d.addOne(it.Value(), "", at.element(i)); err != nil {
			return err
		}
	}
	return nil
}

// addOne adds one tool, or those of one namespace.
//
//   - namespace: what the tool is in; "" for none
func (d *declarations) addOne(v sdk.JSON, namespace string, at spot) *fault.Error {
	if !isMap(v) {
		return at.wrong(`must be an object such as {"type": "function", "name": "…"}`)
	}
	var typ string
	var name, nested, execution, environment sdk.JSON
	t := declaration{tool: tool{namespace: namespace}, at: at}
	for it := body.FieldsOf(v); it.Next(); {
		v := it.Value()
		if v.Kind() == sdk.KindNull {
			continue
		}
		switch string(it.Key()) {
		case "type":
			typ, _ = v.Str()
		case "name":
			name = v
		case "description":
			t.description = v
		case "parameters":
			t.parameters = v
		case "strict":
			t.strict = v
		case "format":
			t.format = v
		case "tools":
			nested = v
		case "execution":
			execution = v
		case "environment":
			environment = v
		}
	}
	if namespace != "" && typ != "function" && typ != "custom" {
		return at.in("type").unsupported("in a namespace there can be tools of type function and custom")
	}
	switch kind, what := kindOfTool(typ, execution); what {
	case ignored:
		return nil
	case isNamespace:
		return d.addNamespace(name, nested, at)
	case unknown:
		return at.in("type").unsupported("Kai runs no tools itself; declare a function, or use function, custom, namespace")
	default:
		t.kind = kind
	}
	if t.description != nil && !isString(t.description) {
		return at.in("description").wrong(mustBeString)
	}
	switch t.kind {
	case function, custom:
		var ok bool
		if t.name, ok = name.Str(); !ok || t.name == "" {
			return at.in("name").wrong("must be a string that is not empty")
		}
	case shell:
		if where, _ := environment.Get("type").Str(); strings.HasPrefix(where, "container") {
			return at.in("environment").unsupported("Kai has no containers; use a shell with the environment local")
		}
	}
	return d.put(t)
}

// addNamespace adds the tools of a namespace.
func (d *declarations) addNamespace(name, nested sdk.JSON, at spot) *fault.Error {
	namespace, ok := name.Str()
	switch {
	case !ok || namespace == "":
		return at.in("name").wrong("must be a string that is not empty")
	case !isList(nested):
		return at.in("tools").wrong("must be an array of tools")
	}
	it := body.ElementsOf(nested)
	for i := 0; it.Next(); i++ {
		if err := d.addOne(it.Value(), namespace, at.in("tools").element(i)); err != nil {
			return err
		}
	}
	return nil
}

// put adds a tool, or replaces the one that was declared before.
func (d *declarations) put(t declaration) *fault.Error {
	if name := emulations[t.kind].name; name != "" {
		t.name = name
	}
	id := identity{t.namespace, t.name}
	if id.namespace == bareNamespace {
		id.namespace = ""
	}
	if i, ok := d.index[id]; ok {
		d.list[i] = t
		return nil
	}
	if len(d.list) == maxTools {
		return t.at.wrong("more than 4096 tools in one request")
	}
	if d.index == nil {
		d.index = map[identity]int{}
	}
	d.index[id] = len(d.list)
	d.list = append(d.list, t)
	return nil
}

// What becomes of a tool's declaration.
type fate uint8

const (
	offered     fate = iota // as a function
	isNamespace             // the tools in it are
	ignored                 // it is left out
	unknown                 // it is refused
)

// kindOfTool returns what a tool of a type is to Kai.
//
// Tools that clients always declare, and never depend on, are left out: Codex can't be used
// where web_search is refused. A search for tools that the server runs finds nothing that
// is not offered anyway.
func kindOfTool(typ string, execution sdk.JSON) (toolKind, fate) {
	switch typ {
	case "function":
		return function, offered
	case "custom":
		return custom, offered
	case "namespace":
		return function, isNamespace
	case "tool_search":
		if where, _ := execution.Str(); where != "client" {
			return toolSearch, ignored
		}
		return toolSearch, offered
	case "local_shell":
		return localShell, offered
	case "shell":
		return shell, offered
	case "apply_patch":
		return applyPatch, offered
	case "image_generation":
		return function, ignored
	}
	if strings.HasPrefix(typ, "web_search") {
		return function, ignored
	}
	return function, unknown
}

// appendTo appends the tool as a function of a chat completion.
func (t *declaration) appendTo(dst []byte) []byte {
	dst = append(dst, `{"type":"function","function":{"name":`...)
	dst = sdk.AppendQuote(dst, t.flat)
	switch t.kind {
	case function:
		dst = t.appendField(dst, "description", t.description)
		dst = t.appendField(dst, "parameters", t.parameters)
		dst = t.appendField(dst, "strict", t.strict)
	case custom:
		dst = t.appendCustom(dst)
	case toolSearch:
		dst = t.appendField(dst, "description", t.description)
		if t.parameters == nil {
			t.parameters = sdk.JSON(searchParameters)
		}
		dst = t.appendField(dst, "parameters", t.parameters)
	default:
		e := emulations[t.kind]
		dst = append(append(append(dst, `,"description":"`...), e.description...), '"')
		dst = t.appendField(dst, "parameters", sdk.JSON(e.parameters))
	}
	return append(dst, "}}"...)
}

func (t *declaration) appendField(dst []byte, name string, v sdk.JSON) []byte {
	if v == nil {
		return dst
	}
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return append(dst, v...)
}

// appendCustom appends the rest of the function that a custom tool becomes: it takes one
// string. A grammar can't be enforced there, so the description tells the model.
func (t *declaration) appendCustom(dst []byte) []byte {
	var description texts
	inside, _ := insideOf(t.description)
	description.add("", inside)
	var syntax, definition sdk.JSON
	for it := body.FieldsOf(t.format); it.Next() && isMap(t.format); {
		switch string(it.Key()) {
		case "syntax":
			syntax = it.Value()
		case "definition":
			definition = it.Value()
		}
	}
	if grammar, ok := insideOf(definition); ok && len(grammar) > 0 {
		description.add(blankLine, []byte(`The field input must match this grammar`))
		if name, _ := insideOf(syntax); len(name) > 0 {
			description.add(" (", name)
			description.add("", []byte(")"))
		}
		description.add(`:\n`, grammar)
	}
	if len(description) > 0 {
		dst = description.appendTo(append(dst, `,"description":`...))
	}
	return append(dst, `,"parameters":`+customParameters...)
}
