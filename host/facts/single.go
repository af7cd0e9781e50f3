package facts

import "github.com/kai-gateway/kai/sdk/abi"

// Most adapter calls state one text, which mostly leads to nothing but itself: then there is
// little to look at and to note. A dialect that needs no Delta for it asks TryPass or TryKeep
// first; what they don't take, Apply does.

// Alone returns the emission of an adapter call that states nothing else that a client could
// see; nil if there are more, or none. A STATE behind it is for the adapter.
func Alone(ems []abi.Emission) *abi.Emission {
	if len(ems) == 1 || len(ems) == 2 && ems[1].Kind == abi.State {
		return &ems[0]
	}
	return nil
}

// TryPass adds an emission that is all that an adapter call states, for a dialect that shows
// it at once and keeps nothing of it. So nothing is counted.
//
//   - call: for arguments, the number of their call
//   - ok: the emission says itself, no more and no less: a short text, or arguments of a call
//     that has begun, of a choice without a FINISH. If not, nothing has changed.
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

// TryKeep is TryPass for a dialect that keeps the emission, which is counted before.
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

// single returns the choice that an emission is about, and the call, if it is arguments of
// one; nil if Apply must add it. A choice without a FINISH is one whose reason is not final.
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
