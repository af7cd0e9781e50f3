// Package facts turns the emissions of adapters into checked facts about one answer: in
// order, with tool calls numbered and named, and with a final reason for its end. It
// knows no API that clients speak: a dialect, such as package dialect/chat, turns each
// [Delta] into what its clients see.
//
// The rules:
//
//   - A choice opens with the first emission about it, even an empty one. FINISH
//     states why it ends, but some servers state that early. So the reason is final
//     only when nothing more can follow: at the end of the stream, at its end mark,
//     or when the usage comes in a later adapter call. Content before that belongs
//     to the answer. A reason that comes after such content replaces the earlier
//     one; otherwise "stop" replaces no other reason.
//   - The answer succeeds if every choice that opened has its FINISH, there is at
//     least one, and the upstream ended cleanly. If it broke off, there must be
//     content and none after the FINISH. An end mark ([DONE], END) takes the
//     place of a missing FINISH if there was content.
//   - Once the answer is complete after an adapter call, only content in a later call
//     can make it fail: other errors are dropped, and usage counts. Content after the
//     reason is final is an error, because the client has seen the end.
//   - FINISH stop becomes tool_calls for a choice that called tools.
//   - A tool call begins when its name is known and its arguments begin, another call
//     begins, or the answer ends. Until then the name may come in pieces, which are
//     joined, and the id may still come. A call without an id, or with one that this
//     answer has used, gets a new one; an id that comes later is ignored. Calls are
//     numbered as they begin: 0, 1, 2, without gaps. A call without arguments has {}.
//     Stating the same name again changes nothing; stating another one after the
//     arguments began breaks the protocol. A call that never gets a name is a mistake
//     of the model: the answer fails, and the client may ask again.
//   - Half a character at the end of a text waits for its other half.
//   - Of an adapter call that states ERROR or breaks the protocol, only the usage
//     counts.
//
// Payloads must have been checked where they left the sandbox: they are JSON where the
// kind says so, and UTF-8 or the inside of a JSON string literal where it says text.
package facts

import (
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Delta is one checked fact about an answer. Its Kind says what its fields mean:
//
//   - TEXT, REASONING, REFUSAL: Text of Choice
//   - TOOL_NAME: call number Call of Choice begins, with ID and Name
//   - TOOL_ARGS, TOOL_EXTRA, TOOL_SIGNATURE: of a call that began
//   - PASS: what the upstream sent goes to the client as it came
//   - FINISH: the choice ends, for the reason Name; once for each choice, and last
//   - others: Text, as the adapter stated it
type Delta struct {
	Kind     abi.Kind
	Choice   int
	Call     int // from 0, in the order in which the choice's calls began
	ID, Name string
	Text     Text // the payload
}

// Text is a payload: UTF-8, or with Raw the inside of a JSON string literal, or JSON
// where the kind says so. Data is valid until the next call of Apply or End, and must
// not be changed.
type Text struct {
	Raw  bool
	Data []byte
}

// Options configures New. The zero value is ready for production use.
type Options struct {
	Memory  *memory.Grant // counts what is kept of the answer; default: nothing is counted
	MaxHeld int           // bytes of payloads that may be kept at once; default 64 MiB
}

const defaultMaxHeld = 64 << 20

// Answer is what is known of one answer. Only one goroutine may use it at a time.
type Answer struct {
	choices []choice            // in the order they opened
	open    int                 // choices without FINISH
	final   bool                // the finish reasons are final; content after that is an error
	usage   usage               // USAGE
	stated  int64               // bytes of texts and arguments
	ids     map[string]struct{} // ids of tool calls used so far
	held    int                 // bytes kept, here or by the dialect
	grown   int                 // bytes of the arrays that Grow made
	max     int                 // of held, and of grown
	ledger  ledger
	deltas  []Delta
	scratch []byte // for texts with halves of characters
}

// New returns an answer of which nothing is known yet.
func New(o Options) *Answer {
	if o.MaxHeld <= 0 {
		o.MaxHeld = defaultMaxHeld
	}
	return &Answer{max: o.MaxHeld, ledger: ledger{grant: o.Memory}}
}

// Apply adds the emissions of one adapter call and returns the facts that follow. They
// are valid until the next call of Apply or End.
//
//   - error: a *fault.Error: the adapter's ERROR, a breach of the protocol, or too
//     little memory. Only Usage may be called after it.
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
		case e.Kind == abi.Pass:
			err = a.pass(e)
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
			a.beginCalls(ch)
		}
	}
	if finished && counted && !a.final && a.finished() && a.named() {
		if err := a.settle(); err != nil { // usage comes last
			return nil, err
		}
	}
	return a.deltas, nil
}

// EndMark notes that the upstream said that its answer is complete. If the answer has
// any content, choices without a FINISH get the reason "stop".
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

// End ends the answer. Call it when the upstream ended cleanly, or in any way once
// Complete reports true. It returns the facts that are still missing, the last of them
// the FINISH of every choice.
//
//   - error: a *fault.Error, for a choice without a FINISH (the caller may know a better
//     reason than that the upstream ended) or a call without a name
func (a *Answer) End() ([]Delta, error) {
	a.deltas, a.scratch = a.deltas[:0], a.scratch[:0]
	if err := a.settle(); err != nil {
		return nil, err
	}
	return a.deltas, nil
}

// settle makes the finish reasons final: no content may follow.
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
		a.beginCalls(ch)
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

// noArguments is what a call without arguments gets: JSON that every parser accepts.
var noArguments = []byte("{}")

// Complete reports whether nothing is missing, even if the upstream's connection broke.
// Without any content only a final FINISH counts, since servers may state it first.
func (a *Answer) Complete() bool {
	spoke := a.final
	for i := range a.choices {
		spoke = spoke || a.choices[i].spoke
	}
	return spoke && a.finished()
}

// Choices is how many choices opened.
func (a *Answer) Choices() int { return len(a.choices) }

// Choice returns the index of the nth choice that opened, from 0.
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

// Plain reports whether a TEXT for a choice leads to nothing but that text: the choice
// has content and no FINISH, and no half of a character waits at its end.
func (a *Answer) Plain(choice int) bool {
	for i := range a.choices {
		if ch := &a.choices[i]; ch.index == choice {
			return ch.spoke && ch.finish == "" && ch.halves[0] == 0
		}
	}
	return false
}

// waiting returns how many bytes wait for calls that have not begun.
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

// Said counts bytes of what the assistant says that pass without being stated.
func (a *Answer) Said(bytes int) { a.stated += int64(bytes) }

// Shown notes that the dialect has rendered what was stated and keeps no more than rest
// bytes of it. kept returns the size of the dialect's buffers; it is called now and then.
func (a *Answer) Shown(rest int, kept func() int) {
	a.held = a.waiting() + rest
	if a.held == 0 {
		a.ledger.recount(func() int { return a.size() + kept() })
	}
}

// Usage returns what the answer cost so far, complete or not.
func (a *Answer) Usage() Usage {
	u := a.usage.summary()
	u.Stated = a.stated
	return u
}

// AppendUsage appends the usage as OpenAI's object.
func (a *Answer) AppendUsage(dst []byte) []byte { return a.usage.appendTo(dst) }

func (a *Answer) add(d Delta) {
	switch d.Kind {
	case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolArgs:
		a.stated += int64(len(d.Text.Data))
	}
	a.deltas = append(a.deltas, d)
}

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

// hold counts the bytes of an emission before it is kept.
func (a *Answer) hold(e abi.Emission) *fault.Error {
	if a.held+len(e.Data) > a.max {
		return tooLargeError(a.max)
	}
	a.held += len(e.Data)
	return nil
}
