package facts

import (
	"strconv"

	"github.com/kai-gateway/kai/sdk/abi"
)

// half is the first half of a character: the value of an escape such as \ud83d at
// the end of a text, whose second half an upstream sent in its next event. It is
// held back until then, so that no client gets half a character. 0: none.
type half uint16

const (
	escapeLen   = len(`\ud83d`)
	replacement = `\ufffd`
)

// joined returns the text of an emission in which the halves of characters at its ends are
// handled: two halves that belong together are joined, a first half at the end is held back
// in h, and a half that stands alone becomes U+FFFD. Halves inside the text were repaired
// when it left the sandbox.
func (h *half) joined(e *abi.Emission) Text {
	if *h == 0 && !HasHalf(e) || len(e.Data) == 0 {
		return Text{e.Raw, e.Data}
	}
	return h.join(*e)
}

// join is joined for a text with a half at one of its ends, or before it.
func (h *half) join(e abi.Emission) Text {
	var text []byte
	second := e.Raw && isHalf(e.Data, 'c', 'f')
	switch {
	case *h != 0 && second:
		text = append(text, `\u`...)
		text = strconv.AppendUint(text, uint64(*h), 16)
		text = append(text, e.Data[:escapeLen]...)
	case *h != 0 || second:
		text = append(text, replacement...)
	}
	*h = 0
	if second {
		e.Data = e.Data[escapeLen:]
	}
	if e.Raw && endsInHalf(e.Data) {
		end := len(e.Data) - escapeLen
		n, _ := strconv.ParseUint(string(e.Data[end+2:]), 16, 16)
		*h, e.Data = half(n), e.Data[:end]
	}
	return Text{Raw: true, Data: Text{e.Raw, e.Data}.AppendTo(text)}
}

// endHalf adds U+FFFD for a half that was held back and that nothing followed.
func (a *Answer) endHalf(h *half, kind abi.Kind, choice, call int) {
	if *h != 0 {
		*h = 0
		a.say(kind, choice, call, Text{Raw: true, Data: []byte(replacement)})
	}
}

// HasHalf reports whether the text of an emission begins or ends with half a character.
func HasHalf(e *abi.Emission) bool {
	return e.Raw && len(e.Data) >= escapeLen && isHalfAtEnds(e.Data)
}

// MayHaveHalf is HasHalf without a close look: it reports true for other escapes, too.
func MayHaveHalf(e *abi.Emission) bool {
	at := len(e.Data) - escapeLen
	return e.Raw && at >= 0 && (e.Data[0] == '\\' || e.Data[at] == '\\')
}

// isHalfAtEnds reports whether p, which is at least as long as an escape, begins with a
// second half or ends with a first one.
func isHalfAtEnds(p []byte) bool {
	if p[0] != '\\' && p[len(p)-escapeLen] != '\\' {
		return false
	}
	return isHalf(p, 'c', 'f') || endsInHalf(p)
}

// isHalf reports whether p begins with the escape of a surrogate: \ud, and then a digit
// between from and to.
func isHalf(p []byte, from, to byte) bool {
	if len(p) < escapeLen || p[0] != '\\' || p[1] != 'u' || p[2]|0x20 != 'd' {
		return false
	}
	c := p[3]
	if c >= 'A' {
		c |= 0x20
	}
	return from <= c && c <= to
}

// endsInHalf reports whether p ends with the escape of a first half.
func endsInHalf(p []byte) bool {
	at := len(p) - escapeLen
	if at < 0 || p[at] != '\\' || !isHalf(p[at:], '8', 'b') {
		return false
	}
	escaped := false // is that backslash escaped itself?
	for i := at - 1; i >= 0 && p[i] == '\\'; i-- {
		escaped = !escaped
	}
	return !escaped
}
