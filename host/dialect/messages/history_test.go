package messages

import (
	"strings"
	"testing"
)

func user(content string) string      { return `{"role":"user","content":` + content + `}` }
func assistant(content string) string { return `{"role":"assistant","content":` + content + `}` }
func system(content string) string    { return `{"role":"system","content":` + content + `}` }
func text(s string) string            { return `{"type":"text","text":"` + s + `"}` }

func toolUse(id, name, input string) string {
	return `{"type":"tool_use","id":"` + id + `","name":"` + name + `","input":` + input + `}`
}

func toolCall(id, name, arguments string) string {
	return `{"id":"` + id + `","type":"function","function":{"name":"` + name + `","arguments":"` + arguments + `"}}`
}

func toolResult(id, content string, more ...string) string {
	return `{"tool_use_id":"` + id + `","type":"tool_result","content":` + content + strings.Join(more, "") + `}`
}

func toolMessage(id, content string) string {
	return `{"role":"tool","tool_call_id":"` + id + `","content":` + content + `}`
}

const (
	png      = `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}`
	pngPart  = `{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}`
	pdf      = `{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="},"title":"d.pdf"}`
	pdfPart  = `{"type":"file","file":{"filename":"d.pdf","file_data":"data:application/pdf;base64,JVBERi0="}}`
	called   = `[` + `{"type":"tool_use","id":"c1","name":"look","input":{"a":1}}` + `]`
	callPart = `{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"a\":1}"}}]}`
)

