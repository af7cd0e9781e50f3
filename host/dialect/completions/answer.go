package completions

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Keys that this package writes itself. A chunk may not get an extra field "error",
// because SDKs treat such a chunk as a failure.
var (
	answerKeys = []string{"id", "object", "created", "model", "choices", "usage", "error"}
	choiceKeys = []string{"index", "text", "logprobs", "finish_reason"}
)

// answer is a list of completions, streamed or whole. Each part of the request has its own
// facts.
type answer struct {
	info     dialect.Info
	options  *options
	streamed bool
	head     []byte // what an answer, or each chunk, begins with

	facts   *facts.Answer // about this part
	choices []choice      // of this part, in the order they opened
	inputs  int           // of this part
	first   int           // the index of this part's first choice
	extra   facts.Object  // CHUNK_EXTRA
	earlier facts.Usage   // of the parts before
	later   bool          // there were some
	parted  bool          // a part has begun
	ended   []byte        // the choices of a whole answer that are complete
	written int           // bytes counted for the array of the events
}

// choice is one completion. Texts are kept as the inside of a JSON string literal.
type choice struct {
	index      int // in the part
	text       []byte
	tokens     tokens
	extra      facts.Object // CHOICE_EXTRA
	finish     string       // the reason, once it is final
	finishSent bool         // the chunk with the reason was made
}

var _ dialect.Parted = (*answer)(nil)

func newAnswer(i dialect.Info, o *options, streamed bool) *answer {
	a := &answer{info: i, options: o, streamed: streamed}
	if streamed {
		a.head = append(a.head, "data: "...)
	}
	a.head = append(a.head, `{"id":`...)
	a.head = facts.AppendString(a.head, "cmpl-"+i.ID)
	a.head = append(a.head, `,"object":"text_completion","created":`...)
	a.head = strconv.AppendInt(a.head, i.Created, 10)
	a.head = append(a.head, `,"model":`...)
	a.head = facts.AppendString(a.head, i.Model)
	a.head = append(a.head, `,"choices":[`...)
	a.begin(1)
	return a
}

// begin begins the answer to the next n prompts.
func (a *answer) begin(n int) {
	a.inputs, a.choices = n, nil
	a.facts = facts.New(facts.Options{Memory: a.info.Memory, MaxHeld: a.info.MaxHeld})
}

// Part is [dialect.Parted].
func (a *answer) Part(dst []byte, n int) ([]byte, error) {
	if a.parted {
		var err error
		if dst, err = a.endPart(dst); err != nil {
			return dst, err
		}
		a.earlier, a.later = a.Usage(), true
		a.first += a.inputs * a.options.n
		if a.streamed {
			a.facts.Drop(a.facts.Stated())
		}
	}
	a.parted = true
	a.begin(n)
	return dst, nil
}

// Apply adds the emissions of one adapter call. In a stream, it appends the events that
// follow. The error is a *fault.Error; then nothing was appended.
func (a *answer) Apply(dst []byte, ems []abi.Emission) ([]byte, error) {
	deltas, err := a.facts.Apply(ems)
	if err != nil {
		return dst, err
	}
	for n := len(a.choices); n < a.facts.Choices(); n++ {
		if err := a.open(a.facts.Choice(n)); err != nil {
			return dst, err
		}
	}
	for i := range deltas {
		if err := a.take(&deltas[i]); err != nil && !a.facts.Forgives() {
			return dst, err
		}
	}
	if !a.streamed {
		return dst, nil
	}
	return a.show(dst)
}

// open begins a choice, with the prompt before it if the client wants that.
func (a *answer) open(index int) error {
	if index >= a.inputs*a.options.n {
		return &fault.Error{Kind: fault.Upstream, Code: "upstream_error", Text: "The provider answered with more choices than were asked for."}
	}
	ch := choice{index: index}
	if echo := a.options.echo; echo != nil {
		prompt := echo[(a.first+index)/a.options.n]
		if err := a.facts.Hold(len(prompt)); err != nil {
			return err
		}
		ch.text = append(ch.text, prompt...)
	}
	a.choices = append(a.choices, ch)
	return nil
}

