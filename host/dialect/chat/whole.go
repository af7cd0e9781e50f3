package chat

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/kai-gateway/kai/sdk/abi"
)

// Whole makes an answer that is not streamed. It is larger than the emissions'
// payloads together and at most 64 MiB of those.
type Whole struct {
	answer
	info Info
}

// NewWhole begins a whole answer.
func NewWhole(info Info) *Whole {
	return &Whole{answer: newAnswer(info), info: info}
}

// Apply adds the emissions of one adapter call. The error is nil or an
// *fault.Error: the adapter's ERROR, that the adapter broke the protocol, or that
// the answer is too large. Then the answer is over.
func (w *Whole) Apply(ems []abi.Emission) error {
	return w.apply(ems)
}

// End is for when the upstream ended: cleanly, or in any way once Complete says
// so. It gives the answer's JSON, which the caller owns, or an *fault.Error if a
// choice has no FINISH, where the caller may know a better reason than that the
// upstream ended, or if there is no memory for it.
//
// content and refusal are always there. content is null if the assistant called
// tools or refused and said nothing else.
func (w *Whole) End() ([]byte, error) {
	if err := w.end(); err != nil {
		return nil, err
	}
	slices.SortFunc(w.choices, func(a, b choice) int { return cmp.Compare(a.index, b.index) })
	size := w.rendered()
	if err := w.facts.Hold(size); err != nil {
		return nil, err
	}
	dst := appendHead(make([]byte, 0, size), w.info, "chat.completion")
	for i := range w.choices {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = w.choices[i].appendTo(dst)
	}
	dst = append(dst, `],"usage":`...)
	dst = w.facts.AppendUsage(dst)
	dst = w.extra.AppendTo(dst)
	return append(dst, '}'), nil
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