func TestHistory(t *testing.T) {
	testRows(t, map[string]row{
		"turns":                          {said(user(`"a"`) + `,` + assistant(`"b"`) + `,` + user(`"c"`)), became(user(`"a"`) + `,` + assistant(`"b"`) + `,` + user(`"c"`))},
		"blocks of text are one text":    {said(user(`[` + text(`a`) + `,` + text(``) + `,` + text(`b\"`) + `]`)), became(user(`"a\nb\""`))},
		"messages of the user are one":   {said(user(`"a"`) + `,` + user(`[`+text(`b`)+`]`)), became(user(`"a\nb"`))},
		"those of the assistant are not": {said(hi + `,` + assistant(`"a"`) + `,` + assistant(`"b"`)), became(hi + `,` + assistant(`"a"`) + `,` + assistant(`"b"`))},
		"a prefill stays the last":       {said(hi + `,` + assistant(`[`+text(`The answer is`)+`]`)), became(hi + `,` + assistant(`"The answer is"`))},
		"a user who says nothing":        {said(user(`""`)), became(user(`""`))},
		"an assistant who says nothing":  {said(hi + `,` + assistant(`[]`) + `,` + hi), became(hi + `,` + assistant(`""`) + `,` + hi)},
		"an image":                       {said(user(`[` + text(`look`) + `,` + png + `]`)), became(user(`[` + text(`look`) + `,` + pngPart + `]`))},
		"an image before a text":         {said(user(`[` + png + `,` + text(`look`) + `,` + text(`well`) + `,` + png + `]`)), became(user(`[` + pngPart + `,` + text(`look\nwell`) + `,` + pngPart + `]`))},
		"a link to an image":             {said(user(`[{"type":"image","source":{"type":"url","url":"https://x.test/a.png"}}]`)), became(user(`[{"type":"image_url","image_url":{"url":"https://x.test/a.png"}}]`))},
		"a document":                     {said(user(`[` + pdf + `]`)), became(user(`[` + pdfPart + `]`))},
		"a document without a title":     {said(user(`[{"type":"document","source":{"type":"url","url":"https://x.test/a"}}]`)), became(user(`[{"type":"file","file":{"filename":"document.pdf","file_data":"https://x.test/a"}}]`))},
		"a document of text":             {said(user(`[{"type":"document","title":"t.txt","context":"mine","source":{"type":"text","media_type":"text/plain","data":"plain"}}]`)), became(user(`"t.txt\nmine\nplain"`))},
		"a document of blocks":           {said(user(`[{"type":"document","title":"T","source":{"type":"content","content":[` + text(`a`) + `,` + png + `,` + text(`b`) + `]}}]`)), became(user(`[` + text(`T\na`) + `,` + pngPart + `,` + text(`b`) + `]`))},
		"a document of a string":         {said(user(`[{"type":"document","source":{"type":"content","content":"a"}}]`)), became(user(`"a"`))},
		"a result of a search":           {said(user(`[{"type":"search_result","title":"T","source":"https://x.test","content":[` + text(`a`) + `,` + text(`b`) + `]}]`)), became(user(`"T\nhttps://x.test\na\nb"`))},
		"blocks that mean nothing here":  {said(user(`[{"type":"container_upload","file_id":"f"},{"type":"browser_state"},{"type":"novelty","text":"x"},` + text(`a`) + `]`)), became(user(`"a"`))},
		"a call": {said(hi + `,` + assistant(`[`+text(`Let me look.`)+`,`+toolUse(`c1`, `look`, `{ "a": [1.0, "x\n"] }`)+`,`+toolUse(`c2`, `wait`, `{}`)+`]`) + `,` + user(`[`+toolResult(`c1`, `"one"`)+`,`+toolResult(`c2`, `[`+text(`two`)+`,`+text(`three`)+`]`)+`]`)),
			became(hi + `,{"role":"assistant","content":"Let me look.","tool_calls":[` + toolCall(`c1`, `look`, `{ \"a\": [1.0, \"x\\n\"] }`) + `,` + toolCall(`c2`, `wait`, `{}`) + `]},` + toolMessage(`c1`, `"one"`) + `,` + toolMessage(`c2`, `"two\nthree"`))},
		"a call without input": {said(hi + `,` + assistant(`[{"type":"tool_use","id":"c1","name":"look"}]`)), became(hi + `,{"role":"assistant","content":null,"tool_calls":[` + toolCall(`c1`, `look`, `{}`) + `]}`)},
		"text behind a call":   {said(hi + `,` + assistant(`[`+toolUse(`c1`, `look`, `{}`)+`,`+text(`done`)+`]`)), became(hi + `,{"role":"assistant","content":"done","tool_calls":[` + toolCall(`c1`, `look`, `{}`) + `]}`)},
		"results come first": {said(hi + `,` + assistant(`[`+toolUse(`c1`, `a`, `{}`)+`,`+toolUse(`c2`, `b`, `{}`)+`]`) + `,` + user(`[`+text(`before`)+`,`+toolResult(`c1`, `"1"`)+`,`+toolResult(`c2`, `"2"`)+`,`+text(`after`)+`]`)),
			became(hi + `,{"role":"assistant","content":null,"tool_calls":[` + toolCall(`c1`, `a`, `{}`) + `,` + toolCall(`c2`, `b`, `{}`) + `]},` + toolMessage(`c1`, `"1"`) + `,` + toolMessage(`c2`, `"2"`) + `,` + user(`"before\nafter"`))},
		"results in two messages": {said(hi + `,` + assistant(called) + `,` + user(`[`+toolResult(`c1`, `"1"`)+`,`+text(`x`)+`]`) + `,` + user(`[`+toolResult(`c2`, `"2"`)+`]`)),
			became(hi + `,` + callPart + `,` + toolMessage(`c1`, `"1"`) + `,` + toolMessage(`c2`, `"2"`) + `,` + user(`"x"`))},
		"a result of nothing":            {said(hi + `,` + assistant(called) + `,` + user(`[{"type":"tool_result","tool_use_id":"c1"}]`)), became(hi + `,` + callPart + `,` + toolMessage(`c1`, `""`))},
		"a result that is an error":      {said(hi + `,` + assistant(called) + `,` + user(`[`+toolResult(`c1`, `"boom"`, `,"is_error":true`)+`]`)), became(hi + `,` + callPart + `,` + toolMessage(`c1`, `"Error: boom"`))},
		"an error in blocks":             {said(hi + `,` + assistant(called) + `,` + user(`[`+toolResult(`c1`, `[`+text(`a`)+`,`+text(`b`)+`]`, `,"is_error":true`)+`]`)), became(hi + `,` + callPart + `,` + toolMessage(`c1`, `"Error: a\nb"`))},
		"an error that says so":          {said(hi + `,` + assistant(called) + `,` + user(`[`+toolResult(`c1`, `"Error: boom"`, `,"is_error":true`)+`]`)), became(hi + `,` + callPart + `,` + toolMessage(`c1`, `"Error: boom"`))},
		"an error in Claude Code's mark": {said(hi + `,` + assistant(called) + `,` + user(`[`+toolResult(`c1`, `"\u003ctool_use_error>boom"`, `,"is_error":true`)+`]`)), became(hi + `,` + callPart + `,` + toolMessage(`c1`, `"\u003ctool_use_error>boom"`))},
		"an error without a word":        {said(hi + `,` + assistant(called) + `,` + user(`[`+toolResult(`c1`, `""`, `,"is_error":true`)+`]`)), became(hi + `,` + callPart + `,` + toolMessage(`c1`, `"Error"`))},
		"no error":                       {said(hi + `,` + assistant(called) + `,` + user(`[`+toolResult(`c1`, `"fine"`, `,"is_error":false`)+`]`)), became(hi + `,` + callPart + `,` + toolMessage(`c1`, `"fine"`))},
		"an image in a result": {said(hi + `,` + assistant(called) + `,` + user(`[`+toolResult(`c1`, `[`+text(`a`)+`,`+png+`]`)+`,`+toolResult(`c2`, `"2"`)+`,`+text(`well?`)+`]`)),
			became(hi + `,` + callPart + `,` + toolMessage(`c1`, `"a"`) + `,` + toolMessage(`c2`, `"2"`) + `,` + user(`[`+text(`[from the result of tool call c1]`)+`,`+pngPart+`,`+text(`well?`)+`]`))},
		"a document in a result": {said(hi + `,` + assistant(called) + `,` + user(`[`+toolResult(`c1`, `[`+pdf+`,{"type":"document","source":{"type":"text","data":"plain"}}]`)+`]`)),
			became(hi + `,` + callPart + `,` + toolMessage(`c1`, `"plain"`) + `,` + user(`[`+text(`[from the result of tool call c1]`)+`,`+pdfPart+`]`))},
		"a tool that loads others": {said(hi + `,` + assistant(called) + `,` + user(`[`+toolResult(`c1`, `[{"type":"tool_reference","tool_name":"A"},{"type":"tool_reference","tool_name":"B"}]`)+`]`)), became(hi + `,` + callPart + `,` + toolMessage(`c1`, `"Tool A is loaded.\nTool B is loaded."`))},
		"a history of Anthropic's own tools": {
			said(hi + `,` + assistant(`[{"type":"server_tool_use","id":"s1","name":"web_search","input":{"query":"kai"}},{"type":"web_search_tool_result","tool_use_id":"s1","content":[{"type":"web_search_result","title":"Kai","url":"https://kai.test","encrypted_content":"zzz","page_age":null}]},{"type":"bash_code_execution_tool_result","content":{"type":"bash_code_execution_result","stdout":"out","stderr":"","return_code":0}},`+text(`It is a gateway.`)+`]`)),
			became(hi + `,` + assistant(`"[web_search: {\"query\":\"kai\"}]\nKai\nhttps://kai.test\nout\nIt is a gateway."`))},
		"a compacted history": {said(hi + `,` + assistant(`[{"type":"compaction","content":"We spoke."}]`) + `,` + hi), became(hi + `,` + assistant(`"We spoke."`) + `,` + hi)},
		"only thinking":       {said(hi + `,` + assistant(`[{"type":"thinking","thinking":"","signature":""}]`) + `,` + hi), became(hi + `,` + assistant(`""`) + `,` + hi)},
	})
}

