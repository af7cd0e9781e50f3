package ollama

import (
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// complete turns a completion into POST /api/generate. The prompt is raw, because Ollama puts
// it into the model's chat template otherwise, and the model answers it instead of going on.
// With a suffix, the template is what puts the two together. Models must not think: their
// thoughts would use up the tokens.
func complete(r *sdk.Request, out *sdk.Out) error {
	fields := map[string]sdk.JSON{}
	q, err := sdk.ParseChat(r.Body, func(key string, v sdk.JSON) {
		switch key {
		case "prompt", "suffix", "echo", "best_of", "top_k":
			fields[key] = v
		}
	})
	if err != nil {
		return refuse("", "The request is not valid JSON.")
	}
	prompt := fields["prompt"]
	if prompt.Kind() != sdk.KindString {
		return refuse("prompt", "This model takes text, not tokens.")
	}
	if n, ok := q.N.Int(); ok && n > 1 {
		return refuse("n", "Ollama gives one answer to a request: n must be 1.")
	}
	if n, ok := fields["best_of"].Int(); ok && n > 1 {
		return refuse("best_of", "Ollama gives one answer to a request: best_of must be 1.")
	}
	if echo, _ := fields["echo"].Bool(); echo {
		return refuse("echo", "Ollama does not say how likely the tokens of a prompt are: leave out echo, or else logprobs and a max_tokens of 0.")
	}
	if len(prompt) == len(`""`) {
		prompt = sdk.JSON(`"\n"`) // else Ollama only loads the model
	}
	var w sdk.Writer
	w.Reset(make([]byte, 0, len(r.Body)+256))
	w.Object()
	w.Key("model").Raw(q.Model)
	w.Key("prompt").Raw(prompt)
	form, _ := r.Options.Get("completions").Str()
	if suffix := fields["suffix"]; suffix.Kind() == sdk.KindString {
		w.Key("suffix").Raw(suffix)
	} else if form != "template" {
		w.Key("raw").Bool(true)
	}
	w.Key("stream").Bool(r.Stream)
	w.Key("think").Bool(false)
	if n, ok := q.Logprobs.Int(); ok {
		w.Key("logprobs").Bool(true)
		if n > 0 {
			w.Key("top_logprobs").Int(n)
		}
	}
	writeOptions(&w, &q, fields["top_k"], r.Options)
	w.End()

	framing := abi.Whole
	if r.Stream {
		framing = abi.NDJSON
	}
	out.Send(sdk.Upstream{Path: "/api/generate", Framing: framing, Body: w.Bytes()})
	return nil
}
