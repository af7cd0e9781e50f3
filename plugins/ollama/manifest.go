// Package ollama is the adapter for Ollama's native chat API, POST /api/chat.
//
// It uses the native API and not Ollama's own OpenAI layer, because that one loses errors in
// the middle of a stream, cannot set the context size, and ignores max_completion_tokens,
// tool_choice and keep_alive. README.md lists what is mapped, dropped and refused. What the
// package says about Ollama was observed with versions 0.32.5 and 0.33.0-rc2; the traffic is
// in testdata/transcripts/ollama.
package ollama

import (
	"github.com/kai-gateway/kai/plugins/internal/passing"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Plugin returns the adapter with its manifest.
func Plugin() *sdk.Plugin {
	return sdk.New(sdk.Manifest{
		Name:           "ollama",
		Version:        "1.0.0",
		License:        "Apache-2.0",
		Homepage:       "https://github.com/kai-gateway/kai/tree/main/plugins/ollama",
		Provider:       "ollama",
		Ops:            []abi.Op{abi.Chat, abi.Completions, abi.Embeddings},
		OptionalOps:    []sdk.OptionalOp{{Op: abi.Messages, Option: "messages"}, {Op: abi.Responses, Option: "responses"}},
		MaxInputs:      []sdk.MaxInputs{{Op: abi.Completions, N: 1}},
		Capabilities:   []string{"streaming", "tools", "vision", "reasoning", "structured_output", "logprobs"},
		DefaultBaseURL: "http://localhost:11434",
		Setup:          "start Ollama with 'ollama serve', and get the model once with 'ollama pull {model}'",
		Options:        options,
		Extensions:     []string{"top_k"},
	}, &adapter{})
}

// options are the options of a provider and of a model, in CUE. All but the first five are
// "options" of a native request, under the same names.
const options = `
// How long the model stays loaded: seconds, or a duration such as "10m"; negative is for ever.
keep_alive?: number | =~"^-?([0-9.]+(ns|us|ms|s|m|h))+$"
// Whether or how hard a model thinks when a request has no reasoning_effort.
think?: bool | "low" | "medium" | "high" | "max"
// Whether what is longer than the context is cut without a word. Ollama's default is true; for embeddings it is false here.
truncate?: bool
// Whether the oldest part of the context makes room while the model writes. Ollama's default is true.
shift?: bool
// Whether the prompt of a completion is put into the model's template, as Ollama's own /v1/completions does, or sent as it is.
completions?: "raw" | "template"
// Whether requests to /v1/messages and /v1/responses go to Ollama's own as they are, which takes none of these options.
messages?:  bool
responses?: bool

// Loading: a request that changes one of these loads the model anew.
num_ctx?:           int & >=1
num_batch?:         int & >=1
num_gpu?:           int & >=-1
main_gpu?:          int & >=0
use_mmap?:          bool
num_thread?:        int & >=0
draft_num_predict?: int & >=0

// Sampling: used where a request says nothing else.
num_predict?:       int & >=-2
temperature?:       number & >=0
top_k?:             int & >=0
top_p?:             number & >=0 & <=1
min_p?:             number & >=0 & <=1
typical_p?:         number & >=0 & <=1
seed?:              int
stop?:              [...string]
repeat_penalty?:    number & >=0
repeat_last_n?:     int & >=-1
presence_penalty?:  number & >=-2 & <=2
frequency_penalty?: number & >=-2 & <=2
num_keep?:          int & >=-1
`

// adapter implements sdk.Adapter. It has pointer receivers: with value receivers, each event would
// take one more call.
type adapter struct{}

var _ sdk.Adapter[state] = (*adapter)(nil)

// state is what the adapter remembers between the calls of an exchange.
type state struct {
	Calls  uint32        // how many tool calls there were so far; the number of the next one
	Effort bool          // the client itself asked for thinking
	Ended  bool          // the line with "done":true has come
	Usage  passing.Usage // of a message that passes
}
