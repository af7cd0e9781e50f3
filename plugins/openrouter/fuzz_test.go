package openrouter

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"unsafe"

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

// withoutPattern gives a state that has forgotten the last chunk's pattern.
func withoutPattern(s []byte) []byte {
	if len(s) == 0 {
		return nil
	}
	s = bytes.Clone(s)
	clear(s[unsafe.Offsetof(state{}.Text):])
	return s
}

// FuzzEvent holds that two events in a row break nothing, and that the second
// means the same whether it is recognised by the pattern of the first or read.
func FuzzEvent(f *testing.F) {
	const text = `{"id":"g","provider":"P","choices":[{"index":0,"delta":{"content":"a","role":"assistant"},"finish_reason":null}]}`
	for _, s := range []string{
		text,
		`{"id":"g","provider":"P","choices":[{"index":0,"delta":{"content":"b\"c","role":"assistant"},"finish_reason":null}]}`,
		`{"id":"g","provider":"P","choices":[{"index":0,"delta":{"content":"","content":"b"},"finish_reason":"stop","native_finish_reason":"x"}]}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"a","function":{"name":"f","arguments":"{"}},{"id":"b","function":{"arguments":{}}}]}}]}`,
		`{"choices":[{"index":2,"logprobs":{"content":[{}]},"delta":{"reasoning_details":[{"text":"x"},{"summary":"y"}],"content":[{"type":"text","text":"z"}]}}]}`,
		`{"choices":[],"error":{"code":"x","metadata":{"raw":"{\"a\":1}"}},"usage":{"is_byok":true,"cost":1}}`,
		` {"choices" : [ { "delta" : { "content" : "a" } } ] } `,
		`null`, `[]`, ``, `"`, `{"choices":{}}`,
	} {
		f.Add(text, s)
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		_, s := call(t, sdk.Input{Event: &sdk.Event{Data: sdk.JSON(one)}})
		fast, after := call(t, sdk.Input{Event: &sdk.Event{Data: sdk.JSON(two)}, State: s})
		slow, afterSlow := call(t, sdk.Input{Event: &sdk.Event{Data: sdk.JSON(two)}, State: withoutPattern(s)})
		if !slices.EqualFunc(fast, slow, same) {
			t.Errorf("after %s\nthe event %s\nmakes %v with the pattern\nand   %v without", one, two, fast, slow)
		}
		if !bytes.Equal(withoutPattern(after), withoutPattern(afterSlow)) {
			t.Errorf("after %s\nthe event %s leaves different states", one, two)
		}
		call(t, sdk.Input{Event: &sdk.Event{Done: true}, State: after})
	})
}

func same(a, b abi.Emission) bool {
	return a.Kind == b.Kind && a.Raw == b.Raw && a.At == b.At && bytes.Equal(a.Data, b.Data)
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
