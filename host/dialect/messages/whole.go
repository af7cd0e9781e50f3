package messages

import (
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/sdk/abi"
)

// whole makes an answer that is not streamed. It keeps all texts until End.
type whole struct{ answer }

func newWhole(a requestInfo, i dialect.Info) dialect.Answer { return &whole{newAnswer(a, i)} }

// Apply adds the emissions of one adapter call, and appends nothing.
//
//   - error: a *fault.Error: the adapter's ERROR, a breach of the protocol, or an answer
//     that is too large. Only Usage may be called after it.
func (w *whole) Apply(dst []byte, ems []abi.Emission) ([]byte, error) {
	err := w.apply(ems)
	w.facts.Rendered(0, func() int { return 0 }) // what is kept was counted when it grew
	return dst, err
}

// Sent does nothing: a whole answer is appended once.
func (w *whole) Sent(bool) {}

// End ends the answer. Call it when the upstream ended cleanly, or in any way once
// Complete reports true.
//
//   - result: dst with the answer's JSON
//   - error: a *fault.Error for an answer without a FINISH (the caller may know a better
//     reason than that the upstream ended), a call without a name, or too little memory
func (w *whole) End(dst []byte) ([]byte, error) {
	if err := w.end(); err != nil {
		return dst, err
	}
	size := len(dst) + pieceBytes + len(w.refusal)
	for i := range w.pieces {
		p := &w.pieces[i]
		size += pieceBytes + len(p.text) + len(p.signature) + len(p.id) + len(p.name)
	}
	if err := w.facts.Hold(size); err != nil {
		return dst, err
	}
	dst = appendMessage(append(make([]byte, 0, size), dst...), w.info)
	for i := range w.pieces {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendPiece(dst, &w.pieces[i])
	}
	dst = append(dst, `],`...)
	dst = w.appendStop(dst)
	dst = append(dst, `,"usage":`...)
	dst = appendUsage(dst, w.Usage(), true)
	return append(dst, '}'), nil
}

// appendMessage appends an answer up to its first block.
func appendMessage(dst []byte, i dialect.Info) []byte {
	dst = append(dst, `{"id":`...)
	dst = facts.AppendString(dst, "msg_"+i.ID)
	dst = append(dst, `,"type":"message","role":"assistant","model":`...)
	dst = facts.AppendString(dst, i.Model)
	return append(dst, `,"content":[`...)
}

// appendPiece appends a whole block.
func appendPiece(dst []byte, p *piece) []byte {
	switch p.kind {
	case ofThinking:
		dst = append(append(dst, `{"type":"thinking","thinking":"`...), p.text...)
		dst = append(append(dst, `","signature":"`...), p.signature...)
		return append(dst, `"}`...)
	case ofRedacted:
		return appendRedacted(dst, p)
	case ofToolUse:
		return append(appendInput(appendCall(dst, p), p.text), '}')
	}
	return append(append(append(dst, `{"type":"text","text":"`...), p.text...), `"}`...)
}

func appendRedacted(dst []byte, p *piece) []byte {
	return append(append(append(dst, `{"type":"redacted_thinking","data":"`...), p.text...), `"}`...)
}

// appendCall appends a call up to its input.
func appendCall(dst []byte, p *piece) []byte {
	dst = facts.AppendString(append(dst, `{"type":"tool_use","id":`...), p.id)
	dst = facts.AppendString(append(dst, `,"name":`...), p.name)
	return append(dst, `,"input":`...)
}
