package demo

import (
	"github.com/kai-gateway/kai/sdk"
)

const (
	continued = " and so it goes on, word by word, until the limit of tokens or a stop ends it: this is the built-in demo, and no model was asked."
	filled    = " what the demo puts between the prompt and its suffix "
)

// complete goes on with each prompt in the same words, or fills the gap before a suffix.
// Words count as tokens.
func complete(r *sdk.Request, out *sdk.Out) error {
	q := read(r.Body)
	var prompt sdk.JSON
	text := continued
	for f := sdk.Object(r.Body); f.Next(); {
		switch v := f.Value(); string(f.Key()) {
		case "prompt":
			prompt = v
		case "suffix":
			if v.Kind() == sdk.KindString {
				text = filled
			}
		case "echo":
			if echo, _ := v.Bool(); echo {
				return &sdk.Error{
					Status: 400, Type: sdk.InvalidRequest, Param: "echo",
					Message: "The demo knows no tokens: leave out echo, or else logprobs, tokens and a max_tokens of 0.",
				}
			}
		}
	}
	prompts := []sdk.JSON{prompt}
	if first := firstOf(prompt); first.Kind() == sdk.KindString || first.Kind() == sdk.KindArray {
		prompts = prompts[:0]
		for it := sdk.Array(prompt); it.Next(); {
			prompts = append(prompts, it.Value())
		}
	}
	p := paceOf(r)
	reply, finish := q.cut(text)
	asked, words := 0, 0
	for i, prompt := range prompts {
		asked += max(1, wordsIn(prompt, nil))
		for n := range q.choices {
			choice := i*q.choices + n
			words += say(choice, reply, &p, out)
			out.Finish(choice, finish)
		}
	}
	out.Tokens(int64(asked), int64(max(1, words)))
	return nil
}
