package ollama

import (
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/sdk"
)

// refuse is the error for a request that Ollama cannot serve.
func refuse(param, message string) *sdk.Error {
	return &sdk.Error{Status: 400, Type: sdk.InvalidRequest, Param: param, Message: message}
}

func malformed() *sdk.Error {
	return errortext.Upstream("The provider's answer is not what Ollama's chat API sends. Does base_url lead to Ollama?")
}

// failed maps an answer with a status outside 2xx.
func failed(r *sdk.Response, s *state) *sdk.Error {
	text, kind := unwrap(r.Body)
	if r.Status == 403 && errortext.IsForeign(r.Body) {
		return errortext.Foreign("Something in front of Ollama, such as a proxy or a firewall, refused the request with status 403", r.Body)
	}
	if text == "" || (r.Status == 404 || r.Status == 405) && errortext.IsPath(text) {
		return silent(r.Status)
	}
	e := explain(r.Status, text, kind, s)
	if e.Status == 429 || e.Status == 503 {
		e.RetryAfterMS = retryAfter(r.Head)
	}
	return e
}

// silent maps a status whose body has no error text. Such an answer is not from Ollama's chat
// API, but from its router, its guards, or something in front of it.
func silent(status int) *sdk.Error {
	e := errortext.Upstream("")
	lead := "Ollama answered with status " + strconv.Itoa(status) + " and no error text"
	switch status {
	case 403:
		// Bound to loopback, Ollama refuses foreign host names with an empty
		// body, against DNS rebinding.
		e.Code = "upstream_auth"
		lead = "Ollama refused the gateway because of the host name in base_url: " +
			"use localhost or an IP address there, or start Ollama with OLLAMA_HOST=0.0.0.0"
	case 404, 405:
		e.NoRetry = true
		lead = "Ollama's chat API was not found: base_url must be the root of Ollama's server, " +
			"without a path such as /v1 or /api"
	case 401, 407:
		e.Code = "upstream_auth"
		lead = "Something in front of Ollama asks the gateway for credentials"
	case 429:
		e.Status, e.Code = 429, ""
		lead = "Ollama is asked too often; try again later"
	case 503, 504:
		e.Status = status
		lead = "Ollama is not available; try again later"
	}
	e.Type = sdk.TypeOf(e.Status)
	return errortext.Say(e, lead, "", "")
}

// explain maps an error of Ollama. kind is the type of an engine's error; other errors have
// none. An error in the middle of a stream counts as status 500.
func explain(status int, text, kind string, s *state) *sdk.Error {
	text = presentable(text)
	if text == "" { // it was a page, or only an address
		return silent(status)
	}
	return verdict(status, text, kind, s)
}

