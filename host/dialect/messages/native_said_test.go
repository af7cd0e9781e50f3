package messages

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

// toldText shows emissions.
func toldText(ems []abi.Emission) string {
	var all []string
	for _, m := range ems {
		all = append(all, fmt.Sprintf("%v %d %t %s", m.Kind, m.Item(), m.Raw, m.Data))
	}
	return strings.Join(all, "; ")
}

func TestWhatAPassingAnswerSays(t *testing.T) {
	for data, want := range map[string]string{
		`{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a\n"}}`:                          `TEXT 0 true a\n`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}`:                   "REASONING 0 true hm",
		`{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t1","name":"f","input":{}}}`: "TOOL_ID 2 true t1; TOOL_NAME 2 true f",
		`{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}`:         `TOOL_ARGS 2 true {\"a\"`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`:                                                  "",
		`{"type":"content_block_delta","delta":{"type":"signature_delta","signature":"s"}}`:                            "",
		`{"type":"message_start","message":{"content":[]}}`:                                                            "",
		`nonsense`: "",
	} {
		if got := toldText(nativeSaid(nil, []byte(data), false)); got != want {
			t.Errorf("%s says %s, want %s", data, got, want)
		}
	}
	const whole = `{"type":"message","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"Hi"},{"type":"tool_use","id":"t1","name":"f","input":{"a":1}}],"stop_reason":"tool_use"}`
	if got, want := toldText(nativeSaid(nil, []byte(whole), true)), `REASONING 0 true hm; TEXT 0 true Hi; TOOL_ID 2 true t1; TOOL_NAME 2 true f; TOOL_ARGS 2 false {"a":1}`; got != want {
		t.Errorf("a whole answer says %s, want %s", got, want)
	}
}