func TestSystemInTheConversation(t *testing.T) {
	const note = `<system-reminder>\nnote\n</system-reminder>`
	testRows(t, map[string]row{
		"with the user's message before it": {said(hi + `,` + system(`[`+text(`note`)+`]`) + `,` + assistant(`"a"`) + `,` + hi), became(user(`"hi\n`+note+`"`) + `,` + assistant(`"a"`) + `,` + hi)},
		"a string":                          {said(hi + `,` + system(`"note"`)), became(user(`"hi\n` + note + `"`))},
		"several blocks are one":            {said(hi + `,` + system(`[`+text(`a`)+`,`+text(`b`)+`]`)), became(user(`"hi\n<system-reminder>\na\nb\n</system-reminder>"`))},
		"first of all":                      {said(system(`"note"`) + `,` + hi), became(user(`"` + note + `\nhi"`))},
		"behind results of tools":           {said(hi + `,` + assistant(called) + `,` + user(`[`+toolResult(`c1`, `"1"`)+`]`) + `,` + system(`"note"`)), became(hi + `,` + callPart + `,` + toolMessage(`c1`, `"1"`) + `,` + user(`"`+note+`"`))},
		"before results of tools":           {said(hi + `,` + assistant(called) + `,` + system(`"note"`) + `,` + user(`[`+toolResult(`c1`, `"1"`)+`]`)), became(hi + `,` + callPart + `,` + toolMessage(`c1`, `"1"`) + `,` + user(`"`+note+`"`))},
		"between two of the assistant":      {said(hi + `,` + assistant(`"a"`) + `,` + system(`"note"`) + `,` + assistant(`"b"`)), became(hi + `,` + assistant(`"a"`) + `,` + user(`"`+note+`"`) + `,` + assistant(`"b"`))},
		"cleared by a later message":        {said(hi + `,{"role":"system","content":"note","clear_at":"next_user_message"},` + assistant(`"a"`) + `,` + user(`"b"`)), became(hi + `,` + assistant(`"a"`) + `,` + user(`"b"`))},
		"not yet cleared":                   {said(hi + `,{"role":"system","content":"note","clear_at":"next_user_message"}`), became(user(`"hi\n` + note + `"`))},
		"never cleared":                     {said(hi + `,{"role":"system","content":"note","clear_at":"never"},` + user(`"b"`)), became(user(`"hi\n` + note + `\nb"`))},
		"all of it cleared":                 {said(assistant(`"a"`) + `,{"role":"system","content":"note","clear_at":"next_user_message"},` + assistant(`"b"`) + `,` + hi), became(assistant(`"a"`) + `,` + assistant(`"b"`) + `,` + hi)},
		"an empty one":                      {said(hi + `,` + system(`""`)), became(hi)},
	})
}

