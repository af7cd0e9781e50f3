package responses

import (
	"testing"

	"github.com/kai-gateway/kai/host/fault"
)

// TestFaultsNameTheClientsPlaces: adapters and providers see the chat completion only.
func TestFaultsNameTheClientsPlaces(t *testing.T) {
	const request = `{"instructions":"i","text":{"verbosity":"low"},
		"tools":[{"type":"web_search"},{"type":"function","name":"f"},{"type":"namespace","name":"n","tools":[{"type":"function","name":"g"}]}],
		"input":[
			{"role":"developer","content":"d"},
			{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"https://x/y"},{"type":"input_file","file_url":"https://x/z"}]},
			{"type":"additional_tools","tools":[{"type":"function","name":"h"}]},
			{"type":"reasoning","summary":[]},
			{"role":"assistant","content":"t"},
			{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
			{"type":"function_call","call_id":"d","name":"f","arguments":"{}"},
			{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"https://x/y"}]},
			{"type":"function_call_output","call_id":"d","output":"x"},
			{"role":"developer","content":"e"},
			{"type":"agent_message","content":[{"type":"input_text","text":"m"}]}]}`
	r, refused := parsed(Options{}, request)
	if refused != nil {
		t.Fatal(refused)
	}
	for param, want := range map[string]string{
		"messages[0].content":                          "instructions",
		"messages[1]":                                  "input[1]",
		"messages[1].content[0].text":                  "input[1].content[0].text",
		"messages[1].content[1].image_url.url":         "input[1].content[1].image_url",
		"messages[1].content[2].file.file_data":        "input[1].content[2].file_data",
		"messages[1].content[2].file.filename":         "input[1].content[2]",
		"messages[1].role":                             "input[1].role",
		"messages[2]":                                  "input[3]",
		"messages[2].content":                          "input[3]",
		"messages[2].tool_calls[0].function.arguments": "input[5].arguments",
		"messages[2].tool_calls[1].function.name":      "input[6].name",
		"messages[2].tool_calls[1].id":                 "input[6].call_id",
		"messages[2].tool_calls[1]":                    "input[6]",
		"messages[2].tool_calls[7].id":                 "input[3]",
		"messages[3].tool_call_id":                     "input[7].call_id",
		"messages[3].content":                          "input[7].output",
		"messages[4].content":                          "input[8].output",
		"messages[5].content[1].image_url":             "input[7].output",
		"messages[6].content":                          "input[9].content",
		"messages[7].content":                          "input[10]",
		"messages[8].content":                          "messages[8].content",
		"messages":                                     "input",
		"tools[0].type":                                "tools[1].type",
		"tools[0].function.name":                       "tools[1].name",
		"tools[1].function.parameters.properties":      "tools[2].tools[0].parameters.properties",
		"tools[2].function.name":                       "input[2].tools[0].name",
		"tools[3]":                                     "tools[3]",
		"max_completion_tokens":                        "max_output_tokens",
		"max_tokens":                                   "max_output_tokens",
		"reasoning_effort":                             "reasoning.effort",
		"verbosity":                                    "text.verbosity",
		"response_format.json_schema.schema":           "text.format.schema",
		"response_format":                              "text.format",
		"logprobs":                                     "top_logprobs",
		"temperature":                                  "temperature",
		"tool_choice":                                  "tool_choice",
		"":                                             "",
		"messages[99999999999999999999].content":       "messages[99999999999999999999].content",
	} {
		e := &fault.Error{Kind: fault.Refused, Param: param, Text: param + ": is wrong, see " + param, OwnStatus: 422}
		got := r.Fault(e)
		text := want + ": is wrong, see " + want
		if param == "messages" || param == "logprobs" { // which are words, too
			text = want + ": is wrong, see " + param
		}
		if got.Param != want || got.Text != text || got.Kind != e.Kind || got.OwnStatus != e.OwnStatus {
			t.Errorf("%q becomes %q, %q, want %q, %q", param, got.Param, got.Text, want, text)
		}
		if e.Param != param {
			t.Errorf("the error itself is changed to %q", e.Param)
		}
	}
}

// TestFaultsOfStrings: an input that is a string has no parts.
func TestFaultsOfStrings(t *testing.T) {
	r, refused := parsed(Options{}, `{"input":"x"}`)
	if refused != nil {
		t.Fatal(refused)
	}
	if got := r.Fault(&fault.Error{Param: "messages[0].content", Text: "messages[0].content: too long"}); got.Param != "input" || got.Text != "input: too long" {
		t.Errorf("it becomes %q, %q", got.Param, got.Text)
	}
}
