package openai

import (
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/plugins/internal/passing"
	"github.com/kai-gateway/kai/sdk"
)

// failure explains an error of a server. body is that of an answer with a status outside 2xx,
// or, with status 0, an error within an answer.
func failure(status int, head sdk.Head, body sdk.JSON) error {
	r := readReport(body)
	switch {
	case status != 0:
		r.status = status
	case r.status == 0:
		r.status = statusOf(r.kind)
	}
	return r.verdict(waitOf(head))
}

// brokenOff returns the error for an answer whose finish reason means a failure.
func brokenOff(word string) error {
	e := errortext.Upstream("")
	if word == "insufficient_system_resource" {
		e.Status, e.Code = 503, "overloaded"
	}
	return errortext.Say(e, "The provider broke off the answer", errortext.Reason(word), "")
}

// report is what a server says about a failure, in any of these forms:
//
//	{"error":{"message":"…","type":"…","param":null,"code":"…"}}          OpenAI, vLLM, llama.cpp (code is a number)
//	{"error":"…"}                                                         LM Studio, llama.cpp behind a proxy
//	{"object":"error","message":"…","type":"…","code":400}                vLLM before 0.11, Mistral
//	{"message":"…"}                                                       Mistral, gateways
//	{"success":false,"errors":[{"code":5007,"message":"…"}]}              Cloudflare
//	{"detail":"…"}, {"detail":[{"loc":["body","n"],"msg":"…"}]}           FastAPI, alone or as a message (Mistral)
//	[{"error":{…}}]                                                       Google's OpenAI layer
//	text                                                                  servers in Rust, proxies
type report struct {
	status int    // an HTTP status; 0: not stated
	kind   string // the most exact word for it: code, or else type
	typ    string // its type, if that says more than that the request is wrong
	coded  bool   // kind is a code
	said   string // the text for people, as it came
	text   string // the same text, made fit to show
	param  string

	foreign sdk.JSON // the body, if it did not come from an API
}

func readReport(body sdk.JSON) report {
	var r report
	if k := body.Kind(); k != sdk.KindObject && k != sdk.KindArray && k != sdk.KindString || body.Valid() != nil {
		if errortext.IsForeign(body) {
			r.foreign = body
		}
		r.text = errortext.Clean(string(body), nil)
		r.said = r.text
		return r
	}
	e := errorOf(body)
	var code, typ string
	for f := sdk.Object(e); f.Next(); {
		v := f.Value()
		switch string(f.Key()) {
		case "code", "status", "status_code":
			if n, ok := errortext.Number(v); !ok {
				if string(f.Key()) == "code" {
					code, _ = v.Str()
				}
			} else if n >= 400 && n <= 599 {
				r.status = int(n)
			}
		case "type":
			typ, _ = v.Str()
		case "param":
			r.param = errortext.Param(v)
		}
	}
	if r.kind, r.coded = code, errortext.IsWord(code); !r.coded {
		r.kind = typ
	}
	if typ == "external_connector_error" || typ == "image_generation_user_error" { // OpenAI's, of a server for tools and of a prompt
		r.typ = typ
	}
	text := errortext.Dig(e)
	if place, said := invalidField(e, 4); said != "" {
		r.param, text = place, said
		if place != "" {
			text = place + ": " + said
		}
	}
	r.said = text
	r.text = errortext.Clean(text, nil)
	return r
}

// errorOf returns the error of a body: the object or string that explains it.
func errorOf(body sdk.JSON) sdk.JSON {
	for it := sdk.Array(body); it.Next(); {
		body = it.Value()
		break
	}
	if e := body.Get("error"); e.Kind() == sdk.KindObject || e.Kind() == sdk.KindString {
		return e
	}
	return body
}

// invalidField finds the first complaint of a server that checks requests with
// pydantic, such as {"loc":["body","messages",0,"name"],"msg":"Extra inputs …"},
// and returns its place as OpenAI writes them: messages[0].name.
func invalidField(v sdk.JSON, depth int) (place, said string) {
	if depth == 0 {
		return "", ""
	}
	switch v.Kind() {
	case sdk.KindString:
		s, _ := v.Str()
		if inner := sdk.JSON(s); inner.Kind() == sdk.KindObject && inner.Valid() == nil {
			return invalidField(inner, depth-1)
		}
	case sdk.KindArray:
		for it := sdk.Array(v); it.Next(); {
			return invalidField(it.Value(), depth-1)
		}
	case sdk.KindObject:
		if loc := v.Get("loc"); loc.Kind() == sdk.KindArray {
			said, _ = v.Get("msg").Str()
			return placeOf(loc), said
		}
		for _, key := range [...]string{"detail", "message"} {
			if place, said := invalidField(v.Get(key), depth-1); said != "" {
				return place, said
			}
		}
	}
	return "", ""
}

