package facts

import "github.com/kai-gateway/kai/sdk/abi"

// Most adapter calls state one text, and mostly it leads to nothing but itself. Then there
// is little to check and to note. A dialect that needs no Delta for such a text tries
// TryPass or TryKeep first. What they don't accept goes to Apply.

// Alone returns the only emission of an adapter call that a client could see; nil if there
// is none, or more than one. A STATE after it doesn't count, because that is for the
// adapter.
func Alone(ems []abi.Emission) *abi.Emission {
	if len(ems) == 1 || len(ems) == 2 && ems[1].Kind == abi.State {
		return &ems[0]
	}
	return nil
}

// TryPass adds the only emission of an adapter call, for a dialect that shows it at once
// and keeps nothing of it. So nothing is counted.
//
//   - call: for arguments, the number of their call
//   - ok: the emission leads to itself, no more and no less: it is a short text, or
//     arguments of a call that has begun, in a choice without a FINISH. If not, nothing has
//     changed.
func (a *Answer) TryPass(e *abi.Emission) (call int, ok bool) {
	ch, c := a.single(e)
	if ch == nil {
		return 0, false
	}
	ch.spoke = true
	a.stated += int64(len(e.Data))
	if c != nil {
		call = c.argue(e)
	}
	return call, true
}

// TryKeep is TryPass for a dialect that keeps the emission, whose bytes it counts first.
//
//   - text: what the emission says; Raw if nothing in it must be escaped
//   - error: a *fault.Error, for too little memory. Only Usage may be called after it.
func (a *Answer) TryKeep(e *abi.Emission) (text Text, call int, ok bool, err error) {
	ch, c := a.single(e)
	if ch == nil {
		return Text{}, 0, false, nil
	}
	text = Text{e.Raw || isPlain(e.Data), e.Data}
	bytes := len(e.Data)
	if !text.Raw {
		bytes += escapes(e.Data)
	}
	if err := a.ledger.add(bytes); err != nil {
		return Text{}, 0, false, memoryError(err)
	}
	ch.spoke = true
	a.held += len(e.Data)
	a.stated += int64(len(e.Data))
	if c != nil {
		call = c.argue(e)
	}
	return text, call, true, nil
}

// argue notes arguments of a call that has begun, and returns its number.
func (c *call) argue(e *abi.Emission) int {
	c.begun = c.begun || !isBlank(e)
	return c.index
}

// single returns the choice that an emission is about, and for arguments their call; nil if
// the emission must go to Apply, as all do once the choice has its FINISH.
func (a *Answer) single(e *abi.Emission) (*choice, *call) {
	text := e.Kind - abi.Text // in the order of halves
	if text > abi.Refusal-abi.Text && e.Kind != abi.ToolArgs {
		return nil, nil
	}
	if n := len(e.Data); n == 0 || n >= Often || a.held+n > a.max || MayHaveHalf(e) && HasHalf(e) {
		return nil, nil
	}
	ch := a.find(e.Choice())
	if ch == nil || ch.finish != "" {
		return nil, nil
	}
	if e.Kind != abi.ToolArgs {
		if ch.halves[text] != 0 {
			return nil, nil
		}
		return ch, nil
	}
	c := ch.known(e.Item())
	if c == nil || c.index < 0 || c.half != 0 {
		return nil, nil
	}
	return ch, c
}
