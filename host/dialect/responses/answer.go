package responses

import (
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// answer is what both forms share: it makes output items of the facts. A whole answer
// shows them at its end, a stream shows each step at once.
//
// At most one message or reasoning is open at a time. What belongs into another item
// closes it. Calls stay open to the end, since only then it is known that nothing was cut
// off, and clients run a call as soon as it is done.
type answer struct {
	*response
	facts  *facts.Answer
	events *events // shows the steps; nil in a whole answer

	items    []*outputItem
	calls    []*outputItem // those that are calls, by their number
	open     *outputItem   // the message or reasoning to which texts are added; nil: none
	sealed   sealed        // what providers want back, and what is in no item yet
	logprobs []byte        // elements of an array, that wait for a text
	extra    facts.Object  // CHUNK_EXTRA
	tier     string        // service_tier; "": unknown
	finish   string        // why the answer ends, once that is final

	scratch []byte

	err error // why it failed here; nothing more can be done with it
}

func newAnswer(r *response) answer {
	return answer{response: r, facts: facts.New(facts.Options{Memory: r.info.Memory, MaxHeld: r.info.MaxHeld})}
}

// takeAll adds the facts that one adapter call led to. done says that the answer was
// complete before it.
func (a *answer) takeAll(deltas []facts.Delta, done bool) error {
	for i := range deltas {
		if d := &deltas[i]; d.Kind == abi.Logprobs && d.Choice == 0 && !a.asked.compact {
			if err := a.waitLogprobs(d.Text.Data); err != nil {
				return err
			}
		}
	}
	for i := range deltas {
		d := &deltas[i]
		if d.Kind == abi.ChunkExtra {
			if tier, ok := sdk.JSON(d.Text.Data).Get("service_tier").Str(); ok {
				a.tier = tier
			}
			if err := a.extra.Merge(d.Kind, d.Text.Data, objectKeys); err != nil && !(done && a.facts.Complete()) {
				return err
			}
			continue
		}
		if d.Choice != 0 {
			continue // this API has no others
		}
		take := a.take
		if a.asked.compact {
			take = a.takeSummary
		}
		if err := take(d, deltas[i+1:]); err != nil {
			return err
		}
	}
	a.facts.Rendered(0, a.extra.Size)
	return nil
}

// take adds a fact. rest is what else the same adapter call led to.
func (a *answer) take(d *facts.Delta, rest []facts.Delta) error {
	switch d.Kind {
	case abi.Text:
		return a.say(textItem, d.Text, rest)
	case abi.Refusal:
		return a.say(refusalItem, d.Text, rest)
	case abi.Reasoning:
		return a.say(reasoningItem, d.Text, rest)
	case abi.ToolName:
		return a.beginCall(d, rest)
	case abi.ToolArgs:
		return a.argue(a.calls[d.Call], d.Text, rest)
	case abi.Finish:
		a.finish = d.Name
		return nil
	}
	return a.seal(d)
}

// takeSummary is take for an answer that is the summary of a conversation: its text.
func (a *answer) takeSummary(d *facts.Delta, _ []facts.Delta) error {
	switch d.Kind {
	case abi.Text:
		if a.open == nil {
			it, err := a.add(compactionItem, tool{})
			if err != nil {
				return err
			}
			a.open = it
		}
		a.events.begin()
		return a.keepText(a.open, d.Text)
	case abi.Finish:
		a.finish = d.Name
	}
	return nil
}

// say adds a text to the open item of a kind, and opens one if need be.
func (a *answer) say(k itemKind, text facts.Text, rest []facts.Delta) error {
	if a.open == nil || a.open.kind != k {
		if err := a.close(statusCompleted, rest); err != nil {
			return err
		}
		if k != reasoningItem { // a reasoning takes along what is sealed
			if err := a.carry(); err != nil {
				return err
			}
		}
		it, err := a.add(k, tool{})
		if err != nil {
			return err
		}
		a.open = it
		a.events.added(it)
	}
	if k != textItem || len(a.logprobs) == 0 {
		return a.show(a.open, text, nil)
	}
	if err := a.show(a.open, text, a.logprobs); err != nil {
		return err
	}
	return a.takeLogprobs(a.open)
}

// show adds a text to an item whose texts are shown as they come.
func (a *answer) show(it *outputItem, text facts.Text, logprobs []byte) error {
	if a.events == nil {
		return a.keepText(it, text)
	}
	return a.keep(&it.text, a.events.textDelta(it, text, logprobs))
}

// waitLogprobs adds the elements of an array to the logprobs that wait for a text.
func (a *answer) waitLogprobs(array []byte) (err error) {
	if a.logprobs, err = a.facts.Grow(a.logprobs, len(array)+1); err != nil {
		return err
	}
	a.logprobs = facts.AppendElements(a.logprobs, array)
	return nil
}

// takeLogprobs moves the logprobs that wait to a message.
func (a *answer) takeLogprobs(it *outputItem) error {
	if len(it.logprobs) > 0 {
		if err := a.keep(&it.logprobs, comma); err != nil {
			return err
		}
	}
	if err := a.keep(&it.logprobs, a.logprobs); err != nil {
		return err
	}
	a.facts.Free(a.logprobs)
	a.logprobs = nil
	return nil
}

var comma = []byte(",")

// beginCall begins a call of a tool. What its provider wants back with it goes into an item
// of its own before the call, if it is known by then.
func (a *answer) beginCall(d *facts.Delta, rest []facts.Delta) error {
	if err := a.close(statusCompleted, rest); err != nil {
		return err
	}
	for i := range rest {
		extra := &rest[i]
		if (extra.Kind == abi.ToolExtra || extra.Kind == abi.ToolSignature) && extra.Choice == 0 && extra.Call == d.Call {
			if err := a.sealCall(d.ID, extra); err != nil {
				return err
			}
			extra.Kind = taken
		}
	}
	if err := a.carry(); err != nil {
		return err
	}
	it, err := a.add(callItem, a.asked.tools.named(d.Name))
	if err != nil {
		return err
	}
	it.callID = d.ID
	a.calls = append(a.calls, it)
	a.events.added(it)
	return nil
}

// taken replaces the kind of a fact that was taken before its turn came.
const taken abi.Kind = 0

// argue adds to the arguments of a call. When the answer ends, the facts give a call
// without arguments an empty object.
func (a *answer) argue(it *outputItem, text facts.Text, rest []facts.Delta) error {
	if ends(rest) && string(text.Data) == "{}" && isBlank(sdk.AppendUnquote(nil, it.text)) {
		it.bare = true
	}
	if it.tool.kind.form().resolve == nil {
		return a.show(it, text, nil)
	}
	return a.keepText(it, text)
}

// keep appends to a buffer that is kept until the answer's end, and counts it.
func (a *answer) keep(b *[]byte, p []byte) error {
	if len(p) > cap(*b)-len(*b) {
		var err error
		if *b, err = a.facts.Grow(*b, len(p)); err != nil {
			return err
		}
	}
	*b = append(*b, p...)
	return nil
}

// piece is how much of a text is escaped at once.
const piece = 16 << 10

// keepText adds a text to an item. If the text is long, the only copy is the one that it
// keeps.
func (a *answer) keepText(it *outputItem, text facts.Text) (err error) {
	if it.text, err = a.facts.Grow(it.text, len(text.Data)); err != nil {
		return err
	}
	for from := text.Data; len(from) > 0; {
		part := from[:min(len(from), piece)]
		from = from[len(part):]
		if !text.Raw {
			a.scratch = facts.Text{Data: part}.AppendTo(a.scratch[:0])
			part = a.scratch
		}
		if err := a.keep(&it.text, part); err != nil {
			return err
		}
	}
	return nil
}

// ends reports whether the answer's end is among the facts.
func ends(deltas []facts.Delta) bool {
	return len(deltas) > 0 && deltas[len(deltas)-1].Kind == abi.Finish
}

// add adds an item, and counts what it takes besides its texts.
func (a *answer) add(k itemKind, t tool) (*outputItem, error) {
	if err := a.facts.Hold(itemBytes); err != nil {
		return nil, err
	}
	it := newOutputItem(k, t, a.info.ID, len(a.items))
	a.items = append(a.items, it)
	return it, nil
}

// itemBytes is about what an item takes besides its texts.
const itemBytes = 512

// Complete reports whether the answer is a success if nothing more comes, even if the
// upstream's connection broke.
func (a *answer) Complete() bool { return a.facts.Complete() }

// Usage returns what the answer cost so far, complete or not.
func (a *answer) Usage() facts.Usage { return a.facts.Usage() }

// EndMark notes that the upstream said that its answer is complete.
func (a *answer) EndMark() { a.facts.EndMark() }
