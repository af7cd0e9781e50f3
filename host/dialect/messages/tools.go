package messages

import (
	"bytes"
	"strconv"
	"strings"
)

// tool is what is read of a tool.
type tool struct {
	kind, name, description, schema, strict, deferred, cache value
}

func readTool(c *cursor) (t tool) {
	for c.enter(); c.next(); {
		switch string(c.key()) {
		case "type":
			t.kind = c.value()
		case "name":
			t.name = c.value()
		case "description":
			t.description = c.value()
		case "input_schema":
			t.schema = c.value()
		case "strict":
			t.strict = c.value()
		case "defer_loading":
			t.deferred = c.value()
		case "cache_control":
			t.cache = c.value()
		default:
			c.skip()
		}
	}
	return t
}

// check refuses a tool that is not a function of the client's.
func (t tool) check(path string) error {
	kind := t.kind.text()
	switch {
	case t.kind != nil && !t.kind.isString():
		return refuse(path+".type", "must be a string such as custom")
	case kind != "" && kind != "custom" && (t.schema == nil || isServerTool(kind)):
		return refuse(path, "server tools are not available through this gateway: leave this one out, or offer a tool of your own")
	case len(t.name.inside()) == 0:
		return refuse(path+".name", "must be a string that is not empty")
	case t.schema != nil && !t.schema.isObject():
		return refuse(path+".input_schema", "must be an object, a JSON Schema")
	}
	return nil
}

