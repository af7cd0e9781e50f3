package chat

import (
	"strconv"

	"github.com/kai-gateway/kai/sdk/abi"
)

// Whole makes an answer that is not streamed. It keeps all payloads until End, up to
// Info.MaxHeld.
type Whole struct {
	answer
	id      string
	created int64
	model   string
}

// NewWhole returns a whole answer without content.
func NewWhole(info Info) *Whole {
	w := &Whole{id: info.ID, created: info.Created, model: info.Model}
	w.start(info)
	return w
}

// Apply adds the emissions of one adapter call, and appends nothing.
//
//   - error: a *fault.Error: the adapter's ERROR, a breach of the protocol, or an answer
//     that is too large. Only Usage may be called after it.
func (w *Whole) Apply(dst []byte, ems []abi.Emission) ([]byte, error) {
	if len(ems) == 1 {
		e := &ems[0]
		switch text, call, ok, err := w.facts.TryKeep(e); {
		case err != nil:
			return dst, err
		case ok:
			b := w.choice(e.Choice()).buffer(e.Kind, call)
			if text.Raw {
				*b = append(*b, text.Data...) // without a store of the pointer, which is mostly the same
			} else {
				*b = text.AppendTo(*b)
			}
			return dst, nil
		}
	}
	return dst, w.apply(ems)
}

// Sent does nothing: a whole answer is appended once.
func (w *Whole) Sent(bool) {}

// End ends the answer. Call it when the upstream ended cleanly, or in any way once
// Complete reports true.
//
//   - result: dst with the answer's JSON, or an array of its own if dst is nil
//   - error: a *fault.Error for a choice without a FINISH (the caller may know a better
//     reason than that the upstream ended), a call without a name, or too little memory
//
// content and refusal are always there. content is null if the assistant called
// tools or refused and said nothing else.
func (w *Whole) End(dst []byte) ([]byte, error) {
	if err := w.end(); err != nil {
		return dst, err
	}
	size := w.rendered() + len(w.id) + len(w.model)
	if err := w.facts.Hold(size); err != nil {
		return dst, err
	}
	dst = appendHead(append(make([]byte, 0, len(dst)+size), dst...), w.id, w.created, w.model, "chat.completion")
	for i, ch := 0, w.after(-1); ch != nil; i, ch = i+1, w.after(ch.index) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = ch.appendTo(dst)
	}
	dst = append(dst, `],"usage":`...)
	dst = w.facts.AppendUsage(dst)
	dst = w.extra.AppendTo(dst)
	return append(dst, '}'), nil
}

// after returns the choice with the next higher index, nil if there is none.
func (w *Whole) after(index int) (next *choice) {
	for i := range w.choices.Len() {
		if ch := w.choices.At(i); ch.index > index && (next == nil || ch.index < next.index) {
			next = ch
		}
	}
	return next
}

// appendTo appends the choice of a whole answer.
func (ch *choice) appendTo(dst []byte) []byte {
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, int64(ch.index), 10)
	dst = append(dst, `,"message":{"role":"assistant","content":`...)
	if ch.noText() {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, '"')
		dst = append(dst, ch.content...)
		dst = append(dst, '"')
	}
	if len(ch.refusal) == 0 {
		dst = append(dst, `,"refusal":null`...)
	}
	dst = appendTextField(dst, `,"refusal":"`, ch.refusal)
	dst = appendReasoning(dst, ch.reasoning)
	for i := range ch.calls {
		if i == 0 {
			dst = append(dst, `,"tool_calls":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		dst = ch.calls[i].appendIdentity(dst)
		dst = ch.calls[i].appendArguments(dst)
	}
	if len(ch.calls) > 0 {
		dst = append(dst, ']')
	}
	dst = ch.delta.AppendTo(dst)
	dst = append(dst, '}')
	dst = ch.appendLogprobs(dst)
	dst = append(dst, `,"finish_reason":"`...)
	dst = append(dst, ch.finish...)
	dst = append(dst, '"')
	dst = ch.extra.AppendTo(dst)
	return append(dst, '}')
}
