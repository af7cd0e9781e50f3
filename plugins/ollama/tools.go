package ollama

import (
	"slices"
	"strconv"

	"github.com/kai-gateway/kai/sdk"
)

// choice is what tool_choice leaves to the model.
type choice struct {
	none bool
	only []string // the names of the functions that are left; nil: all
}

// writeTools writes the tools that tool_choice leaves. Ollama has no
// tool_choice of its own: a model that must not call a tool is not told of it,
// one that must call a certain tool is told of that one only, and "required"
// can only be asked for, not enforced.
func writeTools(w *sdk.Writer, q *query) error {
	if it := sdk.Array(q.functions); it.Next() {
		return refuse("functions", "functions is out of date; send the same functions as tools.")
	}
	c, err := parseChoice(q.toolChoice)
	if err != nil {
		return err
	}
	if q.tools == nil && c.only == nil || c.none {
		return nil
	}
	w.Key("tools").Array()
	i, left := 0, 0
	for it := sdk.Array(q.tools); it.Next(); i++ {
		tool := it.Value()
		if kind, _ := tool.Get("type").Str(); kind != "function" {
			return refuse("tools["+strconv.Itoa(i)+"].type", "Ollama knows only tools of type function.")
		}
		if c.only != nil {
			name, _ := tool.Get("function").Get("name").Str()
			if !slices.Contains(c.only, name) {
				continue
			}
			left++
		}
		w.Raw(tool)
	}
	w.End()
	if left < len(c.only) {
		return refuse("tool_choice", "tool_choice names a function that is not among the tools.")
	}
	return nil
}

func parseChoice(v sdk.JSON) (choice, error) {
	kind, plain := v.Str()
	if !plain {
		if v == nil {
			return choice{}, nil
		}
		kind, _ = v.Get("type").Str()
	}
	switch {
	case plain && kind == "none":
		return choice{none: true}, nil
	case plain && (kind == "auto" || kind == "required"):
		return choice{}, nil
	case !plain && kind == "function":
		if name, ok := v.Get("function").Get("name").Str(); ok {
			return choice{only: []string{name}}, nil
		}
	case !plain && kind == "allowed_tools":
		only := []string{}
		for it := sdk.Array(v.Get("allowed_tools").Get("tools")); it.Next(); {
			name, ok := it.Value().Get("function").Get("name").Str()
			if !ok {
				return choice{}, badChoice()
			}
			if !slices.Contains(only, name) {
				only = append(only, name)
			}
		}
		return choice{only: only, none: len(only) == 0}, nil
	}
	return choice{}, badChoice()
}

func badChoice() *sdk.Error {
	return refuse("tool_choice", `tool_choice must be "none", "auto", "required" or name functions among the tools.`)
}
