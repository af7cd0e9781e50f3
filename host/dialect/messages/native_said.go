package messages

import (
	"encoding/json"

	"github.com/kai-gateway/kai/sdk/abi"
)

// saidContent is what a block of an answer says.
type saidContent struct {
	Text     json.RawMessage
	Thinking json.RawMessage
	ID, Name json.RawMessage
	Input    json.RawMessage // an object
}

// nativeSaid returns what the assistant says in an event, or in a whole answer, that passes.
func nativeSaid(_, data []byte, whole bool) (ems []abi.Emission) {
	var e struct {
		Type  string
		Index int
		Block saidContent `json:"content_block"`
		Delta struct {
			Text, Thinking json.RawMessage
			Input          json.RawMessage `json:"partial_json"`
		}
		Content []saidContent
	}
	if json.Unmarshal(data, &e) != nil {
		return nil
	}
	say := func(kind abi.Kind, item int, literal json.RawMessage) {
		if n := len(literal); n > 2 && literal[0] == '"' {
			ems = append(ems, abi.Emission{Kind: kind, At: abi.At(0, item), Data: literal[1 : n-1], Raw: true})
		}
	}
	block := func(i int, b *saidContent) {
		say(abi.Text, 0, b.Text)
		say(abi.Reasoning, 0, b.Thinking)
		if b.Name != nil {
			say(abi.ToolID, i, b.ID)
			say(abi.ToolName, i, b.Name)
		}
	}
	switch {
	case whole:
		for i := range e.Content {
			b := &e.Content[i]
			if block(i, b); b.Name != nil && len(b.Input) > 0 {
				ems = append(ems, abi.Emission{Kind: abi.ToolArgs, At: abi.At(0, i), Data: b.Input})
			}
		}
	case e.Type == "content_block_start":
		block(e.Index, &e.Block)
	case e.Type == "content_block_delta":
		say(abi.Text, 0, e.Delta.Text)
		say(abi.Reasoning, 0, e.Delta.Thinking)
		say(abi.ToolArgs, e.Index, e.Delta.Input)
	}
	return ems
}
