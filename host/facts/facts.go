// Package facts turns what adapters state into what is true of one answer: checked,
// in order, with tool calls counted and named, and with a reason for its end that is
// final. It knows no API that clients speak: package dialect/chat and its likes make
// of a [Delta] what their clients see.
//
// The rules:
//
//   - A choice opens with the first emission about it, even an empty one. FINISH
//     states for which reason it ends, but servers state that early: it is final
//     only when nothing follows, which is at the end of the stream, at its end
//     mark, or when the usage comes in a later adapter call. Content that comes
//     before that belongs to the answer. A reason that follows it counts instead
//     of the one before; otherwise "stop" replaces no other reason.
//   - The answer succeeds if every choice that opened has its FINISH, there is at
//     least one, and the upstream ended cleanly. If it broke off, there must be
//     content and none after the FINISH. An end mark ([DONE], END) stands for the
//     FINISH that is missing where there was content.
//   - Once an adapter call left the answer complete, later calls can spoil nothing
//     but by content: their errors are dropped and their usage counts. Content after
//     a reason is final is an error, for the client has seen the end.
//   - FINISH stop becomes tool_calls for a choice that called tools.
//   - A tool call begins when its name is known and its arguments begin, another
//     call begins, or the answer ends: until then a name may come in pieces, which
//     are joined, and the id may still come. Without an id, or with one this answer
//     used already, an id is made. An id that comes later changes nothing. Calls are
//     counted as they begin: 0, 1, 2, without gaps. A call without arguments has {}.
//     Stating the same name again is harmless, and another one once arguments came
//     breaks the protocol. A call that never got a name is a slip of the model: the
//     answer fails and may be asked for again.
//   - Half a character at the end of a text waits for its other half.
//   - An adapter call that states ERROR or breaks the protocol counts for nothing
//     but its usage.
//
// Payloads are taken as the boundary checked them: JSON where a kind says so,
// UTF-8 or the inside of a JSON string literal where it says text.
package facts

import (
	"fmt"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Delta is one fact that was added to an answer. What its fields mean, its Kind says:
//
//   - TEXT, REASONING, REFUSAL: Text of Choice
//   - TOOL_NAME: call number Call of Choice begins, with ID and Name
//   - TOOL_ARGS, TOOL_EXTRA, TOOL_SIGNATURE: of a call that began
//   - FINISH: the choice is at its end, for the reason Name; once a choice, at the last
//   - others as the adapter stated them
type Delta struct {
	Kind     abi.Kind
	Choice   int
	Call     int // counted from 0, in the order in which the choice's calls began
	ID, Name string
	Text     Text // the payload
}

// Text is a payload: UTF-8, or with Raw the inside of a JSON string literal; JSON
// where the kind says so. It is valid until the next call of Apply or End.
type Text struct {
	Raw  bool
	Data []byte
}

// Options configures New. The zero value is ready for production use.
type Options struct {
	Memory  *memory.Grant // counts what is kept of the answer; default: nothing is counted
	MaxHeld int           // bytes of payloads that may be kept at a time; default 64 MiB
}

// Answer is what is known of one answer. It is for one goroutine at a time.
type Answer struct {
	choices []choice            // in the order they opened
	open    int                 // choices without FINISH
	final   bool                // the reasons stated are final; content that follows is an error
	usage   usage               // USAGE
	ids     map[string]struct{} // ids of tool calls used so far
	held    int                 // bytes kept, here or by who renders
	max     int                 // of held
	ledger  ledger
	deltas  []Delta
	scratch []byte // of texts with halves of characters
}

// New begins an answer.
func New(o Options) *Answer {
	if o.MaxHeld <= 0 {
		o.MaxHeld = 64 << 20
	}
	return &Answer{max: o.MaxHeld, ledger: ledger{grant: o.Memory}}
}

// Apply adds the emissions of one adapter call and gives what they state. The error
// is nil or a *fault.Error: the adapter's ERROR, that the adapter broke the protocol,
// or that there is no room. Then the answer is over.
func (a *Answer) Apply(ems []abi.Emission) ([]Delta, error) {
	a.deltas, a.scratch = a.deltas[:0], a.scratch[:0]
	if err := a.ledger.expect(ems); err != nil {
		return nil, err
	}
	done, finished, counted := a.Complete(), a.finished(), false
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
				a.add(Delta{Kind: e.Kind, Text: Text{Data: e.Data}})
			}
		case aboutChoice(e.Kind):
			err = a.take(a.choice(e.Choice()), e)
		}
		if failed == nil && !(done && a.Complete()) {
			failed = err
		}
	}
	if failed != nil {
		return nil, failed
	}
	for i := range a.choices {
		if ch := &a.choices[i]; ch.touched {
			ch.touched = false
			a.number(ch)
		}
	}
	if finished && counted && !a.final && a.finished() && a.named() {
		if err := a.settle(); err != nil { // upstreams count at the end
			return nil, err
		}
	}
	return a.deltas, nil
}

