package openrouter_test

import (
	"testing"

	"github.com/kai-gateway/kai/plugins/openrouter"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

const chunk = `{"id":"gen-1786988078-KaiSample0000000001","object":"chat.completion.chunk","created":1786988078,"model":"openai/gpt-4o-mini","provider":"OpenAI","system_fingerprint":"fp_88876bec1e","choices":[{"index":0,"delta":{"content":" how","role":"assistant"},"finish_reason":null,"native_finish_reason":null}]}`

func BenchmarkEvent(b *testing.B) {
	for name, data := range map[string]string{
		"text":      chunk,
		"reasoning": `{"id":"gen-1786988078-KaiSample0000000001","object":"chat.completion.chunk","created":1786988078,"model":"anthropic/claude-sonnet-4.5","provider":"Anthropic","choices":[{"index":0,"delta":{"content":"","role":"assistant","reasoning":"Compare","reasoning_details":[{"type":"reasoning.text","text":"Compare","format":"anthropic-claude-v1","index":0}]},"finish_reason":null,"native_finish_reason":null}]}`,
	} {
		b.Run(name, func(b *testing.B) {
			p := openrouter.Plugin()
			var state []byte
			emit := func(kind, at int32, data []byte) {
				if abi.Kind(kind) == abi.State {
					state = append(state[:0], data...)
				}
			}
			e := sdk.Event{Op: abi.Chat, Data: sdk.JSON(data)}
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				p.Call(sdk.Input{Event: &e, State: state}, emit)
			}
		})
	}
}
