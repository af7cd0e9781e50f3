package completions

import (
	"bytes"
	"context"
	"strconv"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/dialect/plain"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

const (
	maxPrompts = 2048
	longText   = 1 << 10 // bytes of a text from which on it goes by reference

	// The length of an answer if the client doesn't say: OpenAI's default, and a length for
	// editors, since Mistral has none.
	usualTokens = 16
	fimTokens   = 256
)

// The places of a request that Kai looks at, in the order of names.
const (
	atPrompt = body.First + iota
	atSuffix
	atMaxTokens
	atN
	atBestOf
	atEcho
	atLogprobs
	atStream
	atStreamOptions
	atStop
	atUser
	atSeed
	atRandomSeed
	atItem    // prompt[]
	atUnknown // what Kai doesn't look at; it and the next are those of body.NodesOfIDs
)

var names = [...]string{
	"prompt", "suffix", "max_tokens", "n", "best_of", "echo", "logprobs", "stream", "stream_options", "stop", "user", "seed", "random_seed",
}

var grammar = newGrammar()

func newGrammar() body.Grammar {
	g := body.Grammar{
		Needs: "prompt", Folds: true,
		Known:  append([]string{"model", "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "logit_bias"}, names[:]...),
		Places: append(make([]body.Node, atUnknown), body.NodesOfIDs(atUnknown)...),
	}
	top := []body.Field{{Name: "model", Place: body.Model}}
	for i, name := range names {
		top = append(top, body.Field{Name: name, Place: atPrompt + body.Place(i)})
	}
	g.Places[body.Top] = body.Node{Fields: append(top, g.Places[atUnknown].Fields...), Other: atUnknown}
	g.Places[atPrompt].Element = atItem
	return g.Indexed()
}

// Request is a checked request for completions. It never changes, and is safe for
// concurrent use.
type Request struct {
	plain.Request
	Stream bool

	options
	prompt body.Span
	items  []body.Span // the prompts, if there are several; else nil
	atOnce int         // how many of them one request may have
	edits  []body.Edit
	copied int      // bytes of options.echo
	named  body.IDs // of what providers keep
}

// options are what the answer depends on.
type options struct {
	n        int      // alternatives for each prompt
	logprobs int      // alternatives for each token; below 0: no logprobs are wanted
	usage    bool     // of a stream: the client wants a last chunk with the usage
	echo     [][]byte // what stands before each completion, insides of string literals; nil: nothing
}

// Parse reads a request to POST /v1/completions. It is a [dialect.Parse].
func Parse(_ context.Context, b []byte, _ dialect.Caller) (*dialect.Request, error) {
	r, err := ParseRequest(b, false)
	if err != nil {
		return nil, err
	}
	return &dialect.Request{
		Op: abi.Completions, Model: r.Model, Stream: r.Stream, Body: r, Size: r.Size(), IDs: r.named.All(),
		Inputs: max(1, len(r.items)), InputsAtOnce: r.atOnce, Part: r.part,
		Whole:    func(i dialect.Info) dialect.Answer { return newAnswer(i, &r.options, false) },
		Streamed: func(i dialect.Info) dialect.Stream { return stream{info: i, options: &r.options} },
	}, nil
}

// ParseFIM reads a request to POST /v1/fim/completions, whose answers look like those of
// chats. It is a [dialect.Parse].
func ParseFIM(_ context.Context, b []byte, _ dialect.Caller) (*dialect.Request, error) {
	r, err := ParseRequest(b, true)
	if err != nil {
		return nil, err
	}
	q := &dialect.Request{Op: abi.Completions, Model: r.Model, Stream: r.Stream, Body: r, Size: r.Size(), IDs: r.named.All()}
	q.Whole, q.Streamed = chat.Answers(r.usage)
	return q, nil
}

// ParseRequest checks the body of a request. The Request keeps body, which must not change
// from then on.
//
// What adapters get always says how long the answer may be. It has no field that asks for
// nothing, such as "echo":false, because some servers refuse fields that they don't have,
// whatever is in them. If the client wants an echo of texts without logprobs, the gateway
// makes it itself.
//
//   - fim: the request has Mistral's form: one text, and random_seed instead of seed
//   - error: a *fault.Error
func ParseRequest(b []byte, fim bool) (*Request, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	r := &Request{options: options{n: 1, logprobs: -1}}
	f := fields{b: b}
	if err := r.Scan(b, &grammar, &f); err != nil {
		return nil, err
	}
	if err := r.read(&f, fim); err != nil {
		return nil, err
	}
	r.Mend(r.edits)
	r.named, r.atOnce = f.named, max(1, abi.MaxChoices/r.n)
	if n := plain.AtOnce(b, r.items); n > 0 {
		r.atOnce = min(r.atOnce, n)
	}
	return r, nil
}

// fields are what the scan finds.
type fields struct {
	b      []byte
	values [len(names)]body.Span // zero if there is no such field
	keys   [len(names)]int
	named  body.IDs
}

// Begin and End note nothing.
func (*fields) Begin(body.Place, int) {}
func (*fields) End(body.Place, int)   {}

// Value notes a field, and returns the long text in it.
func (f *fields) Value(at body.Place, b []byte, value body.Span, key int) (long body.Span) {
	if at >= atUnknown {
		f.named.Note(at-atUnknown, value.Of(b))
		return body.Span{}
	}
	if at != atItem {
		f.values[at-atPrompt], f.keys[at-atPrompt] = value, key
	}
	if (at == atItem || at == atPrompt || at == atSuffix) && b[value.From] == '"' && value.To-value.From > longText {
		return body.Span{From: value.From + 1, To: value.To - 1}
	}
	return body.Span{}
}

// has reports whether there is a field, and with what value. One that is null isn't there.
func (f *fields) has(at body.Place) (v sdk.JSON, there bool) {
	v = f.values[at-atPrompt].Of(f.b)
	return v, len(v) > 0 && v.Kind() != sdk.KindNull
}

// integer returns the value of a field, or usual if it isn't there.
func (f *fields) integer(at body.Place, least, most, usual int64) (int64, *fault.Error) {
	v, there := f.has(at)
	if !there {
		return usual, nil
	}
	n, ok := v.Int()
	if !ok || n < least || n > most {
		must := "must be an integer of at least " + strconv.FormatInt(least, 10)
		if most < maxInt || n > most {
			must = "must be an integer from " + strconv.FormatInt(least, 10) + " to " + strconv.FormatInt(most, 10)
		}
		return 0, plain.Wrong(names[at-atPrompt], must)
	}
	return n, nil
}

const maxInt = 1 << 31

// boolean returns the value of a field, false if it isn't there.
func (f *fields) boolean(at body.Place) (bool, *fault.Error) {
	v, there := f.has(at)
	if !there {
		return false, nil
	}
	is, ok := v.Bool()
	if !ok {
		return false, plain.Wrong(names[at-atPrompt], "must be true or false")
	}
	return is, nil
}

// text returns the value of a field, "" if it isn't there.
func (f *fields) text(at body.Place) (sdk.JSON, *fault.Error) {
	v, there := f.has(at)
	if there && v.Kind() != sdk.KindString {
		return nil, plain.Wrong(names[at-atPrompt], "must be a string")
	}
	return v, nil
}

// Size returns how many bytes the Request keeps besides the body.
func (r *Request) Size() int64 {
	return r.Doc.Size() + r.named.Size() + int64(cap(r.items))*16 + int64(r.copied) + int64(len(r.echo))*24
}

// part returns the request for n of its prompts, beginning with from.
func (r *Request) part(from, n int) dialect.Body {
	if n >= len(r.items) {
		return r
	}
	edits := plain.Keep(r.items, from, n)
	if n == 1 { // without the brackets
		edits = append(edits, without(r.prompt, body.Span{From: r.items[0].From, To: r.items[len(r.items)-1].To})...)
	}
	p := *r
	p.items = r.items[from : from+n]
	p.Mend(append(edits, r.edits...))
	return &p
}

// without returns the edits that remove everything of a span but what is inside.
func without(span, inside body.Span) []body.Edit {
	return []body.Edit{{Span: body.Span{From: span.From, To: inside.From}}, {Span: body.Span{From: inside.To, To: span.To}}}
}

// FIM is the dialect of Mistral's form: OpenAI's, but editors send their key as a Bearer, as
// x-api-key, or as both.
func FIM() *dialect.Dialect {
	d := dialect.OpenAI()
	d.Keys = dialect.EitherKey
	return d
}
