package facts

import (
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

// ledger counts what is kept of an answer, here and by the dialect. What an adapter
// call can add at most is counted before it is applied. What is really kept is counted
// only now and then, because that takes a walk through the answer.
type ledger struct {
	grant *memory.Grant
	facts int // bytes counted for the emissions
}

// Bytes that a choice, a call and a field take besides their payloads.
const (
	ChoiceBytes = 512
	CallBytes   = 256
	fieldBytes  = 96
)

// Often is how many bytes may be stated before what is kept is counted again.
const Often = 16 << 10

// expect counts what the emissions of one adapter call can add at most.
func (l *ledger) expect(ems []abi.Emission) *fault.Error {
	bytes := 0
	for i := range ems {
		e := &ems[i]
		bytes += len(e.Data)
		switch e.Kind {
		case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolArgs:
			if !e.Raw && !isPlain(e.Data) {
				bytes += escapes(e.Data)
			}
		case abi.ToolID, abi.ToolName:
			bytes += CallBytes
		}
	}
	if err := l.add(bytes); err != nil {
		return memoryError(err)
	}
	return nil
}

// add counts bytes that are about to be kept.
func (l *ledger) add(bytes int) error {
	bytes += bytes / 4 // arrays grow by more than they need
	err := l.grant.Hold(int64(bytes))
	if err == nil {
		l.facts += bytes
	}
	return err
}

// recount replaces what was expected by what is kept, which is less once the dialect has
// rendered it.
func (l *ledger) recount(kept int) {
	if kept < l.facts {
		l.grant.Drop(int64(l.facts - kept))
		l.facts = kept
	}
}

// Stated returns about how many bytes were stated and may be kept.
func (a *Answer) Stated() int { return a.ledger.facts }

// Hold counts bytes that a dialect makes of the answer. The error is a *fault.Error; then
// nothing is counted.
func (a *Answer) Hold(bytes int) error {
	if err := a.ledger.grant.Hold(int64(bytes)); err != nil {
		return memoryError(err)
	}
	return nil
}

// Drop undoes Hold.
func (a *Answer) Drop(bytes int) { a.ledger.grant.Drop(int64(bytes)) }

// Grow returns b with room for n more bytes. In b, a dialect keeps a part of the answer
// until its end. The array of b is counted, so b must be nil at first and grow nowhere
// else. The error is a *fault.Error: there is too little memory, or all such parts together
// would have more than MaxHeld bytes. Then b is as it was.
func (a *Answer) Grow(b []byte, n int) ([]byte, error) {
	if n <= cap(b)-len(b) {
		return b, nil
	}
	if a.grown-cap(b)+len(b)+n > a.max {
		return b, tooLargeError(a.max)
	}
	grown, err := a.ledger.grant.Grow(b, n)
	if err != nil {
		return b, memoryError(err)
	}
	a.grown += cap(grown) - cap(b)
	return grown, nil
}

// Free undoes what Grow counted for b.
func (a *Answer) Free(b []byte) {
	a.grown -= cap(b)
	a.Drop(cap(b))
}

// size returns how many bytes are kept here.
func (a *Answer) size() int {
	n := a.usage.rest.Size()
	for i := range a.choices.Len() {
		ch := a.choices.At(i)
		n += ChoiceBytes
		for k := range ch.calls {
			c := &ch.calls[k]
			n += CallBytes + len(c.given) + len(c.name)
			for _, w := range c.waiting {
				n += cap(w.text.Data)
			}
		}
	}
	return n
}

// Held returns about how many bytes the object's fields have; 0 without fields.
func (o *Object) Held() (bytes int) {
	if o.Empty() {
		return 0
	}
	return o.held()
}

func (o *Object) held() (bytes int) {
	for i := range o.fields {
		f := &o.fields[i]
		bytes += len(f.key) + len(f.value)
		if f.nest != nil {
			bytes += f.nest.Held()
		}
	}
	return bytes
}

// Size returns how many bytes the object keeps, including the small buffers of fields that
// Reset kept for reuse.
func (o *Object) Size() int {
	n := 0
	for _, f := range o.fields[:cap(o.fields)] {
		n += fieldBytes + cap(f.key) + cap(f.value)
		if f.nest != nil {
			n += f.nest.Size()
		}
	}
	return n
}

// escapes returns by how many bytes p can grow when it is escaped for a JSON string
// literal.
func escapes(p []byte) int {
	n := 0
	for _, b := range p {
		if escaped[b] {
			n += len(`\u0000`) - 1
		}
	}
	return n
}
