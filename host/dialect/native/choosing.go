package native

import "github.com/kai-gateway/kai/host/body"

// In what passes, these fields and tools choose another model, provider or account, if not
// at the provider itself then at a gateway that speaks its API. Adapters whose manifests
// list more add those.
var (
	choosingFields = []string{
		// Anthropic: https://platform.claude.com/docs/en/api/messages
		"fallbacks", "fallback_credit_token",
		// OpenRouter: https://openrouter.ai/docs/guides/routing/model-fallbacks
		"models", "provider", "route", "preset", "plugins",
		// Vercel's AI Gateway: https://vercel.com/docs/ai-gateway/models-and-providers/provider-options
		"providerOptions", "provider_options",
		// LiteLLM's proxy and Bifrost: https://docs.litellm.ai/docs/proxy/clientside_auth
		"context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks", "context_window_fallback_dict",
		"context_fallbacks", "model_list", "model_info", "user_config", "router_settings_override", "specific_deployment",
		"custom_llm_provider", "litellm_params", "litellm_credential_name", "api_base", "base_url", "api_key",
		"api_version", "api_type", "extra_body", "extra_headers", "extra_query", "proxy_server_request",
	}
	choosingTools = []string{"advisor", "openrouter:"}
)

// private are fields that say which client asks, and in which session of which agent. No
// provider needs them.
var private = [...]string{"safeguards", "client_metadata", "session_id", "agent_id", "user_profile_id"}

// Private returns the names of the fields that never leave the gateway.
func Private() []string { return private[:] }

// PrivateFields returns these fields, whose values are at a place that is Cut.
func PrivateFields(at body.Place) (fields []body.Field) {
	for _, name := range private {
		fields = append(fields, body.Field{Name: name, Place: at})
	}
	return fields
}

// billedTools are what the types of tools begin with that the providers run and bill by the
// call, by the hour or by the picture: https://developers.openai.com/api/docs/pricing and
// https://platform.claude.com/docs/en/about-claude/pricing
var billedTools = []string{"web_search", "file_search", "code_interpreter", "image_generation", "code_execution"}