// isServerTool reports whether tools of a type are executed by Anthropic's own servers,
// or have a meaning that only its models know.
func isServerTool(kind string) bool {
	for _, prefix := range [...]string{
		"web_search_", "web_fetch_", "code_execution_", "tool_search_tool_", "advisor_", "mcp_toolset", "browser_toolset_",
		"bash_", "text_editor_", "memory_", "computer_",
	} {
		if strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	return false
}

// toolset is what the conversation says about the tools of the request.
type toolset struct {
	loaded  map[string]bool   // tools whose definition is to wait until something names them; nil: none is
	changes map[string]change // what the system did with a tool last, by its name
	added   []string          // tools that the system added, in order; a name may stand here twice
}

// change is what a message of the system does with a tool.
type change struct {
	definition value // nil: the tool is one of the request's
	place      at
	removed    bool
}

// readTools checks the tools, and notes which are to wait.
func (t *translation) readTools() error {
	v := t.source.tools
	if v == nil {
		return nil
	}
	if !v.isArray() {
		return refuse("tools", "must be an array of tools")
	}
	c := cursor{b: v}
	i := 0
	for c.enter(); c.next(); i++ {
		path := "tools." + strconv.Itoa(i)
		if c.at() != '{' {
			return refuse(path, "must be an object with name and input_schema")
		}
		tool := readTool(&c)
		if err := tool.check(path); err != nil {
			return err
		}
		if tool.deferred.isTrue() {
			if t.tools.loaded == nil {
				t.tools.loaded = map[string]bool{}
			}
			t.tools.loaded[tool.name.text()] = false
		}
	}
	return nil
}

// load notes that the conversation names a tool, so that its definition is sent even if it
// was to wait.
func (t *translation) load(name value) {
	if t.tools.loaded == nil || !name.isString() {
		return
	}
	if word := name.text(); !t.tools.loaded[word] {
		if _, waits := t.tools.loaded[word]; waits {
			t.tools.loaded[word] = true
		}
	}
}

// changeTools takes a block of the system's that adds or removes a tool.
func (t *translation) changeTools(b *block, place at) error {
	v := b.tool
	if !v.isObject() {
		return place.refuse(".tool", "must be an object, a tool_definition or a tool_reference")
	}
	definition := get(v, "definition")
	name := get(v, "name")
	if name == nil {
		name = get(v, "tool_name")
	}
	now := change{place: place, removed: string(b.kind) == "tool_removal"}
	if definition.isObject() {
		c := cursor{b: definition}
		tool := readTool(&c)
		if err := tool.check(place.String() + ".tool.definition"); err != nil {
			return err
		}
		name, now.definition = tool.name, definition
	}
	if len(name.inside()) == 0 {
		return place.refuse(".tool", "must name a tool")
	}
	if !now.removed {
		t.load(name)
	}
	word := name.text()
	if t.tools.changes == nil {
		t.tools.changes = map[string]change{}
	}
	if now.definition != nil {
		t.tools.added = append(t.tools.added, word)
	} else if before := t.tools.changes[word]; before.definition != nil {
		now.definition, now.place = before.definition, before.place
	}
	t.tools.changes[word] = now
	return nil
}

// writeTools writes the tools and how the model is to choose among them. The messages
// must have been written before.
func (t *translation) writeTools() error {
	start := len(t.out)
	t.raw(`,"tools":[`)
	from := len(t.out)
	c := cursor{b: t.source.tools}
	if c.b != nil {
		c.enter()
	}
	for i := 0; c.b != nil && c.next(); i++ {
		tool := readTool(&c)
		name := tool.name.text()
		here := origin{message: -1, block: int32(i)}
		if done, changed := t.tools.changes[name]; changed {
			if done.removed {
				continue
			}
			if done.definition != nil {
				d := cursor{b: done.definition}
				tool, here = readTool(&d), originOf(done.place)
				delete(t.tools.changes, name)
			}
		}
		if loaded, waits := t.tools.loaded[name]; waits && !loaded {
			continue
		}
		t.tool(tool, here, from)
	}
	for _, name := range t.tools.added {
		if done, ok := t.tools.changes[name]; ok && done.definition != nil && !done.removed {
			delete(t.tools.changes, name)
			d := cursor{b: done.definition}
			t.tool(readTool(&d), originOf(done.place), from)
		}
	}
	if len(t.out) == from {
		t.out = t.out[:start]
		return nil
	}
	t.raw(`]`)
	return t.toolChoice()
}

// tool writes one tool. from is where the first one began.
func (t *translation) tool(v tool, here origin, from int) {
	if len(t.out) > from {
		t.raw(`,`)
	}
	t.origins.tools = append(t.origins.tools, here)
	t.raw(`{"type":"function","function":{"name":`)
	var short string
	if t.out, short = t.appendName(t.out, v.name); short != "" {
		if t.names == nil {
			t.names = map[string]string{}
		}
		t.names[short] = v.name.text()
	}
	if v.description.isString() {
		t.raw(`,"description":`)
		t.out = append(t.out, v.description...)
	}
	if v.schema != nil {
		t.raw(`,"parameters":`)
		t.out = append(t.out, v.schema...)
	}
	if v.strict.isTrue() && (t.form.Native || t.isStrict(v.schema)) {
		t.raw(`,"strict":true`)
	}
	t.raw(`}`)
	t.cache(v.cache)
	t.raw(`}`)
}

// toolChoice writes tool_choice and parallel_tool_calls.
func (t *translation) toolChoice() error {
	v := t.source.toolChoice
	if v == nil {
		return nil
	}
	if !v.isObject() {
		return refuse("tool_choice", "must be an object with a type")
	}
	switch get(v, "type").text() {
	case "auto":
		t.raw(`,"tool_choice":"auto"`)
	case "any":
		t.raw(`,"tool_choice":"required"`)
	case "none":
		t.raw(`,"tool_choice":"none"`)
	case "tool":
		name := get(v, "name")
		if len(name.inside()) == 0 {
			return refuse("tool_choice.name", "must be a string, the name of a tool")
		}
		t.raw(`,"tool_choice":{"type":"function","function":{"name":`)
		t.out, _ = t.appendName(t.out, name)
		t.raw(`}}`)
	default:
		return refuse("tool_choice.type", "must be auto, any, tool or none")
	}
	if get(v, "disable_parallel_tool_use").isTrue() {
		t.raw(`,"parallel_tool_calls":false`)
	}
	return nil
}

// get returns a field of a small object.
func get(object value, key string) (v value) {
	if !object.isObject() {
		return nil
	}
	c := cursor{b: object}
	for c.enter(); c.next(); {
		if bytes.Equal(c.key(), []byte(key)) {
			v = c.value()
		} else {
			c.skip()
		}
	}
	return v
}
