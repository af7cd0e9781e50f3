// Package embedding has what the adapters share that make embeddings: what they can't take,
// and how they state vectors. They copy vectors as they are: the gateway keeps the numbers
// back, and puts them where a vector is stated.
package embedding

import (
	"strconv"

	"github.com/kai-gateway/kai/sdk"
)

// Texts refuses an input that is not a text or an array of texts. The error is a *sdk.Error.
func Texts(input sdk.JSON) error {
	if input.Kind() == sdk.KindString {
		return nil
	}
	n := 0
	for it := sdk.Array(input); it.Next(); n++ {
		switch it.Value().Kind() {
		case sdk.KindString:
		case sdk.KindNumber, sdk.KindArray:
			return refuse("This model takes text, not tokens; in LangChain set check_embedding_ctx_length=False.")
		default:
			return refuse("This model takes text and nothing else.")
		}
	}
	if n == 0 {
		return refuse("The input must be a text or an array of texts.")
	}
	return nil
}

func refuse(message string) error {
	return &sdk.Error{Status: 400, Type: sdk.InvalidRequest, Param: "input", Message: message}
}

// State states vectors, a JSON array. normalize asks the gateway to give each the length 1.
func State(vectors sdk.JSON, normalize bool, out *sdk.Out) {
	var w sdk.Writer
	w.Reset(make([]byte, 0, len(vectors)+64))
	w.Object()
	w.Key("embeddings").Raw(vectors)
	if normalize {
		w.Key("normalize").Bool(true)
	}
	w.End()
	out.Result(w.Bytes())
}

// Count states how many tokens the input had, if the upstream counted them.
func Count(tokens sdk.JSON, out *sdk.Out) {
	n, ok := tokens.Int()
	if !ok || n < 0 {
		return
	}
	b := strconv.AppendInt(append(make([]byte, 0, 64), `{"prompt_tokens":`...), n, 10)
	b = strconv.AppendInt(append(b, `,"total_tokens":`...), n, 10)
	out.Usage(append(b, '}'))
}

// OpenAI states the vectors of an answer in OpenAI's shape. It reports false, and states
// nothing, if body is none. Servers may leave out the indexes: then the vectors are in order.
func OpenAI(body sdk.JSON, out *sdk.Out) bool {
	if body.Valid() != nil {
		return false
	}
	var data, usage sdk.JSON
	for f := sdk.Object(body); f.Next(); {
		switch string(f.Key()) {
		case "data":
			data = f.Value()
		case "usage":
			usage = f.Value()
		}
	}
	if data.Kind() != sdk.KindArray {
		return false
	}
	var vectors, indexes sdk.Writer
	vectors.Reset(make([]byte, 0, len(data)+64))
	vectors.Object()
	vectors.Key("embeddings").Array()
	indexes.Array()
	all := true
	for it := sdk.Array(data); it.Next(); {
		var vector, index sdk.JSON
		for f := sdk.Object(it.Value()); f.Next(); {
			switch string(f.Key()) {
			case "embedding":
				vector = f.Value()
			case "index":
				index = f.Value()
			}
		}
		vectors.Raw(vector)
		all = all && index.Kind() == sdk.KindNumber
		if all {
			indexes.Raw(index)
		}
	}
	vectors.End()
	indexes.End()
	if all {
		vectors.Key("indexes").Raw(indexes.Bytes())
	}
	vectors.End()
	tokens := usage.Get("prompt_tokens")
	if tokens.Empty() {
		tokens = usage.Get("total_tokens") // the only count of Voyage: https://docs.voyageai.com/reference/embeddings-api
	}
	Count(tokens, out)
	out.Result(vectors.Bytes())
	return true
}