func placeOf(loc sdk.JSON) string {
	var place []byte
	for it := sdk.Array(loc); it.Next() && len(place) < 100; {
		if n, ok := it.Value().Int(); ok {
			place = append(strconv.AppendInt(append(place, '['), n, 10), ']')
			continue
		}
		name, _ := it.Value().Str()
		if len(place) == 0 && name == "body" || !errortext.IsWord(name) {
			continue
		}
		if len(place) > 0 {
			place = append(place, '.')
		}
		place = append(place, name...)
	}
	return string(place)
}

// refusedField returns the field that a server refuses in words alone, "" if there is none.
// llama.cpp may do so with status 500.
//
//   - code: says whether it refuses the field or its value
func (r *report) refusedField() (param, code string) {
	if name, found := strings.CutPrefix(r.said, "Unsupported param: "); found && errortext.IsWord(name) {
		return name, "unsupported_parameter"
	}
	for _, known := range [...]struct{ begin, param, code string }{
		{"suffix is not currently supported", "suffix", "unsupported_parameter"}, // vLLM
		{"Only no echo is supported", "echo", "unsupported_value"},               // llama.cpp
		{"Only one completion choice is allowed", "n", "unsupported_value"},      // llama.cpp
	} {
		if strings.HasPrefix(r.said, known.begin) {
			return known.param, known.code
		}
	}
	return "", ""
}

// byWords makes an error what the server's words say whatever its status is. lead is "" if they
// say nothing.
func (r *report) byWords(e *sdk.Error) (lead, advice string) {
	field, refusal := r.refusedField()
	switch {
	case field != "":
		e.Status, e.Code, e.Param = 400, refusal, field
		lead = "The provider refused the request"
	case r.tooLong():
		e.Status, e.Code, e.Param = 400, "context_length_exceeded", "messages"
		lead = errortext.TooLong
	case r.kind == "OperationNotSupported", errortext.LacksOperation(r.said): // the first is Azure's
		e.Status, e.Code, e.Param = 400, "unsupported_operation", "model"
		lead = "The model can't do this"
	case r.unknownModel():
		e.Status, e.Code, e.Param = 404, "model_not_found", "model"
		lead, advice = "The provider does not have the upstream model", " Correct the model's entry in the gateway's model_mapping."
	case r.policy() != "":
		e.Status, e.Code, e.Param = 400, r.policy(), r.param
		lead = "The provider's rules about content forbid the request"
	case r.asksTooMuch():
		e.Status, e.Code = 413, "request_too_large"
		lead = "The request alone is over the provider's rate limit"
	}
	return lead, advice
}

// verdict returns the error that the client gets.
func (r *report) verdict(waitMS int64) *sdk.Error {
	e := &sdk.Error{Status: 502, Code: "upstream_error"}
	lead, advice := r.byWords(e)
	switch {
	case lead != "":
	case r.kind == "insufficient_quota", r.kind == "billing_not_active", r.kind == "billing_hard_limit_reached",
		r.status == 402:
		e.Code = "insufficient_quota"
		lead = "The gateway's account at the provider cannot pay for this request"
	case r.status == 400 && strings.HasPrefix(r.said, "Incorrect API key provided"): // xAI
		e.Code = "upstream_auth"
		lead, advice = "The provider refused the gateway's API key", " Check the provider's api_key in the gateway's configuration."
	case r.status == 400, r.status == 422:
		e.Status, e.Code, e.Param = r.status, r.requestCode(), r.param
		if r.isAboutEffort() {
			errortext.RefusedEffort(e, r.kind == "unsupported_value" || r.kind == "invalid_value")
		}
		lead = "The provider refused the request"
	case r.status == 403 && r.foreign != nil:
		return errortext.Foreign("Something in front of the provider, such as a proxy or a firewall, refused the request with status 403", r.foreign)
	case r.status == 401, r.status == 407:
		e.Code = "upstream_auth"
		lead, advice = "The provider refused the gateway's API key", " Check the provider's api_key in the gateway's configuration."
	case r.status == 403:
		e.Code = "upstream_auth"
		lead = "The gateway's account at the provider may not do this"
	case r.status == 404 && r.lacksNamed():
		e.Status, e.Code, e.Param = 404, "", r.param
		lead = "The provider does not have something that the request names"
		if r.saysFile() {
			lead = "The provider does not have a file that the request names"
		}
	case r.status == 404, r.status == 405:
		e.NoRetry = true
		lead, advice = "The provider "+errortext.NoChat,
			" Check the provider's base_url in the gateway's configuration: it mostly ends in /v1."
	case r.status == 413:
		e.Status, e.Code = 413, "request_too_large"
		lead = "The request is too large for the provider"
	case r.status == 429:
		e.Status, e.Code, e.RetryAfterMS = 429, "rate_limit_exceeded", waitMS
		lead = "The provider's rate limit is reached"
	case r.status == 408, r.status == 504, r.status == 524:
		e.Status, e.Code, e.RetryAfterMS = 504, "upstream_timeout", waitMS
		lead = "The provider's answer did not come in time"
	case r.status == 498, r.status == 529: // 498 is Groq's: https://console.groq.com/docs/errors
		e.Status, e.Code, e.RetryAfterMS = 503, "overloaded", waitMS
		lead = "The provider is overloaded"
	case r.status == 503:
		e.Status, e.RetryAfterMS = 503, waitMS
		lead = "The provider is busy or not ready"
	case r.status/100 == 4 && r.status != 425: // whatever it is, it is about this request
		e.Status, e.Code, e.Param = 400, r.requestCode(), r.param
		lead = "The provider refused the request with status " + strconv.Itoa(r.status)
	default: // 500, 502 and everything else
		lead, e.RetryAfterMS = "The provider failed", waitMS
		if r.text == "" && r.status != 0 {
			lead += " with status " + strconv.Itoa(r.status)
		}
	}
	if e.Type = sdk.TypeOf(e.Status); r.typ != "" && e.Status == 400 {
		e.Type = r.typ
	}
	return errortext.Say(e, lead, r.text, advice)
}

