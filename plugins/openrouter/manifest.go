// Package openrouter is the adapter for OpenRouter's chat completions,
// https://openrouter.ai/docs/api/reference/overview.
//
// OpenRouter speaks OpenAI's dialect with additions, so requests pass unchanged and package
// openaichat reads the answers. This package handles errors: they also come with status 200
// and in the middle of streams, and say more than those of other servers. README.md lists
// what is mapped, dropped and refused.
package openrouter

import (
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Plugin returns the adapter.
func Plugin() *sdk.Plugin { return sdk.New(manifest, &adapter{}) }

// adapter has pointer receivers: with value receivers, each event would take one more call.
type adapter struct{}

var _ sdk.Adapter[state] = (*adapter)(nil)

var manifest = sdk.Manifest{
	Name:           "openrouter",
	Version:        "1.0.0",
	License:        "Apache-2.0",
	Homepage:       "https://github.com/kai-gateway/kai/tree/main/plugins/openrouter",
	Provider:       "openrouter",
	Ops:            []abi.Op{abi.Chat, abi.Completions, abi.Embeddings},
	OptionalOps:    []sdk.OptionalOp{{Op: abi.Messages, Option: "messages"}, {Op: abi.Responses, Option: "responses"}},
	Capabilities:   []string{"streaming", "tools", "vision", "audio", "structured_output", "reasoning", "logprobs"},
	DefaultBaseURL: "https://openrouter.ai/api/v1",
	Auth:           sdk.Auth{Secret: "api_key", Header: "authorization", Format: "Bearer {}"},
	Options:        options,
	Routing:        routing,
	Extensions:     []string{"cache_control", "top_k"},
}

// routing has what makes OpenRouter use another model or provider than the configuration
// names: https://openrouter.ai/docs/guides/routing/model-fallbacks, …/provider-selection,
// …/features/presets, …/features/plugins (fusion, auto-router) and …/features/server-tools
// (advisor, fusion, image generation). Older clients use route.
var routing = sdk.Routing{
	Fields: []string{"models", "provider", "route", "preset", "plugins"},
	Tools:  []string{"openrouter:"},
}

// options is the CUE of what README.md explains. The gateway closes objects that
// do not end in "...": a misspelt privacy preference must not be ignored.
const options = `
app_url?:        =~"^https?://[^\\s]+$"
app_title?:      =~"^\\P{Cc}+$"
app_categories?: [...=~"^[a-z0-9-]+$"]
models?:         [...string]
provider?: {
	order?:                    [...string]
	only?:                     [...string]
	ignore?:                   [...string]
	quantizations?:            [...string]
	allow_fallbacks?:          bool
	require_parameters?:       bool
	data_collection?:          "allow" | "deny"
	zdr?:                      bool
	enforce_distillable_text?: bool
	sort?:                     "price" | "throughput" | "latency"
	preferred_min_throughput?: number
	preferred_max_latency?:    number
	max_price?: {
		prompt?:     number
		completion?: number
		request?:    number
		image?:      number
	}
}
reasoning?: {
	effort?:     "max" | "xhigh" | "high" | "medium" | "low" | "minimal" | "none"
	max_tokens?: int & >=1
	exclude?:    bool
	enabled?:    bool
	summary?:    "auto" | "concise" | "detailed"
}
plugins?: [...{id!: string, ...}]
// Whether requests to /v1/messages and /v1/responses go to OpenRouter's own as they are.
messages?:  bool
responses?: bool
`
