package stream

import (
	"crypto/rand"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk/abi"
)

// answer is what both forms of an answer share: which choices are open, what
// was stated for them and not yet shown, and the usage. Whole never shows
// anything before the end; Chunks shows and forgets after every adapter call.
type answer struct {
	choices []choice            // in the order they opened
	open    int                 // choices without FINISH
	final   bool                // the reasons stated are final; content that follows is an error
	extra   object              // CHUNK_EXTRA
	usage   usage               // USAGE
	ids     map[string]struct{} // ids of tool calls used so far
	held    int                 // bytes kept, see maxHeld
	memory  ledger
}

// choice is one of the answer's alternatives. The texts are kept as the inside
// of a JSON string literal, logprobs as the inside of an array.
type choice struct {
	index  int
	finish string // the reason stated so far, "" while there is none
	late   bool   // content came after that reason
	spoke  bool   // there was content: text, reasoning, a refusal or a tool call

	content, reasoning, refusal []byte
	halves                      [3]half // at the ends of those
	logprobs                    []byte
	delta                       object // DELTA_EXTRA
	extra                       object // CHOICE_EXTRA

	calls   []call // in the order of their first emission
	named   int    // calls that have an index
	touched bool   // there may be calls to number

	started bool // the chunk with the role went out
	ended   bool // the chunk with the finish reason went out
}

// call is one tool call of a choice.
type call struct {
	item  int    // as the adapter counts
	index int    // as the client counts; -1 until the call can be shown
	fresh bool   // has an index, but the client has not seen it
	begun bool   // some of the arguments came, and not only white space
	given string // the id the adapter stated
	id    string // the id the client sees
	name  string
	args  []byte // inside of a JSON string literal
	half  half   // at the end of args
	extra object // TOOL_EXTRA
}

// complete reports whether nothing is missing, however the upstream ended.
// Without any content only a final FINISH counts, since servers may state it first.
func (a *answer) complete() bool {
	spoke := a.final
	for i := range a.choices {
		spoke = spoke || a.choices[i].spoke
	}
	return spoke && a.finished()
}

// endMark is for an upstream that said that its answer is complete: a choice
// without a FINISH that has content is finished. Without any content nothing is.
func (a *answer) endMark() {
	spoke := false
	for i := range a.choices {
		spoke = spoke || a.choices[i].spoke
	}
	if !spoke {
		return
	}
	for i := range a.choices {
		if ch := &a.choices[i]; ch.finish == "" {
			ch.finish = abi.FinishStop
			a.open--
		}
	}
}

// settle makes the stated reasons final: no content follows. It gives every tool
// call an index, and arguments if it has none. The error is that the answer is not
// complete, or that a call has no name, which is a slip of the model.
func (a *answer) settle() *fault.Error {
	if a.final {
		return nil
	}
	if len(a.choices) == 0 || a.open > 0 {
		return incompleteError()
	}
	for i := range a.choices {
		ch := &a.choices[i]
		for j := range ch.calls {
			c := &ch.calls[j]
			if c.name == "" {
				return namelessError()
			}
			if !c.begun {
				c.begun, c.args = true, append(c.args, "{}"...)
			}
			c.args = c.half.end(c.args)
		}
		ch.content = ch.halves[0].end(ch.content)
		ch.reasoning = ch.halves[1].end(ch.reasoning)
		ch.refusal = ch.halves[2].end(ch.refusal)
		if a.number(ch); ch.finish == abi.FinishStop && len(ch.calls) > 0 {
			ch.finish = abi.FinishToolCalls
		}
		ch.late = false
	}
	a.final = true
	return nil
}

// take adds the emissions of one adapter call.
func (a *answer) take(ems []abi.Emission) *fault.Error {
	if err := a.memory.expect(ems); err != nil {
		return err
	}
	done, finished, counted := a.complete(), a.finished(), false
	var failed *fault.Error
	for _, e := range ems {
		var err *fault.Error
		switch {
		case e.Kind == abi.Usage:
			counted = true
			err = a.usage.merge(e)
		case failed != nil:
		case e.Kind == abi.Error:
			err = DecodeError(e.Data)
		case e.Kind == abi.ChunkExtra:
			if err = a.hold(e); err == nil {
				err = a.extra.mergeExtra(e, chunkKeys)
			}
		case aboutChoice(e.Kind):
			err = a.takeFor(a.choice(e.Choice()), e)
		}
		if failed == nil && !(done && a.complete()) {
			failed = err
		}
	}
	if failed != nil {
		return failed
	}
	for i := range a.choices {
		if ch := &a.choices[i]; ch.touched {
			ch.touched = false
			a.number(ch)
		}
	}
	if finished && counted && !a.final && a.finished() && a.named() {
		return a.settle() // upstreams count at the end
	}
	return nil
}

