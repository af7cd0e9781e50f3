package fault

// codes maps the codes of adapters that count whatever the status; docs/abi.md lists
// them.
var codes = map[string]Kind{
	"rate_limit_exceeded":      Rate,
	"overloaded":               Busy,
	"context_length_exceeded":  Context,
	"request_too_large":        Context,
	"content_policy_violation": Policy,
	"content_filter":           Policy, // Azure's word, which its clients know

	// OpenAI's, of images and of the Responses API.
	"moderation_blocked":             Policy,
	"image_content_policy_violation": Policy,
	"cyber_policy":                   Policy,
	"bio_policy":                     Policy,

	"unsupported_parameter":   RefusedField,
	"unsupported_value":       RefusedValue,
	"unsupported_operation":   RefusedOperation,
	"insufficient_quota":      Quota,
	"upstream_auth":           Auth,
	"model_not_found":         Missing,
	"upstream_timeout":        Slow,
	"upstream_error":          Upstream,
	"adapter_error":           Adapter,
	"provider_not_configured": Unusable,
}

// FromAdapter returns the kind of an error that an adapter stated: by its code, or by its
// status if the code has no meaning here.
func FromAdapter(status int, code string) Kind {
	if kind, ok := codes[code]; ok {
		return kind
	}
	switch {
	case status == 429:
		return Rate
	case status == 503, status == 529:
		return Busy
	case status == 408, status == 504, status == 524:
		return Slow
	case status >= 400 && status < 500:
		return Refused
	}
	return Upstream
}
