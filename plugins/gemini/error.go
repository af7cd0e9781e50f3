package gemini

import (
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/sdk"
)

// refuse is the error for a request that Gemini cannot serve.
func refuse(param, message string) *sdk.Error {
	return &sdk.Error{Status: 400, Type: sdk.InvalidRequest, Param: param, Message: message}
}

func malformed() *sdk.Error {
	return errortext.Upstream("Gemini sent an answer that is not what its API promises.")
}

// blocked returns the error for a prompt that Gemini refuses to answer.
func blocked(reason string) *sdk.Error {
	e := refuse("messages", "")
	e.Code = "content_policy_violation"
	return errortext.Say(e, "Gemini blocked the prompt", errortext.Reason(reason), "")
}

// brokenOff returns the error for a candidate whose finish reason means a failure, such as
// MALFORMED_FUNCTION_CALL.
func brokenOff(word string, message sdk.JSON) *sdk.Error {
	text, _ := message.Str()
	said := strings.TrimSpace(errortext.Reason(word) + " " + errortext.Clean(text, isPrivate))
	return errortext.Say(errortext.Upstream(""), "Gemini broke off the answer", said, "")
}

// report is a google.rpc.Status: https://google.aip.dev/193
type report struct {
	status int    // an HTTP status; 0: not stated
	word   string // such as INVALID_ARGUMENT
	reason string // of an ErrorInfo, such as API_KEY_INVALID
	text   string // for people; fit to show
	waitMS int64

	foreign sdk.JSON // the body, if it did not come from the API
}

// failure explains an error of Gemini. body is that of an answer with a status outside 2xx,
// or, with status 0, an event of a stream.
func failure(status int, head sdk.Head, body sdk.JSON) error {
	r := readReport(body)
	if status != 0 {
		r.status = status
	} else if r.status == 0 {
		r.status = statusOf(r.word)
	}
	if wait := errortext.Wait(head); wait > 0 {
		r.waitMS = wait
	}
	return r.verdict()
}

func readReport(body sdk.JSON) report {
	var r report
	for it := sdk.Array(body); it.Next(); {
		body = it.Value() // an error of a stream that is one array, see takeAll
		break
	}
	if body.Kind() != sdk.KindObject || body.Valid() != nil {
		if errortext.IsForeign(body) {
			r.foreign = body // it came from something in front of the API
		}
		return r
	}
	var details sdk.JSON
	for f := sdk.Object(body.Get("error")); f.Next(); {
		v := f.Value()
		switch string(f.Key()) {
		case "code":
			if n, ok := errortext.Number(v); ok && n >= 400 && n <= 599 {
				r.status = int(n)
			}
		case "status":
			r.word, _ = v.Str()
		case "message":
			r.text = errortext.Clean(errortext.Dig(v), isPrivate)
		case "details":
			details = v
		}
	}
	for it := sdk.Array(details); it.Next(); {
		d := it.Value()
		if reason, _ := d.Get("reason").Str(); reason != "" {
			r.reason = reason
		}
		if delay, _ := d.Get("retryDelay").Str(); delay != "" { // "22s", "3.5s"
			r.waitMS = errortext.Milliseconds(sdk.JSON(strings.TrimSuffix(delay, "s")))
		}
	}
	return r
}

// explain adds to a refusal that it is about the effort that the client asked for: the
// model cannot think, or not in the form in which it was asked to.
func (s *state) explain(err error) error {
	e, ok := err.(*sdk.Error)
	if !ok || !s.Effort || e.Status != 400 || e.Code != "" {
		return err
	}
	text := strings.ToLower(e.Message)
	has := func(part string) bool { return strings.Contains(text, part) }
	if (has("thinking") || has("include_thoughts")) && !has("signature") {
		errortext.RefusedEffort(e, false)
	}
	return e
}

// verdict returns the error that the client gets.
func (r *report) verdict() *sdk.Error {
	e := errortext.Upstream("")
	lead, advice := "Gemini failed", ""
	switch {
	case r.foreign != nil && (r.status == 401 || r.status == 403):
		return errortext.Foreign("Something in front of Gemini, such as a proxy or a firewall, refused the request with status "+strconv.Itoa(r.status), r.foreign)
	case r.reason == "API_KEY_INVALID", r.reason == "API_KEY_EXPIRED", r.status == 401:
		e.Code = "upstream_auth"
		lead, advice = "Gemini refused the gateway's API key", " Check the provider's api_key in the gateway's configuration."
	case strings.HasPrefix(r.text, "The File "), strings.HasPrefix(r.text, "You do not have permission to access the File "):
		e.Status, e.Code, e.Param = 400, "", "messages"
		lead = "Gemini cannot use a file of the messages"
	case r.status == 403, r.word == "FAILED_PRECONDITION": // the latter is about a country, or about billing
		e.Code = "upstream_auth"
		lead = "The gateway's account at Google may not do this"
	case errortext.IsTooLong(r.text):
		e.Status, e.Code, e.Param = 400, "context_length_exceeded", "messages"
		lead = errortext.TooLong
	case r.status == 400:
		e.Status, e.Code = 400, ""
		lead = "Gemini refused the request"
	case r.status == 404 && errortext.LacksOperation(r.text):
		e.Status, e.Code, e.Param = 400, "unsupported_operation", "model"
		lead = "The model can't do this"
	case r.status == 404 && !errortext.IsPath(r.text):
		e.Status, e.Code, e.Param = 404, "model_not_found", "model"
		lead, advice = "Gemini does not have the upstream model", " Correct the model's entry in the gateway's model_mapping."
	case r.status == 404, r.status == 405:
		e.NoRetry = true
		lead, advice = "Gemini's API was not found", " Check the provider's base_url in the gateway's configuration: it ends in /v1beta."
	case r.status == 413:
		e.Status, e.Code = 413, "request_too_large"
		lead = "The request is too large for Gemini"
	case r.status == 429:
		e.Status, e.Code, e.RetryAfterMS = 429, "rate_limit_exceeded", r.waitMS
		lead = "Gemini's rate limit is reached"
	case r.status == 503:
		e.Status, e.Code, e.RetryAfterMS = 503, "overloaded", r.waitMS
		lead = "Gemini is overloaded"
	case r.status == 408, r.status == 504:
		e.Status, e.Code, e.RetryAfterMS = 504, "upstream_timeout", r.waitMS
		lead = "Gemini's answer did not come in time"
	case r.status/100 == 4 && r.status != 407 && r.status != 425 && r.status != 499: // whatever it is, it is about this request
		e.Status, e.Code = 400, ""
		lead = "Gemini refused the request"
	}
	e.Type = sdk.TypeOf(e.Status)
	return errortext.Say(e, lead, r.text, advice)
}

// isPrivate reports whether a sentence has the number of the gateway's project.
func isPrivate(sentence string) bool { return strings.Contains(sentence, " project ") }

// statusOf returns the HTTP status of a google.rpc.Code:
// https://ai.google.dev/gemini-api/docs/troubleshooting#error-codes
func statusOf(word string) int {
	switch word {
	case "INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE":
		return 400
	case "UNAUTHENTICATED":
		return 401
	case "PERMISSION_DENIED":
		return 403
	case "NOT_FOUND":
		return 404
	case "RESOURCE_EXHAUSTED":
		return 429
	case "UNAVAILABLE":
		return 503
	case "DEADLINE_EXCEEDED":
		return 504
	}
	return 500
}
