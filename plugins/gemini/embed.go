package gemini

import (
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/embedding"
	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// maxBatch is how many texts batchEmbedContents takes; the gateway sends more in parts.
const maxBatch = 100

// embed turns a request for embeddings into batchEmbedContents, which has a request for each
// text: https://ai.google.dev/api/embeddings#method:-models.batchembedcontents
func embed(r *sdk.Request, out *sdk.Out) error {
	var input, dimensions sdk.JSON
	model := ""
	for f := sdk.Object(r.Body); f.Next(); {
		switch v := f.Value(); string(f.Key()) {
		case "model":
			model, _ = v.Str()
		case "input":
			input = v
		case "dimensions":
			dimensions = v
		}
	}
	if err := embedding.Texts(input); err != nil {
		return err
	}
	task := r.Options.Get("embedding_task")
	var w sdk.Writer
	w.Reset(make([]byte, 0, 2*len(r.Body)+256))
	w.Object()
	w.Key("requests").Array()
	add := func(text sdk.JSON) {
		w.Object()
		w.Key("model").String(modelName(model))
		w.Key("content").Object()
		w.Key("parts").Array()
		w.Object()
		w.Key("text").Raw(text)
		w.End()
		w.End()
		w.End()
		if task != nil {
			w.Key("taskType").Raw(task)
		}
		if dimensions.Kind() == sdk.KindNumber {
			w.Key("outputDimensionality").Raw(dimensions)
		}
		w.End()
	}
	if input.Kind() == sdk.KindString {
		add(input)
	}
	for it := sdk.Array(input); input.Kind() == sdk.KindArray && it.Next(); {
		add(it.Value())
	}
	w.End()
	w.End()
	out.Send(sdk.Upstream{Path: modelPath(model) + ":batchEmbedContents", Framing: abi.Whole, Body: w.Bytes()})
	return nil
}

// modelName returns the name of a model as it stands in a body.
func modelName(model string) string {
	if strings.HasPrefix(model, "models/") || strings.HasPrefix(model, "tunedModels/") {
		return model
	}
	return "models/" + model
}

// embedded states the vectors of an answer. Those that are shorter than the model's own have
// any length, so the gateway gives all of them the length 1, which OpenAI's have:
// https://ai.google.dev/gemini-api/docs/embeddings#quality-for-smaller-dimensions
func embedded(r *sdk.Response, out *sdk.Out) error {
	body := sdk.JSON(r.Body)
	if body.Kind() != sdk.KindObject || body.Valid() != nil {
		return malformed()
	}
	if !body.Get("error").Empty() {
		return errortext.InEmbeddings(failure(0, nil, body))
	}
	list := body.Get("embeddings")
	if list.Kind() != sdk.KindArray {
		return malformed()
	}
	var w sdk.Writer
	w.Reset(make([]byte, 0, len(list)))
	w.Array()
	for it := sdk.Array(list); it.Next(); {
		w.Raw(it.Value().Get("values"))
	}
	w.End()
	embedding.Count(body.Get("usageMetadata").Get("promptTokenCount"), out)
	embedding.State(w.Bytes(), true, out)
	return nil
}
