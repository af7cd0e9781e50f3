package ollama

import (
	"strconv"

	"github.com/kai-gateway/kai/plugins/internal/toolchoice"
	"github.com/kai-gateway/kai/sdk"
)

// writeTools writes the tools that tool_choice leaves. Ollama has no tool_choice itself. So a
// model that must not call a tool isn't told of it, and a model that must call a certain tool
// is told only of that one. "required" can't be enforced.
func writeTools(w *sdk.Writer, q *sdk.Chat) error {
	if it := sdk.Array(q.Functions); it.Next() {
		return refuse("functions", "functions is out of date; send the same functions as tools.")
	}
	c, err := toolchoice.Parse(q.ToolChoice)
	if err != nil {
		return err
	}
	none := c.Mode == "none" || c.Only != nil && len(c.Only) == 0
	if q.Tools == nil && c.Only == nil || none {
		return nil
	}
	w.Key("tools").Array()
	i, left := 0, 0
	for it := sdk.Array(q.Tools); it.Next(); i++ {
		tool := it.Value()
		if kind, _ := tool.Get("type").Str(); kind != "function" {
			return refuse("tools["+strconv.Itoa(i)+"].type", "Ollama knows only tools of type function.")
		}
		if name, _ := tool.Get("function").Get("name").Str(); !c.Leaves(name) {
			continue
		}
		left++
		w.Raw(tool)
	}
	w.End()
	if left < len(c.Only) {
		return toolchoice.Unknown()
	}
	return nil
}
