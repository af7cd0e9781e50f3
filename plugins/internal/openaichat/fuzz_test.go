package openaichat

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"unsafe"

	"github.com/kai-gateway/kai/plugins/internal/adaptertest"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// plain is the adapter for a server without ways of its own.
type plain struct{}

var dialect = Dialect{
	Name:      "The server",
	Failure:   func(_ sdk.Head, e sdk.JSON) error { return errors.New(string(e)) },
	BrokenOff: func(word string) error { return errors.New(word) },
}

func (plain) Request(*sdk.Request, *State, *sdk.Out) error { return nil }
func (plain) Response(r *sdk.Response, _ *State, out *sdk.Out) error {
	return dialect.Whole(r, out)
}
func (plain) Event(e *sdk.Event, s *State, out *sdk.Out) error { return dialect.Event(e, s, out) }

// call returns what a call emitted and the state it left.
func call(t *testing.T, in sdk.Input) (emitted []abi.Emission, state []byte) {
	t.Helper()
	emitted, state, _ = adaptertest.Call(t, sdk.New(sdk.Manifest{Name: "plain", Version: "1", Provider: "plain"}, plain{}), in)
	return emitted, state
}

// withoutPattern returns a state that has forgotten the last chunk's pattern.
func withoutPattern(s []byte) []byte {
	if len(s) == 0 {
		return nil
	}
	s = bytes.Clone(s)
	clear(s[unsafe.Offsetof(State{}.Text):])
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
		`{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"eA=="}}},{"id":"b","function":{"name":"f"},"label":"","x":1}]}}]}`,
		`{"choices":[{"index":2,"logprobs":{"content":[{}]},"delta":{"reasoning_details":[{"text":"x"},{"summary":"y"}],"content":[{"type":"text","text":"z"}]}}]}`,
		`{"choices":[],"error":{"code":"x","metadata":{"raw":"{\"a\":1}"}},"usage":{"is_byok":true,"cost":1}}`,
		` {"choices" : [ { "delta" : { "content" : "a" } } ] } `,
		`{"choices":[{"message":{"content":"all"},"delta":{"content":"a"},"usage":{"prompt_cache_hit_tokens":1}}],"x_groq":{"usage":{"prompt_tokens":1}}}`,
		`{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}`,
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

func FuzzWhole(f *testing.F) {
	for _, s := range []string{
		`{"choices":[{"message":{"content":"a","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{}}}]},"finish_reason":"stop"}],"usage":{"cached_tokens":1}}`,
		`{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"x"}]}]},"finish_reason":"abort"}]}`,
		`{"error":{"message":"m"}}`, `{"error":"x"}`, `{"x_groq":{"error":"x"}}`, `<html>`, `null`, ``, `{"choices":[{"error":{}}]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		call(t, sdk.Input{Response: &sdk.Response{Status: 200, Body: []byte(body)}})
	})
}
