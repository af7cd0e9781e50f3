package openrouter

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/plugins/internal/openaichat"
	"github.com/kai-gateway/kai/plugins/internal/passing"
	"github.com/kai-gateway/kai/sdk"
)

// refused explains a status outside 2xx.
func refused(r *sdk.Response) error {
	var e sdk.JSON
	for f := sdk.Object(r.Body); f.Next(); {
		if string(f.Key()) == "error" && !f.Value().Empty() {
			e = f.Value()
		}
	}
	if e != nil {
		return failure(r.Status, r.Head, e)
	}
	// This doesn't come from OpenRouter's API: it is a page of something in front of it, or
	// base_url is wrong. It is never shown.
	switch r.Status {
	case 401, 403:
		if errortext.IsForeign(r.Body) {
			return errortext.Foreign("Something in front of OpenRouter, such as a proxy or a firewall, refused the request with status "+strconv.Itoa(r.Status), r.Body)
		}
	case 404, 405:
		return notFound()
	}
	switch r.Status {
	case 401, 402, 408, 413, 429, 503, 504, 524, 529:
		rep := report{status: r.Status, waitMS: errortext.Wait(r.Head)}
		return rep.verdict()
	}
	return errortext.Upstream("OpenRouter answered " + strconv.Itoa(r.Status) +
		" without a readable error. If this stays so, check the provider's base_url.")
}

// failure explains an error, an object or a string, that came with an HTTP status, or, if
// status is 0, within an answer.
func failure(status int, head sdk.Head, e sdk.JSON) error {
	r := readReport(e)
	switch {
	case status != 0:
		r.status = status
	case r.status == 0:
		r.status = statusOf(r.kind)
	}
	if wait := errortext.Wait(head); wait > 0 {
		r.waitMS = wait
	}
	return r.verdict()
}

// explain adds to a refusal that it is about the effort that the client asked for: some
// models cannot think, and some cannot but think.
func explain(err error, s *openaichat.State) error {
	if e, ok := err.(*sdk.Error); ok && s.Effort && e.Status == 400 && e.Code == "" &&
		(e.Param == "reasoning_effort" || strings.Contains(strings.ToLower(e.Message), "reasoning")) {
		errortext.RefusedEffort(e, false)
	}
	return err
}

// brokenOff returns the error for an answer that ended with "error" and no explanation.
func brokenOff(word string) error {
	return errortext.Say(errortext.Upstream(""), "The model's provider broke off the answer", errortext.Reason(word), "")
}

// report is what OpenRouter says about a failure. The forms are those in
// https://openrouter.ai/docs/api/reference/errors-and-debugging and in public logs.
type report struct {
	status    int    // an HTTP status; 0: not stated
	kind      string // the most exact word for it: availability.code, error_type, code, type
	text      string // for people, made fit to show
	param     string
	moderated bool // the input was flagged
	waitMS    int64
}

func readReport(e sdk.JSON) report {
	var r report
	if e.Kind() == sdk.KindString {
		r.text = said(e)
		return r
	}
	var message, metadata, availability sdk.JSON
	var code, errorType, typ string
	for f := sdk.Object(e); f.Next(); {
		v := f.Value()
		switch string(f.Key()) {
		case "code":
			if n, ok := errortext.Number(v); ok {
				r.setStatus(n)
			} else {
				code, _ = v.Str()
			}
		case "http_status":
			if n, ok := errortext.Number(v); ok && r.status == 0 {
				r.setStatus(n)
			}
		case "message":
			message = v
		case "error_type":
			errorType, _ = v.Str()
		case "type":
			typ, _ = v.Str()
		case "param":
			r.param = errortext.Param(v)
		case "metadata":
			metadata = v
		case "availability":
			availability = v
		}
	}
	var raw, provider sdk.JSON
	for f := sdk.Object(metadata); f.Next(); {
		v := f.Value()
		switch string(f.Key()) {
		case "error_type":
			errorType, _ = v.Str()
		case "raw":
			raw = v
		case "provider_name":
			provider = v
		case "reasons", "patterns", "flagged_input":
			r.moderated = r.moderated || !openaichat.IsNothing(v)
		case "retry_after_seconds":
			r.waitMS = errortext.Milliseconds(v)
		case "retry_after_seconds_raw":
			r.waitOr(v)
		case "headers":
			r.waitOr(v.Get("Retry-After"))
		}
	}
	var available string
	for f := sdk.Object(availability); f.Next(); {
		switch string(f.Key()) {
		case "code":
			available, _ = f.Value().Str()
		case "retry_after":
			r.waitOr(f.Value())
		}
	}
	r.kind = cmp.Or(available, errorType, code, typ)

	// The text of the model's provider says more than "Provider returned error".
	if r.text = said(raw); r.text != "" {
		if name, _ := provider.Str(); name != "" && len(name) <= 64 {
			r.text = "[" + name + "] " + r.text
		}
	} else if message != nil {
		r.text = said(message)
	} else {
		r.text = said(e)
	}
	return r
}

