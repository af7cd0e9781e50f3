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

// Answer is what is known of one answer. Begin makes the zero Answer ready; from then on it
// must not be copied. Only one goroutine may use it at a time.
type Answer struct {
	choices Few[choice]         // in the order they opened
	open    int                 // choices without FINISH
	final   bool                // the finish reasons are final; content after that is an error
	done    bool                // it was complete before the last call of Apply
	touched bool                // there may be calls that can begin
	one     bool                // there is one fact, which is in first and not in deltas
	usage   usage               // USAGE
	stated  int64               // bytes of texts and arguments
	ids     map[string]struct{} // ids of tool calls used so far
	held    int                 // bytes kept, here or by the dialect
	grown   int                 // bytes of the arrays that Grow made
	max     int                 // of held, and of grown
	ledger  ledger
	deltas  []Delta
	first   [1]Delta // instead of deltas, until a call leads to two facts
}

// New returns an answer of which nothing is known yet.
func New(o Options) *Answer {
	a := &Answer{}
	a.Begin(o)
	return a
}

// Begin makes the zero Answer ready. Nothing is known of it yet.
func (a *Answer) Begin(o Options) {
	if o.MaxHeld <= 0 {
		o.MaxHeld = defaultMaxHeld
	}
	a.max, a.ledger.grant = o.MaxHeld, o.Memory
}

// Apply adds the emissions of one adapter call and returns the facts that follow. They
// are valid until the next call of Apply or End.
//
//   - error: a *fault.Error: the adapter's ERROR, a breach of the protocol, or too
//     little memory. Only Usage may be called after it.
func (a *Answer) Apply(ems []abi.Emission) ([]Delta, error) {
	a.forget()
	if len(ems) == 1 {
		e := &ems[0]
		switch text, call, ok, err := a.TryKeep(e); {
		case err != nil:
			return nil, err
		case ok:
			a.done = false // its choice has no FINISH
			d := a.next(e.Kind, e.Choice())
			d.Call, d.Text = call, text
			return a.facts(), nil
		}
	}
	if err := a.ledger.expect(ems); err != nil {
		return nil, err
	}
	finished, counted := a.finished(), false
	a.done = finished && a.spoke()
	var failed *fault.Error
	for i := range ems {
		e := &ems[i]
		if failed != nil && e.Kind != abi.Usage {
			continue
		}
		var err *fault.Error
		switch e.Kind {
		case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.ToolArgs,
			abi.ToolExtra, abi.Logprobs, abi.DeltaExtra, abi.ChoiceExtra, abi.Finish,
			abi.ReasoningDetail, abi.Signature, abi.ToolSignature, abi.Citation, abi.StopReason:
			err = a.take(a.choice(e.Choice()), e)
		case abi.Usage:
			counted = true
			err = a.usage.merge(e)
		case abi.Error:
			err = DecodeError(e.Data)
		case abi.ChunkExtra:
			if err = a.hold(e); err == nil {
				a.next(e.Kind, 0).Text.Data = e.Data
			}
		case abi.Pass:
			err = a.pass(e)
		}
		if err != nil && failed == nil && !a.Forgives() {
			failed = err
		}
	}
	if failed != nil {
		return nil, failed
	}
	if a.touched {
		a.touched = false
		for i := range a.choices.Len() {
			a.beginCalls(a.choices.At(i))
		}
	}
	if finished && counted && !a.final && a.finished() && a.named() {
		if err := a.settle(); err != nil { // usage comes last
			return nil, err
		}
	}
	return a.facts(), nil
}

