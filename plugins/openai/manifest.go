// Package openai is the adapter for OpenAI's chat completions and for every
// server that speaks their dialect: vLLM, llama.cpp, LM Studio, SGLang, Groq,
// Together, Mistral, DeepSeek and so on.
//
// Requests pass as they are but for what the options say; answers are read by
// package openaichat. README.md has the options that known servers need.
package openai

import (
	"github.com/kai-gateway/kai/plugins/internal/openaichat"
	"github.com/kai-gateway/kai/sdk"
)

// Plugin gives the adapter.
func Plugin() *sdk.Plugin { return sdk.New(manifest, adapter{}) }

type adapter struct{}

var _ sdk.Adapter[openaichat.State] = adapter{}

var manifest = sdk.Manifest{
	Name:           "openai",
	Version:        "1.0.0",
	License:        "Apache-2.0",
	Homepage:       "https://github.com/kai-gateway/kai/tree/main/plugins/openai",
	Provider:       "openai",
	Capabilities:   []string{"streaming", "tools", "vision", "audio", "json", "reasoning", "logprobs"},
	DefaultBaseURL: "https://api.openai.com/v1",
	Auth:           sdk.Auth{Secret: "api_key", Header: "authorization", Format: "Bearer {}"},
	Options:        options,
}

// options is the CUE of what README.md explains.
const options = `
// Who pays, for keys that belong to several.
organization?: =~"^[\\x21-\\x7e]+$"
project?:      =~"^[\\x21-\\x7e]+$"

// The one name under which the limit of tokens is sent; unset: as the client named it.
max_tokens_field?: "max_tokens" | "max_completion_tokens"
// Whether streams are asked for their usage. False keeps stream_options from servers that refuse it.
stream_usage: *true | bool
// What becomes of the thoughts in earlier answers that clients send back.
reasoning_history?: "keep" | "drop" | "reasoning" | "reasoning_content"
// The role that messages of role developer are sent with.
developer_role?: "developer" | "system"
// Fields at the request's top that are never sent.
drop?: [...string]
// Fields for requests that don't have them.
body?: {...}
`