// EndMark is for when the upstream said that its answer is complete: a choice without
// a FINISH that has content is finished. Without any content nothing is.
func (a *Answer) EndMark() {
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

// End is for when the upstream ended: cleanly, or in any way once Complete says so.
// It gives what the answer still lacks, at the last a FINISH of every choice. The
// error is a *fault.Error: that a choice has no FINISH, where the caller may know a
// better reason than that the upstream ended, or that a call has no name.
func (a *Answer) End() ([]Delta, error) {
	a.deltas, a.scratch = a.deltas[:0], a.scratch[:0]
	if err := a.settle(); err != nil {
		return nil, err
	}
	return a.deltas, nil
}

// settle makes the stated reasons final: no content follows.
func (a *Answer) settle() *fault.Error {
	if a.final {
		return nil
	}
	if len(a.choices) == 0 || a.open > 0 {
		return incompleteError()
	}
	if !a.named() {
		return namelessError()
	}
	a.final = true
	for i := range a.choices {
		ch := &a.choices[i]
		a.number(ch)
		for j := range ch.calls {
			c := &ch.calls[j]
			if a.endHalf(&c.half, Delta{Kind: abi.ToolArgs, Choice: ch.index, Call: c.index}); !c.begun {
				c.begun = true
				a.add(Delta{Kind: abi.ToolArgs, Choice: ch.index, Call: c.index, Text: Text{Data: noArguments}})
			}
		}
		for k, kind := range [...]abi.Kind{abi.Text, abi.Reasoning, abi.Refusal} {
			a.endHalf(&ch.halves[k], Delta{Kind: kind, Choice: ch.index})
		}
		if ch.finish == abi.FinishStop && len(ch.calls) > 0 {
			ch.finish = abi.FinishToolCalls
		}
		ch.late = false
		a.add(Delta{Kind: abi.Finish, Choice: ch.index, Name: ch.finish})
	}
	return nil
}

// noArguments is what a call without arguments has, as every JSON parser wants.
var noArguments = []byte("{}")

// Complete reports whether nothing is missing, however the upstream ended. Without
// any content only a final FINISH counts, since servers may state it first.
func (a *Answer) Complete() bool {
	spoke := a.final
	for i := range a.choices {
		spoke = spoke || a.choices[i].spoke
	}
	return spoke && a.finished()
}

// Choices is how many choices opened.
func (a *Answer) Choices() int { return len(a.choices) }

// Choice gives the index of the nth choice that opened, from 0.
func (a *Answer) Choice(n int) int { return a.choices[n].index }

// Finished reports whether a choice has its FINISH, final or not.
func (a *Answer) Finished(choice int) bool {
	for i := range a.choices {
		if a.choices[i].index == choice {
			return a.choices[i].finish != ""
		}
	}
	return false
}

// Plain reports whether a TEXT for a choice states no more than itself: the choice
// goes on, has content, and no half of a character waits at its end.
func (a *Answer) Plain(choice int) bool {
	for i := range a.choices {
		if ch := &a.choices[i]; ch.index == choice {
			return ch.spoke && ch.finish == "" && ch.halves[0] == 0
		}
	}
	return false
}

// waiting is how many bytes were stated of calls that have not begun.
func (a *Answer) waiting() (bytes int) {
	for i := range a.choices {
		ch := &a.choices[i]
		if ch.begun == len(ch.calls) {
			continue
		}
		for j := range ch.calls {
			for _, d := range ch.calls[j].waiting {
				bytes += len(d.Text.Data)
			}
		}
	}
	return bytes
}

// Shown says that of what was stated who renders keeps no more than rest bytes. kept
// tells how many bytes of buffers it has; it is asked now and then.
func (a *Answer) Shown(rest int, kept func() int) {
	a.held = a.waiting() + rest
	if a.held == 0 {
		a.ledger.recount(func() int { return a.size() + kept() })
	}
}

// Usage is what the answer cost as far as it is known, complete or not.
func (a *Answer) Usage() Usage { return a.usage.summary() }

// AppendUsage appends what the answer cost as OpenAI's usage object.
func (a *Answer) AppendUsage(dst []byte) []byte { return a.usage.appendTo(dst) }

func (a *Answer) add(d Delta) { a.deltas = append(a.deltas, d) }

// finished reports whether every choice has its FINISH and no content after it.
func (a *Answer) finished() bool {
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
func (a *Answer) named() bool {
	for i := range a.choices {
		for j := range a.choices[i].calls {
			if a.choices[i].calls[j].name == "" {
				return false
			}
		}
	}
	return true
}

// hold counts the bytes of an emission that is about to be kept.
func (a *Answer) hold(e abi.Emission) *fault.Error {
	if a.held+len(e.Data) > a.max {
		return &fault.Error{
			Kind: fault.Upstream, Code: "upstream_error",
			Text: fmt.Sprintf("The provider's answer is larger than %d MiB.", a.max>>20),
		}
	}
	a.held += len(e.Data)
	return nil
}