// EndMark notes that the upstream said that its answer is complete. If the answer has
// any content, choices without a FINISH get the reason "stop".
func (a *Answer) EndMark() {
	spoke := false
	for i := range a.choices.Len() {
		spoke = spoke || a.choices.At(i).spoke
	}
	if !spoke {
		return
	}
	for i := range a.choices.Len() {
		if ch := a.choices.At(i); ch.finish == "" {
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
	a.forget()
	if err := a.settle(); err != nil {
		return nil, err
	}
	return a.facts(), nil
}

// settle makes the finish reasons final: no content may follow.
func (a *Answer) settle() *fault.Error {
	if a.final {
		return nil
	}
	if a.choices.Len() == 0 || a.open > 0 {
		return incompleteError()
	}
	if !a.named() {
		return namelessError()
	}
	a.final = true
	for i := range a.choices.Len() {
		ch := a.choices.At(i)
		a.beginCalls(ch)
		for j := range ch.calls {
			c := &ch.calls[j]
			if a.endHalf(&c.half, abi.ToolArgs, ch.index, c.index); !c.begun {
				c.begun = true
				a.say(abi.ToolArgs, ch.index, c.index, Text{Data: noArguments})
			}
		}
		for k, kind := range [...]abi.Kind{abi.Text, abi.Reasoning, abi.Refusal} {
			a.endHalf(&ch.halves[k], kind, ch.index, 0)
		}
		if ch.finish == abi.FinishStop && len(ch.calls) > 0 {
			ch.finish = abi.FinishToolCalls
		}
		ch.late = false
		a.next(abi.Finish, ch.index).Name = ch.finish
	}
	return nil
}

// noArguments is what a call without arguments gets: JSON that every parser accepts.
var noArguments = []byte("{}")

// Complete reports whether nothing is missing, even if the upstream's connection broke.
// Without any content only a final FINISH counts, since servers may state it first.
func (a *Answer) Complete() bool { return a.finished() && a.spoke() }

// Forgives reports whether the answer was complete before the last call of Apply, and still
// is: then errors that follow from that call are dropped.
func (a *Answer) Forgives() bool { return a.done && a.Complete() }

// spoke reports whether there is any content, or the reasons are final.
func (a *Answer) spoke() bool {
	spoke := a.final
	for i := range a.choices.Len() {
		spoke = spoke || a.choices.At(i).spoke
	}
	return spoke
}

// Choices is how many choices opened.
func (a *Answer) Choices() int { return a.choices.Len() }

// Choice returns the index of the nth choice that opened, from 0.
func (a *Answer) Choice(n int) int { return a.choices.At(n).index }

// Finished reports whether a choice has its FINISH, final or not.
func (a *Answer) Finished(choice int) bool {
	ch := a.find(choice)
	return ch != nil && ch.finish != ""
}

// Plain reports whether a TEXT for a choice leads to nothing but that text: the choice
// has content and no FINISH, and no half of a character waits at its end.
func (a *Answer) Plain(choice int) bool {
	ch := a.find(choice)
	return ch != nil && ch.spoke && ch.finish == "" && ch.halves[0] == 0
}

// waiting returns how many bytes wait for calls that have not begun.
func (a *Answer) waiting() (bytes int) {
	for i := range a.choices.Len() {
		ch := a.choices.At(i)
		if ch.begun == len(ch.calls) {
			continue
		}
		for j := range ch.calls {
			for _, w := range ch.calls[j].waiting {
				bytes += len(w.text.Data)
			}
		}
	}
	return bytes
}

// AddStated counts bytes that the assistant says and no emission states, because they pass
// as they are.
func (a *Answer) AddStated(bytes int) { a.stated += int64(bytes) }

// Rendered notes that the dialect has rendered what was stated and keeps at most rest bytes
// of it. kept returns the size of the dialect's buffers; it is called only now and then.
func (a *Answer) Rendered(rest int, kept func() int) {
	a.held = a.waiting() + rest
	if a.held == 0 && a.ledger.facts >= Often {
		a.ledger.recount(a.size() + kept())
	}
}

// Usage returns what the answer cost so far, complete or not.
func (a *Answer) Usage() Usage {
	u := a.usage.summary()
	u.Stated = a.stated
	return u
}

// UsageSize is how many bytes AppendUsage appends at most.
func (a *Answer) UsageSize() int { return countsBytes + 2*a.usage.rest.Held() }

// AppendUsage appends the usage as OpenAI's object.
func (a *Answer) AppendUsage(dst []byte) []byte { return a.usage.appendTo(dst) }

// next adds a fact and returns it for the caller to fill in, because it is too large to be
// copied. It is valid until the next one is added.
func (a *Answer) next(kind abi.Kind, choice int) *Delta {
	var d *Delta
	if n := len(a.deltas); n < cap(a.deltas) {
		a.deltas = a.deltas[:n+1]
		d = &a.deltas[n]
	} else {
		d = a.another()
	}
	*d = Delta{Kind: kind, Choice: choice}
	return d
}

// another adds a fact for which deltas has no room.
func (a *Answer) another() *Delta {
	switch {
	case cap(a.deltas) > 0:
		a.deltas = append(a.deltas, Delta{})
	case !a.one:
		a.one = true
		return &a.first[0]
	default:
		a.one = false
		a.deltas = append(make([]Delta, 0, 4), a.first[0], Delta{})
	}
	return &a.deltas[len(a.deltas)-1]
}

// facts returns the facts that were added since forget was called.
func (a *Answer) facts() []Delta {
	if a.one {
		return a.first[:]
	}
	return a.deltas
}

// forget begins a new list of facts.
func (a *Answer) forget() {
	a.deltas, a.one = a.deltas[:0], false
}

// say adds a text, or arguments of a call.
func (a *Answer) say(kind abi.Kind, choice, call int, text Text) {
	a.stated += int64(len(text.Data))
	d := a.next(kind, choice)
	d.Call, d.Text = call, text
}

// finished reports whether every choice has its FINISH and no content after it.
func (a *Answer) finished() bool { return a.open == 0 && a.choices.Len() > 0 && !a.late() }

// late reports whether a choice has content after its FINISH.
func (a *Answer) late() bool {
	for i := range a.choices.Len() {
		if a.choices.At(i).late {
			return true
		}
	}
	return false
}

// named reports whether every tool call has its name.
func (a *Answer) named() bool {
	for i := range a.choices.Len() {
		ch := a.choices.At(i)
		for j := range ch.calls {
			if ch.calls[j].name == "" {
				return false
			}
		}
	}
	return true
}

// hold counts the bytes of an emission before it is kept.
func (a *Answer) hold(e *abi.Emission) *fault.Error {
	if a.held+len(e.Data) > a.max {
		return tooLargeError(a.max)
	}
	a.held += len(e.Data)
	return nil
}
