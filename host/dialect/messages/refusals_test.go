package messages

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
)

func TestRefusals(t *testing.T) {
	const server = ": server tools are not available through this gateway: leave this one out, or offer a tool of your own"
	for name, tc := range map[string]struct{ body, param, must string }{
		"no body":                    {``, ``, `the request body is empty: send a JSON object with the field messages`},
		"no JSON":                    {`{"model":}`, ``, `the request body is not valid JSON: line 1, column 10: expected a value`},
		"a field twice":              {`{"model":"m","model":"n"}`, `model`, `line 1, column 14: a second field of the same name at the top level, whatever the case of its letters: send each field once`},
		"a field in capitals":        {`{"Model":"m"}`, `Model`, `line 1, column 2: some servers read this field as model: send it as model or leave it out`},
		"no model":                   {`{"max_tokens":1,"messages":[` + hi + `]}`, `model`, `is required`},
		"a model that is no string":  {`{"model":1,"max_tokens":1,"messages":[` + hi + `]}`, `model`, `must be a string`},
		"no messages":                {`{"model":"m","max_tokens":1}`, `messages`, `is required: an array of at least one message`},
		"messages that are null":     {`{"model":"m","max_tokens":1,"messages":null}`, `messages`, `is required: an array of at least one message`},
		"messages that are no array": {`{"model":"m","max_tokens":1,"messages":{}}`, `messages`, `must be an array of messages`},
		"empty messages":             {`{"model":"m","max_tokens":1,"messages":[ ]}`, `messages`, `must hold at least one message`},
		"no limit":                   {`{"model":"m","messages":[` + hi + `]}`, `max_tokens`, `is required: how many tokens the answer may have`},
		"a limit of 0":               {`{"model":"m","max_tokens":0,"messages":[` + hi + `]}`, `max_tokens`, `must be at least 1: only providers that speak this API themselves can fill their cache and answer nothing`},
		"a limit with a fraction":    {`{"model":"m","max_tokens":1.5,"messages":[` + hi + `]}`, `max_tokens`, `must be an integer of at least 0`},
		"stream":                     {said(hi, `,"stream":"yes"`), `stream`, `must be true or false`},
		"temperature":                {said(hi, `,"temperature":1.5`), `temperature`, `must be a number from 0 to 1`},
		"top_p":                      {said(hi, `,"top_p":"1"`), `top_p`, `must be a number from 0 to 1`},
		"top_k":                      {said(hi, `,"top_k":0.5`), `top_k`, `must be an integer of at least 0`},
		"stops":                      {said(hi, `,"stop_sequences":"x"`), `stop_sequences`, `must be an array of strings`},
		"a stop":                     {said(hi, `,"stop_sequences":["x",1]`), `stop_sequences.1`, `must be a string`},
		"a container":                {said(hi, `,"container":"c"`), `container`, `containers are not available through this gateway: leave it out`},
		"MCP servers":                {said(hi, `,"mcp_servers":[{}]`), `mcp_servers`, `MCP servers are not available through this gateway: leave it out, and offer their tools as your own`},
		"a thread":                   {said(hi, `,"thread":{"id":"t"}`), `thread`, `threads are not available through this gateway: leave it out, and send the whole conversation`},
		"a format":                   {said(hi, `,"output_config":{"format":{"type":"xml"}}`), `output_config.format.type`, `must be json_schema`},
		"a format without a schema":  {said(hi, `,"output_format":{"type":"json_schema"}`), `output_format.schema`, `must be an object, a JSON Schema`},
		"system":                     {said(hi, `,"system":7`), `system`, `must be a string or an array of text blocks`},
		"an image in system":         {said(hi, `,"system":[`+text(`a`)+`,`+png+`]`), `system.1`, `must be a block of type text with a text, a string`},
		"a message":                  {said(hi + `,7`), `messages.1`, `must be an object with role and content`},
		"a role":                     {said(hi + `,{"role":"tool","content":"x"}`), `messages.1.role`, `must be user, assistant or system`},
		"no role":                    {said(`{"content":"x"}`), `messages.0.role`, `must be user, assistant or system`},
		"no content":                 {said(`{"role":"user"}`), `messages.0.content`, `must be a string or an array of blocks`},
		"content that is null":       {said(hi + `,` + assistant(`null`)), `messages.1.content`, `must be a string or an array of blocks`},
		"a block":                    {said(user(`["x"]`)), `messages.0.content.0`, `must be a block, an object with a type`},
		"a block without a type":     {said(user(`[{"text":"x"}]`)), `messages.0.content.0.type`, `must be a string such as text`},
		"a text":                     {said(user(`[` + text(`a`) + `,{"type":"text","text":5}]`)), `messages.0.content.1.text`, `must be a string`},
		"a file":                     {said(user(`[{"type":"image","source":{"type":"file","file_id":"f"}}]`)), `messages.0.content.0.source`, noFiles},
		"a document that is a file":  {said(user(`[{"type":"document","source":{"type":"file","file_id":"f"}}]`)), `messages.0.content.0.source`, noFiles},
		"an image without a source":  {said(user(`[{"type":"image"}]`)), `messages.0.content.0.source`, `must be an object with a type`},
		"an image of another kind":   {said(user(`[{"type":"image","source":{"type":"smell"}}]`)), `messages.0.content.0.source.type`, `must be base64 or url`},
		"an image without a type":    {said(user(`[{"type":"image","source":{"type":"base64","data":"x"}}]`)), `messages.0.content.0.source.media_type`, `must be a string such as image/png`},
		"an image without data":      {said(user(`[{"type":"image","source":{"type":"base64","media_type":"image/png"}}]`)), `messages.0.content.0.source.data`, `must be a string of base64`},
		"an image without a url":     {said(user(`[{"type":"image","source":{"type":"url"}}]`)), `messages.0.content.0.source.url`, `must be a string`},
		"a document without text":    {said(user(`[{"type":"document","source":{"type":"text"}}]`)), `messages.0.content.0.source.data`, `must be a string`},
		"a file in a result":         {said(hi + `,` + assistant(called) + `,` + user(`[`+toolResult(`c1`, `[`+text(`a`)+`,{"type":"image","source":{"type":"file"}}]`)+`]`)), `messages.2.content.0.content.1.source`, noFiles},
		"a result without an id":     {said(user(`[{"type":"tool_result"}]`)), `messages.0.content.0.tool_use_id`, `must be a string, the id of the call`},
		"a result's content":         {said(user(`[` + toolResult(`c1`, `{}`) + `]`)), `messages.0.content.0.content`, `must be a string or an array of blocks`},
		"a call without an id":       {said(assistant(`[{"type":"tool_use","name":"a"}]`)), `messages.0.content.0.id`, `must be a string`},
		"a call without a name":      {said(assistant(`[{"type":"tool_use","id":"a","name":""}]`)), `messages.0.content.0.name`, `must be a string that is not empty`},
		"tools":                      {said(hi, `,"tools":{}`), `tools`, `must be an array of tools`},
		"a tool":                     {said(hi, tools(`"a"`)), `tools.0`, `must be an object with name and input_schema`},
		"a tool without a name":      {said(hi, tools(`{"name":"a"}`, `{"input_schema":{}}`)), `tools.1.name`, `must be a string that is not empty`},
		"a tool's schema":            {said(hi, tools(`{"name":"a","input_schema":[]}`)), `tools.0.input_schema`, `must be an object, a JSON Schema`},
		"web search":                 {said(hi, tools(`{"name":"a"}`, `{"type":"web_search_20250305","name":"web_search","max_uses":8}`)), `tools.1`, server[2:]},
		"bash":                       {said(hi, tools(`{"type":"bash_20250124","name":"bash"}`)), `tools.0`, server[2:]},
		"a tool of tomorrow":         {said(hi, tools(`{"type":"smell_20270101","name":"smell"}`)), `tools.0`, server[2:]},
		"a tool that is added":       {said(hi + `,` + system(`[{"type":"tool_addition","tool":{"definition":{"type":"bash_20250124","name":"bash"}}}]`)), `messages.1.content.0.tool.definition`, server[2:]},
		"a tool without a tool":      {said(hi + `,` + system(`[{"type":"tool_removal"}]`)), `messages.1.content.0.tool`, `must be an object, a tool_definition or a tool_reference`},
		"a nameless tool is removed": {said(hi + `,` + system(`[{"type":"tool_removal","tool":{}}]`)), `messages.1.content.0.tool`, `must name a tool`},
		"a choice":                   {said(hi, tools(`{"name":"a"}`), `,"tool_choice":"auto"`), `tool_choice`, `must be an object with a type`},
		"a choice of another kind":   {said(hi, tools(`{"name":"a"}`), `,"tool_choice":{"type":"some"}`), `tool_choice.type`, `must be auto, any, tool or none`},
		"a choice without a name":    {said(hi, tools(`{"name":"a"}`), `,"tool_choice":{"type":"tool"}`), `tool_choice.name`, `must be a string, the name of a tool`},
	} {
		t.Run(name, func(t *testing.T) {
			e := refusalOf(t, tc.body)
			text := tc.must
			if tc.param != "" {
				text = tc.param + ": " + tc.must
			}
			if e.Kind != fault.Invalid || e.Param != tc.param || e.Text != text {
				t.Errorf("%s\nis refused with %q: %s\nwant         %q: %s", tc.body, e.Param, e.Text, tc.param, text)
			}
			if code := ""; name == "a thread" {
				if code = codeThread; e.Code != code {
					t.Errorf("the code is %q, want %q", e.Code, code)
				}
			}
		})
	}
}

