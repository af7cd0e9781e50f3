package anthropic

import (
	"bytes"
	"strconv"

	"github.com/kai-gateway/kai/plugins/internal/toolchoice"
	"github.com/kai-gateway/kai/sdk"
)

// writeTools writes the tools, tool_choice and parallel_tool_calls. It reports whether the
// model must call a tool.
func writeTools(w *sdk.Writer, q *query) (forced bool, err error) {
	c, err := toolchoice.Parse(q.ToolChoice)
	if err != nil {
		return false, err
	}
	written, left := 0, 0
	for it, i := sdk.Array(q.Tools), 0; it.Next(); i++ {
		if c.Only != nil && !c.Named {
			if name, _ := it.Value().Get("function").Get("name").Str(); !c.Leaves(name) {
				continue
			}
			left++
		}
		if written == 0 {
			w.Key("tools").Array()
		}
		written++
		if err := writeTool(w, it.Value(), "tools["+strconv.Itoa(i)+"]"); err != nil {
			return false, err
		}
	}
	if !c.Named && left < len(c.Only) {
		return false, toolchoice.Unknown()
	}
	if written == 0 { // without tools, Anthropic refuses a choice
		return false, nil
	}
	w.End()
	parallel, said := q.ParallelToolCalls.Bool()
	single := said && !parallel
	if c.Mode == "" && !single {
		return false, nil
	}
	w.Key("tool_choice").Object()
	switch {
	case c.Named:
		w.Key("type").String("tool")
		w.Key("name").String(c.Only[0])
	case c.Mode == "required":
		w.Key("type").String("any")
	case c.Mode == "none":
		w.Key("type").String("none")
	default:
		w.Key("type").String("auto")
	}
	if single && c.Mode != "none" {
		w.Key("disable_parallel_tool_use").Bool(true)
	}
	w.End()
	return c.Mode == "required", nil
}

// writeTool writes a function in Anthropic's form. A tool of a type that OpenAI
// doesn't have is one of Anthropic's own, such as web_search_20250305.
func writeTool(w *sdk.Writer, tool sdk.JSON, at string) error {
	switch kind, _ := tool.Get("type").Str(); kind {
	case "function":
	case "custom":
		return refuse(at+".type", "Anthropic knows no tools that take free text: send a function.")
	default:
		w.Raw(tool)
		return nil
	}
	var name, description, parameters, strict sdk.JSON
	cache := tool.Get("cache_control")
	for f := sdk.Object(tool.Get("function")); f.Next(); {
		switch v := f.Value(); string(f.Key()) {
		case "name":
			name = v
		case "description":
			description = v
		case "parameters":
			parameters = v
		case "strict":
			strict = v
		case "cache_control":
			cache = v
		}
	}
	if name.Kind() != sdk.KindString {
		return refuse(at+".function.name", "A function needs a name, a string.")
	}
	w.Object()
	w.Key("name").Raw(name)
	if description.Kind() == sdk.KindString {
		w.Key("description").Raw(description)
	}
	w.Key("input_schema").Raw(inputSchema(parameters))
	if on, _ := strict.Bool(); on {
		w.Key("strict").Bool(true)
	}
	writeCache(w, cache)
	w.End()
	return nil
}

// inputSchema returns a function's parameters as Anthropic demands them: the schema must say
// that it is for an object.
func inputSchema(parameters sdk.JSON) sdk.JSON {
	if parameters.Kind() != sdk.KindObject {
		return sdk.JSON(`{"type":"object","properties":{}}`)
	}
	empty := true
	for f := sdk.Object(parameters); f.Next(); empty = false {
		if string(f.Key()) == "type" {
			return parameters
		}
	}
	if empty {
		return sdk.JSON(`{"type":"object","properties":{}}`)
	}
	open := bytes.IndexByte(parameters, '{')
	return append([]byte(`{"type":"object",`), parameters[open+1:]...)
}

// writeCache writes a mark up to which the prompt is cached. OpenAI has no such mark; clients
// of Claude put Anthropic's into parts and tools.
func writeCache(w *sdk.Writer, cache sdk.JSON) {
	if cache.Kind() == sdk.KindObject {
		w.Key("cache_control").Raw(cache)
	}
}
