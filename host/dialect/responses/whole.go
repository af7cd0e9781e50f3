package responses

import (
	"github.com/kai-gateway/kai/host/dialect"

	"github.com/kai-gateway/kai/sdk/abi"
)

// whole is an answer that is not streamed: one response object.
type whole struct{ answer }

// newWhole returns a whole answer without content.
func newWhole(a requestInfo, i dialect.Info) dialect.Answer {
	return &whole{newAnswer(newResponse(a, i))}
}

// Apply adds the emissions of one adapter call, and appends nothing.
//
//   - error: a *fault.Error: the adapter's ERROR, a breach of the protocol, an answer
//     that is too large, or too little memory
func (w *whole) Apply(dst []byte, ems []abi.Emission) ([]byte, error) {
	done := w.facts.Complete()
	deltas, err := w.facts.Apply(ems)
	if err != nil {
		return dst, err
	}
	if err := w.takeAll(deltas, done); err != nil {
		w.err = err
		return dst, err
	}
	return dst, nil
}

// End appends the response object. The response is remembered if it was asked for.
func (w *whole) End(dst []byte) ([]byte, error) {
	if err := w.end(); err != nil {
		return dst, err
	}
	o := w.final()
	size := w.objectSize() + w.extra.Size()
	for _, it := range o.items {
		size += it.size()
	}
	if err := w.facts.Hold(size); err != nil {
		return dst, err
	}
	if size > cap(dst)-len(dst) {
		dst = append(make([]byte, 0, len(dst)+size), dst...)
	}
	from := len(dst)
	dst, spans := w.appendObject(dst, o)
	w.remember(dst, from, len(dst), spans)
	return dst, nil
}

// Sent does nothing: an answer that is not streamed is over when it is sent.
func (w *whole) Sent(bool) {}
