// Package anthropic is the adapter for Anthropic's Messages API, POST
// /v1/messages, https://platform.claude.com/docs/en/api/messages.
//
// It uses the native API, because Anthropic's own OpenAI layer loses thinking, prompt
// caching, documents and structured outputs. README.md lists what is mapped, dropped and
// refused. What the package says about Anthropic comes from its public documentation and
// the types of its public SDKs.
package anthropic

import (
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Plugin returns the adapter with its manifest.
func Plugin() *sdk.Plugin { return sdk.New(manifest, &adapter{}) }

var manifest = sdk.Manifest{
	Name:           "anthropic",
	Version:        "1.0.0",
	License:        "Apache-2.0",
	Homepage:       "https://github.com/kai-gateway/kai/tree/main/plugins/anthropic",
	Provider:       "anthropic",
	Ops:            []abi.Op{abi.Chat, abi.Count, abi.Messages, abi.CountMessages},
	Capabilities:   []string{"streaming", "tools", "vision", "documents", "reasoning", "structured_output", "prompt_caching"},
	DefaultBaseURL: "https://api.anthropic.com",
	Auth:           sdk.Auth{Secret: "api_key", Header: "x-api-key", Format: "{}"},
	Options:        options,
	// The advisor, a tool, is a model that the request names.
	Routing:    sdk.Routing{Tools: []string{"advisor"}},
	Extensions: []string{"anthropic", "cache_control", "top_k"},
}

// options is the CUE of what README.md explains.
const options = `
// Features in beta, sent in the header anthropic-beta.
anthropic_beta?: [...=~"^[A-Za-z0-9._-]+$"]
// The limit of an answer in tokens where a request has none; Anthropic demands one. Default: 32000.
max_tokens?: int & >=1
// Thinking where a request says nothing about it. The type also says in which form a request's effort is sent.
thinking?: {
	type?:          "adaptive" | "enabled" | "disabled"
	budget_tokens?: int & >=1024
	display?:       "summarized" | "omitted"
}
// How much work an answer is worth where a request says nothing about it.
effort?: "low" | "medium" | "high" | "xhigh" | "max"
// Whether temperature, top_p and top_k are sent. Default: as the model's name tells.
sampling?: bool
// Caches the prompt up to its last block.
cache_control?: {
	type!: "ephemeral"
	ttl?:  "5m" | "1h"
}
`

// adapter implements sdk.Adapter. It has pointer receivers: with value receivers, each event would
// take one more call.
type adapter struct{}

var _ sdk.Adapter[state] = (*adapter)(nil)