// verdict is the error for a text that may be shown.
func verdict(status int, text, kind string, s *state) *sdk.Error {
	has := func(part string) bool { return strings.Contains(text, part) }
	refused := func(param, code, lead string) *sdk.Error {
		e := refuse(param, "")
		e.Code = code
		return errortext.Say(e, lead, text, "")
	}
	cannot := func(param, code, lead string) *sdk.Error { // the text has only the model's name at Ollama, or advice for its operator
		e := refused(param, code, lead)
		e.Message = e.Own
		return e
	}
	e := errortext.Upstream("")
	lead := "Ollama failed"
	switch {
	case kind == "exceed_context_size_error", errortext.IsTooLong(text):
		return refused("messages", "context_length_exceeded", errortext.TooLong)
	case has("does not support thinking") && s.Effort:
		e := refused("", "", "This model cannot think, so leave reasoning_effort away or set it to none")
		errortext.RefusedEffort(e, false)
		return e
	case has("does not support thinking"), has("time: invalid duration"):
		return errortext.Say(e, "The options configured for this model do not fit it", text, "")
	case has("does not support tools"):
		return refused("tools", "unsupported_parameter", "This model takes no tools")
	case has("does not support insert"):
		return cannot("suffix", "unsupported_parameter", "This model can't fill in the text before a suffix")
	case has("does not support embeddings"):
		return cannot("model", "unsupported_operation", "This model can't make embeddings")
	case has("does not support generate"), has("does not support completion"):
		return cannot("model", "unsupported_operation", "This model can't complete text")
	case has("does not support multimodal requests"), has("illegal base64 data"):
		return refused("messages", "", "Ollama cannot use an image of the messages")
	case has("does not support "): // for example chat, with a model for embeddings
		return refused("model", "", "Ollama refuses the model")
	case has("invalid format:"), has("JSON schema conversion failed"): // the first with status 500
		return refused("response_format", "", "Ollama cannot use this response_format")
	case has("invalid think value") && s.Effort: // older servers don't have max
		e := refused("", "", "Ollama does not know this reasoning_effort")
		errortext.RefusedEffort(e, true)
		return e
	case strings.HasPrefix(text, "option \""): // with status 500
		status = 400
	}
	switch status {
	case 400, 409, 411, 413, 415, 422, 431, 501:
		return refused("", "", "Ollama refuses the request")
	case 401: // about models of Ollama's cloud, so others are served
		return withoutModel("Ollama is not signed in for this model; its operator has to run: ollama signin", "")
	case 402, 403:
		return withoutModel("Ollama refused this model", text)
	case 404:
		return noModel(text)
	case 429:
		e.Status, e.Code = 429, ""
		lead = "Ollama limits its use"
	case 503, 504:
		e.Status = status
		lead = "Ollama is not available"
	}
	e.Type = sdk.TypeOf(e.Status)
	return errortext.Say(e, lead, text, "")
}

// noModel returns the error for a model that the server does not have. text is like "model
// 'nope' not found".
func noModel(text string) *sdk.Error {
	if _, rest, ok := strings.Cut(text, "model "); ok && len(rest) > 1 {
		if name, _, ok := strings.Cut(rest[1:], rest[:1]); ok && (rest[0] == '\'' || rest[0] == '"') {
			e := withoutModel("Ollama does not have the model. Get it with: ollama pull", "")
			e.Message = "Ollama has no model '" + name + "'. Get it with: ollama pull " + name
			return e
		}
	}
	return withoutModel("Ollama does not have the model", text)
}

func withoutModel(lead, said string) *sdk.Error {
	return errortext.Say(&sdk.Error{Status: 404, Type: sdk.NotFoundError, Code: "model_not_found", Param: "model"}, lead, said, "")
}

// defaultRetryMS is after how many milliseconds clients should try again while Ollama's queue
// is full. Ollama doesn't say, and an answer takes seconds.
const defaultRetryMS = 2000

// retryAfter reads a header that only a proxy in front of Ollama sends.
func retryAfter(h sdk.Head) int64 {
	if wait := errortext.Wait(h); wait > 0 {
		return wait
	}
	return defaultRetryMS
}

// unwrap returns the text of an error's body, and its type if it has one. Sometimes the text
// in {"error":"text"} is the JSON of the engine's own error:
// {"error":{"code":400,"message":"text","type":"invalid_request_error"}}.
func unwrap(body sdk.JSON) (text, kind string) {
	for range 8 { // body, text, the engine's object, its message: five, and a little more
		if body.Kind() == sdk.KindObject {
			inner := body.Get("error")
			if inner.Empty() {
				kind, _ = body.Get("type").Str()
				if inner = body.Get("message"); inner == nil {
					inner = body.Get("detail") // Open WebUI, for example
				}
			}
			body = inner
			continue
		}
		s, ok := body.Str()
		if !ok {
			break
		}
		text = s
		if body = sdk.JSON(s); body.Kind() != sdk.KindObject {
			break
		}
	}
	return text, kind
}

// presentable makes Ollama's text fit for a client. It removes the registry at the start of
// full model names, and the address of Ollama's engine, which listens on a port of its own.
func presentable(text string) string {
	text = strings.ReplaceAll(text, "registry.ollama.ai/library/", "")
	text = strings.ReplaceAll(text, "registry.ollama.ai/", "")
	return errortext.Clean(text, nil)
}
