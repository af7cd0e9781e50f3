package openai

import (
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/embedding"
	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/sdk"
)

// knowsBase64 reports whether the server that answers a request for embeddings is known to
// send vectors in base64 if it is asked to: OpenAI by the name of the model, llama.cpp and
// vLLM by the option count_tokens. Others ignore the wish or refuse it. The gateway gives
// clients base64 all the same.
func (o *settings) knowsBase64(body sdk.JSON) bool {
	model, _ := body.Get("model").Str()
	return o.counter != "" || strings.HasPrefix(model, "text-embedding-")
}

// embedded states the vectors of an answer.
func embedded(r *sdk.Response, out *sdk.Out) error {
	switch body := sdk.JSON(r.Body); {
	case r.Status < 200 || r.Status > 299:
		return errortext.InEmbeddings(failure(r.Status, r.Head, body))
	case body.Valid() == nil && !body.Get("error").Empty():
		return errortext.InEmbeddings(failure(0, r.Head, body))
	case !embedding.OpenAI(body, out):
		return errortext.Upstream("The provider's answer is no list of embeddings.")
	}
	return nil
}
