package anthropic

import (
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/sdk"
)

// refuse is the error for a request that Anthropic cannot serve.
func refuse(param, message string) *sdk.Error {
	return &sdk.Error{Status: 400, Type: sdk.InvalidRequest, Param: param, Message: message}
}

func malformed() *sdk.Error {
	return errortext.Upstream("The provider's answer is not what Anthropic's Messages API sends. Does base_url lead to it?")
}

// failed explains an error that came with an HTTP status, or, if status is 0, within an
// answer. The types of errors are those of
// https://platform.claude.com/docs/en/api/errors. If e is absent, the error came from
// something in front of the API.
func failed(status int, head sdk.Head, e sdk.JSON) *sdk.Error {
	kind, _ := e.Get("type").Str()
	said := errortext.Clean(errortext.Dig(e), nil)
	switch s := statusOf(kind); {
	case s != 0 && status != 405:
		status = s
	case status == 0:
		status = 500
	}
	if (status == 404 || status == 405) && errortext.IsPath(said) {
		err := errortext.Upstream("Anthropic's Messages API was not found: base_url must be its root, without /v1.")
		err.NoRetry = true
		return err
	}
	err := verdict(status, said)
	switch err.Status {
	case 429, 502, 503, 504:
		err.RetryAfterMS = errortext.Wait(head)
	}
	return err
}

// statusOf returns the status that belongs to an error's type, or 0 for an unknown type.
func statusOf(kind string) int {
	switch kind {
	case "invalid_request_error":
		return 400
	case "authentication_error":
		return 401
	case "billing_error":
		return 402
	case "permission_error":
		return 403
	case "not_found_error":
		return 404
	case "request_too_large":
		return 413
	case "rate_limit_error":
		return 429
	case "api_error":
		return 500
	case "timeout_error":
		return 504
	case "overloaded_error":
		return 529
	}
	return 0
}

// explain adds to a refusal that it is about the effort that the client asked for. Any other
// error, and none, stays as it is.
func (s *state) explain(err error) error {
	if e, ok := err.(*sdk.Error); ok && s.Effort && e.Status == 400 && e.Code == "" && refusesEffort(e.Message) {
		errortext.RefusedEffort(e, false)
	}
	return err
}

// refusesEffort reports whether a model cannot think, or not in the form in which it was
// asked to, or knows no efforts. What is about thinking in the history is something else.
func refusesEffort(text string) bool {
	has := func(part string) bool { return strings.Contains(text, part) }
	about := has("thinking") || has("effort")
	return about && !has("messages.") &&
		(has("not support") || has("not permitted") || has("does not match any of the expected tags"))
}

// verdict returns the error that the client gets.
func verdict(status int, said string) *sdk.Error {
	has := func(part string) bool { return strings.Contains(said, part) }
	e := errortext.Upstream("")
	lead, advice := "Anthropic failed", ""
	switch {
	case errortext.IsTooLong(said), (status == 400 || status == 413 || status == 422) && has("context window"):
		e.Status, e.Code, e.Param = 400, "context_length_exceeded", "messages"
		lead = errortext.TooLong
	case status == 402, status == 400 && strings.HasPrefix(said, "Your credit balance is too low"):
		e.Code = "insufficient_quota"
		lead = "The gateway's Anthropic account cannot pay for this request"
	case status == 401:
		e.Code = "upstream_auth"
		lead, advice = "Anthropic refused the gateway's API key", " Check the provider's api_key in the gateway's configuration."
	case status == 403:
		e.Code = "upstream_auth"
		lead = "The gateway's Anthropic account may not do this"
	case status == 404:
		e.Status, e.Code = 404, ""
		lead = "Anthropic does not have what was asked for"
		if errortext.IsAboutModel(said) || said == "" { // and not about a file, for one
			e.Code, e.Param = "model_not_found", "model"
			advice = " Correct the model's entry in the gateway's model_mapping."
		}
	case status == 413, status == 429 && has("long context"): // which other requests don't need
		e.Status, e.Code = 413, "request_too_large"
		lead = "The request is too large for Anthropic"
	case status == 429:
		e.Status, e.Code = 429, "rate_limit_exceeded"
		lead = "Anthropic's rate limit is reached"
	case status == 408, status == 504:
		e.Status, e.Code = 504, "upstream_timeout"
		lead = "Anthropic's answer did not come in time"
	case status == 503:
		e.Status = 503
		lead = "Anthropic is not available"
	case status == 529:
		e.Status, e.Code = 503, "overloaded"
		lead = "Anthropic is overloaded"
	case status >= 400 && status < 500:
		e.Status, e.Code = 400, ""
		lead = "Anthropic refuses the request"
		if has("content filtering policy") {
			e.Code = "content_policy_violation"
		}
	}
	e.Type = sdk.TypeOf(e.Status)
	return errortext.Say(e, lead, said, advice)
}
