// Package completion is what adapters share for the operation completions.
package completion

import (
	"strings"

	"github.com/kai-gateway/kai/sdk"
)

// Failure says of an error that is in terms of chat what it means for completions.
func Failure(err error) error {
	e, ok := err.(*sdk.Error)
	if !ok {
		return err
	}
	if e.Param == "messages" {
		e.Param = "prompt"
	}
	e.Message = strings.Replace(e.Message, "The messages are longer than the model's context", "The prompt and the answer are longer than the model's context", 1)
	e.Message = strings.Replace(e.Message, "has no chat completions at this place", "has no completions at this place", 1)
	return e
}

// Logprobs appends, in the form of chat completions, the tokens of an object in the older
// form: arrays of equal length. Each token keeps its text_offset. It appends nothing of an
// object without tokens.
func Logprobs(dst []byte, older sdk.JSON) []byte {
	if older.Get("tokens").Kind() != sdk.KindArray {
		return dst
	}
	var w sdk.Writer
	w.Reset(dst)
	w.Array()
	logprobs, tops, offsets := sdk.Array(older.Get("token_logprobs")), sdk.Array(older.Get("top_logprobs")), sdk.Array(older.Get("text_offset"))
	for it := sdk.Array(older.Get("tokens")); it.Next(); {
		w.Object()
		w.Key("token").Raw(it.Value())
		if w.Key("logprob"); logprobs.Next() {
			w.Raw(logprobs.Value())
		} else {
			w.Null()
		}
		w.Key("bytes").Null()
		w.Key("top_logprobs").Array()
		if tops.Next() {
			for f := sdk.Object(tops.Value()); f.Next(); {
				w.Object()
				w.Key("token").String(string(f.Key()))
				w.Key("logprob").Raw(f.Value())
				w.Key("bytes").Null()
				w.End()
			}
		}
		w.End()
		if offsets.Next() {
			w.Key("text_offset").Raw(offsets.Value())
		}
		w.End()
	}
	w.End()
	return w.Bytes()
}
