package host_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/sdk/abi"
)

// BenchmarkWholeCalls measures the two calls of a request that isn't streamed: time, and fuel,
// which is the same on every machine.
func BenchmarkWholeCalls(b *testing.B) {
	e := newEngine(b)
	talk := strings.Repeat(`,{"role":"user","content":"`+strings.Repeat("All work and no play. ", 100)+`"}`, 41)[1:]
	requests := map[string]string{
		"small": `{"model":"alias","messages":[{"role":"user","content":"What does a gateway do?"}],"stream":false}`,
		"large": `{"model":"alias","messages":[` + talk + `],"stream":false}`,
	}
	const answer = `{"id":"gen-1786988078-KaiSample0000000001","object":"chat.completion","created":1786988078,"model":"openai/gpt-4o-mini","provider":"OpenAI","system_fingerprint":"fp_eb37e061ec","choices":[{"index":0,"logprobs":null,"finish_reason":"stop","native_finish_reason":"stop","message":{"role":"assistant","content":"Hello! How can I assist you today?","refusal":null,"reasoning":null}}],"usage":{"prompt_tokens":9,"completion_tokens":10,"total_tokens":19,"cost":7.35e-06,"is_byok":false,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"cost_details":{"upstream_inference_cost":7.35e-06},"completion_tokens_details":{"reasoning_tokens":0}}}`
	for _, plugin := range []string{"openrouter", "openai"} {
		a := shippedAdapter(b, e, plugin, wasm.AdapterOptions{})
		measure := func(name string, call func(*wasm.Batch) (bool, error)) {
			b.Run(plugin+"/"+name, func(b *testing.B) {
				var batch wasm.Batch
				b.ReportAllocs()
				for b.Loop() {
					if failed, err := call(&batch); failed || err != nil {
						b.Fatalf("%v, %v: %v", failed, err, batch.Emissions)
					}
				}
				b.ReportMetric(float64(batch.Cost.Fuel), "fuel/op")
			})
		}
		for name, text := range requests {
			asked, err := chat.ParseRequest([]byte(text))
			if err != nil {
				b.Fatal(err)
			}
			body, _ := asked.Short("upstream-model")
			measure(fmt.Sprintf("%s request of %d bytes", name, len(body)), func(batch *wasm.Batch) (bool, error) {
				return a.Request(context.Background(), abi.Chat, false, []byte("{}"), body, batch)
			})
		}
		measure("answer", func(batch *wasm.Batch) (bool, error) {
			return a.Response(context.Background(), abi.Chat, 200, nil, []byte("content-type: application/json\n"), []byte(answer), batch)
		})
	}
}
