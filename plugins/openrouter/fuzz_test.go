package openrouter

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// call gives what a call emitted and the state it left. It fails the test when
// a payload is not what its kind promises.
func call(t *testing.T, in sdk.Input) (ems []abi.Emission, state []byte) {
	t.Helper()
	state = in.State
	Plugin().Call(in, func(kind, at int32, p []byte) {
		e := abi.Emission{Kind: abi.Kind(kind &^ abi.Raw), Raw: kind&abi.Raw != 0, At: at, Data: bytes.Clone(p)}
		if e.Kind == abi.State {
			state = e.Data
			return
		}
		if fault := faultOf(e); fault != "" {
			t.Errorf("%v %q %s", e.Kind, e.Data, fault)
		}
		ems = append(ems, e)
	})
	return ems, state
}

func faultOf(e abi.Emission) string {
	if e.Choice() >= abi.MaxChoices {
		return "is about a choice beyond the limit"
	}
	switch e.Kind {
	case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolArgs:
		if e.Raw && !json.Valid(slices.Concat([]byte(`"`), e.Data, []byte(`"`))) {
			return "is not the inside of a string"
		}
	case abi.DeltaExtra, abi.ChoiceExtra, abi.ChunkExtra, abi.Usage, abi.Error:
		if !json.Valid(e.Data) || e.Data[0] != '{' {
			return "is no object"
		}
	case abi.Logprobs:
		if !json.Valid(e.Data) || e.Data[0] != '[' {
			return "is no array"
		}
	case abi.Finish:
		switch string(e.Data) {
		case abi.FinishStop, abi.FinishLength, abi.FinishToolCalls, abi.FinishContentFilter, abi.FinishFunctionCall:
		default:
			return "is no finish reason"
		}
	}
	return ""
}

func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		`{"choices":[{"message":{"content":"a","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"cost":1}}`,
		`{"error":{"message":"m","code":"429","metadata":{"raw":"{\"error\":{\"message\":\"x\"}}","provider_name":"P","retry_after_seconds":1.5}}}`,
		`{"error":"x"}`, `{"error":{"availability":{"code":"x","retry_after":"y"}}}`, `<html>`, `null`, ``, `{"choices":[{"error":{}}]}`,
	} {
		f.Add(200, s)
		f.Add(403, s)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		ems, _ := call(t, sdk.Input{Response: &sdk.Response{Status: status, Head: sdk.Head("retry-after: x\n"), Body: []byte(body)}})
		failed := slices.ContainsFunc(ems, func(e abi.Emission) bool { return e.Kind == abi.Error })
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
		ems, _ := call(t, sdk.Input{Request: &sdk.Request{Options: sdk.JSON(options), Body: sdk.JSON(body)}})
		for _, e := range ems {
			if e.Kind == abi.Body && !json.Valid(e.Data) {
				t.Errorf("options %s make %s of %s", options, e.Data, body)
			}
		}
	})
}
