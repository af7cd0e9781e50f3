// Package openai is the adapter for OpenAI's chat completions and for every
// server that speaks their dialect: vLLM, llama.cpp, LM Studio, SGLang, Groq,
// Together, Mistral, DeepSeek and so on.
//
// Requests pass unchanged, except for what the options say. Package openaichat reads the
// answers. README.md has the options that known servers need.
package openai

import (
	"github.com/kai-gateway/kai/plugins/internal/openaichat"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Plugin returns the adapter.
func Plugin() *sdk.Plugin { return sdk.New(manifest, &adapter{}) }

// adapter has pointer receivers: with value receivers, each event would take one more call.
type adapter struct{}

var _ sdk.Adapter[openaichat.State] = (*adapter)(nil)

var manifest = sdk.Manifest{
	Name:           "openai",
	Version:        "1.0.0",
	License:        "Apache-2.0",
	Homepage:       "https://github.com/kai-gateway/kai/tree/main/plugins/openai",
	Provider:       "openai",
	Ops:            []abi.Op{abi.Chat, abi.Completions, abi.Embeddings, abi.Moderations, abi.Rerank, abi.Images, abi.Speech, abi.Transcriptions, abi.Responses, abi.Stored, abi.CountResponses, abi.CompactResponses},
	OptionalOps:    []sdk.OptionalOp{{Op: abi.Count, Option: "count_tokens"}},
	Capabilities:   []string{"streaming", "tools", "vision", "audio", "structured_output", "reasoning", "logprobs"},
	DefaultBaseURL: "https://api.openai.com/v1",
	Auth:           sdk.Auth{Secret: "api_key", Header: "authorization", Format: "Bearer {}"},
	Options:        options,
	Routing:        routing,
}

// routing has the fields, besides model, with which servers of this dialect can be told to
// use another model, another provider, or another account.
var routing = sdk.Routing{
	Fields: []string{
		// OpenRouter, see its own adapter
		"models", "provider", "route", "preset", "plugins",
		// Vercel's AI Gateway: https://vercel.com/docs/ai-gateway/models-and-providers/provider-options
		"providerOptions", "provider_options",
		// LiteLLM's proxy (https://docs.litellm.ai/docs/proxy/clientside_auth, …/reliability) and Bifrost
		"fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks",
		"context_window_fallback_dict", "context_fallbacks", "model_list", "model_info", "user_config",
		"router_settings_override", "specific_deployment", "custom_llm_provider", "litellm_params",
		"litellm_credential_name", "api_base", "base_url", "api_key", "api_version", "api_type",
		"extra_body", "extra_headers", "extra_query", "proxy_server_request",
		// Azure's own data: an endpoint and its key
		"data_sources",
		// LM Studio, llama.cpp, SGLang: a second model, or LoRA adapters
		"draft_model", "lora", "lora_path", "lora_request",
		// vLLM and SGLang: another server that does a part of the work
		"kv_transfer_params", "bootstrap_host", "bootstrap_port",
	},
	Tools: []string{"openrouter:"},
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
// Where completions are, below base_url, if not at /completions.
completions_path?: =~"^/[A-Za-z0-9/_.-]+$"
// The form in which the server knows rerank, if it is not Cohere's and Jina's.
rerank?: "tei"
// The server that counts tokens, and where: vLLM's base_url is its root, without /v1.
count_tokens?: "llama.cpp" | "vllm"
`
