package chat_test

import (
	"fmt"

	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/sdk/abi"
)

// The emissions of two adapter calls, as a stream and as a whole.
func Example() {
	info := chat.Info{ID: "chatcmpl-1", Created: 1700000000, Model: "fast"}
	calls := [][]abi.Emission{
		{{Kind: abi.Text, At: abi.At(0, 0), Data: []byte("Hi")}},
		{
			{Kind: abi.Usage, Data: []byte(`{"prompt_tokens":3,"completion_tokens":1}`)},
			{Kind: abi.Finish, At: abi.At(0, 0), Data: []byte(abi.FinishStop)},
		},
	}

	chunks := chat.NewChunks(info)
	var events []byte
	for _, ems := range calls {
		events, _ = chunks.Apply(events, ems)
	}
	events, _ = chunks.End(events)
	fmt.Printf("%s", events)

	whole := chat.NewWhole(info)
	for _, ems := range calls {
		_, _ = whole.Apply(nil, ems)
	}
	body, _ := whole.End(nil)
	fmt.Printf("%s\n", body)
	// Output:
	// data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"fast","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}
	//
	// data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"fast","choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}]}
	//
	// data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"fast","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}
	//
	// data: [DONE]
	//
	// {"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"fast","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}
}