// take adds a fact.
func (a *answer) take(d *facts.Delta) *fault.Error {
	if d.Kind == abi.ChunkExtra {
		return a.extra.Merge(d.Kind, d.Text.Data, answerKeys)
	}
	ch := &a.choices[slices.IndexFunc(a.choices, func(c choice) bool { return c.index == d.Choice })]
	switch d.Kind {
	case abi.Text:
		ch.text = d.Text.AppendTo(ch.text)
	case abi.Logprobs:
		if a.options.logprobs >= 0 {
			ch.tokens.add(d.Text.Data, a.options.logprobs > 0)
		}
	case abi.ChoiceExtra:
		return ch.extra.Merge(d.Kind, d.Text.Data, choiceKeys)
	case abi.Finish:
		ch.finish = d.Name
		if ch.finish == abi.FinishToolCalls || ch.finish == abi.FinishFunctionCall {
			ch.finish = abi.FinishStop
		}
	}
	return nil
}

// endPart ends what was answered to the prompts of this part.
func (a *answer) endPart(dst []byte) ([]byte, error) {
	deltas, err := a.facts.End()
	if err != nil {
		return dst, err
	}
	if len(a.choices) < a.inputs {
		return dst, &fault.Error{Kind: fault.Upstream, Code: "upstream_error", Text: "The provider answered with fewer choices than there are prompts."}
	}
	for i := range deltas {
		if err := a.take(&deltas[i]); err != nil {
			return dst, err
		}
	}
	if a.streamed {
		return a.show(dst)
	}
	slices.SortFunc(a.choices, func(a, b choice) int { return cmp.Compare(a.index, b.index) })
	grown, err := a.info.Memory.Grow(a.ended, a.size()+len(a.choices)*facts.ChoiceBytes)
	if err != nil {
		return dst, &fault.Error{Kind: fault.Share, Code: "out_of_memory", Cause: err, Text: "Kai has no memory left for the answer."}
	}
	a.ended = grown
	for i := range a.choices {
		if len(a.ended) > 0 {
			a.ended = append(a.ended, ',')
		}
		a.ended = a.appendChoice(a.ended, &a.choices[i], a.choices[i].finish)
	}
	return dst, nil
}

// appendChoice appends what is known of a choice. finish is "" if the choice goes on.
func (a *answer) appendChoice(dst []byte, ch *choice, finish string) []byte {
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, int64(a.first+ch.index), 10)
	dst = append(dst, `,"text":"`...)
	dst = append(dst, ch.text...)
	dst = append(dst, `","logprobs":`...)
	dst = ch.tokens.appendTo(dst, a.options.logprobs > 0)
	if finish == "" {
		dst = append(dst, `,"finish_reason":null`...)
	} else {
		dst = append(append(append(dst, `,"finish_reason":"`...), finish...), '"')
	}
	dst = ch.extra.AppendTo(dst)
	return append(dst, '}')
}

// End ends the answer, or the stream. The error is a *fault.Error; then nothing was
// appended.
func (a *answer) End(dst []byte) ([]byte, error) {
	dst, err := a.endPart(dst)
	if err != nil {
		return dst, err
	}
	if a.streamed {
		if a.options.usage {
			dst = append(append(dst, a.head...), `],"usage":`...)
			dst = a.extra.AppendTo(a.appendUsage(dst))
			dst = append(dst, "}\n\n"...)
		}
		return append(dst, "data: [DONE]\n\n"...), nil
	}
	dst = slices.Grow(dst, len(a.head)+len(a.ended)+a.extra.Size()+256)
	dst = append(append(dst, a.head...), a.ended...)
	dst = append(dst, `],"usage":`...)
	dst = a.extra.AppendTo(a.appendUsage(dst))
	return append(dst, '}'), nil
}

// appendUsage appends the usage: the provider's own, or the sum of several.
func (a *answer) appendUsage(dst []byte) []byte {
	if !a.later {
		return a.facts.AppendUsage(dst)
	}
	u := a.Usage()
	dst = strconv.AppendInt(append(dst, `{"prompt_tokens":`...), u.Prompt, 10)
	dst = strconv.AppendInt(append(dst, `,"completion_tokens":`...), u.Completion, 10)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), u.Total, 10)
	return append(dst, '}')
}

// EndMark notes that the upstream said that its answer is complete.
func (a *answer) EndMark() { a.facts.EndMark() }

// Complete reports whether nothing is missing of this part.
func (a *answer) Complete() bool { return a.facts.Complete() }

// Usage returns the sum of all parts.
func (a *answer) Usage() facts.Usage {
	u := a.facts.Usage()
	if a.later {
		u = u.Plus(a.earlier)
	}
	return u
}

// size returns how many bytes the answer keeps of this part.
func (a *answer) size() int {
	n := a.extra.Size()
	for i := range a.choices {
		n += cap(a.choices[i].text) + a.choices[i].tokens.size() + a.choices[i].extra.Size()
	}
	return n
}