// finished reports whether every choice has its FINISH and no content after it.
func (a *answer) finished() bool {
	if len(a.choices) == 0 || a.open > 0 {
		return false
	}
	for i := range a.choices {
		if a.choices[i].late {
			return false
		}
	}
	return true
}

// named reports whether every tool call has its name.
func (a *answer) named() bool {
	for i := range a.choices {
		for j := range a.choices[i].calls {
			if a.choices[i].calls[j].name == "" {
				return false
			}
		}
	}
	return true
}

// aboutChoice reports whether emissions of that kind state something about one
// choice.
func aboutChoice(k abi.Kind) bool {
	switch k {
	case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.ToolArgs,
		abi.ToolExtra, abi.Logprobs, abi.DeltaExtra, abi.ChoiceExtra, abi.Finish,
		abi.ReasoningDetail, abi.Signature, abi.ToolSignature, abi.Citation, abi.StopReason:
		return true
	}
	return false
}

// choice gives the choice with that index, which it opens if need be, nil if
// there can be none. The result is good until the next call.
func (a *answer) choice(index int) *choice {
	for i := range a.choices {
		if a.choices[i].index == index {
			return &a.choices[i]
		}
	}
	if index >= abi.MaxChoices {
		return nil
	}
	a.choices = append(a.choices, choice{index: index})
	a.open++
	return &a.choices[len(a.choices)-1]
}

// takeFor adds an emission about ch.
func (a *answer) takeFor(ch *choice, e abi.Emission) *fault.Error {
	if ch == nil {
		return protocolError("%v for choice %d, of at most %d", e.Kind, e.Choice(), abi.MaxChoices)
	}
	if isContent(e.Kind) && len(e.Data) > 0 {
		if a.final {
			ch.late = true
			return lateError()
		}
		ch.spoke, ch.late = true, ch.finish != ""
	} else if a.final {
		return nil // the choice's last chunk is out
	}
	if err := a.hold(e); err != nil {
		return err
	}
	switch e.Kind {
	case abi.Text:
		ch.content = ch.halves[0].appendTo(ch.content, e)
	case abi.Reasoning:
		ch.reasoning = ch.halves[1].appendTo(ch.reasoning, e)
	case abi.Refusal:
		ch.refusal = ch.halves[2].appendTo(ch.refusal, e)
	case abi.Logprobs:
		ch.logprobs = appendElements(ch.logprobs, e.Data)
	case abi.DeltaExtra:
		return ch.delta.mergeExtra(e, deltaKeys)
	case abi.ChoiceExtra:
		return ch.extra.mergeExtra(e, choiceKeys)
	case abi.ReasoningDetail:
		return ch.delta.mergeExtra(wrapped(`{"reasoning_details":[`, e, `]}`), nil)
	case abi.Citation:
		return ch.delta.mergeExtra(wrapped(`{"citations":[`, e, `]}`), nil)
	case abi.Signature:
		return ch.delta.mergeExtra(signed(e), nil)
	case abi.StopReason:
		return ch.extra.mergeExtra(wrapped(`{"native_finish_reason":"`, e, `"}`), nil)
	case abi.Finish:
		return a.finish(ch, e)
	default:
		return ch.takeTool(e)
	}
	return nil
}

// isContent reports whether emissions of that kind are a part of what the
// assistant says or does.
func isContent(k abi.Kind) bool {
	switch k {
	case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.ToolArgs:
		return true
	}
	return false
}

// Facts that OpenAI's API has no place for stand in the fields that OpenRouter and
// Google's OpenAI layer have made known, from which clients send them back:
// https://openrouter.ai/docs/use-cases/reasoning-tokens
// https://ai.google.dev/gemini-api/docs/thought-signatures

// wrapped gives an emission of an object that has its payload between two texts.
func wrapped(before string, e abi.Emission, behind string) abi.Emission {
	b := append(make([]byte, 0, len(before)+len(e.Data)+len(behind)), before...)
	if e.Kind == abi.StopReason || e.Kind == abi.Signature || e.Kind == abi.ToolSignature {
		b = appendText(b, e)
	} else {
		b = append(b, e.Data...)
	}
	e.Data = append(b, behind...)
	return e
}

