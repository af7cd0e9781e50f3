package stream

import (
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

// ledger counts what an answer keeps. What an adapter call adds is counted before
// it is taken, by what it can come to at most; what is really there is looked at
// now and then, since that takes a walk through the answer.
type ledger struct {
	grant   *memory.Grant
	facts   int // bytes counted for what was stated
	written int // bytes counted for the events that were made of it
}

// Bytes that a choice, a call and a field take besides what was stated of them.
const (
	choiceBytes = 512
	callBytes   = 256
	fieldBytes  = 96
)

// often is how many bytes may have been stated since the answer was looked at.
const often = 16 << 10

// hold counts bytes, for good.
func (l *ledger) hold(bytes int) *fault.Error {
	if err := l.grant.Hold(int64(bytes)); err != nil {
		return memoryError(err)
	}
	return nil
}

// expect counts what the emissions of one adapter call add at most.
func (l *ledger) expect(ems []abi.Emission) *fault.Error {
	bytes := 0
	for _, e := range ems {
		bytes += len(e.Data)
		switch e.Kind {
		case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolArgs:
			if !e.Raw {
				bytes += escapes(e.Data)
			}
		case abi.ToolID, abi.ToolName:
			bytes += callBytes
		}
	}
	bytes += bytes / 4 // arrays grow by more than they need
	if err := l.hold(bytes); err != nil {
		return err
	}
	l.facts += bytes
	return nil
}

// recount counts what is there, which is less than was expected once it was shown.
func (a *answer) recount() {
	if a.memory.facts < often || a.memory.grant == nil {
		return
	}
	if real := a.size(); real < a.memory.facts {
		a.memory.grant.Drop(int64(a.memory.facts - real))
		a.memory.facts = real
	}
}

// size is what the answer keeps, in bytes.
func (a *answer) size() int {
	n := a.extra.size() + a.usage.rest.size()
	for i := range a.choices {
		ch := &a.choices[i]
		n += choiceBytes + cap(ch.content) + cap(ch.reasoning) + cap(ch.refusal) + cap(ch.logprobs) +
			ch.delta.size() + ch.extra.size()
		for k := range ch.calls {
			c := &ch.calls[k]
			n += callBytes + len(c.given) + len(c.id) + len(c.name) + cap(c.args) + c.extra.size()
		}
	}
	return n
}

// size is what the object keeps, in bytes; fields that were given up for reuse have
// small buffers.
func (o *object) size() int {
	n := 0
	for _, f := range o.fields[:cap(o.fields)] {
		n += fieldBytes + cap(f.key) + cap(f.value)
		if f.nest != nil {
			n += f.nest.size()
		}
	}
	return n
}

// rendered is what the answer comes to as JSON, about and rather more.
func (a *answer) rendered() int {
	n := choiceBytes + a.extra.size() + a.usage.rest.size()
	for i := range a.choices {
		ch := &a.choices[i]
		n += choiceBytes + len(ch.content) + 2*len(ch.reasoning) + len(ch.refusal) + len(ch.logprobs) +
			ch.delta.size() + ch.extra.size()
		for k := range ch.calls {
			if c := &ch.calls[k]; c.index >= 0 {
				n += callBytes + len(c.id) + len(c.name) + len(c.args) + c.extra.size()
			}
		}
	}
	return n
}

// room gives dst room for the events of what was stated, counted, if they are large.
func (c *Chunks) room(dst []byte) ([]byte, error) {
	if c.memory.facts < often || c.memory.grant == nil {
		return dst, nil
	}
	n := c.rendered()
	if n < often || n <= cap(dst)-len(dst) {
		return dst, nil
	}
	size := len(dst) + n
	if err := c.memory.hold(size); err != nil {
		return dst, err
	}
	grown := append(make([]byte, 0, size), dst...)
	c.Flushed()
	c.memory.written = size
	return grown, nil
}

// Flushed says that the array of the events that were made is used no more.
func (c *Chunks) Flushed() {
	c.memory.grant.Drop(int64(c.memory.written))
	c.memory.written = 0
}

// escapes is how many bytes longer p gets inside of a JSON string literal, at most.
func escapes(p []byte) int {
	n := 0
	for _, b := range p {
		if escaped[b] {
			n += len(`\u0000`) - 1
		}
	}
	return n
}

// memoryError is for an answer that there is no memory for.
func memoryError(err error) *fault.Error {
	return &fault.Error{Kind: fault.Share, Code: "out_of_memory", Cause: err, Text: "Kai has no memory left for the answer."}
}