func (r *report) setStatus(n int64) {
	if n >= 400 && n <= 599 {
		r.status = int(n)
	}
}

func (r *report) waitOr(v sdk.JSON) {
	if r.waitMS == 0 {
		r.waitMS = errortext.Milliseconds(v)
	}
}

// The ways out that the operator has.
const (
	checkKey     = " Check the provider's api_key in the gateway's configuration."
	correctModel = " Correct the model's entry in the gateway's model_mapping."
	changeEither = " Change the request, or the model's entry in the gateway's model_mapping."
)

// verdict returns the error that the client gets.
func (r *report) verdict() *sdk.Error {
	e := errortext.Upstream("")
	lead, advice := "OpenRouter failed to answer", ""
	blame := func(status int) {
		e.Status, e.Code, e.Param, lead = status, "", r.param, "OpenRouter refused the request"
		if blamesRequest(r.kind) {
			e.Code = r.kind
		}
	}
	switch {
	case errortext.LacksOperation(r.text):
		e.Status, e.Code, e.Param = 400, "unsupported_operation", "model"
		lead = "The model can't do this"
	case r.kind == "model_not_found", r.kind == "wrong_endpoint",
		r.status == 400 && strings.Contains(r.text, "is not a valid model ID"):
		e.Status, e.Code = 404, "model_not_found"
		lead, advice = "OpenRouter refused the upstream model", correctModel
	case r.moderated, r.kind == "content_policy_violation", r.kind == "refusal",
		r.status == 403 && strings.Contains(r.text, "was flagged for"):
		e.Status, e.Code = 400, "content_policy_violation"
		lead = "OpenRouter refused the content of the request"
	case errortext.IsTooLong(r.text):
		e.Status, e.Code, e.Param = 400, "context_length_exceeded", r.param
		lead = errortext.TooLong
	case r.status == 400, r.status == 412, r.kind == "image_not_found":
		blame(400)
	case r.status == 401:
		e.Code = "upstream_auth"
		lead, advice = "OpenRouter refused the gateway's API key", checkKey
	case r.status == 402 && affords(r.text):
		e.Status, e.Code, e.Param = 400, "max_tokens_exceeded", "max_tokens"
		lead = "The gateway's OpenRouter account can pay for a shorter answer only, so ask for fewer max_tokens"
	case r.status == 402, r.status == 403 && strings.HasPrefix(r.text, "Key limit exceeded"):
		e.Code = "insufficient_quota"
		lead = "The gateway's OpenRouter account cannot pay for this request"
	case r.kind == "region_restricted":
		e.Status, e.Code = 404, "model_not_found"
		lead, advice = "OpenRouter does not serve this model where the gateway is", correctModel
	case r.status == 403:
		e.Code = "upstream_auth"
		lead = "The gateway's OpenRouter account may not do this"
	case r.status == 405, r.status == 404 && errortext.IsPath(r.text):
		return notFound()
	case r.status == 404:
		e.Status, e.Code = 404, "model_not_found"
		if r.asksTooMuch() {
			e.Status, e.Code = 400, ""
		}
		lead, advice = "OpenRouter cannot serve this model as asked", changeEither
	case r.status == 413, r.status == 429 && strings.Contains(strings.ToLower(r.text), "request too large"):
		e.Status, e.Code = 413, "request_too_large"
		lead = "The request is too large for OpenRouter"
	case r.status == 422:
		blame(422)
	case r.status == 429:
		e.Status, e.Code, e.RetryAfterMS = 429, "rate_limit_exceeded", r.waitMS
		lead = "A rate limit at OpenRouter is reached"
	case r.status == 408, r.status == 504, r.status == 524:
		e.Status, e.Code, e.RetryAfterMS = 504, "upstream_timeout", r.waitMS
		lead = "OpenRouter's answer did not come in time"
	case r.status == 529, r.kind == "provider_overloaded":
		e.Status, e.Code, e.RetryAfterMS = 503, "overloaded", r.waitMS
		lead = "The model is overloaded at OpenRouter"
	case r.status == 503:
		e.Status, e.RetryAfterMS = 503, r.waitMS
		lead = "The model is not available at OpenRouter"
	case r.status/100 == 4 && r.status != 407 && r.status != 425: // whatever it is, it is about this request
		blame(400)
	default: // 500, 502 and everything else
		e.RetryAfterMS = r.waitMS
	}
	e.Type = sdk.TypeOf(e.Status)
	return errortext.Say(e, lead, r.text, advice)
}

