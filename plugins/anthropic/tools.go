package anthropic

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/kai-gateway/kai/sdk"
)

// choice is what tool_choice leaves to the model.
type choice struct {
	kind string   // in Anthropic's words: auto, any, tool, none; "" if not said
	name sdk.JSON // of tool: a string
	only []string // the names of the functions that are left; nil: all
}

// writeTools writes the tools and what tool_choice and parallel_tool_calls say
// of them. It reports whether the model is forced to call one.
func writeTools(w *sdk.Writer, q *query) (forced bool, err error) {
	c, err := parseChoice(q.toolChoice)
	if err != nil {
		return false, err
	}
	written, left := 0, 0
	for it, i := sdk.Array(q.tools), 0; it.Next(); i++ {
		if c.only != nil {
			name, _ := it.Value().Get("function").Get("name").Str()
			if !slices.Contains(c.only, name) {
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
	if left < len(c.only) {
		return false, refuse("tool_choice", "tool_choice names a function that is not among the tools.")
	}
	if written == 0 { // Anthropic takes no choice among none
		return false, nil
	}
	w.End()
	parallel, said := q.parallel.Bool()
	single := said && !parallel
	if c.kind == "" && !single {
		return false, nil
	}
	if c.kind == "" {
		c.kind = "auto"
	}
	w.Key("tool_choice").Object()
	w.Key("type").String(c.kind)
	if c.kind == "tool" {
		w.Key("name").Raw(c.name)
	}
	if single && c.kind != "none" {
		w.Key("disable_parallel_tool_use").Bool(true)
	}
	w.End()
	return c.kind == "any" || c.kind == "tool", nil
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

// inputSchema gives a function's parameters as Anthropic demands them: a schema
// that says that it is of an object.
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

// writeCache writes a mark up to which the prompt is cached. OpenAI has none;
// clients of Claude put Anthropic's into parts and tools.
func writeCache(w *sdk.Writer, cache sdk.JSON) {
	if cache.Kind() == sdk.KindObject {
		w.Key("cache_control").Raw(cache)
	}
}

func parseChoice(v sdk.JSON) (choice, error) {
	if v == nil {
		return choice{}, nil
	}
	kind, plain := v.Str()
	if plain {
		switch kind {
		case "auto", "none":
			return choice{kind: kind}, nil
		case "required":
			return choice{kind: "any"}, nil
		}
		return choice{}, badChoice()
	}
	switch kind, _ = v.Get("type").Str(); kind {
	case "function":
		if name := v.Get("function").Get("name"); name.Kind() == sdk.KindString {
			return choice{kind: "tool", name: name}, nil
		}
	case "allowed_tools":
		return allowed(v.Get("allowed_tools"))
	}
	return choice{}, badChoice()
}

// allowed reads a choice among some of the tools. The others are not sent.
func allowed(v sdk.JSON) (choice, error) {
	c := choice{kind: "auto", only: []string{}}
	if mode, _ := v.Get("mode").Str(); mode == "required" {
		c.kind = "any"
	}
	for it := sdk.Array(v.Get("tools")); it.Next(); {
		name, ok := it.Value().Get("function").Get("name").Str()
		if !ok {
			return choice{}, badChoice()
		}
		if !slices.Contains(c.only, name) {
			c.only = append(c.only, name)
		}
	}
	return c, nil
}

func badChoice() *sdk.Error {
	return refuse("tool_choice", `tool_choice must be "none", "auto", "required" or name functions among the tools.`)
}
