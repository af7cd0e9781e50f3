package fault

// codes are the words that adapters have for what became of a request, whatever
// the status; docs/abi.md lists them.
var codes = map[string]Kind{
	"rate_limit_exceeded":      Rate,
	"overloaded":               Busy,
	"context_length_exceeded":  Context,
	"request_too_large":        Context,
	"content_policy_violation": Policy,
	"insufficient_quota":       Quota,
	"upstream_auth":            Auth,
	"model_not_found":          Missing,
	"upstream_timeout":         Slow,
	"upstream_error":           Upstream,
	"adapter_error":            Adapter,
	"provider_not_configured":  Unusable,
}

// FromAdapter gives the kind of an error that an adapter stated: by its code, and
// by its status where the code says nothing.
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