// affords reports whether the text of a 402 says that a shorter answer could be paid for.
// Then it is the request that asks for too much, and others are served.
func affords(text string) bool {
	_, rest, found := strings.Cut(text, "can only afford ")
	return found && rest != "" && rest[0] >= '1' && rest[0] <= '9'
}

// asksTooMuch reports whether a 404 is about what the request demands of a model, such as
// tools. Others are served by it.
func (r *report) asksTooMuch() bool {
	return r.kind == "constraint_filtered" || strings.HasPrefix(r.text, "No endpoints found that ") ||
		strings.Contains(r.text, "but your request's ")
}

// notFound returns the error for a path that does not exist.
func notFound() *sdk.Error {
	e := errortext.Upstream("OpenRouter " + errortext.NoChat + ". Check the provider's base_url in the gateway's configuration: it ends in /api/v1.")
	e.NoRetry = true
	return e
}

// blamesRequest reports whether a word says what is wrong with a request. Clients get it as the
// error's code.
func blamesRequest(kind string) bool {
	switch kind {
	case "context_length_exceeded", "max_tokens_exceeded", "token_limit_exceeded", "string_too_long",
		"unsupported_image_format", "image_not_found":
		return true
	}
	return passing.StatusOf(kind) == 400
}

// statusOf returns the HTTP status that a word stands for.
func statusOf(kind string) int {
	if blamesRequest(kind) {
		return 400
	}
	switch kind {
	case "invalid_request", "invalid_request_error", "content_policy_violation", "refusal",
		"model_not_found", "wrong_endpoint":
		return 400
	case "authentication", "authentication_error", "invalid_api_key":
		return 401
	case "payment_required", "insufficient_quota":
		return 402
	case "permission_denied", "permission_error", "region_restricted":
		return 403
	case "not_found", "not_found_error", "no_endpoints", "model_deprecated",
		"model_unavailable_upstream", "privacy_restricted", "constraint_filtered", "free_variant_ended":
		return 404
	case "precondition_failed":
		return 412
	case "payload_too_large":
		return 413
	case "unprocessable":
		return 422
	case "rate_limit_exceeded", "rate_limit_error", "capacity_exhausted":
		return 429
	case "provider_overloaded", "temporarily_unavailable":
		return 503
	case "timeout":
		return 504
	case "overloaded_error":
		return 529
	}
	return cmp.Or(passing.StatusOf(kind), 502)
}

// pointsToAccount reports whether a sentence has a link to OpenRouter's site, other than to
// its documentation. Such a link sends readers to the settings of an account that is not
// theirs.
func pointsToAccount(sentence string) bool {
	for {
		_, path, found := strings.Cut(sentence, "openrouter.ai/")
		if !found {
			return false
		}
		if !strings.HasPrefix(path, "docs") {
			return true
		}
		sentence = path
	}
}

// said returns the text for people in a part of an error, fit to show.
func said(v sdk.JSON) string { return errortext.Clean(errortext.Dig(v), pointsToAccount) }
