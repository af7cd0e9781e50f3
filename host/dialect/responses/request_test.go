package responses

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect/seal"
)

// messages returns what the chat completion's messages are, for inputs without settings.
func messagesOf(t *testing.T, input string) string {
	t.Helper()
	body := chatBody(t, Options{}, `{"model":"m","input":`+input+`}`)
	rest, ok := strings.CutPrefix(body, `{"model":"m","messages":`)
	if !ok {
		t.Fatalf("the chat completion is %s", body)
	}
	return strings.TrimSuffix(rest, "}")
}

// TestExample is a request with a little of everything.
func TestExample(t *testing.T) {
	sealed := seal.Seal(seal.Content{Details: raws(`{"type":"reasoning.text","text":"Look it up.","signature":"S","format":"anthropic-claude-v1","index":0}`)})
	got := chatBody(t, Options{}, `{"model":"claude","instructions":"Be brief","tools":[{"type":"namespace","name":"mcp__words","description":"","tools":[{"type":"function","name":"lookup","parameters":{"type":"object"}}]},{"type":"web_search"}],
 "tool_choice":"auto","store":false,"max_output_tokens":500,"reasoning":{"effort":"low"},"input":[
 {"role":"user","content":"What is a kai?"},
 {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"Look it up."}],"encrypted_content":"`+sealed+`"},
 {"type":"message","role":"assistant","content":[{"type":"output_text","text":"One moment.","annotations":[]}]},
 {"type":"function_call","call_id":"toolu_1","name":"lookup","namespace":"mcp__words","arguments":"{\"word\":\"kai\"}"},
 {"type":"function_call_output","call_id":"toolu_1","output":[{"type":"input_text","text":"a quay"},{"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"original"}]}]}`)
	want := `{"model":"claude","max_completion_tokens":500,"reasoning_effort":"low","tools":[{"type":"function","function":{"name":"mcp__words__lookup","parameters":{"type":"object"}}}],"tool_choice":"auto","messages":[` +
		`{"role":"system","content":"Be brief"},{"role":"user","content":"What is a kai?"},` +
		`{"role":"assistant","content":"One moment.","reasoning_content":"Look it up.","reasoning":"Look it up.","reasoning_details":[{"type":"reasoning.text","text":"Look it up.","signature":"S","format":"anthropic-claude-v1","index":0}],` +
		`"tool_calls":[{"id":"toolu_1","type":"function","function":{"name":"mcp__words__lookup","arguments":"{\"word\":\"kai\"}"}}]},` +
		`{"role":"tool","tool_call_id":"toolu_1","content":"a quay"},` +
		`{"role":"user","content":[{"type":"text","text":"[attachments of the result of call toolu_1]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"high"}}]}]}`
	if got != want {
		t.Errorf("the chat completion is\n%s\nwant\n%s", got, want)
	}
}

