package openai

import (
	"bytes"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/plugins/internal/openaichat"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// endpoint is one whose requests and answers pass as they are.
type endpoint struct {
	path  string
	what  string // what it gives, for messages
	input string // the field with what may be too long
	has   string // the field of an answer that has what was asked for; "": the answer is bytes
	kind  sdk.Kind
	bytes bool // the answer may be bytes
}

// passed are the endpoints that clients know by the same form. Rerank is Cohere's and Jina's
// invention, which vLLM and others serve at the same place:
// https://docs.vllm.ai/en/latest/serving/openai_compatible_server/#re-rank-api
var passed = map[abi.Op]endpoint{
	abi.Moderations: {"/moderations", "moderations", "input", "results", sdk.KindArray, false},
	abi.Rerank:      {"/rerank", "rerank", "documents", "results", sdk.KindArray, false},
	abi.Images:      {"/images/generations", "images", "prompt", "data", sdk.KindArray, false},
	abi.Speech:      {"/audio/speech", "speech", "input", "", sdk.KindAbsent, true},

	abi.Transcriptions: {"/audio/transcriptions", "transcriptions", "file", "text", sdk.KindString, true},
}

// answer passes a whole answer on, and states what it cost.
func (p endpoint) answer(r *sdk.Response, out *sdk.Out) error {
	switch body := sdk.JSON(r.Body); {
	case r.Status < 200 || r.Status > 299:
		return p.failure(failure(r.Status, r.Head, body))
	case body.Valid() == nil && !body.Get("error").Empty():
		return p.failure(failure(0, r.Head, body))
	case body.Valid() != nil || p.has == "" || body.Get(p.has).Kind() != p.kind:
		return openaichat.Failed(502, "upstream_error", "The provider's answer is none to a request for "+p.what+".")
	default:
		tokens(body, out)
		out.Result(bytes.TrimSpace(body))
		return nil
	}
}

// event refuses a stream, which nobody asked for.
func (p endpoint) event() error {
	return openaichat.Failed(502, "upstream_error", "The provider answered a request for "+p.what+" with events.")
}

// tokens states how many tokens an answer cost, if it says so: as OpenAI's images and Jina's
// rerank do in usage, or Cohere in meta.
func tokens(body sdk.JSON, out *sdk.Out) {
	counted := body.Get("usage")
	if counted.Kind() != sdk.KindObject {
		counted = body.Get("meta").Get("tokens")
	}
	number := func(names ...string) (n int64) {
		for _, name := range names {
			if n, ok := counted.Get(name).Int(); ok && n >= 0 {
				return n
			}
		}
		return 0
	}
	completion := number("output_tokens", "completion_tokens")
	prompt := number("input_tokens", "prompt_tokens")
	if prompt == 0 {
		prompt = max(0, number("total_tokens")-completion)
	}
	if prompt > 0 || completion > 0 {
		out.Tokens(prompt, completion)
	}
}

// failure says of an error that is in terms of chat what it means here.
func (p endpoint) failure(err error) error {
	return errortext.Instead(err, p.input, "The field "+p.input+" is longer than the model takes", p.what)
}
