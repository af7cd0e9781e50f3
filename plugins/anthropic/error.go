package anthropic

import (
	"cmp"
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/sdk"
)

// refuse is the error for a request that Anthropic cannot serve.
func refuse(param, message string) *sdk.Error {
	return &sdk.Error{Status: 400, Type: sdk.InvalidRequest, Param: param, Message: message}
}

// upstream is the error for a failure of Anthropic.
func upstream(message string) *sdk.Error { return because(502, "upstream_error", message) }

func because(status int, code, message string) *sdk.Error {
	return &sdk.Error{Status: status, Type: sdk.TypeOf(status), Code: code, Message: message}
}

func malformed() *sdk.Error {
	return errortext.Own(upstream("The provider's answer is not what Anthropic's Messages API sends. Does base_url lead to it?"), "")
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
		err := upstream("Anthropic's Messages API was not found: base_url must be its root, without /v1.")
		err.NoRetry = true
		return errortext.Own(err, "")
	}
	err := errortext.Own(verdict(status, cmp.Or(said, unsaid(status))), said)
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
	switch {
	case errortext.IsTooLong(said), (status == 400 || status == 413 || status == 422) && has("context window"):
		e := refuse("messages", "Anthropic refuses the request: "+said)
		e.Code = "context_length_exceeded"
		return e
	case status == 402, status == 400 && strings.HasPrefix(said, "Your credit balance is too low"):
		return because(502, "insufficient_quota", "The gateway's Anthropic account cannot pay for this request: "+said)
	case status == 401:
		return because(502, "upstream_auth", "Anthropic refused the gateway's API key: "+said+
			" Check the provider's api_key in the gateway's configuration.")
	case status == 403:
		return because(502, "upstream_auth", "The gateway's Anthropic account may not do this: "+said)
	case status == 404 && !errortext.IsAboutModel(said): // a file, for one
		return &sdk.Error{Status: 404, Type: sdk.NotFoundError, Message: "Anthropic does not have what was asked for: " + said}
	case status == 404:
		return &sdk.Error{Status: 404, Type: sdk.NotFoundError, Code: "model_not_found", Param: "model",
			Message: "Anthropic does not have what was asked for: " + said +
				" Correct the model's entry in the gateway's model_mapping."}
	case status == 413, status == 429 && has("long context"): // which other requests don't need
		return because(413, "request_too_large", "Anthropic: "+said)
	case status == 429:
		return because(429, "rate_limit_exceeded", "Anthropic: "+said)
	case status == 408, status == 504:
		return because(504, "upstream_timeout", "Anthropic: "+said)
	case status == 503:
		return because(503, "upstream_error", "Anthropic: "+said)
	case status == 529:
		return because(503, "overloaded", "Anthropic: "+said)
	case status >= 400 && status < 500:
		e := refuse("", "Anthropic refuses the request: "+said)
		if has("content filtering policy") {
			e.Code = "content_policy_violation"
		}
		return e
	}
	return upstream("Anthropic: " + said)
}

// unsaid returns a text to use if the error has none.
func unsaid(status int) string {
	switch status {
	case 401, 402, 403, 404:
		return "No reason was given."
	case 408, 504:
		return "The answer did not come in time."
	case 413:
		return "The request is too large."
	case 429:
		return "The rate limit is reached."
	case 503, 529:
		return "The service is busy."
	}
	if status >= 400 && status < 500 {
		return "No reason was given."
	}
	return "The service failed."
}
