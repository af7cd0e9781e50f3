package responses

import (
	"fmt"
	"strings"
	"testing"
)

func TestWhatAPassingAnswerSays(t *testing.T) {
	says := func(data string, whole bool) string {
		var all []string
		for _, m := range nativeSaid(nil, []byte(data), whole) {
			all = append(all, fmt.Sprintf("%v %d %s", m.Kind, m.Item(), m.Data))
		}
		return strings.Join(all, "; ")
	}
	for data, want := range map[string]string{
		`{"type":"response.output_text.delta","output_index":1,"delta":"a\n"}`:                                                   `TEXT 0 a\n`,
		`{"type":"response.reasoning_summary_text.delta","output_index":0,"delta":"hm"}`:                                         "REASONING 0 hm",
		`{"type":"response.output_item.added","output_index":2,"item":{"type":"function_call","call_id":"c","name":"f"}}`:        "TOOL_ID 2 c; TOOL_NAME 2 f",
		`{"type":"response.function_call_arguments.delta","output_index":2,"delta":"{}"}`:                                        "TOOL_ARGS 2 {}",
		`{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"text":"a"}]}]}}`: "",
		`{"type":"response.created","response":{"status":"in_progress"}}`:                                                        "",
		`{"type":"response.output_item.added","output_index":2,"item":{"type":"message"}}`:                                       "",
		`nonsense`: "",
	} {
		if got := says(data, false); got != want {
			t.Errorf("%s says %s, want %s", data, got, want)
		}
	}
	const whole = `{"status":"completed","output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},{"type":"message","content":[{"type":"output_text","text":"Hi"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]}`
	if got, want := says(whole, true), "REASONING 0 hm; TEXT 0 Hi; TOOL_ID 2 c; TOOL_NAME 2 f; TOOL_ARGS 2 {}"; got != want {
		t.Errorf("a whole answer says %s, want %s", got, want)
	}
}
