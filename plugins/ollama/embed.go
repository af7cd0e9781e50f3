package ollama

import (
	"github.com/kai-gateway/kai/plugins/internal/embedding"
	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// embed turns a request for embeddings into POST /api/embed. Unless the option truncate says
// otherwise, Ollama is told to refuse what is too long: a vector of the beginning of a text
// looks like that of all of it.
func embed(r *sdk.Request, out *sdk.Out) error {
	var model, input, dimensions sdk.JSON
	for f := sdk.Object(r.Body); f.Next(); {
		switch string(f.Key()) {
		case "model":
			model = f.Value()
		case "input":
			input = f.Value()
		case "dimensions":
			dimensions = f.Value()
		}
	}
	if err := embedding.Texts(input); err != nil {
		return err
	}
	var w sdk.Writer
	w.Reset(make([]byte, 0, len(r.Body)+256))
	w.Object()
	w.Key("model").Raw(model)
	w.Key("input").Raw(input)
	truncate, _ := r.Options.Get("truncate").Bool()
	w.Key("truncate").Bool(truncate)
	if dimensions.Kind() == sdk.KindNumber {
		w.Key("dimensions").Raw(dimensions)
	}
	open := false
	for f := sdk.Object(r.Options); f.Next(); {
		switch key := string(f.Key()); key {
		case "num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread":
			if !open {
				w.Key("options").Object()
				open = true
			}
			w.Key(key).Raw(f.Value())
		}
	}
	if open {
		w.End()
	}
	if alive := r.Options.Get("keep_alive"); alive != nil {
		w.Key("keep_alive").Raw(alive)
	}
	w.End()
	out.Send(sdk.Upstream{Path: "/api/embed", Framing: abi.Whole, Body: w.Bytes()})
	return nil
}

// embedded states the vectors of an answer.
func embedded(r *sdk.Response, s *state, out *sdk.Out) error {
	if r.Status < 200 || r.Status > 299 {
		return errortext.InEmbeddings(failed(r, s))
	}
	body := sdk.JSON(r.Body)
	if body.Kind() != sdk.KindObject || body.Valid() != nil {
		return notEmbedded()
	}
	vectors := body.Get("embeddings")
	if vectors.Kind() != sdk.KindArray {
		if text, kind := unwrap(body); !body.Get("error").Empty() {
			return errortext.InEmbeddings(explain(500, text, kind, s))
		}
		return notEmbedded()
	}
	embedding.Count(body.Get("prompt_eval_count"), out)
	embedding.State(vectors, false, out)
	return nil
}

func notEmbedded() *sdk.Error {
	return errortext.Upstream("The provider's answer is not what Ollama sends for embeddings. Does base_url lead to Ollama?")
}
