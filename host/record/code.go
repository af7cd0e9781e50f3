package record

// codes are those that the gateway and its adapters give to failures, and that clients of
// OpenAI's API know.
var codes = func() map[string]bool {
	known := map[string]bool{}
	for _, code := range []string{
		"adapter_error", "adapter_loading", "adapter_paused", "budget_exceeded", "busy", "concurrency_limit_exceeded",
		"content_policy_violation", "context_length_exceeded", "insufficient_quota", "invalid_api_key", "invalid_value",
		"limits_unavailable", "missing_required_parameter", "model_not_allowed", "model_not_found", "out_of_memory", "overloaded",
		"provider_not_configured", "rate_limit_exceeded", "request_timeout", "request_too_large", "request_too_large_for_limit",
		"shutting_down", "string_above_max_length", "unknown_parameter", "unsupported_operation", "unsupported_parameter",
		"unsupported_value", "upstream_auth", "upstream_error", "upstream_timeout",
	} {
		known[code] = true
	}
	return known
}()

// KnownCode returns the code of a failure if it is a well-known one, "other" for any other,
// and "" for none. Codes may be an upstream's, which could hold anything.
func KnownCode(code string) string {
	if code == "" || codes[code] {
		return code
	}
	return "other"
}
