// Package chat is the dialect of OpenAI's chat completions: it turns the facts about an
// answer into what a client of that API gets.
//
// [Chunks] makes a stream of chunks and [Whole] makes one answer. Both use the same
// facts, so a stream that the client joins equals the whole answer.
//
// Extra fields never replace a field that this package writes. If one comes more than
// once, arrays are joined, null replaces nothing, and otherwise the last one counts.
// OpenAI's API has no place for some facts. They go into the fields that OpenRouter and
// Google's OpenAI layer use, from which clients send them back:
// https://openrouter.ai/docs/use-cases/reasoning-tokens
// https://ai.google.dev/gemini-api/docs/thought-signatures
//
// Only one goroutine at a time may use a Chunks or a Whole.
package chat

import (
	"slices"

	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Info is what the host knows about an answer before it begins.
type Info struct {
	ID           string // "chatcmpl-…", unique
	Created      int64  // seconds since 1970
	Model        string // the alias the client asked for
	IncludeUsage bool   // the client set stream_options.include_usage; Whole ignores it

	// NoteID notes the id of something that the provider keeps and that the answer tells
	// the client. Default: nothing is noted.
	NoteID func(id string)

	// Memory counts what is kept and made of the answer. Its owner releases it. Default:
	// nothing is counted.
	Memory *memory.Grant

	// MaxHeld is how many bytes one answer may keep: the text of a whole answer; in a
	// stream, what waits for a tool call's name or for the next chunk. Default 64 MiB.
	MaxHeld int
}

// Keys that this package writes itself. A chunk may not get an extra field "error",
// because SDKs treat such a chunk as a failure.
var (
	chunkKeys  = []string{"id", "object", "created", "model", "choices", "usage", "error"}
	choiceKeys = []string{"index", "delta", "message", "logprobs", "finish_reason"}
	callKeys   = []string{"index", "id", "type", "function"}
	deltaKeys  = []string{"role", "content", "reasoning_content", "reasoning", "refusal", "tool_calls"}
)

// answer is what both forms share: the facts, and what was stated and not yet rendered.
// Whole renders everything at the end, Chunks after every adapter call.
type answer struct {
	facts   facts.Answer
	choices facts.Few[choice] // in the order they opened
	extra   facts.Object      // CHUNK_EXTRA
	noteID  func(id string)
}

// choice is one of the answer's alternatives. The texts are kept as the inside of a
// JSON string literal, logprobs as the inside of an array.
type choice struct {
	index int

	content, reasoning, refusal []byte
	logprobs                    []byte
	delta                       facts.Object // DELTA_EXTRA
	extra                       facts.Object // CHOICE_EXTRA
	calls                       []call       // by their number
	finish                      string       // the reason, once it is final

	started bool // the chunk with the role went out
	ended   bool // the chunk with the finish reason went out
}

// call is one tool call of a choice.
type call struct {
	fresh bool // the client has not seen it
	id    string
	name  string
	args  []byte       // inside of a JSON string literal
	extra facts.Object // TOOL_EXTRA
}

// start makes a zero answer ready. It must not be copied from then on.
func (a *answer) start(info Info) {
	a.facts.Begin(facts.Options{Memory: info.Memory, MaxHeld: info.MaxHeld})
	a.noteID = info.NoteID
}

// apply adds the emissions of one adapter call.
func (a *answer) apply(ems []abi.Emission) error {
	deltas, err := a.facts.Apply(ems)
	if err != nil {
		return err
	}
	for n := a.choices.Len(); n < a.facts.Choices(); n++ {
		a.choices.Add().index = a.facts.Choice(n)
	}
	for i := range deltas {
		if err := a.take(&deltas[i]); err != nil && !a.facts.Forgives() {
			return err
		}
	}
	return nil
}

// end adds what the answer still lacks.
func (a *answer) end() error {
	deltas, err := a.facts.End()
	if err != nil {
		return err
	}
	for i := range deltas {
		if err := a.take(&deltas[i]); err != nil {
			return err
		}
	}
	return nil
}

// take adds a fact.
func (a *answer) take(d *facts.Delta) *fault.Error {
	if d.Kind == abi.ChunkExtra {
		return a.extra.Merge(d.Kind, d.Text.Data, chunkKeys)
	}
	if d.Kind == abi.Pass {
		return nil // only native answers have it, which host/wasm ensures
	}
	ch := a.choice(d.Choice)
	switch d.Kind {
	case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolArgs:
		b := ch.buffer(d.Kind, d.Call)
		*b = d.Text.AppendTo(*b)
	case abi.Logprobs:
		ch.logprobs = facts.AppendElements(ch.logprobs, d.Text.Data)
	case abi.ToolName:
		ch.calls = append(ch.calls, call{fresh: true, id: d.ID, name: d.Name})
	case abi.ToolExtra:
		return ch.calls[d.Call].extra.Merge(d.Kind, d.Text.Data, callKeys)
	case abi.ToolSignature:
		return ch.calls[d.Call].extra.Merge(d.Kind, signed(d), nil)
	case abi.DeltaExtra:
		a.note(d.Text.Data)
		return ch.delta.Merge(d.Kind, d.Text.Data, deltaKeys)
	case abi.ChoiceExtra:
		return ch.extra.Merge(d.Kind, d.Text.Data, choiceKeys)
	case abi.ReasoningDetail:
		return ch.delta.Merge(d.Kind, slices.Concat([]byte(`{"reasoning_details":[`), d.Text.Data, []byte(`]}`)), nil)
	case abi.Citation:
		return ch.delta.Merge(d.Kind, slices.Concat([]byte(`{"citations":[`), d.Text.Data, []byte(`]}`)), nil)
	case abi.Signature:
		return ch.delta.Merge(d.Kind, signed(d), nil)
	case abi.StopReason:
		return ch.extra.Merge(d.Kind, within(`{"native_finish_reason":"`, d, `"}`), nil)
	case abi.Finish:
		ch.finish = d.Name
	}
	return nil
}

// within returns a text between the two ends of a JSON object.
func within(before string, d *facts.Delta, behind string) []byte {
	b := append(make([]byte, 0, len(before)+len(d.Text.Data)+len(behind)), before...)
	return append(d.Text.AppendTo(b), behind...)
}

// signed returns the field for the signature of a text or a call.
func signed(d *facts.Delta) []byte {
	return within(`{"extra_content":{"google":{"thought_signature":"`, d, `"}}}`)
}

// choice returns the choice with an index, nil if it has not opened.
func (a *answer) choice(index int) *choice {
	for i := range a.choices.Len() {
		if ch := a.choices.At(i); ch.index == index {
			return ch
		}
	}
	return nil
}

// buffer returns where a choice keeps its TEXT, REASONING or REFUSAL, or the TOOL_ARGS of a
// call.
func (ch *choice) buffer(k abi.Kind, call int) *[]byte {
	switch k {
	case abi.Text:
		return &ch.content
	case abi.Reasoning:
		return &ch.reasoning
	case abi.Refusal:
		return &ch.refusal
	}
	return &ch.calls[call].args
}

// noText reports whether content is null, as in OpenAI's answers: the assistant said
// nothing and did something else instead.
func (ch *choice) noText() bool {
	return len(ch.content) == 0 && (len(ch.calls) > 0 || len(ch.refusal) > 0)
}

// size returns how many bytes the answer keeps besides the facts.
func (a *answer) size() int {
	n := a.extra.Size()
	for i := range a.choices.Len() {
		ch := a.choices.At(i)
		n += cap(ch.content) + cap(ch.reasoning) + cap(ch.refusal) + cap(ch.logprobs) + ch.delta.Size() + ch.extra.Size()
		for k := range ch.calls {
			c := &ch.calls[k]
			n += facts.CallBytes + len(c.id) + len(c.name) + cap(c.args) + c.extra.Size()
		}
	}
	return n
}

// Bytes that an answer has as JSON besides its id and its model, and a choice besides what was
// stated.
const (
	answerBytes = 128
	choiceBytes = 192
)

// rendered estimates the answer's size as JSON in bytes, without its id and its model, rather
// too high.
func (a *answer) rendered() int {
	n := answerBytes + a.facts.UsageSize() + a.extra.Size()
	for i := range a.choices.Len() {
		ch := a.choices.At(i)
		n += choiceBytes + len(ch.content) + 2*len(ch.reasoning) + len(ch.refusal) + len(ch.logprobs) +
			ch.delta.Size() + ch.extra.Size()
		for k := range ch.calls {
			c := &ch.calls[k]
			n += facts.CallBytes + len(c.id) + len(c.name) + len(c.args) + c.extra.Size()
		}
	}
	return n
}

// Complete reports whether the answer is a success if nothing more comes, even if the
// upstream's connection broke.
func (a *answer) Complete() bool { return a.facts.Complete() }

// Usage returns what the answer cost so far, complete or not.
func (a *answer) Usage() facts.Usage { return a.facts.Usage() }

// EndMark notes that the upstream said that its answer is complete: if there was
// content, choices without a FINISH get one.
func (a *answer) EndMark() { a.facts.EndMark() }
