package host_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/sdk/abi"
)

// BenchmarkPassedCalls measures the calls of a guest for events that pass: time, and fuel, which
// is the same on every machine.
func BenchmarkPassedCalls(b *testing.B) {
	e := newEngine(b)
	const response = `"response":{"id":"resp_68b4ac98f7d48192a2f6d1c0e9b8a7f60123456789abcdef","object":"response","created_at":1786988078,"error":null,"incomplete_details":null,"model":"gpt-4o-mini-2024-07-18"`
	events := map[string]struct {
		op         abi.Op
		plugin     string
		name, data string
	}{
		"delta": {abi.Responses, "openai", "response.output_text.delta",
			`{"type":"response.output_text.delta","content_index":0,"delta":" gateway","item_id":"msg_68b4ac9a1d2c8192b6b0b0a2f3c4d5e60123456789abcdef","logprobs":[],"obfuscation":"Sa9QXj1w","output_index":0,"sequence_number":7}`},
		"chat chunk": {abi.Chat, "openai", "",
			`{"id":"gen-1786988078-KaiSample0000000001","object":"chat.completion.chunk","created":1786988078,"model":"openai/gpt-4o-mini","provider":"OpenAI","choices":[{"index":0,"delta":{"content":" gateway","role":"assistant"},"finish_reason":null,"native_finish_reason":null}]}`},
		"created": {abi.Responses, "openai", "response.created", `{"type":"response.created",` + response + `,"status":"in_progress","output":[],"usage":null}}`},
		"completed": {abi.Responses, "openai", "response.completed",
			`{"type":"response.completed",` + response + `,"status":"completed","output":[],"usage":{"input_tokens":15,"output_tokens":2000,"total_tokens":2015}}}`},
		"part added": {abi.Responses, "openai", "response.content_part.added",
			`{"type":"response.content_part.added","content_index":0,"item_id":"msg_68b4ac9a1d2c8192b6b0b0a2f3c4d5e60123456789abcdef","output_index":0,"part":{"type":"output_text","annotations":[],"text":""}}`},
		"delta of a message": {abi.Messages, "anthropic", "content_block_delta",
			`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" gateway"}}`},
		"start of a message": {abi.Messages, "anthropic", "message_start",
			`{"type":"message_start","message":{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","content":[],"model":"claude-opus-4-8","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":15,"output_tokens":1}}}`},
		"start of a block": {abi.Messages, "anthropic", "content_block_start",
			`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`},
		"ping":           {abi.Messages, "anthropic", "ping", `{"type":"ping"}`},
		"end of a block": {abi.Messages, "anthropic", "content_block_stop", `{"type":"content_block_stop","index":0}`},
		"end of a message": {abi.Messages, "anthropic", "message_delta",
			`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2000}}`},
		"stop of a message": {abi.Messages, "anthropic", "message_stop", `{"type":"message_stop"}`},
		"item added": {abi.Responses, "openai", "response.output_item.added",
			`{"type":"response.output_item.added","item":{"id":"msg_68b4ac9a1d2c8192b6b0b0a2f3c4d5e60123456789abcdef","type":"message","status":"in_progress","content":[],"role":"assistant"},"output_index":0}`},
		"delta of a message by OpenRouter": {abi.Messages, "openrouter", "content_block_delta",
			`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" gateway"}}`},
	}
	adapters := map[string]*wasm.Adapter{}
	request := []byte(`{"input":[{"role":"user","content":"Say something."}],"instructions":"You are a helpful assistant.","model":"openai/gpt-4o-mini","max_output_tokens":150,"store":false,"stream":true,"temperature":0.7}`)
	for name, ev := range events {
		a := adapters[ev.plugin]
		if a == nil {
			a = shippedAdapter(b, e, ev.plugin, wasm.AdapterOptions{})
			adapters[ev.plugin] = a
		}
		var batch wasm.Batch
		if name == "delta" || name == "delta of a message" {
			b.Run("request of "+ev.op.String()+"/one", func(b *testing.B) {
				for b.Loop() {
					if failed, err := a.Request(context.Background(), ev.op, true, []byte("{}"), request, &batch); failed || err != nil {
						b.Fatalf("%v, %v: %v", failed, err, batch.Emissions)
					}
				}
				b.ReportMetric(float64(batch.Cost.Fuel), "fuel/op")
			})
		}
		b.Run(name+"/one", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if failed, err := a.Event(context.Background(), ev.op, 0, nil, []byte(ev.name), []byte(ev.data), &batch); failed || err != nil {
					b.Fatalf("%v, %v: %v", failed, err, batch.Emissions)
				}
			}
			b.ReportMetric(float64(batch.Cost.Fuel), "fuel/op")
		})
		for _, n := range []int{2, 13} {
			var frames wasm.Frames
			for range n {
				frames.Add([]byte(ev.data))
			}
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if !a.Events(context.Background(), ev.op, nil, &frames, &batch) {
						b.Fatal("failed")
					}
				}
				b.ReportMetric(float64(batch.Cost.Fuel)/float64(n), "fuel/event")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
			})
		}
	}
}