// isAboutEffort reports whether the server refuses reasoning_effort: models that don't think
// do, and newer ones of OpenAI's do beside tools. Some servers name the field, some only in
// their text, and xAI as it is called in its own code.
func (r *report) isAboutEffort() bool {
	return r.param == "reasoning_effort" || strings.Contains(r.said, "reasoning_effort") || strings.Contains(r.said, "reasoningEffort")
}

// requestCode returns the code for a request that is wrong. It is the server's own word,
// unless that only says that the request is wrong, as types do.
func (r *report) requestCode() string {
	switch {
	case !errortext.IsWord(r.kind), strings.HasSuffix(r.kind, "Error"), !r.coded && strings.HasSuffix(r.kind, "_error"):
		return ""
	}
	switch r.kind {
	case "invalid_request_error", "bad_request_error", "validation_error", "api_error", "server_error":
		return ""
	}
	return r.kind
}

// tooLong reports whether the prompt does not fit. Servers say so with statuses
// from 400 to 500.
func (r *report) tooLong() bool {
	switch r.kind {
	case "context_length_exceeded", // OpenAI, Groq
		"exceed_context_size_error": // llama.cpp
		return true
	}
	return errortext.IsTooLong(r.said)
}

// policy returns the code for content, of the request or of its answer, that the provider doesn't
// allow, "" if it is something else. It is the provider's own, if it has one.
func (r *report) policy() string {
	switch r.kind {
	case "content_policy_violation", "image_content_policy_violation", "cyber_policy", "bio_policy",
		"moderation_blocked": // OpenAI's images
		return r.kind
	}
	if r.status == 403 && strings.HasPrefix(r.said, "Content violates usage guidelines") { // xAI
		return "content_policy_violation"
	}
	return ""
}

// asksTooMuch reports whether one request alone is more than a rate limit allows at any time.
// Others are served, so it is the request's fault, with OpenAI's 429 and Groq's 413.
func (r *report) asksTooMuch() bool {
	return (r.status == 429 || r.status == 413) && strings.HasPrefix(r.said, "Request too large for ")
}

// unknownModel reports whether the server doesn't know the model. A 404 may as
// well mean that it doesn't know the path, or a file that the request names.
func (r *report) unknownModel() bool {
	switch r.kind {
	case "model_not_found", "invalid_model", "DeploymentNotFound": // OpenAI; Mistral; Azure
		return true
	}
	return r.status == 404 && errortext.IsAboutModel(r.said) && !errortext.IsPath(r.said) ||
		r.status == 400 && strings.EqualFold(r.said, "model not exist") // DeepSeek
}

// lacksNamed reports whether a 404 says that the server doesn't have what the request names,
// such as a file, or an item of a response that was not stored.
func (r *report) lacksNamed() bool {
	return r.param != "" && r.param != "model" || strings.Contains(r.said, " with id ") || r.saysFile() && !errortext.IsPath(r.said)
}

func (r *report) saysFile() bool { return strings.Contains(strings.ToLower(r.said), "file") }

// statusOf returns the HTTP status that a word stands for.
func statusOf(kind string) int {
	switch kind {
	case "invalid_request_error", "BadRequestError", "content_filter", "context_length_exceeded":
		return 400
	case "authentication_error", "AuthenticationError", "invalid_api_key":
		return 401
	case "insufficient_quota", "billing_not_active", "billing_hard_limit_reached":
		return 402
	case "permission_error", "PermissionDeniedError":
		return 403
	case "not_found_error", "NotFoundError", "model_not_found":
		return 404
	case "rate_limit_error", "rate_limit_exceeded", "RateLimitError", "tokens", "requests":
		return 429
	case "overloaded_error", "unavailable_error", "ServiceUnavailableError":
		return 503
	}
	return passing.StatusOf(kind)
}

// waitOf returns the milliseconds after which a repeat may succeed.
func waitOf(head sdk.Head) int64 {
	if ms, ok := sdk.JSON(head.Get("retry-after-ms")).Float(); ok { // OpenAI's and Azure's
		return errortext.Milliseconds(sdk.JSON(strconv.FormatFloat(ms/1000, 'f', 3, 64)))
	}
	return errortext.Wait(head)
}
