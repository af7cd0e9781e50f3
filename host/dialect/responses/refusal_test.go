package responses

import (
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect/seal"
)

// TestRefusals: each names the place in the client's request and what would be right.
func TestRefusals(t *testing.T) {
	const up = "unsupported_parameter"
	const hi = `"input":"Hi"`
	const call = `{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}`
	item := func(one string) string { return `{"input":[{"role":"user","content":"x"},` + one + `]}` }
	part := func(one string) string {
		return item(`{"role":"user","content":[{"type":"input_text","text":"y"},` + one + `]}`)
	}
	tool := func(one string) string { return `{` + hi + `,"tools":[` + one + `]}` }
	for name, tc := range map[string]struct {
		body, param, code, text string
		status                  int // 0: 400
	}{
		"no JSON":              {body: `{`, text: "the request body is not valid JSON: line 1, column 2: the body ends here; expected a key in double quotes"},
		"nothing":              {body: ``, text: "the request body is empty: send a JSON object with the field input"},
		"a field twice":        {body: `{"model":"a","model":"b"}`, param: "model", text: "model: line 1, column 14: a second field of the same name at the top level, whatever the case of its letters: send each field once"},
		"a field's other name": {body: `{"Input":"a"}`, param: "Input", text: "Input: line 1, column 2: some servers read this field as input: send it as input or leave it out"},
		"too deep":             {body: `{"input":` + strings.Repeat("[", 600), text: "the request body is not valid JSON: line 1, column 521: nested more than 512 deep; flatten the request"},

		"no input":                  {body: `{}`, param: "input", text: "input: is required: a string or an array of at least one item"},
		"an empty input":            {body: `{"input":[]}`, param: "input", text: "input: is required: a string or an array of at least one item"},
		"an input of another type":  {body: `{"input":{}}`, param: "input", text: "input: must be a string or an array of items"},
		"an input that says little": {body: `{"input":[{"type":"web_search_call"}]}`, param: "input", text: "input: must hold at least one message"},

		"a response, without memory": {body: `{` + hi + `,"previous_response_id":"resp_1"}`, param: "previous_response_id", code: "previous_response_not_found", text: "previous_response_id: Kai keeps no responses; send the whole conversation in input"},
		"a response without a name":  {body: `{` + hi + `,"previous_response_id":""}`, param: "previous_response_id", code: "previous_response_not_found", text: "previous_response_id: Kai keeps no responses; send the whole conversation in input"},
		"a conversation":             {body: `{` + hi + `,"conversation":{"id":"c"}}`, param: "conversation", code: up, text: "conversation: not supported: Kai keeps no conversations; send all of it in input"},
		"a prompt":                   {body: `{` + hi + `,"prompt":{"id":"p"}}`, param: "prompt", code: up, text: "prompt: not supported: Kai has no prompt templates; send instructions and input"},
		"moderation":                 {body: `{` + hi + `,"moderation":{}}`, param: "moderation", code: up, text: "moderation: not supported: Kai moderates nothing; leave it out"},
		"background":                 {body: `{` + hi + `,"background":true}`, param: "background", code: up, text: "background: not supported: Kai answers while the client waits; leave it out"},

		"model":              {body: `{` + hi + `,"model":1}`, param: "model", text: "model: must be a string"},
		"stream":             {body: `{` + hi + `,"stream":"yes"}`, param: "stream", text: "stream: must be true or false"},
		"store":              {body: `{` + hi + `,"store":1}`, param: "store", text: "store: must be true or false"},
		"instructions":       {body: `{` + hi + `,"instructions":[]}`, param: "instructions", text: "instructions: must be a string"},
		"max_output_tokens":  {body: `{` + hi + `,"max_output_tokens":0}`, param: "max_output_tokens", text: "max_output_tokens: must be an integer of at least 1"},
		"metadata":           {body: `{` + hi + `,"metadata":"x"}`, param: "metadata", text: "metadata: must be an object"},
		"include":            {body: `{` + hi + `,"include":[1]}`, param: "include", text: "include: must be an array of strings"},
		"truncation":         {body: `{` + hi + `,"truncation":"some"}`, param: "truncation", text: "truncation: must be one of auto, disabled"},
		"parallel":           {body: `{` + hi + `,"parallel_tool_calls":1}`, param: "parallel_tool_calls", text: "parallel_tool_calls: must be true or false"},
		"temperature":        {body: `{` + hi + `,"temperature":3}`, param: "temperature", text: "temperature: must be a number from 0 to 2"},
		"top_p":              {body: `{` + hi + `,"top_p":2}`, param: "top_p", text: "top_p: must be a number from 0 to 1"},
		"top_logprobs":       {body: `{` + hi + `,"top_logprobs":21}`, param: "top_logprobs", text: "top_logprobs: must be an integer from 0 to 20"},
		"top_logprobs, odd":  {body: `{` + hi + `,"top_logprobs":"1"}`, param: "top_logprobs", text: "top_logprobs: must be an integer from 0 to 20"},
		"reasoning":          {body: `{` + hi + `,"reasoning":"low"}`, param: "reasoning", text: `reasoning: must be an object such as {"effort": "low"}`},
		"effort":             {body: `{` + hi + `,"reasoning":{"effort":1}}`, param: "reasoning.effort", text: "reasoning.effort: must be a string"},
		"verbosity":          {body: `{` + hi + `,"text":{"verbosity":"some"}}`, param: "text.verbosity", text: "text.verbosity: must be one of low, medium, high"},
		"format":             {body: `{` + hi + `,"text":{"format":"text"}}`, param: "text.format", text: `text.format: must be an object such as {"type": "text"}`},
		"format's type":      {body: `{` + hi + `,"text":{"format":{"type":"xml"}}}`, param: "text.format.type", text: "text.format.type: must be one of text, json_object, json_schema"},
		"format's name":      {body: `{` + hi + `,"text":{"format":{"type":"json_schema","schema":{}}}}`, param: "text.format.name", text: "text.format.name: must be a string that is not empty"},
		"format's schema":    {body: `{` + hi + `,"text":{"format":{"type":"json_schema","name":"n"}}}`, param: "text.format.schema", text: "text.format.schema: must be an object, a JSON Schema"},
		"prompt_cache_key":   {body: `{` + hi + `,"prompt_cache_key":1}`, param: "prompt_cache_key", text: "prompt_cache_key: must be a string"},
		"stop, which is odd": {body: `{` + hi + `,"stop":[1]}`, param: "stop[0]", text: "stop[0]: must be a string"},

		"an unknown item":              {body: item(`{"type":"foo"}`), param: "input[1].type", code: up, text: "input[1].type: Kai knows no items of type 'foo'; leave it out, or send messages, calls and their outputs"},
		"an item with a strange type":  {body: item(`{"type":"a secret\n"}`), param: "input[1].type", code: up, text: "input[1].type: Kai knows no items of type; leave it out, or send messages, calls and their outputs"},
		"a computer's call":            {body: item(`{"type":"computer_call"}`), param: "input[1].type", code: up, text: "input[1].type: Kai knows no items of type 'computer_call'; leave it out, or send messages, calls and their outputs"},
		"mcp_call":                     {body: item(`{"type":"mcp_call"}`), param: "input[1].type", code: up, text: "input[1].type: Kai knows no items of type 'mcp_call'; leave it out, or send messages, calls and their outputs"},
		"an item without a type":       {body: item(`{}`), param: "input[1].type", text: "input[1].type: must be a string such as message"},
		"an item that is none":         {body: item(`1`), param: "input[1]", text: `input[1]: must be an object such as {"role": "user", "content": "…"}`},
		"a role":                       {body: item(`{"role":"tool","content":"x"}`), param: "input[1].role", text: "input[1].role: must be one of user, assistant, system, developer"},
		"a content":                    {body: item(`{"role":"user","content":1}`), param: "input[1].content", text: "input[1].content: must be a string or an array of content parts"},
		"no content":                   {body: item(`{"role":"assistant"}`), param: "input[1].content", text: "input[1].content: must be a string or an array of content parts"},
		"a trigger that is not last":   {body: item(`{"type":"compaction_trigger"},` + call), param: "input[1].type", text: "input[1].type: must be the last item of the input"},
		"a reference, without memory":  {body: item(`{"type":"item_reference","id":"msg_1"}`), status: 404, param: "input[1].id", text: "input[1].id: Item with id 'msg_1' not found. Kai keeps items only for a while; with store set to false the client sends them whole."},
		"a reference without a type":   {body: item(`{"id":"msg_1"}`), status: 404, param: "input[1].id", text: "input[1].id: Item with id 'msg_1' not found. Kai keeps items only for a while; with store set to false the client sends them whole."},
		"a reference to anything":      {body: item(`{"type":"item_reference","id":"a b"}`), status: 404, param: "input[1].id", text: "input[1].id: Item with this id not found. Kai keeps items only for a while; with store set to false the client sends them whole."},
		"a reference to nothing":       {body: item(`{"type":"item_reference"}`), param: "input[1].id", text: "input[1].id: must be a string"},
		"an output without its call":   {body: item(`{"type":"function_call_output","call_id":"c","output":"x"}`), param: "input[1].call_id", text: "input[1].call_id: no tool call before this item has that id"},
		"an output without an id":      {body: item(call + `,{"type":"function_call_output","output":"x"}`), param: "input[2].call_id", text: "input[2].call_id: must be a string"},
		"an output that is none":       {body: item(call + `,{"type":"function_call_output","call_id":"c","output":{}}`), param: "input[2].output", text: "input[2].output: must be a string or an array of content parts"},
		"an output's file":             {body: item(call + `,{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","file_id":"f"}]}`), param: "input[2].output[0].file_id", code: up, text: "input[2].output[0].file_id: Kai keeps no files; send image_url"},
		"a call without an id":         {body: item(`{"type":"function_call","name":"f","arguments":"{}"}`), param: "input[1].call_id", text: "input[1].call_id: must be a string"},
		"a call without a name":        {body: item(`{"type":"function_call","call_id":"c","arguments":"{}"}`), param: "input[1].name", text: "input[1].name: must be a string that is not empty"},
		"arguments":                    {body: item(`{"type":"function_call","call_id":"c","name":"f","arguments":1}`), param: "input[1].arguments", text: "input[1].arguments: must be a string"},
		"a custom tool's input":        {body: item(`{"type":"custom_tool_call","call_id":"c","name":"f"}`), param: "input[1].input", text: "input[1].input: must be a string"},
		"sealed content, large":        {body: item(`{"type":"reasoning","summary":[],"encrypted_content":"kai1.` + strings.Repeat("A", seal.MaxSealed) + `"}`), param: "input[1].encrypted_content", text: "input[1].encrypted_content: sealed content that is more than 256 KiB: send it as the answer had it, or leave it out"},
		"a sealed summary, large":      {body: item(`{"type":"compaction","encrypted_content":"kai1.` + strings.Repeat("A", seal.MaxSealed) + `"}`), param: "input[1].encrypted_content", text: "input[1].encrypted_content: sealed content that is more than 256 KiB: send it as the answer had it, or leave it out"},
		"a summary that is no text":    {body: item(`{"type":"reasoning","summary":[{"type":"input_image","image_url":"x"}]}`), param: "input[1].summary[0].type", code: up, text: "input[1].summary[0].type: only texts can stand here; send input_image in a message of the user"},
		"an unknown part":              {body: part(`{"type":"video"}`), param: "input[1].content[1].type", code: up, text: "input[1].content[1].type: Kai knows no parts of type 'video'; use input_text, input_image, input_file or input_audio"},
		"a part that is none":          {body: part(`"x"`), param: "input[1].content[1]", text: `input[1].content[1]: must be an object such as {"type": "input_text", "text": "…"}`},
		"a text that is none":          {body: part(`{"type":"input_text"}`), param: "input[1].content[1].text", text: "input[1].content[1].text: must be a string"},
		"an image's file":              {body: part(`{"type":"input_image","file_id":"f"}`), param: "input[1].content[1].file_id", code: up, text: "input[1].content[1].file_id: Kai keeps no files; send image_url"},
		"an image without an image":    {body: part(`{"type":"input_image"}`), param: "input[1].content[1].image_url", text: "input[1].content[1].image_url: must be a string, a link or a data: URL"},
		"an image as in chat":          {body: part(`{"type":"input_image","image_url":{"url":"x"}}`), param: "input[1].content[1].image_url", text: "input[1].content[1].image_url: must be a string, a link or a data: URL"},
		"an image's detail":            {body: part(`{"type":"input_image","image_url":"x","detail":"all"}`), param: "input[1].content[1].detail", text: "input[1].content[1].detail: must be one of low, high, auto, original"},
		"an image, and a file's id":    {body: part(`{"type":"input_image","image_url":"https://x/y.png","file_id":"f"}`), param: "input[1].content[1].file_id", code: up, text: "input[1].content[1].file_id: Kai keeps no files; send image_url"},
		"a file, and a file's id":      {body: part(`{"type":"input_file","file_data":"AAAA","file_id":"f"}`), param: "input[1].content[1].file_id", code: up, text: "input[1].content[1].file_id: Kai keeps no files; send file_data or file_url"},
		"a file's id":                  {body: part(`{"type":"input_file","file_id":"f"}`), param: "input[1].content[1].file_id", code: up, text: "input[1].content[1].file_id: Kai keeps no files; send file_data or file_url"},
		"a file without a file":        {body: part(`{"type":"input_file","filename":"a"}`), param: "input[1].content[1].file_data", text: "input[1].content[1].file_data: a file needs file_data or file_url"},
		"a file's data":                {body: part(`{"type":"input_file","file_data":1}`), param: "input[1].content[1].file_data", text: "input[1].content[1].file_data: must be a string"},
		"a file's link":                {body: part(`{"type":"input_file","file_url":1}`), param: "input[1].content[1].file_url", text: "input[1].content[1].file_url: must be a string"},
		"a file's name":                {body: part(`{"type":"input_file","file_url":"x","filename":1}`), param: "input[1].content[1].filename", text: "input[1].content[1].filename: must be a string"},
		"a sound without a sound":      {body: part(`{"type":"input_audio"}`), param: "input[1].content[1].input_audio", text: "input[1].content[1].input_audio: must be an object with data and format"},
		"an image for an instruction":  {body: item(`{"role":"developer","content":[{"type":"input_image","image_url":"x"}]}`), param: "input[1].content[0].type", code: up, text: "input[1].content[0].type: only texts can stand here; send input_image in a message of the user"},
		"an image of the assistant":    {body: item(`{"role":"assistant","content":[{"type":"input_image","image_url":"x"}]}`), param: "input[1].content[0].type", code: up, text: "input[1].content[0].type: only texts can stand here; send input_image in a message of the user"},
		"a patch's output":             {body: item(`{"type":"apply_patch_call","call_id":"c","operation":{}},{"type":"apply_patch_call_output","call_id":"c","output":1}`), param: "input[2].output", text: "input[2].output: must be a string"},
		"a shell's output":             {body: item(`{"type":"shell_call","call_id":"c","action":{}},{"type":"shell_call_output","call_id":"c"}`), param: "input[2].output", text: "input[2].output: must be a string or an array"},
		"additional tools that are no": {body: item(`{"type":"additional_tools","tools":[{"type":"mcp"}]}`), param: "input[1].tools[0].type", code: up, text: "input[1].tools[0].type: Kai runs no tools itself; declare a function, or use function, custom, namespace"},

		"file_search":             {body: tool(`{"type":"file_search"}`), param: "tools[0].type", code: up, text: "tools[0].type: Kai runs no tools itself; declare a function, or use function, custom, namespace"},
		"code_interpreter":        {body: tool(`{"type":"function","name":"f"},{"type":"code_interpreter"}`), param: "tools[1].type", code: up, text: "tools[1].type: Kai runs no tools itself; declare a function, or use function, custom, namespace"},
		"mcp":                     {body: tool(`{"type":"mcp","server_url":"x"}`), param: "tools[0].type", code: up, text: "tools[0].type: Kai runs no tools itself; declare a function, or use function, custom, namespace"},
		"computer":                {body: tool(`{"type":"computer_use_preview"}`), param: "tools[0].type", code: up, text: "tools[0].type: Kai runs no tools itself; declare a function, or use function, custom, namespace"},
		"programmatic":            {body: tool(`{"type":"programmatic_tool_calling"}`), param: "tools[0].type", code: up, text: "tools[0].type: Kai runs no tools itself; declare a function, or use function, custom, namespace"},
		"an unknown tool":         {body: tool(`{"type":"x"}`), param: "tools[0].type", code: up, text: "tools[0].type: Kai runs no tools itself; declare a function, or use function, custom, namespace"},
		"a shell in a container":  {body: tool(`{"type":"shell","environment":{"type":"container_auto"}}`), param: "tools[0].environment", code: up, text: "tools[0].environment: Kai has no containers; use a shell with the environment local"},
		"a tool without a name":   {body: tool(`{"type":"function","function":{"name":"f"}}`), param: "tools[0].name", text: "tools[0].name: must be a string that is not empty"},
		"a tool's description":    {body: tool(`{"type":"function","name":"f","description":1}`), param: "tools[0].description", text: "tools[0].description: must be a string"},
		"a tool that is none":     {body: tool(`"f"`), param: "tools[0]", text: `tools[0]: must be an object such as {"type": "function", "name": "…"}`},
		"tools that are none":     {body: `{` + hi + `,"tools":{}}`, param: "tools", text: "tools: must be an array of tools"},
		"a namespace's name":      {body: tool(`{"type":"namespace","tools":[]}`), param: "tools[0].name", text: "tools[0].name: must be a string that is not empty"},
		"a namespace's tools":     {body: tool(`{"type":"namespace","name":"n"}`), param: "tools[0].tools", text: "tools[0].tools: must be an array of tools"},
		"a namespace's tool":      {body: tool(`{"type":"namespace","name":"n","tools":[{"type":"web_search"}]}`), param: "tools[0].tools[0].type", code: up, text: "tools[0].tools[0].type: in a namespace there can be tools of type function and custom"},
		"a namespace in another":  {body: tool(`{"type":"namespace","name":"n","tools":[{"type":"namespace","name":"o","tools":[]}]}`), param: "tools[0].tools[0].type", code: up, text: "tools[0].tools[0].type: in a namespace there can be tools of type function and custom"},
		"a choice":                {body: `{` + hi + `,"tools":[{"type":"function","name":"f"}],"tool_choice":"some"}`, param: "tool_choice", text: "tool_choice: must be one of auto, none, required, or an object that names a tool"},
		"a choice of a number":    {body: `{` + hi + `,"tool_choice":1}`, param: "tool_choice", text: "tool_choice: must be a string such as auto, or an object that names a tool"},
		"a choice that is not":    {body: `{` + hi + `,"tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"function","name":"g"}}`, param: "tool_choice", text: "tool_choice: must name one of the tools"},
		"a choice without tools":  {body: `{` + hi + `,"tool_choice":{"type":"function","name":"g"}}`, param: "tool_choice", text: "tool_choice: must name one of the tools"},
		"a hosted choice":         {body: `{` + hi + `,"tools":[{"type":"web_search"}],"tool_choice":{"type":"web_search_preview"}}`, param: "tool_choice", text: "tool_choice: must name one of the tools"},
		"the choice of mcp":       {body: `{` + hi + `,"tool_choice":{"type":"mcp","server_label":"x"}}`, param: "tool_choice", text: "tool_choice: must name one of the tools"},
		"allowed tools' mode":     {body: `{` + hi + `,"tool_choice":{"type":"allowed_tools","mode":"none","tools":[]}}`, param: "tool_choice.mode", text: "tool_choice.mode: must be one of auto, required"},
		"allowed tools":           {body: `{` + hi + `,"tool_choice":{"type":"allowed_tools","mode":"auto"}}`, param: "tool_choice.tools", text: "tool_choice.tools: must be an array of tools"},
		"an allowed tool":         {body: `{` + hi + `,"tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}]}}`, param: "tool_choice.tools[1]", text: "tool_choice.tools[1]: must name one of the tools"},
		"no tool may be required": {body: `{` + hi + `,"tools":[{"type":"web_search"}],"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"web_search"}]}}`, param: "tool_choice.tools", text: "tool_choice.tools: must name one of the tools"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parsed(Options{}, tc.body)
			if err == nil {
				t.Fatal("it is not refused")
			}
			if tc.status == 0 {
				tc.status = 400
			}
			if err.Param != tc.param || err.Code != tc.code || err.Text != tc.text || err.HTTPStatus() != tc.status {
				t.Errorf("the refusal is %d %q %q\n%q\nwant %d %q %q\n%q", err.HTTPStatus(), err.Param, err.Code, err.Text, tc.status, tc.param, tc.code, tc.text)
			}
		})
	}
}
