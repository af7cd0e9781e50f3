package gemini

import (
	"strconv"

	"github.com/kai-gateway/kai/plugins/internal/toolchoice"
	"github.com/kai-gateway/kai/sdk"
)

// writeTools writes the functions that tool_choice leaves, and whether one must be called.
// https://ai.google.dev/gemini-api/docs/function-calling
func writeTools(w *sdk.Writer, q *query) error {
	if it := sdk.Array(q.Functions); it.Next() {
		return refuse("functions", "functions is out of date; send the same functions as tools.")
	}
	c, err := toolchoice.Parse(q.ToolChoice)
	if err != nil {
		return err
	}
	declared := 0
	var builtIn []sdk.JSON
	it := sdk.Array(q.Tools)
	for i := 0; it.Next(); i++ {
		tool := it.Value()
		if kind, _ := tool.Get("type").Str(); builtInTool(kind) != "" {
			builtIn = append(builtIn, tool)
			continue
		} else if kind != "function" {
			return refuse("tools["+strconv.Itoa(i)+"].type",
				"Gemini knows tools of type function, google_search, url_context and code_execution.")
		}
		function := tool.Get("function")
		name, _ := function.Get("name").Str()
		if !c.Leaves(name) {
			continue
		}
		if declared == 0 {
			w.Key("tools").Array()
			w.Object()
			w.Key("functionDeclarations").Array()
		}
		declared++
		declare(w, function)
	}
	if declared > 0 {
		w.End()
		w.End()
	}
	if c.Only != nil || c.Mode == "none" {
		builtIn = nil
	}
	for i, tool := range builtIn {
		if i == 0 && declared == 0 {
			w.Key("tools").Array()
		}
		writeBuiltIn(w, tool)
	}
	if declared+len(builtIn) > 0 {
		w.End()
	}
	if declared < len(c.Only) {
		return toolchoice.Unknown()
	}
	mode := map[string]string{"auto": "AUTO", "none": "NONE", "required": "ANY"}[c.Mode]
	if mode == "" || declared == 0 {
		return nil
	}
	w.Key("toolConfig").Object()
	w.Key("functionCallingConfig").Object()
	w.Key("mode").String(mode)
	w.End()
	w.End()
	return nil
}

// builtInTool returns the name of one of Google's own tools in a request, or "" if the type
// isn't one. The types are those of Google's Interactions API:
// https://ai.google.dev/gemini-api/docs/interactions
func builtInTool(kind string) string {
	switch kind {
	case "google_search":
		return "googleSearch"
	case "url_context":
		return "urlContext"
	case "code_execution":
		return "codeExecution"
	}
	return ""
}

// writeBuiltIn writes one of Google's own tools, with the client's settings for it.
func writeBuiltIn(w *sdk.Writer, tool sdk.JSON) {
	kind, _ := tool.Get("type").Str()
	w.Object()
	w.Key(builtInTool(kind)).Object()
	for f := sdk.Object(tool); f.Next(); {
		if key := string(f.Key()); key != "type" {
			w.Key(key).Raw(f.Value())
		}
	}
	w.End()
	w.End()
}

// declare writes a function. Under this name, its parameters are JSON Schema, as in OpenAI's
// API. Under the older name "parameters" they are not.
func declare(w *sdk.Writer, function sdk.JSON) {
	w.Object()
	for f := sdk.Object(function); f.Next(); {
		v := f.Value()
		if v.Kind() == sdk.KindNull {
			continue
		}
		switch string(f.Key()) {
		case "name", "description":
			w.Key(string(f.Key())).Raw(v)
		case "parameters":
			w.Key("parametersJsonSchema").Raw(v)
		}
	}
	w.End()
}