// TestSettings: what the fields beside input and tools become.
func TestSettings(t *testing.T) {
	const messages = `"messages":[{"role":"user","content":"Hi"}]}`
	for name, tc := range map[string]struct{ fields, want string }{
		"none":      {``, `{` + messages},
		"stream":    {`"stream":true,`, `{"stream":true,` + messages},
		"no stream": {`"stream":false,"stream_options":{"include_obfuscation":false},`, `{` + messages},
		"effort, verbosity, tokens": {
			`"model":"m","reasoning":{"effort":"high","summary":"auto"},"text":{"verbosity":"low"},"max_output_tokens":99,`,
			`{"model":"m","max_completion_tokens":99,"reasoning_effort":"high","verbosity":"low",` + messages,
		},
		"any effort":      {`"reasoning":{"effort":"ultra"},`, `{"reasoning_effort":"ultra",` + messages},
		"no effort":       {`"reasoning":{"summary":"auto","effort":null},`, `{` + messages},
		"never forwarded": {`"store":false,"metadata":{"a":"b"},"include":["reasoning.encrypted_content"],"client_metadata":{"x":1},"truncation":"auto","context_management":[{"type":"compaction"}],"max_tool_calls":3,"unknown":{},`, `{` + messages},
		"null is absent":  {`"model":null,"tools":null,"instructions":null,"text":null,"reasoning":null,"conversation":null,"prompt":null,"background":null,"store":null,"metadata":null,"max_output_tokens":null,"previous_response_id":null,"temperature":null,`, `{` + messages},
		"no background":   {`"background":false,`, `{` + messages},
		"the same in chat": {
			`"user":"u","safety_identifier":"s","prompt_cache_key":"k","prompt_cache_retention":"24h","prompt_cache_options":{"a":1},"service_tier":"flex","temperature":0.5,"top_p":0.9,"seed":1,"stop":["x"],"presence_penalty":1,"frequency_penalty":-1,"logit_bias":{"1":1},"top_k":4,`,
			`{"temperature":0.5,"top_p":0.9,"presence_penalty":1,"frequency_penalty":-1,"logit_bias":{"1":1},"stop":["x"],"seed":1,"top_k":4,"user":"u","safety_identifier":"s","prompt_cache_key":"k","prompt_cache_retention":"24h","prompt_cache_options":{"a":1},"service_tier":"flex",` + messages,
		},
		"top_logprobs":           {`"top_logprobs":3,`, `{"logprobs":true,"top_logprobs":3,` + messages},
		"no top_logprobs":        {`"top_logprobs":0,`, `{` + messages},
		"logprobs":               {`"include":["message.output_text.logprobs"],"top_logprobs":0,`, `{"logprobs":true,` + messages},
		"text":                   {`"text":{"format":{"type":"text"}},`, `{` + messages},
		"any JSON":               {`"text":{"format":{"type":"json_object"}},`, `{"response_format":{"type":"json_object"},` + messages},
		"structured output":      {`"text":{"format":{"type":"json_schema","strict":true,"schema":{"type":"object"},"name":"n","description":"d"}},`, `{"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","schema":{"type":"object"},"strict":true}},` + messages},
		"structured, not strict": {`"text":{"format":{"type":"json_schema","strict":null,"schema":{},"name":"n"}},`, `{"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}},` + messages},
	} {
		t.Run(name, func(t *testing.T) {
			if got := chatBody(t, Options{}, `{`+tc.fields+`"input":"Hi"}`); strings.Replace(got, `"model":"",`, "", 1) != tc.want {
				t.Errorf("the chat completion is\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// TestInput: what items become.
func TestInput(t *testing.T) {
	const call = `{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}`
	const called = `{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	thinking := seal.Seal(seal.Content{Details: raws(`{"a":1}`, `{"b":2}`)})
	more := seal.Seal(seal.Content{Details: raws(`{"c":3}`)})
	for name, tc := range map[string]struct{ input, want string }{
		"a string":                     {`"Hi"`, `[{"role":"user","content":"Hi"}]`},
		"an empty string":              {`""`, `[{"role":"user","content":""}]`},
		"a message without a type":     {`[{"role":"user","content":"Hi"}]`, `[{"role":"user","content":"Hi"}]`},
		"a message with everything":    {`[{"type":"message","id":"msg_1","status":"completed","role":"user","content":"Hi","internal_chat_message_metadata_passthrough":{}}]`, `[{"role":"user","content":"Hi"}]`},
		"one text in a list":           {`[{"role":"user","content":[{"type":"input_text","text":"Hi"}]}]`, `[{"role":"user","content":"Hi"}]`},
		"no part":                      {`[{"role":"user","content":[]}]`, `[{"role":"user","content":""}]`},
		"several texts":                {`[{"role":"user","content":[{"type":"input_text","text":"Hi"},{"type":"text","text":"you"}]}]`, `[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"text","text":"you"}]}]`},
		"a breakpoint of the cache":    {`[{"role":"user","content":[{"type":"input_text","text":"Hi","prompt_cache_breakpoint":{"type":"x"}}]}]`, `[{"role":"user","content":[{"type":"text","text":"Hi","prompt_cache_breakpoint":{"type":"x"}}]}]`},
		"escapes stay as they are":     {`[{"role":"user","content":"\u00e9 \" \ud83d\ude00 é"}]`, `[{"role":"user","content":"\u00e9 \" \ud83d\ude00 é"}]`},
		"half a character":             {`[{"role":"user","content":"\ud83d"}]`, `[{"role":"user","content":"\ufffd"}]`},
		"keys in escapes":              {`[{"r\u006fle":"user","content":"Hi"}]`, `[{"role":"user","content":"Hi"}]`},
		"an image":                     {`[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"original"},{"type":"input_image","image_url":"https://x/y.png","detail":"low","file_id":null},{"type":"input_image","image_url":"https://x/z.png"}]}]`, `[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"high"}},{"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}},{"type":"image_url","image_url":{"url":"https://x/z.png"}}]}]`},
		"files":                        {`[{"role":"user","content":[{"type":"input_file","file_data":"data:application/pdf;base64,AAAA","filename":"a.pdf"},{"type":"input_file","file_url":"https://x/y.pdf"}]}]`, `[{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,AAAA","filename":"a.pdf"}},{"type":"file","file":{"file_data":"https://x/y.pdf"}}]}]`},
		"a sound":                      {`[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]`, `[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]`},
		"instructions merge":           {`[{"role":"system","content":"a"},{"type":"message","role":"developer","content":[{"type":"input_text","text":"b"},{"type":"input_text","text":"c"}]},{"role":"developer","content":"d"},{"role":"user","content":"Hi"}]`, `[{"role":"system","content":"a\n\nb\nc\n\nd"},{"role":"user","content":"Hi"}]`},
		"developers stay developers":   {`[{"role":"developer","content":"a"},{"type":"additional_tools","role":"developer","tools":[]},{"role":"developer","content":"b"},{"role":"user","content":"Hi"}]`, `[{"role":"developer","content":"a\n\nb"},{"role":"user","content":"Hi"}]`},
		"empty instructions":           {`[{"role":"developer","content":""},{"role":"user","content":"Hi"}]`, `[{"role":"user","content":"Hi"}]`},
		"instructions alone":           {`[{"role":"developer","content":"a"}]`, `[{"role":"developer","content":"a"}]`},
		"a late developer":             {`[{"role":"user","content":"Hi"},{"role":"assistant","content":"Ho"},{"role":"developer","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},{"role":"user","content":"x"}]`, `[{"role":"user","content":"Hi"},{"role":"assistant","content":"Ho"},{"role":"developer","content":"a\nb"},{"role":"user","content":"x"}]`},
		"assistants in all forms":      {`[{"role":"user","content":"Hi"},{"role":"assistant","content":"a"},{"type":"message","id":"msg_1","role":"assistant","status":"completed","phase":"commentary","content":[{"type":"output_text","text":"b","annotations":[],"logprobs":[]},{"type":"output_text","text":"c"},{"type":"refusal","refusal":"d"}]}]`, `[{"role":"user","content":"Hi"},{"role":"assistant","content":"a\n\nbcd"}]`},
		"an assistant without a word":  {`[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"output_text","text":""}]},{"role":"user","content":"x"}]`, `[{"role":"user","content":"Hi"},{"role":"user","content":"x"}]`},
		"a run is one message":         {`[{"role":"user","content":"Hi"},{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}],"content":null,"encrypted_content":"` + thinking + `"},{"role":"assistant","content":"t"},` + call + `,` + strings.Replace(call, `"c"`, `"d"`, 1) + `,{"type":"reasoning","summary":[],"encrypted_content":"` + more + `"},{"type":"function_call_output","call_id":"d","output":"2"},{"type":"function_call_output","call_id":"c","output":"1"}]`, `[{"role":"user","content":"Hi"},{"role":"assistant","content":"t","reasoning_content":"s","reasoning":"s","reasoning_details":[{"a":1},{"b":2},{"c":3}],"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"d","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"d","content":"2"},{"role":"tool","tool_call_id":"c","content":"1"}]`},
		"reasoning before the output":  {`[` + call + `,{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}]},{"type":"function_call_output","call_id":"c","output":"1"}]`, `[{"role":"assistant","content":null,"reasoning_content":"s","reasoning":"s","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"1"}]`},
		"reasoning between outputs":    {`[` + call + `,` + strings.Replace(call, `"c"`, `"d"`, 1) + `,{"type":"function_call_output","call_id":"c","output":"1"},{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}]},{"type":"function_call_output","call_id":"d","output":"2"},{"role":"assistant","content":"t"}]`, `[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"d","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"1"},{"role":"tool","tool_call_id":"d","content":"2"},{"role":"assistant","content":"t","reasoning_content":"s","reasoning":"s"}]`},
		"reasoning alone":              {`[{"role":"user","content":"Hi"},{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}]},{"role":"user","content":"x"}]`, `[{"role":"user","content":"Hi"},{"role":"user","content":"x"}]`},
		"sealed reasoning alone":       {`[{"role":"user","content":"Hi"},{"type":"reasoning","summary":[],"encrypted_content":"` + more + `"},{"role":"user","content":"x"}]`, `[{"role":"user","content":"Hi"},{"role":"assistant","content":null,"reasoning_details":[{"c":3}]},{"role":"user","content":"x"}]`},
		"several summaries":            {`[{"type":"reasoning","summary":[{"type":"summary_text","text":"a"},{"type":"summary_text","text":"b"}]},{"type":"reasoning","summary":[{"type":"summary_text","text":"c"}]},{"role":"assistant","content":"t"}]`, `[{"role":"assistant","content":"t","reasoning_content":"a\n\nb\n\nc","reasoning":"a\n\nb\n\nc"}]`},
		"reasoning as it was":          {`[{"type":"reasoning","summary":[{"type":"summary_text","text":"short"}],"content":[{"type":"reasoning_text","text":"long"}]},{"role":"assistant","content":"t"}]`, `[{"role":"assistant","content":"t","reasoning_content":"long","reasoning":"long"}]`},
		"foreign sealed content":       {`[{"type":"reasoning","summary":[],"encrypted_content":"gAAAA"},{"type":"reasoning","summary":[],"encrypted_content":"kai1.%%%"},{"type":"reasoning","summary":[],"encrypted_content":null},{"role":"assistant","content":"t"}]`, `[{"role":"assistant","content":"t"}]`},
		"a signature of a call":        {`[{"type":"reasoning","summary":[],"encrypted_content":"` + seal.Seal(seal.Content{Calls: map[string]json.RawMessage{"c": json.RawMessage(`{"extra_content":{"g":1}}`)}}) + `"},` + call + `]`, `[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"g":1}}]}]`},
		"a signature of a text":        {`[{"role":"assistant","content":"t"},{"type":"reasoning","summary":[],"encrypted_content":"` + seal.Seal(seal.Content{Message: json.RawMessage(`{"extra_content":{"g":1}}`)}) + `"}]`, `[{"role":"assistant","content":"t","extra_content":{"g":1}}]`},
		"images in outputs":            {`[` + call + `,` + strings.Replace(call, `"c"`, `"d"`, 1) + `,{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"data:image/png;base64,AAAA"},{"type":"input_text","text":"b"}]},{"type":"function_call_output","call_id":"d","output":[{"type":"input_file","file_data":"data:application/pdf;base64,AAAA"}]},{"role":"user","content":"x"}]`, `[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"d","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"a\nb"},{"role":"tool","tool_call_id":"d","content":"[The result is attached below.]"},{"role":"user","content":[{"type":"text","text":"[attachments of the result of call c]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"text","text":"[attachments of the result of call d]"},{"type":"file","file":{"file_data":"data:application/pdf;base64,AAAA"}}]},{"role":"user","content":"x"}]`},
		"an image, then the assistant": {`[` + call + `,{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"https://x/y"}]},{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}]},{"role":"assistant","content":"t"}]`, `[` + called + `,{"role":"tool","tool_call_id":"c","content":"[The result is attached below.]"},{"role":"user","content":[{"type":"text","text":"[attachments of the result of call c]"},{"type":"image_url","image_url":{"url":"https://x/y"}}]},{"role":"assistant","content":"t","reasoning_content":"s","reasoning":"s"}]`},
		"broken arguments":             {`[{"type":"function_call","call_id":"c","name":"f","arguments":"{\"a\": \"b"},{"type":"function_call","call_id":"d","name":"f","arguments":""},{"type":"function_call","call_id":"e","name":"f","arguments":"[1]"},{"type":"function_call","call_id":"g","name":"f","arguments":" \n"},{"type":"function_call","call_id":"h","name":"f","arguments":{"a":"\""}}]`, `[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"_invalid_arguments\":\"{\\\"a\\\": \\\"b\"}"}},{"id":"d","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"e","type":"function","function":{"name":"f","arguments":"{\"_invalid_arguments\":\"[1]\"}"}},{"id":"g","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"h","type":"function","function":{"name":"f","arguments":"{\"a\":\"\\\"\"}"}}]}]`},
		"a custom tool":                {`[{"type":"custom_tool_call","call_id":"c","name":"exec","namespace":"functions","input":"text(\"a\\n\")\n"},{"type":"custom_tool_call_output","call_id":"c","output":[{"type":"input_text","text":"a\n"},{"type":"input_text","text":"b"}]}]`, `[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"exec","arguments":"{\"input\":\"text(\\\"a\\\\n\\\")\\n\"}"}}]},{"role":"tool","tool_call_id":"c","content":"a\n\nb"}]`},
		"a namespace":                  {`[{"type":"function_call","call_id":"c","name":"lookup","namespace":"mcp__words","arguments":"{}"}]`, `[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"mcp__words__lookup","arguments":"{}"}}]}]`},
		"a local shell":                {`[{"type":"local_shell_call","id":"lsh_1","call_id":"c","status":"completed","action":{"type":"exec","command":["ls","-l"],"env":{},"timeout_ms":null}},{"type":"local_shell_call_output","id":"lsh_1","output":"{\"output\":\"a\"}"},{"type":"local_shell_call_output","call_id":"c","output":"b"}]`, `[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"local_shell","arguments":"{\"command\":[\"ls\",\"-l\"],\"env\":{}}"}}]},{"role":"tool","tool_call_id":"c","content":"{\"output\":\"a\"}"},{"role":"tool","tool_call_id":"c","content":"b"}]`},
		"a shell":                      {`[{"type":"shell_call","call_id":"c","action":{"commands":["ls"],"timeout_ms":100}},{"type":"shell_call_output","call_id":"c","output":[{"stdout":"a","stderr":"","outcome":{"type":"exit","exit_code":0}}]}]`, `[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"shell","arguments":"{\"commands\":[\"ls\"],\"timeout_ms\":100}"}}]},{"role":"tool","tool_call_id":"c","content":"[{\"stdout\":\"a\",\"stderr\":\"\",\"outcome\":{\"type\":\"exit\",\"exit_code\":0}}]"}]`},
		"a patch":                      {`[{"type":"apply_patch_call","call_id":"c","status":"completed","operation":{"type":"update_file","path":"a","diff":"@@\n-b"}},{"type":"apply_patch_call_output","call_id":"c","status":"failed","output":"no \"a\""}]`, `[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"apply_patch","arguments":"{\"type\":\"update_file\",\"path\":\"a\",\"diff\":\"@@\\n-b\"}"}}]},{"role":"tool","tool_call_id":"c","content":"failed: no \"a\""}]`},
		"traces of hosted tools":       {`[{"role":"user","content":"Hi"},{"role":"assistant","content":"a"},{"type":"web_search_call","id":"ws_1"},{"type":"file_search_call"},{"type":"image_generation_call"},{"type":"code_interpreter_call"},{"type":"mcp_list_tools"},{"type":"configuration_update"},{"type":"context_compaction"},{"type":"tool_search_call","execution":"server","call_id":null,"arguments":{}},{"type":"tool_search_output","execution":"server","call_id":null,"tools":[]},{"role":"assistant","content":"b"}]`, `[{"role":"user","content":"Hi"},{"role":"assistant","content":"a\n\nb"}]`},
		"an agent's message":           {`[{"type":"agent_message","author":"/root","recipient":"/root/sub","content":[{"type":"input_text","text":"Payload:\n"},{"type":"encrypted_content","encrypted_content":"do a thing"}]}]`, `[{"role":"user","content":"Payload:\ndo a thing"}]`},
		"a compaction":                 {`[{"role":"user","content":"Hi"},{"type":"compaction","id":"cmp_1","encrypted_content":"` + sealSummary([]byte(`We \"did\" it.`)) + `"},{"type":"compaction","encrypted_content":"SUMMARY-BLOB"},{"role":"user","content":"x"}]`, `[{"role":"user","content":"Hi"},{"role":"user","content":"Summary of the conversation so far:\nWe \"did\" it."},{"role":"user","content":"x"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := messagesOf(t, tc.input); got != tc.want {
				t.Errorf("the messages are\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// TestInstructions: the field comes first, as a system message.
func TestInstructions(t *testing.T) {
	for name, tc := range map[string]struct{ request, want string }{
		"merged":      {`"instructions":"i","input":[{"role":"system","content":"s"},{"role":"developer","content":"d"},{"role":"developer","content":"e"},{"role":"user","content":"Hi"}]`, `{"role":"system","content":"i\n\ns\n\nd\n\ne"},{"role":"user","content":"Hi"}`},
		"alone":       {`"instructions":"i"`, `{"role":"system","content":"i"}`},
		"empty":       {`"instructions":"","input":[{"role":"developer","content":"d"},{"role":"user","content":"Hi"}]`, `{"role":"developer","content":"d"},{"role":"user","content":"Hi"}`},
		"empty input": {`"instructions":"i","input":[]`, `{"role":"system","content":"i"}`},
	} {
		t.Run(name, func(t *testing.T) {
			want := `{"model":"m","messages":[` + tc.want + `]}`
			if got := chatBody(t, Options{}, `{"model":"m",`+tc.request+`}`); got != want {
				t.Errorf("the chat completion is\n%s\nwant\n%s", got, want)
			}
		})
	}
}
