package plugins_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// passing runs the events of a message that passes, and writes what they state, a line each.
func passing(t *testing.T, p *sdk.Plugin, events ...string) []string {
	t.Helper()
	var lines []string
	var state []byte
	for _, data := range events {
		in := sdk.Input{State: state, Event: &sdk.Event{Op: abi.Messages, Data: sdk.JSON(data)}}
		err := p.Call(in, func(kind, at int32, payload []byte) {
			switch kind := abi.Kind(kind &^ abi.Raw); kind {
			case abi.State:
				state = bytes.Clone(payload)
			default:
				lines = append(lines, strings.TrimSpace(fmt.Sprintf("%v %d %s", kind, at, payload)))
			}
		})
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
	}
	return lines
}

// TestMessagesPassInTheSameWay, whoever has Anthropic's API: what one event says of the usage is
// remembered for the next, and a call of a tool ends an answer as such.
func TestMessagesPassInTheSameWay(t *testing.T) {
	const begin, call = `{"type":"message_start","message":{"usage":%s}}`, `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}`
	const end = `{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":%s}`
	for name, tc := range map[string]struct{ first, last, usage string }{
		"the prompt first, the answer last": {
			`{"input_tokens":3,"cache_read_input_tokens":5,"cache_creation_input_tokens":7,"output_tokens":1}`, `{"output_tokens":9}`,
			`{"prompt_tokens":15,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":7}}`,
		},
		"the prompt again, without what was cached": {
			`{"input_tokens":3,"cache_read_input_tokens":5,"output_tokens":1}`, `{"input_tokens":4,"output_tokens":9}`,
			`{"prompt_tokens":9,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":0}}`,
		},
		"thoughts":                        {`{}`, `{"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}`, `{"completion_tokens":9,"completion_tokens_details":{"reasoning_tokens":4}}`},
		"an answer that alone is counted": {`null`, `{"output_tokens":9}`, `{"completion_tokens":9}`},
		"a price":                         {`{"input_tokens":3}`, `{"output_tokens":9,"cost":0.5}`, `{"prompt_tokens":3,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"cost":0.5}`},
		"numbers that are none":           {`{"input_tokens":-1,"output_tokens":"2"}`, `{"output_tokens":9,"input_tokens":1e99}`, `{"completion_tokens":9}`},
	} {
		want := []string{"PASS 1", "USAGE 0 " + tc.usage, "PASS 0", "FINISH 0 tool_calls", "PASS 0", "END 0"}
		for _, adapter := range []string{"anthropic", "ollama", "openrouter"} {
			lines := passing(t, adapters()[adapter], fmt.Sprintf(begin, tc.first), call, fmt.Sprintf(end, tc.last), `{"type":"message_stop"}`)
			if got := lines[max(0, len(lines)-len(want)):]; !slices.Equal(got, want) {
				t.Errorf("%s, %s: got\n%s\nwant\n%s", name, adapter, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// TestEventsPassByTheirType, wherever it stands: most are not read further if they begin with it.
func TestEventsPassByTheirType(t *testing.T) {
	const usage = `"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1,"cache_write_tokens":2},"output_tokens":4,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":7,"cost":0.5}`
	const cost = `USAGE {"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":1,"cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":5},"cost":0.5}`
	for _, tc := range []struct {
		op          abi.Op
		kind, rest  string
		states, say string // what is stated; "ERROR": an error that says that
	}{
		{abi.Responses, "response.output_text.delta", `"delta":"hi"`, "PASS content", ""},
		{abi.Responses, "response.reasoning_summary_text.delta", `"delta":"hi"`, "PASS content", ""},
		{abi.Responses, "response.novel.delta", `"delta":"hi"`, "PASS content", ""},
		{abi.Responses, "response.output_text.delta.novel", `"delta":"hi"`, "PASS", ""},
		{abi.Responses, "response.created", `"response":{"status":"in_progress","error":null}`, "PASS", ""},
		{abi.Responses, "response.output_text.done", `"text":"hi"`, "PASS", ""},
		{abi.Responses, "response.novel", `"error":{"message":"in a tool"}`, "PASS", ""},
		{abi.Responses, "keepalive", `"sequence_number":1`, "PASS", ""},
		{abi.Responses, "response.output_item.added", `"output_index":0,"item":{"id":"a","type":"message"}`, "PASS", ""},
		{abi.Responses, "response.output_item.added", `"item":{"type":"reasoning"}`, "PASS", ""},
		{abi.Responses, "response.output_item.added", `"item":{"type":"function_call"}`, "PASS content", ""},
		{abi.Responses, "response.output_item.done", `"item":{"type":"message"}`, "PASS content", ""},
		{abi.Responses, "response.completed", `"response":{"status":"completed","output":[],` + usage + `}`, cost + "|PASS|FINISH stop|END", ""},
		{abi.Responses, "response.completed", `"response":{"output":[{"type":"message"},1,null,{"id":"a","type":"function_call","name":"f"}]}`, "PASS|FINISH tool_calls|END", ""},
		{abi.Responses, "response.completed", `"response":{"output":[{"type":"custom_tool_call"}],"usage":null}`, "PASS|FINISH tool_calls|END", ""},
		{abi.Responses, "response.completed", `"response":{"output":{"type":"function_call"},"usage":[1]}`, "PASS|FINISH stop|END", ""},
		{abi.Responses, "response.completed", `"sequence_number":1`, "PASS|FINISH stop|END", ""},
		{abi.Responses, "response.incomplete", `"response":{"status":"incomplete","incomplete_details":{"reason":"content_filter"}}`, "PASS|FINISH content_filter|END", ""},
		{abi.Responses, "response.incomplete", `"response":{"status":"incomplete","incomplete_details":null}`, "PASS|FINISH length|END", ""},
		{abi.Responses, "response.failed", `"response":{"status":"failed","error":{"code":"server_error","message":"it broke"},` + usage + `}`, cost + "|ERROR", "it broke"},
		{abi.Responses, "response.completed", `"response":{"error":{"code":"server_error","message":"it broke"}}`, "ERROR", "it broke"},
		{abi.Responses, "response.completed", `"response":"none"`, "ERROR", "not what its API promises"},
		{abi.Responses, "error", `"message":"it broke"`, "ERROR", "it broke"},
		{abi.Messages, "content_block_delta", `"index":0,"delta":{"type":"text_delta","text":"hi"}`, "PASS content", ""},
		{abi.Messages, "content_block_deltas", `"index":0,"delta":{"type":"text_delta","text":"hi"}`, "PASS", ""},
		{abi.Messages, "content_block_start", `"index":0,"content_block":{"type":"text","text":""}`, "PASS", ""},
		{abi.Messages, "content_block_start", `"index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}`, "PASS content", ""},
		{abi.Messages, "content_block_stop", `"index":0`, "PASS", ""},
		{abi.Messages, "ping", `"error":{}`, "PASS", ""},
		{abi.Messages, "message_delta", `"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}`, `USAGE {"completion_tokens":9}|PASS|FINISH stop`, ""},
		{abi.Messages, "message_stop", `"novel":1`, "PASS|END", ""},
		{abi.Messages, "error", `"error":{"type":"overloaded_error","message":"it broke"}`, "ERROR", "it broke"},
	} {
		for adapter, ops := range map[string][]abi.Op{"anthropic": {abi.Messages}, "openai": {abi.Responses}, "ollama": {abi.Responses, abi.Messages}, "openrouter": {abi.Responses, abi.Messages}} {
			if !slices.Contains(ops, tc.op) {
				continue
			}
			for _, e := range []sdk.Event{
				{Data: sdk.JSON(fmt.Sprintf(`{"type":%q,%s}`, tc.kind, tc.rest))},
				{Data: sdk.JSON(fmt.Sprintf(`{"type":%q,%s}`, tc.kind, tc.rest)), Name: []byte(tc.kind)},
				{Data: sdk.JSON(fmt.Sprintf(`{"type": %q, %s}`, tc.kind, tc.rest))},
				{Data: sdk.JSON(fmt.Sprintf(`{%s,"type":%q}`, tc.rest, tc.kind))},
				{Data: sdk.JSON(fmt.Sprintf(`{%s}`, tc.rest)), Name: []byte(tc.kind)},
			} {
				e.Op = tc.op
				var states []string
				err := adapters()[adapter].Call(sdk.Input{Event: &e}, func(kind, at int32, payload []byte) {
					switch k := abi.Kind(kind &^ abi.Raw); {
					case k == abi.State:
					case k == abi.Error:
						states = append(states, "ERROR")
					case k == abi.Pass && at == abi.PassContent:
						states = append(states, "PASS content")
					default:
						states = append(states, strings.TrimSpace(k.String()+" "+string(payload)))
					}
				})
				if got := strings.Join(states, "|"); got != tc.states || err != nil && !strings.Contains(err.Error(), tc.say) {
					t.Errorf("%s, event %q with %s: %s, %v, want %s %s", adapter, e.Name, e.Data, got, err, tc.states, tc.say)
				}
			}
		}
	}
}

// TestServersWithoutAnAPI: that there is no such path makes the gateway translate; who asked for
// what can't be translated learns what is missing, and its operator what to do.
func TestServersWithoutAnAPI(t *testing.T) {
	for adapter, ops := range map[string][]abi.Op{"openai": {abi.Responses}, "ollama": {abi.Responses, abi.Messages}, "openrouter": {abi.Responses, abi.Messages}} {
		for _, op := range ops {
			for status, body := range map[int]string{404: "404 page not found", 405: ""} {
				err := adapters()[adapter].Call(sdk.Input{Response: &sdk.Response{Op: op, Status: status, Body: []byte(body)}}, discard)
				e, ok := err.(*sdk.Error)
				if !ok || e.Status != 404 || e.Code != "unsupported_operation" || !e.NoRetry {
					t.Errorf("%s, %v, %d: %#v", adapter, op, status, err)
					continue
				}
				for _, part := range []string{op.String(), "base_url", "translated", "to false"} {
					if !strings.Contains(e.Message, part) {
						t.Errorf("%s, %v, %d: %s, where %q is missing", adapter, op, status, e.Message, part)
					}
				}
			}
		}
	}
}

// TestEventsThatNobodyKnows pass, whatever is in them; only an event that is an error is one.
func TestEventsThatNobodyKnows(t *testing.T) {
	for adapter, ops := range map[string][]abi.Op{"anthropic": {abi.Messages}, "openai": {abi.Responses}, "ollama": {abi.Responses, abi.Messages}, "openrouter": {abi.Responses, abi.Messages}} {
		for _, op := range ops {
			for _, tc := range []struct {
				name, data string
				passes     bool
			}{
				{"novel", `[1,2]`, true}, {"novel", `"x"`, true}, {"", `null`, true}, {"", `1`, true},
				{"mcp_status", `{"type":"mcp_status","error":{"type":"x"}}`, true}, {"mcp_status", `{"error":{"type":"x"}}`, true}, {"", `{"type":"mcp_status","error":"x"}`, true},
				{"error", `{"error":{"message":"x"}}`, false}, {"", `{"type":"error","error":{"message":"x"}}`, false}, {"", `{"error":{"message":"x"}}`, false},
				{"error", `{"type":"novel"}`, false}, {"error", `"x"`, false}, {"novel", `[1`, false}, {"novel", `x`, false}, {"novel", ``, false},
			} {
				var got []string
				in := sdk.Input{Event: &sdk.Event{Op: op, Name: []byte(tc.name), Data: sdk.JSON(tc.data)}}
				err := adapters()[adapter].Call(in, func(kind, _ int32, _ []byte) {
					if k := abi.Kind(kind &^ abi.Raw); k != abi.State {
						got = append(got, k.String())
					}
				})
				if passes := err == nil && slices.Equal(got, []string{"PASS"}); passes != tc.passes || !passes && err == nil {
					t.Errorf("%s, %v, event %q with %s: %v, %v", adapter, op, tc.name, tc.data, got, err)
				}
			}
		}
	}
}