// What only Anthropic has a place for.
func TestFormForAnthropic(t *testing.T) {
	mark := `,"cache_control":{"type":"ephemeral","ttl":"1h"}`
	marked := func(object string) string { return object[:len(object)-1] + mark + `}` }
	all := []string{extCache, extTopK, extNative}
	hiParts := user(`[` + text(`hi`) + `]`)
	for name, tc := range map[string]struct {
		body, want string
		extensions []string
	}{
		"an error": {said(hi + `,` + assistant(called) + `,` + user(`[`+toolResult(`c1`, `"boom"`, `,"is_error":true`+mark)+`]`)),
			became(hiParts + `,` + callPart + `,` + marked(`{"role":"tool","tool_call_id":"c1","content":[`+text(`boom`)+`],"is_error":true}`)), all},
		"an image in a result": {said(hi + `,` + assistant(called) + `,` + user(`[`+toolResult(`c1`, `[`+text(`a`)+`,`+png+`,`+pdf+`]`)+`,`+text(`well?`)+`]`)),
			became(hiParts + `,` + callPart + `,` + toolMessage(`c1`, `[`+text(`a`)+`,`+pngPart+`,`+pdfPart+`]`) + `,` + user(`[`+text(`well?`)+`]`)), all},
		"marks of what is cached": {said(user(`[`+marked(text(`a`))+`,`+marked(png)+`]`)+`,`+assistant(`[`+marked(text(`b`))+`,`+marked(toolUse(`c1`, `look`, `{}`))+`]`)+`,`+user(`[`+marked(toolResult(`c1`, `"1"`))+`]`)+`,`+system(`[`+marked(text(`note`))+`]`), `,"tools":[`+marked(`{"name":"look","input_schema":{}}`)+`]`, mark),
			strings.TrimSuffix(became(user(`[`+marked(text(`a`))+`,`+marked(pngPart)+`]`)+`,{"role":"assistant","content":[`+marked(text(`b`))+`],"tool_calls":[`+marked(toolCall(`c1`, `look`, `{}`))+`]},`+marked(toolMessage(`c1`, `[`+text(`1`)+`]`))+`,`+user(`[`+marked(text(`<system-reminder>\nnote\n</system-reminder>`))+`]`), `,"tools":[`+marked(`{"type":"function","function":{"name":"look","parameters":{}}}`)+`]`), "}") + mark + `}`, all},
		"marks for an adapter that knows nothing else": {said(user(`[`+marked(text(`a`))+`,`+png+`]`) + `,` + assistant(`[`+marked(toolUse(`c1`, `look`, `{}`))+`]`) + `,` + user(`[`+marked(toolResult(`c1`, `[`+text(`1`)+`,`+text(`2`)+`]`))+`]`)),
			became(user(`[`+marked(text(`a`))+`,`+pngPart+`]`) + `,{"role":"assistant","content":null,"tool_calls":[` + toolCall(`c1`, `look`, `{}`) + `]},` + toolMessage(`c1`, `[`+text(`1`)+`,`+marked(text(`2`))+`]`)), []string{extCache}},
		"the user's id":                 {said(hi, `,"metadata":{"user_id":"jo"}`), strings.TrimSuffix(became(hiParts), "}") + `,"safety_identifier":"jo"}`, all},
		"top_k":                         {said(hi, `,"top_k":3`), strings.TrimSuffix(became(hi), "}") + `,"top_k":3}`, all},
		"nothing of it":                 {said(hi), became(hi), all},
		"an adapter that takes nothing": {said(user(`[`+marked(text(`a`))+`]`), `,"top_k":3,"metadata":{"user_id":""}`, mark), became(user(`"a"`)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := formOf(t, tc.body, tc.extensions...); got != tc.want {
				t.Errorf("%s\nbecame %s\nwant   %s", tc.body, got, tc.want)
			}
		})
	}
}