func TestFaultsOfTheChatRequestNameTheClientsPlaces(t *testing.T) {
	// The chat request has the messages 0 system, 1 user, 2 assistant, 3 and 4 tool, 5 user.
	body := said(user(`[`+text(`a`)+`,`+png+`]`)+`,`+system(`"note"`)+`,`+
		assistant(`[`+thinking(`Hm.`, ``)+`,`+text(`b`)+`,`+toolUse(`c1`, `x`, `{}`)+`,`+toolUse(`c2`, `x`, `{}`)+`]`)+`,`+
		user(`[`+text(`c`)+`,`+toolResult(`c1`, `"1"`)+`,`+toolResult(`c2`, `[`+text(`d`)+`,`+png+`]`)+`,`+pdf+`]`),
		`,"system":[{"type":"text","text":"x-anthropic-billing-header: x"},`+text(`be`)+`]`,
		tools(`{"name":"x","defer_loading":true}`, `{"name":"Waits","defer_loading":true}`, `{"name":"y"}`))
	for _, tc := range []struct {
		param, text        string
		want, says         string
		native, nativeSays string
	}{
		{param: "", text: "No.", want: "", says: "No."},
		{param: "model", text: "No.", want: "model", says: "No."},
		{param: "messages", text: "Too long.", want: "messages", says: "Too long."},
		{param: "max_completion_tokens", text: "Too many.", want: "max_tokens", says: "Too many."},
		{param: "stop", text: "stop: too many", want: "stop_sequences", says: "stop_sequences: too many"},
		{param: "response_format.json_schema", text: "No.", want: "output_config.format", says: "No."},
		{param: "reasoning_effort", text: "No.", want: "thinking", says: "No."},
		{param: "messages[0].content", text: "No.", want: "system", says: "system: No."},
		{param: "messages[1].content[1].image_url", text: "No images.", want: "messages.0.content.1", says: "messages.0.content.1: No images."},
		{param: "messages[1].content[1]", text: "messages[1].content[1]: must be", want: "messages.0.content.1", says: "messages.0.content.1: must be"},
		{param: "messages[2].role", text: "No.", want: "messages.2.role", says: "messages.2.role: No."},
		{param: "messages[2].tool_calls[1].function.name", text: "No.", want: "messages.2.content.3", says: "messages.2.content.3: No."},
		{param: "messages[3].tool_call_id", text: "No.", want: "messages.3.content.1", says: "messages.3.content.1: No."},
		{param: "messages[4].content[0]", text: "No.", want: "messages.3.content.2", says: "messages.3.content.2: No."},
		{param: "messages[5].content[1]", text: "No.", want: "messages.3.content.2", says: "messages.3.content.2: No."},
		{param: "messages[5].content[3].file", text: "No.", want: "messages.3.content.3", says: "messages.3.content.3: No."},
		{param: "messages[5].content[9]", text: "No.", want: "messages.3.content", says: "messages.3.content: No."},
		{param: "messages[9].content", text: "No.", want: "messages[9].content", says: "No."},
		{param: "messages[-1]", text: "No.", want: "messages[-1]", says: "No."},
		{param: "messages[x", text: "No.", want: "messages[x", says: "No."},
		{param: "tools[0].function.name", text: "No.", want: "tools.0.name", says: "tools.0.name: No."},
		{param: "tools[1].function.parameters", text: "No.", want: "tools.2.input_schema", says: "tools.2.input_schema: No."},
		{param: "tools[1].type", text: "No.", want: "tools.2", says: "tools.2: No."},
		{param: "tools[2]", text: "No.", want: "tools[2]", says: "No."},
	} {
		r, err := parse([]byte(body), false, nil)
		if err != nil {
			t.Fatal(err)
		}
		e := r.Fault(&fault.Error{Kind: fault.Refused, Param: tc.param, Text: tc.text})
		if e.Param != tc.want || e.Text != tc.says || e.Kind != fault.Refused {
			t.Errorf("%q, %q is %q, %q, want %q, %q", tc.param, tc.text, e.Param, e.Text, tc.want, tc.says)
		}
	}
	r, err := parse([]byte(body), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := func(param string) string { return r.Fault(&fault.Error{Param: param}).Param }
	if _, err := r.Form(func(string) bool { return true }); err != nil {
		t.Fatal(err)
	}
	for param, want := range map[string]string{
		"messages[0].content[0]": "system.0", "messages[1].content[1]": "messages.0.content.1", "messages[1].content[2]": "messages.1",
		"messages[4].content[1]": "messages.3.content.2", "messages[5].content[1]": "messages.3.content.3",
	} {
		if got := at(param); got != want {
			t.Errorf("in the form for Anthropic %s is %s, want %s", param, got, want)
		}
	}
	if _, err := r.Form(func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if got := at("messages[5].content[1]"); got != "messages.3.content.2" {
		t.Errorf("in the plain form again it is %s", got)
	}
}

func TestNoErrorRepeatsContent(t *testing.T) {
	const secret = "correct horse battery staple"
	for _, body := range []string{
		said(`{"role":"` + secret + `","content":"x"}`),
		said(user(`[{"type":"image","source":{"type":"` + secret + `"}}]`)),
		said(hi, tools(`{"type":"`+secret+`","name":"x"}`)),
		said(hi, tools(`{"name":"a"}`), `,"tool_choice":{"type":"`+secret+`"}`),
		said(hi, `,"thread":"`+secret+`"`),
		said(hi, `,"temperature":"`+secret+`"`),
	} {
		if e := refusalOf(t, body); strings.Contains(e.Error(), secret) {
			t.Errorf("%s is refused with %v", body, e)
		}
	}
}

// placeOf returns the client's place of what an adapter refuses.
func placeOf(e *sdk.Error, r *request) string {
	return r.Fault(&fault.Error{Kind: fault.Refused, Param: e.Param, Text: e.Message}).Param
}

// TestSealedSignaturesAreBounded: what is small when it is sealed can't fill the memory, or
// keep a processor busy with what is then thrown away.
func TestSealedSignaturesAreBounded(t *testing.T) {
	var useless bytes.Buffer
	w, _ := flate.NewWriter(&useless, flate.BestCompression)
	_, _ = w.Write([]byte(`{"x":"` + strings.Repeat("a", 1<<20) + `"}`))
	_ = w.Close()
	for name, bomb := range map[string]string{
		"kept":        seal.Seal(seal.Content{Details: raws(`{"text":"` + strings.Repeat("a", 1<<20) + `"}`)}),
		"thrown away": seal.Prefix + base64.RawURLEncoding.EncodeToString(useless.Bytes()),
	} {
		block := `{"type":"thinking","thinking":"","signature":"` + bomb + `"}`
		e := refusalOf(t, said(`{"role":"user","content":"x"},{"role":"assistant","content":[`+strings.Repeat(block+",", 20)+block+`]}`))
		if !strings.HasPrefix(e.Param, "messages.1.content.") || !strings.HasSuffix(e.Param, ".signature") || e.Kind != fault.Invalid {
			t.Errorf("%s: the error of many is %q at %q", name, e.Text, e.Param)
		}
	}
}