// signed gives an emission of an object with the signature of a text or a call.
func signed(e abi.Emission) abi.Emission {
	return wrapped(`{"extra_content":{"google":{"thought_signature":"`, e, `"}}}`)
}

// hold counts the bytes of an emission that is about to be kept.
func (a *answer) hold(e abi.Emission) *fault.Error {
	if a.held+len(e.Data) > maxHeld {
		return tooLargeError()
	}
	a.held += len(e.Data)
	return nil
}

// takeTool adds a TOOL_ID, TOOL_NAME, TOOL_ARGS or TOOL_EXTRA.
func (ch *choice) takeTool(e abi.Emission) *fault.Error {
	if len(e.Data) == 0 {
		return nil
	}
	c := ch.call(e.Item())
	if c == nil {
		return protocolError("more than %d tool calls in choice %d", abi.MaxCalls, ch.index)
	}
	ch.touched = true
	switch e.Kind {
	case abi.ToolArgs:
		c.args = c.half.appendTo(c.args, e)
		c.begun = c.begun || !isBlank(e)
	case abi.ToolExtra:
		return c.extra.mergeExtra(e, callKeys)
	case abi.ToolSignature:
		return c.extra.mergeExtra(signed(e), nil)
	case abi.ToolID:
		if c.given == "" {
			c.given = string(e.Data)
		}
	case abi.ToolName:
		switch {
		case c.name == string(e.Data):
		case c.name != "" && (c.begun || c.index >= 0):
			return protocolError("a second %v for tool call %d of choice %d", e.Kind, c.item, ch.index)
		case len(c.name)+len(e.Data) > maxName:
			return protocolError("a %v of more than %d bytes", e.Kind, maxName)
		default:
			c.name += string(e.Data)
		}
	}
	return nil
}

// maxName is far more than any provider lets a function's name have.
const maxName = 4 << 10

// isBlank reports whether the text of an emission is white space.
func isBlank(e abi.Emission) bool {
	for i := 0; i < len(e.Data); i++ {
		switch c := e.Data[i]; {
		case c == ' ', c == '\t', c == '\n', c == '\r':
		case e.Raw && c == '\\' && i+1 < len(e.Data) && (e.Data[i+1] == 'n' || e.Data[i+1] == 'r' || e.Data[i+1] == 't'):
			i++
		default:
			return false
		}
	}
	return true
}

// call gives the tool call that the adapter counts as item, nil if there would
// be too many. The result is good until the next call.
func (ch *choice) call(item int) *call {
	for i := len(ch.calls) - 1; i >= 0; i-- {
		if ch.calls[i].item == item {
			return &ch.calls[i]
		}
	}
	if len(ch.calls) == abi.MaxCalls {
		return nil
	}
	ch.calls = append(ch.calls, call{item: item, index: -1})
	return &ch.calls[len(ch.calls)-1]
}

// number gives every call that can be shown its index and its id. The name may
// come in pieces, so it is whole only when the arguments begin, another call
// does, or nothing follows.
func (a *answer) number(ch *choice) {
	for i := range ch.calls {
		c := &ch.calls[i]
		if c.index >= 0 || c.name == "" || !c.begun && i == len(ch.calls)-1 {
			continue
		}
		c.index, c.fresh, c.id = ch.named, true, c.given
		ch.named++
		if _, used := a.ids[c.id]; used || c.id == "" {
			c.id = "call_" + rand.Text()[:24]
		}
		if a.ids == nil {
			a.ids = map[string]struct{}{}
		}
		a.ids[c.id] = struct{}{}
	}
}

// finish notes the reason for which ch ends. One that is stated after more content
// counts instead of that before; otherwise "stop" replaces nothing.
func (a *answer) finish(ch *choice, e abi.Emission) *fault.Error {
	reason := finishReason(e.Data)
	switch {
	case reason == "":
		return protocolError("an unknown reason in FINISH for choice %d", ch.index)
	case ch.finish == "":
		a.open--
	case !ch.late && reason == abi.FinishStop:
		return nil
	}
	ch.finish, ch.late = reason, false
	return nil
}

// noText reports whether content is null: the assistant said nothing and did
// something else instead. OpenAI's answers are the same.
func (ch *choice) noText() bool {
	return len(ch.content) == 0 && (ch.named > 0 || len(ch.refusal) > 0)
}
