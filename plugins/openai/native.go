package openai

import (
	"slices"
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/plugins/internal/passing"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// responses reads answers of the Responses API.
var responses = passing.Dialect{
	Name:    "The provider",
	Failure: func(_ abi.Op, head sdk.Head, e sdk.JSON) error { return errortext.InResponses(failure(0, head, e)) },
}

// passOn sends a request of the Responses API, or one to count the tokens of such a request
// or to compact its conversation, as the client wrote it. Only those options count that say
// what is never sent, and what is sent if a request says nothing; the others are about chat
// completions. A request to compact takes none of the fields that answers depend on, so
// nothing is added to it.
func passOn(r *sdk.Request, o *settings, out *sdk.Out) error {
	if r.Op == abi.CompactResponses {
		o.body = nil
	}
	e := edit{settings: o}
	body, err := e.responses(r.Body)
	if err != nil {
		return err
	}
	up := sdk.Upstream{Path: o.path("/responses"), Framing: abi.Whole, Headers: o.headers, Body: body}
	switch r.Op {
	case abi.CountResponses:
		up.Path += "/input_tokens"
	case abi.CompactResponses:
		up.Path += "/compact"
	}
	if r.Stream {
		up.Framing = abi.SSE
	}
	out.Send(up)
	return nil
}

// ofChat are the fields of chat completions that the Responses API doesn't have.
var ofChat = []string{
	"messages", "verbosity", "response_format", "max_tokens", "max_completion_tokens", "stream_options", "stop", "n", "seed",
	"logit_bias", "logprobs", "frequency_penalty", "presence_penalty", "modalities", "audio", "prediction", "web_search_options",
	"functions", "function_call",
}

// responses makes the upstream's body of a request of the Responses API.
func (e *edit) responses(body sdk.JSON) ([]byte, error) {
	if len(e.drop) == 0 && len(e.body) == 0 {
		return body, nil
	}
	it := sdk.Object(body)
	for it.Next() {
		if key, v := it.Key(), it.Value(); e.drops(key) {
			e.changed = true
		} else {
			e.field(key, v)
		}
	}
	if it.Err() != nil {
		return nil, &sdk.Error{Status: 400, Type: sdk.InvalidRequest, Message: "The request is not valid JSON."}
	}
	for f := sdk.Object(e.body); f.Next(); {
		key, v := string(f.Key()), f.Value()
		if key == "reasoning_effort" {
			key, v = "reasoning", slices.Concat(sdk.JSON(`{"effort":`), v, sdk.JSON(`}`))
		}
		if body.Get(key) == nil && !e.drops([]byte(key)) && !slices.Contains(ofChat, key) {
			e.changed = true
			e.field([]byte(key), v)
		}
	}
	if !e.changed {
		return body, nil
	}
	if len(e.out) == 0 {
		return []byte("{}"), nil
	}
	return append(e.out, '}'), nil
}

// passedWhole passes on a whole answer of the Responses API. An error may say that there is no
// such API, or that the model isn't served in it: then the gateway translates.
func passedWhole(r *sdk.Response, out *sdk.Out) error {
	if r.Status >= 200 && r.Status <= 299 {
		return responses.Whole(r, nil, out)
	}
	err := errortext.InResponses(failure(r.Status, r.Head, r.Body))
	if said := readReport(r.Body); r.Status == 405 || said.foreign != nil || errortext.IsPath(said.said) {
		why := noResponses
		if r.Op == abi.CompactResponses {
			why = noCompaction
		}
		err = passing.Unserved(err, r.Status, why)
	}
	if e, ok := err.(*sdk.Error); ok && onlyInChat(r.Body) {
		return passing.NotHere(e)
	}
	return err
}

const noResponses = "The provider's server has nothing at /responses below base_url, and this request can't be translated into a chat completion. " +
	"Is base_url right, and does the server have the Responses API? Else set native to false."

const noCompaction = "The provider's server compacts no conversations: it has nothing at /responses/compact below base_url."

// passedCount passes on how many tokens a request of the Responses API has:
// https://platform.openai.com/docs/api-reference/responses/input-tokens
func passedCount(r *sdk.Response, out *sdk.Out) error {
	body := sdk.JSON(r.Body)
	if r.Status == 404 || r.Status == 405 {
		if said := readReport(body); r.Status == 405 || said.foreign != nil || errortext.IsPath(said.said) {
			return uncounted("The provider's server counts no tokens for the Responses API: it has nothing at /responses/input_tokens below base_url.")
		}
	}
	if r.Status < 200 || r.Status > 299 {
		return errortext.InResponses(failure(r.Status, r.Head, body))
	}
	if n, ok := body.Get("input_tokens").Int(); !ok || n < 0 || body.Valid() != nil {
		return errortext.Upstream("The provider's answer is no count of tokens.")
	}
	out.Pass(true)
	out.Finish(0, abi.FinishStop)
	return nil
}

// askKept asks for a response that the server keeps.
func askKept(r *sdk.Request, o *settings, out *sdk.Out) error {
	text := func(name string) string {
		s, _ := r.Body.Get(name).Str()
		return s
	}
	path := "/responses/" + text("id")
	if part := text("part"); part != "" {
		path += "/" + part
	}
	if query := text("query"); query != "" {
		path += "?" + query
	}
	out.Send(sdk.Upstream{Method: text("method"), Path: o.path(path), Framing: abi.Whole, Headers: o.headers})
	return nil
}

// kept passes on what the server says of a response that it keeps.
func kept(r *sdk.Response, out *sdk.Out) error {
	switch body := sdk.JSON(r.Body); {
	case r.Status == 404:
		return &sdk.Error{Status: 404, Type: sdk.NotFoundError, Message: "The provider does not have this response, or not any more.", NoRetry: true}
	case r.Status < 200 || r.Status > 299:
		return errortext.InResponses(failure(r.Status, r.Head, body))
	case body.Kind() != sdk.KindObject || body.Valid() != nil || body.Get("object").Kind() != sdk.KindString:
		return errortext.Upstream("The provider's answer is no response.")
	}
	out.Pass(true)
	out.Finish(0, abi.FinishStop)
	return nil
}

// onlyInChat reports whether a refusal says that the model is served in chat completions
// only. Of the opposite, OpenAI says: "This model is only supported in v1/responses and not
// in v1/chat/completions." Refusals of anything but the model may repeat what a client
// wrote.
func onlyInChat(body sdk.JSON) bool {
	e := body.Get("error")
	if param, _ := e.Get("param").Str(); param != "model" {
		return false
	}
	text, _ := e.Get("message").Str()
	return strings.Contains(text, "supported in v1/chat/completions") || strings.Contains(text, "not supported with the Responses API")
}
