package demo

import (
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Request makes the answer. Every word, and every piece of a tool's arguments, is a separate
// emission. A client that streams gets a chunk for each. Embeddings and counts are one RESULT.
func (adapter) Request(r *sdk.Request, _ *struct{}, out *sdk.Out) error {
	if r.Op == abi.Embeddings {
		return embed(r.Body, out)
	}
	if r.Op == abi.Completions {
		return complete(r, out)
	}
	q := read(r.Body)
	if q.strange != "" {
		return &sdk.Error{
			Status: 400, Param: q.strange,
			Message: "The demo takes parts of type text, image_url, input_audio, file and refusal, and none of this type.",
		}
	}
	if r.Op == abi.Count {
		out.Result(append(strconv.AppendInt([]byte(`{"input_tokens":`), q.promptTokens(), 10), '}'))
		return nil
	}
	q.models = modelsOf(r.Options)
	p := paceOf(r)
	calls, err := q.calls()
	if err != nil {
		return err
	}
	reply, finish := "", abi.FinishToolCalls
	if calls == nil {
		reply, finish = q.cut(q.reply())
	}
	words := 0
	for choice := range q.choices {
		for n, t := range calls {
			words += call(choice, n, t, q.text, &p, out)
		}
		words += say(choice, reply, &p, out)
		out.Finish(choice, finish)
	}
	out.Tokens(q.promptTokens(), int64(max(1, words)))
	return nil
}

// promptTokens returns how many tokens the demo says that the request has.
func (q *question) promptTokens() int64 { return int64(max(1, q.prompt/4)) }

// reply returns what the assistant says if it calls no tool.
func (q *question) reply() string {
	switch q.format {
	case jsonObject:
		return `{"reply": ` + string(sdk.AppendQuote(nil, q.plainReply())) + `}`
	case jsonSchema:
		s := sample{root: q.schema, words: wordsOf(q.text)}
		return string(s.build())
	}
	return q.plainReply()
}

const (
	about = "This is Kai, an OpenAI-compatible gateway that runs the adapter of every provider as a " +
		"sandboxed WebAssembly module. The built-in demo answers here: no model was asked, and nothing left this machine. "
	documented = "GET /v1/models lists the models, the API is described at /docs."
)

// shownModels is how many models a reply names.
const shownModels = 4

// next says which real models the gateway has, and what they need.
func (q *question) next() string {
	if len(q.models) == 0 {
		return "Real models are configured under model_mapping. " + documented
	}
	var b strings.Builder
	b.WriteString("For a real model, ask for ")
	shown := q.models[:min(len(q.models), shownModels)]
	for i, m := range shown {
		switch {
		case i == 0:
		case i == len(shown)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(m.id)
		// If several models in a row need the same, the last of them says it.
		if m.needs != "" && (i == len(shown)-1 || shown[i+1].needs != m.needs) {
			b.WriteString(" (" + m.needs + ")")
		}
	}
	return b.String() + ". " + documented
}

func (q *question) plainReply() string {
	var b strings.Builder
	if len(q.results) > 0 {
		for i, r := range q.results {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString("The tool ")
			if r.name != "" {
				b.WriteString(r.name + " ")
			}
			b.WriteString("answered: " + sentence(shorten(r.text, 400)))
		}
		return b.String()
	}
	b.WriteString(about)
	if q.text != "" {
		b.WriteString("You said: “" + shorten(q.text, 100) + "”. ")
	}
	if q.images > 0 {
		b.WriteString("You sent " + count(q.images, "image") + ", which the demo cannot see. ")
	}
	b.WriteString(q.next())
	return b.String()
}

// cut ends a reply where the client wants it to end, and returns why it ended.
func (q *question) cut(reply string) (cut, finish string) {
	end := func(stop sdk.JSON) {
		if s, _ := stop.Str(); s != "" && len(s) <= len(reply) {
			reply, _, _ = strings.Cut(reply, s)
		}
	}
	end(q.stop)
	if q.stop.Kind() == sdk.KindArray {
		for it := sdk.Array(q.stop); it.Next(); {
			end(it.Value())
		}
	}
	if q.most == 0 {
		return reply, abi.FinishStop
	}
	rest, n := reply, 0
	for ; rest != "" && n < q.most; n++ {
		rest = rest[len(firstWord(rest)):]
	}
	if rest == "" {
		return reply, abi.FinishStop
	}
	return reply[:len(reply)-len(rest)], abi.FinishLength
}

// say emits a text word by word and returns the number of words.
func say(choice int, text string, p *pace, out *sdk.Out) (words int) {
	for ; text != ""; words++ {
		p.wait(out)
		w := firstWord(text)
		out.Text(choice, []byte(w))
		text = text[len(w):]
	}
	return words
}

// call emits a tool call, with its arguments in up to three pieces. It returns how many
// words the call counts as.
func call(choice, n int, t tool, text string, p *pace, out *sdk.Out) (words int) {
	p.wait(out)
	out.ToolName(choice, n, t.name)
	s := sample{root: t.parameters, words: wordsOf(text)}
	arguments := s.build()
	words = max(1, (len(t.name)+len(arguments))/4)
	for size := (len(arguments) + 2) / 3; len(arguments) > 0; {
		size = min(size, len(arguments))
		for size < len(arguments) && arguments[size]&0xc0 == 0x80 {
			size++ // not within a character
		}
		p.wait(out)
		out.ToolArgs(choice, n, arguments[:size])
		arguments = arguments[size:]
	}
	return words
}
