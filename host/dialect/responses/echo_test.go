package responses

import (
	"reflect"
	"testing"
)

// TestEcho: all that the response object repeats is a copy on one line, and what is
// absent is nil.
func TestEcho(t *testing.T) {
	body := []byte(`{"instructions":"i\n","max_output_tokens":1,"max_tool_calls":2,"metadata":{"a":
		"b"},"parallel_tool_calls":true,"previous_response_id":"p","prompt_cache_key":"k","prompt_cache_retention":"24h",
		"reasoning":{"effort":"low"},"safety_identifier":"s","temperature":0.5,"text":{"verbosity":"low"},"tool_choice":"auto",
		"tools":[ ],"top_logprobs":3,"top_p":0.9,"truncation":"auto","user":"u","service_tier":"x","store":true}`)
	got := echoed(body)
	for i := range body {
		body[i] = 'x'
	}
	want := echo{
		instructions: []byte(`"i\n"`), maxOutputTokens: []byte(`1`), maxToolCalls: []byte(`2`), metadata: []byte("{\"a\":\t\t\"b\"}"),
		parallelToolCalls: []byte(`true`), previousResponseID: []byte(`"p"`), promptCacheKey: []byte(`"k"`), promptCacheRetention: []byte(`"24h"`),
		reasoning: []byte(`{"effort":"low"}`), safetyIdentifier: []byte(`"s"`), temperature: []byte(`0.5`), text: []byte(`{"verbosity":"low"}`),
		toolChoice: []byte(`"auto"`), tools: []byte(`[ ]`), topLogprobs: []byte(`3`), topP: []byte(`0.9`), truncation: []byte(`"auto"`), user: []byte(`"u"`),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the echo is %q, want %q", got, want)
	}
	if got := echoed([]byte(`{"input":"Hi","tools":null}`)); !reflect.DeepEqual(got, echo{}) {
		t.Errorf("the echo of nothing is %q", got)
	}
}

// echoed returns the echo of a request's body.
func echoed(b []byte) echo {
	var r reading
	if err := r.read(b); err != nil {
		panic(err)
	}
	return echoOf(r.fields)
}
