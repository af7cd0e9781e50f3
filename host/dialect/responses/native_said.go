package responses

import (
	"encoding/json"
	"strings"

	"github.com/kai-gateway/kai/sdk/abi"
)

// saidItem is what an item of an answer says.
type saidItem struct {
	Type      string
	CallID    json.RawMessage `json:"call_id"`
	Name      json.RawMessage
	Arguments json.RawMessage // of a function's call
	Input     json.RawMessage // of a custom tool's call
	Content   []struct{ Text, Refusal json.RawMessage }
	Summary   []struct{ Text json.RawMessage }
}

// saidKinds are the events that have a piece of a text in their delta.
var saidKinds = map[string]abi.Kind{
	"response.output_text.delta": abi.Text, "response.refusal.delta": abi.Text,
	"response.reasoning_text.delta": abi.Reasoning, "response.reasoning_summary_text.delta": abi.Reasoning,
	"response.function_call_arguments.delta": abi.ToolArgs, "response.custom_tool_call_input.delta": abi.ToolArgs,
}

// nativeSaid returns what the assistant says in an event, or in a whole answer, that passes.
func nativeSaid(_, data []byte, whole bool) (ems []abi.Emission) {
	var e struct {
		Type   string
		Index  int `json:"output_index"`
		Delta  json.RawMessage
		Item   saidItem
		Output []saidItem
	}
	if json.Unmarshal(data, &e) != nil {
		return nil
	}
	say := func(kind abi.Kind, item int, literal json.RawMessage) {
		if n := len(literal); n > 2 && literal[0] == '"' {
			ems = append(ems, abi.Emission{Kind: kind, At: abi.At(0, item), Data: literal[1 : n-1], Raw: true})
		}
	}
	call := func(i int, item *saidItem) {
		if strings.HasSuffix(item.Type, "_call") && item.Name != nil {
			say(abi.ToolID, i, item.CallID)
			say(abi.ToolName, i, item.Name)
		}
	}
	switch kind := saidKinds[e.Type]; {
	case whole:
		for i := range e.Output {
			item := &e.Output[i]
			call(i, item)
			say(abi.ToolArgs, i, item.Arguments)
			say(abi.ToolArgs, i, item.Input)
			for _, part := range item.Content {
				say(abi.Text, 0, part.Text)
				say(abi.Text, 0, part.Refusal)
			}
			for _, part := range item.Summary {
				say(abi.Reasoning, 0, part.Text)
			}
		}
	case kind == abi.ToolArgs:
		say(kind, e.Index, e.Delta)
	case kind != 0:
		say(kind, 0, e.Delta)
	case e.Type == "response.output_item.added":
		call(e.Index, &e.Item)
	}
	return ems
}
