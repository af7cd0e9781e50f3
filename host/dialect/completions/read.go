package completions

import (
	"bytes"
	"strconv"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect/plain"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

const (
	maxAlternatives = 5  // logprobs that a token may have besides its own, as OpenAI's API says
	maxBestOf       = 20 // completions of which the best ones are wanted, as it says, too
)

// read fills r, checks what Kai promises to check, and notes what must be edited.
func (r *Request) read(f *fields, fim bool) *fault.Error {
	if err := r.ReadModel(); err != nil {
		return err
	}
	user, err := f.text(atUser)
	if err != nil {
		return err
	}
	r.Caller, _ = user.Str()
	if r.Stream, err = f.boolean(atStream); err != nil {
		return err
	}
	if err := r.readUsage(f); err != nil {
		return err
	}
	if v, there := f.has(atStop); there && !isStop(v) {
		return plain.Wrong("stop", "must be a text or an array of texts")
	}
	texts, err := r.readPrompt(f)
	if err != nil {
		return err
	}
	if fim && (!texts || len(r.items) > 0) {
		return plain.Wrong("prompt", "must be one text")
	}
	dropped, err := r.readNumbers(f, texts, fim)
	if err != nil {
		return err
	}
	if fim {
		r.renameSeed(f)
	}
	r.drop(f, dropped)
	return nil
}

func (r *Request) readUsage(f *fields) *fault.Error {
	v, there := f.has(atStreamOptions)
	switch {
	case !there:
		return nil
	case v.Kind() != sdk.KindObject:
		return plain.Wrong("stream_options", "must be an object")
	}
	usage := v.Get("include_usage")
	ok := true
	if k := usage.Kind(); k != sdk.KindAbsent && k != sdk.KindNull {
		if r.usage, ok = usage.Bool(); !ok {
			return plain.Wrong("stream_options.include_usage", "must be true or false")
		}
	}
	return nil
}

func isStop(v sdk.JSON) bool {
	if v.Kind() != sdk.KindArray {
		return v.Kind() == sdk.KindString
	}
	for it := sdk.Array(v); it.Next(); {
		if it.Value().Kind() != sdk.KindString {
			return false
		}
	}
	return true
}

// readNumbers reads the fields that say how much is wanted. It returns those that adapters
// don't get, because they ask for nothing, or because the gateway does what they ask for.
func (r *Request) readNumbers(f *fields, texts, fim bool) (dropped []body.Place, err *fault.Error) {
	n, err := f.integer(atN, 1, abi.MaxChoices, 1)
	if err != nil {
		return nil, err
	}
	best, err := f.integer(atBestOf, 0, maxBestOf, n)
	if err != nil {
		return nil, err
	}
	if best == 0 {
		best = n
	}
	logprobs, err := f.integer(atLogprobs, 0, maxAlternatives, -1)
	if err != nil {
		return nil, err
	}
	echo, err := f.boolean(atEcho)
	if err != nil {
		return nil, err
	}
	if fim { // its answers have neither
		echo, logprobs = false, -1
	}
	limit, err := f.integer(atMaxTokens, 0, maxInt, -1)
	if err != nil {
		return nil, err
	}
	suffix, err := f.text(atSuffix)
	switch {
	case err != nil:
		return nil, err
	case best < n:
		return nil, plain.Wrong("best_of", "must be at least n")
	case best > n && r.Stream:
		return nil, plain.Wrong("best_of", "must be n in a stream, because the best answers are known only at their end")
	case limit == 0 && !echo:
		return nil, plain.Wrong("max_tokens", "must be at least 1 without echo")
	}
	r.n, r.logprobs = int(n), int(logprobs)
	if limit < 0 {
		limit = r.limit(f, fim)
	}
	r.Output = limit * best * int64(max(1, len(r.items)))
	if echo && texts && logprobs < 0 && limit != 0 {
		r.copyPrompts(f.b)
		echo = false
	}
	for _, d := range []struct {
		at   body.Place
		drop bool
	}{{atSuffix, len(suffix) <= len(`""`) || suffix.Kind() == sdk.KindNull}, {atEcho, !echo}, {atLogprobs, fim}, {atBestOf, best == n}} {
		if d.drop && f.values[d.at-atPrompt] != (body.Span{}) {
			dropped = append(dropped, d.at)
		}
	}
	return dropped, nil
}

// limit adds how long the answer may be, which the client left out, and returns it.
func (r *Request) limit(f *fields, fim bool) (tokens int64) {
	tokens = usualTokens
	if fim {
		tokens = fimTokens
	}
	if null := f.values[atMaxTokens-atPrompt]; null != (body.Span{}) {
		r.edits = append(r.edits, body.Edit{Span: null, By: strconv.AppendInt(nil, int64(tokens), 10)})
		return tokens
	}
	key := f.keys[0] // the prompt's
	field := append(strconv.AppendInt([]byte(`"max_tokens":`), int64(tokens), 10), ',')
	r.edits = append(r.edits, body.Edit{Span: body.Span{From: key, To: key}, By: field})
	return tokens
}

// renameSeed gives Mistral's random_seed the name that it has elsewhere.
func (r *Request) renameSeed(f *fields) {
	const name = `"random_seed"`
	key := f.keys[atRandomSeed-atPrompt]
	if _, seeded := f.has(atSeed); seeded || f.values[atSeed-atPrompt] != (body.Span{}) || !bytes.HasPrefix(f.b[key:], []byte(name)) {
		return
	}
	r.edits = append(r.edits, body.Edit{Span: body.Span{From: key, To: key + len(name)}, By: []byte(`"seed"`)})
}

// drop leaves fields out, each with the comma after it, or with the comma before it at the
// end of the object. Neighbouring fields go together, so that no comma goes twice.
func (r *Request) drop(f *fields, dropped []body.Place) {
	var runs []body.Span
	for from := 0; ; {
		var next body.Span // the first one that isn't in a run
		for _, at := range dropped {
			if s := (body.Span{From: f.keys[at-atPrompt], To: f.values[at-atPrompt].To}); s.From >= from && (next == (body.Span{}) || s.From < next.From) {
				next = s
			}
		}
		if next == (body.Span{}) {
			break
		}
		if last := len(runs) - 1; last >= 0 && len(bytes.Trim(f.b[runs[last].To:next.From], ", \t\r\n")) == 0 {
			runs[last].To = next.To
		} else {
			runs = append(runs, next)
		}
		from = next.To
	}
	for _, run := range runs {
		r.edits = append(r.edits, body.Edit{Span: body.WithComma(f.b, run)})
	}
}

// readPrompt checks the prompts, and notes where they are. texts says that they are texts
// and not tokens.
func (r *Request) readPrompt(f *fields) (texts bool, err *fault.Error) {
	v, there := f.has(atPrompt)
	r.prompt = f.values[0]
	switch {
	case !there:
		return false, plain.Wrong("prompt", "is required: a text, or an array of texts or tokens")
	case v.Kind() == sdk.KindString:
		return true, nil
	case v.Kind() != sdk.KindArray:
		return false, plain.Wrong("prompt", "must be a text, or an array of texts, tokens or lists of tokens")
	}
	items, kind, err := plain.Items("prompt", f.b, r.prompt, maxPrompts, checkPrompt)
	if err != nil {
		return false, err
	}
	r.items = items
	if len(r.items) == 1 { // is the only one, and needs no array
		only := r.items[0]
		r.edits = append(r.edits, without(r.prompt, only)...)
		r.prompt, r.items = only, nil
	}
	return kind == sdk.KindString, nil
}

// checkPrompt returns what is wrong with one of several prompts; "": nothing.
func checkPrompt(v sdk.JSON) string {
	switch v.Kind() {
	case sdk.KindString, sdk.KindNumber:
		return ""
	case sdk.KindArray:
		return plain.CheckTokens(v)
	}
	return "must be a text, a token or a list of tokens"
}

// copyPrompts keeps the prompts for the answer, which outlives the request.
func (r *Request) copyPrompts(b []byte) {
	prompts := r.items
	if prompts == nil {
		prompts = []body.Span{r.prompt}
	}
	r.echo = make([][]byte, len(prompts))
	for i, p := range prompts {
		r.echo[i] = bytes.Clone(b[p.From+1 : p.To-1])
		r.copied += len(r.echo[i])
	}
}
