package openai

import (
	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/plugins/internal/tokencount"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// vLLM is the server that counts tokens at /tokenize, which is not below /v1, with
// {"count":N}. The other one of the option count_tokens, llama.cpp, does so at
// /chat/completions/input_tokens with {"input_tokens":N}. Both accept a chat completion and
// ignore what they don't count.
const vLLM = "vllm"

// path returns the path of an endpoint of OpenAI's API, below base_url.
func (o *settings) path(path string) string {
	if o.counter == vLLM { // its base_url is the server's root
		return "/v1" + path
	}
	return path
}

// count asks for the tokens of a request. It refuses images and sounds: a model reads
// hundreds of tokens for each, and a server would count their placeholders, or nothing.
func count(o *settings, request, body sdk.JSON, out *sdk.Out) error {
	for m := range sdk.Messages(request.Get("messages")) {
		for p := range sdk.Parts(m.Content) {
			if p.Type != "text" && p.Type != "refusal" {
				return uncounted("The provider counts the tokens of nothing but text.")
			}
		}
	}
	up := sdk.Upstream{Path: "/chat/completions/input_tokens", Framing: abi.Whole, Headers: o.headers, Body: body}
	if o.counter == vLLM {
		up.Path = "/tokenize"
	}
	out.Send(up)
	return nil
}

// counted handles the answer to a count.
func counted(r *sdk.Response, out *sdk.Out) error {
	body := sdk.JSON(r.Body)
	switch {
	case r.Status == 404 || r.Status == 405:
		return uncounted("The provider doesn't count tokens where the option count_tokens says: the server is another one, or older.")
	case r.Status < 200 || r.Status > 299:
		return failure(r.Status, r.Head, body)
	case body.Valid() == nil && (tokencount.State(body.Get("input_tokens"), out) || tokencount.State(body.Get("count"), out)):
		return nil
	}
	return errortext.Upstream("The provider's answer is no count of tokens.")
}

func uncounted(why string) error {
	return &sdk.Error{Status: 404, Type: sdk.NotFoundError, Code: "unsupported_operation", Message: why, NoRetry: true}
}
