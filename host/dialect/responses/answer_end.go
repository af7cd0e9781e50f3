package responses

import (
	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// close closes the open message or reasoning, if there is one. rest is what else the
// adapter call that closes it led to.
func (a *answer) close(status string, rest []facts.Delta) (err error) {
	it := a.open
	if it == nil {
		return nil
	}
	a.open = nil
	switch it.kind {
	case reasoningItem:
		// Some adapters state the text of the answer before the details of its reasoning.
		for i := range rest {
			d := &rest[i]
			if d.Kind == abi.Reasoning && d.Choice == 0 {
				break
			}
			if d.Kind == abi.ReasoningDetail && d.Choice == 0 {
				if err := a.seal(d); err != nil {
					return err
				}
				d.Kind = taken
			}
		}
		if it.sealed, err = a.sealUp(); err != nil {
			return err
		}
	case textItem:
		if len(a.logprobs) > 0 && !says(rest) {
			if err := a.takeLogprobs(it); err != nil {
				return err
			}
		}
	}
	a.done(it, status)
	return nil
}

// says reports whether a text is among the facts.
func says(deltas []facts.Delta) bool {
	for i := range deltas {
		if deltas[i].Kind == abi.Text && deltas[i].Choice == 0 {
			return true
		}
	}
	return false
}

// done ends an item.
func (a *answer) done(it *outputItem, status string) {
	it.status = status
	a.events.done(it)
}

// carry puts what is sealed, if anything is, into an item of its own: a reasoning without
// text.
func (a *answer) carry() error {
	text, err := a.sealUp()
	if err != nil || text == "" {
		return err
	}
	it, err := a.add(reasoningItem, tool{})
	if err != nil {
		return err
	}
	it.sealed = text
	a.events.added(it)
	a.done(it, statusCompleted)
	return nil
}

// end adds what the answer still lacks, and ends all of its items.
//
//   - error: a *fault.Error for an answer without a FINISH (the caller may know a better
//     reason than that the upstream ended), a call without a name, or too little memory
func (a *answer) end() error {
	if a.err != nil {
		return a.err
	}
	done := a.facts.Complete()
	deltas, err := a.facts.End()
	if err != nil {
		return err
	}
	if err := a.takeAll(deltas, done); err != nil {
		return err
	}
	status := statusCompleted
	if a.cutOff() {
		status = statusIncomplete
	}
	if a.asked.compact {
		return a.endSummary()
	}
	spoke := false
	for _, it := range a.items {
		switch {
		case it.status != "":
		case it == a.open:
			err = a.close(status, nil)
		default:
			err = a.endCall(it)
		}
		if err != nil {
			return err
		}
		spoke = spoke || it.status != "" && it.kind != reasoningItem
	}
	if err := a.carry(); err != nil {
		return err
	}
	if !spoke {
		// Some clients ask again and again when there is no message.
		it, err := a.add(textItem, tool{})
		if err != nil {
			return err
		}
		a.events.added(it)
		a.done(it, status)
	}
	return nil
}

// cutOff reports whether the answer ended before the model had said all.
func (a *answer) cutOff() bool {
	return a.finish == abi.FinishLength || a.finish == abi.FinishContentFilter
}

// endCall ends a call, unless it was cut off: then its arguments are no object, or were
// never begun. Nothing may say that such a call is done, because clients run calls that are
// done.
func (a *answer) endCall(it *outputItem) error {
	resolve := it.tool.kind.form().resolve
	if resolve == nil && !a.cutOff() {
		a.done(it, statusCompleted)
		return nil
	}
	// The arguments, once as they are and at most twice on their way back.
	if err := a.facts.Hold(3*len(it.text) + itemBytes); err != nil {
		return err
	}
	arguments := sdk.AppendUnquote(make([]byte, 0, len(it.text)), it.text)
	if a.cutOff() && (it.bare || !isObject(arguments)) {
		return nil
	}
	if resolve != nil {
		it.text = resolve(nil, arguments)
	}
	a.done(it, statusCompleted)
	return nil
}

// endSummary ends an answer that is exactly one compaction item. If there is no summary,
// there is no item, because the client would drop the conversation for nothing.
func (a *answer) endSummary() error {
	it := a.open
	a.open = nil
	if it == nil || len(sdk.TrimSpaceEnd(it.text)) == 0 {
		return summaryError("The model wrote no summary of the conversation. The request may be repeated.")
	}
	if err := a.facts.Hold(2 * len(it.text)); err != nil {
		return err
	}
	if it.sealed = sealSummary(it.text); it.sealed == seal.Prefix {
		return summaryError("The model's summary of the conversation is too long to be carried. The request may be repeated.")
	}
	a.events.added(it)
	a.done(it, statusCompleted)
	return nil
}

func summaryError(text string) error {
	return &fault.Error{Kind: fault.Upstream, Code: "upstream_error", Text: text}
}

// final returns what the response object says when the answer has ended.
func (a *answer) final() object {
	o := object{status: statusCompleted, tier: a.tier, extra: &a.extra}
	switch a.finish {
	case abi.FinishLength:
		o.status, o.reason = statusIncomplete, "max_output_tokens"
	case abi.FinishContentFilter:
		o.status, o.reason = statusIncomplete, "content_filter"
	default:
		o.completedAt = a.seconds()
	}
	for _, it := range a.items {
		if it.status != "" {
			o.items = append(o.items, it)
		}
	}
	if a.Usage().Known {
		o.usage = appendUsage(nil, a.facts.AppendUsage(nil))
	}
	return o
}

// remember keeps the finished response, whose object is in b, and its items.
func (a *answer) remember(b []byte, from, to int, spans [][2]int) {
	if a.asked.keep == nil {
		return
	}
	items := make([][]byte, len(spans))
	for i, span := range spans {
		items[i] = b[span[0]:span[1]]
	}
	a.asked.keep(a.id(), b[from:to], items)
}
