package openai

import (
	"strconv"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/plugins/internal/openaichat"
	"github.com/kai-gateway/kai/sdk"
)

// asTEI returns a request to rerank as Text Embeddings Inference knows it, which ranks texts and
// nothing else, and always all of them:
// https://huggingface.github.io/text-embeddings-inference/#/Text%20Embeddings%20Inference/rerank
func asTEI(body sdk.JSON, s *openaichat.State) ([]byte, error) {
	s.Ranks = true
	var w sdk.Writer
	w.Reset(make([]byte, 0, len(body)+64))
	w.Object()
	for f := sdk.Object(body); f.Next(); {
		switch v := f.Value(); string(f.Key()) {
		case "query":
			if v.Kind() != sdk.KindString {
				return nil, notRanked("query")
			}
			w.Key("query").Raw(v)
		case "documents":
			if v.Kind() != sdk.KindArray {
				return nil, notRanked("documents")
			}
			w.Key("texts").Array()
			n := 0
			for it := sdk.Array(v); it.Next(); n++ {
				text := it.Value()
				if text.Kind() == sdk.KindObject {
					text = text.Get("text")
				}
				if text.Kind() != sdk.KindString {
					return nil, notRanked("documents[" + strconv.Itoa(n) + "]")
				}
				w.Raw(text)
			}
			w.End()
			s.Came = int64(n)
		case "top_n":
			s.Wanted, _ = v.Int()
		case "return_documents":
			if wanted, _ := v.Bool(); wanted {
				w.Key("return_text").Bool(true)
			}
		case "raw_scores", "truncate", "truncation_direction":
			w.Key(string(f.Key())).Raw(v)
		}
	}
	w.End()
	return w.Bytes(), nil
}

func noRanks() error {
	return errortext.Upstream("The provider's answer is none to a request for rerank.")
}

func notRanked(param string) error {
	return &sdk.Error{Status: 400, Type: sdk.InvalidRequest, Param: param, Message: "This model ranks texts and nothing else."}
}

// ranked reports whether all results are about one of so many documents, by whose number clients
// find the text; 0: nobody knows how many there are.
func ranked(results sdk.JSON, documents int64) bool {
	for it := sdk.Array(results); documents > 0 && it.Next(); {
		if at, ok := it.Value().Get("index").Int(); !ok || at < 0 || at >= documents {
			return false
		}
	}
	return true
}

// fromTEI states such an answer, an array with the best one first, in the form that clients of
// rerank know.
func fromTEI(ranks sdk.JSON, s *openaichat.State, out *sdk.Out) error {
	var w sdk.Writer
	w.Reset(make([]byte, 0, 2*len(ranks)+64))
	w.Object()
	w.Key("results").Array()
	n := int64(0)
	for it := sdk.Array(ranks); it.Next() && (s.Wanted == 0 || n < s.Wanted); n++ {
		index, score, text := it.Value().Get("index"), it.Value().Get("score"), it.Value().Get("text")
		if at, ok := index.Int(); !ok || at < 0 || at >= s.Came || score.Kind() != sdk.KindNumber {
			return noRanks()
		}
		w.Object()
		w.Key("index").Raw(index)
		w.Key("relevance_score").Raw(score)
		if text.Kind() == sdk.KindString {
			w.Key("document").Object()
			w.Key("text").Raw(text)
			w.End()
		}
		w.End()
	}
	if n == 0 {
		return noRanks()
	}
	w.End()
	w.End()
	out.Result(w.Bytes())
	return nil
}
