package openrouter

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/kai-gateway/kai/plugins/internal/adaptertest"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		`{"choices":[{"message":{"content":"a","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"cost":1}}`,
		`{"error":{"message":"m","code":"429","metadata":{"raw":"{\"error\":{\"message\":\"x\"}}","provider_name":"P","retry_after_seconds":1.5}}}`,
		`{"error":"x"}`, `{"error":{"availability":{"code":"x","retry_after":"y"}}}`, `<html>`, `null`, ``, `{"choices":[{"error":{}}]}`,
	} {
		f.Add(200, s)
		f.Add(403, s)
	}
	for _, s := range []string{
		`{"object":"response","status":"completed","output":[{"type":"function_call"}],"usage":{"input_tokens":1e99,"output_tokens":2,"cost":1}}`,
		`{"type":"message","content":[],"stop_reason":"end_turn","usage":{"input_tokens":1,"cache_read_input_tokens":-1}}`,
		`{"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}}`, `{"type":"message_delta","delta":{"stop_reason":"tool_use"}}`,
	} {
		f.Add(200, s)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		for _, op := range []abi.Op{abi.Responses, abi.Messages} {
			adaptertest.Call(t, Plugin(), sdk.Input{Response: &sdk.Response{Op: op, Status: status, Body: []byte(body)}})
			adaptertest.Call(t, Plugin(), sdk.Input{Event: &sdk.Event{Op: op, Data: []byte(body)}})
		}
		emitted, _, _ := adaptertest.Call(t, Plugin(), sdk.Input{Response: &sdk.Response{Status: status, Head: sdk.Head("retry-after: x\n"), Body: []byte(body)}})
		failed := slices.ContainsFunc(emitted, func(e abi.Emission) bool { return e.Kind == abi.Error })
		if !failed && (status < 200 || status > 299) {
			t.Errorf("status %d is no error", status)
		}
	})
}

// FuzzRequest holds that options never make bad JSON of a good body.
func FuzzRequest(f *testing.F) {
	f.Add(`{"app_url":"https://x","provider":{"order":["a"]}}`, `{"model":"m"}`)
	f.Add(`{"models":["a"],"reasoning":{"effort":"low"}}`, ` { } `)
	f.Add(`{"app_categories":["a","b"],"plugins":[]}`, `{"reasoning_effort":"high","plugins":null}`)
	f.Fuzz(func(t *testing.T, options, body string) {
		if !json.Valid([]byte(options)) || !json.Valid([]byte(body)) || sdk.JSON(body).Kind() != sdk.KindObject {
			t.Skip()
		}
		for _, op := range []abi.Op{abi.Chat, abi.Responses, abi.Messages} {
			adaptertest.Call(t, Plugin(), sdk.Input{Request: &sdk.Request{Op: op, Options: sdk.JSON(options), Body: sdk.JSON(body)}})
		}
	})
}
