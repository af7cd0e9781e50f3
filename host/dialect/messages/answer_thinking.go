package messages

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/facts"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// signed is what only thinking blocks have.
type signed struct {
	carried
	said      digest // of its text
	carries   bool   // it has no text, and is there only to carry
	signature []byte // once it has ended: the inside of a string literal
}

// carried is what a provider wants back with the next request. It travels in the
// signatures of thinking blocks.
type carried struct {
	reasoning []reasoning
	message   []byte                     // extra fields of the message, an object
	calls     map[string]json.RawMessage // extra fields of calls, by their ids
	held      int                        // bytes counted for all of it but the texts of reasoning
	tail      bool                       // its first reasoning belongs to what an earlier block says
}

// reasoning is a part of the reasoning as its provider wants it back. In a stream it comes
// in many pieces.
type reasoning struct {
	field           string // "text" or "summary", of one that may come in pieces; else ""
	text, signature []byte // insides of string literals
	format, index   []byte // JSON; nil: none
	id              []byte // JSON; nil: none

	raw []byte // any other, as it came
}

const formatOfClaude = `"` + claudeFormat + `"`

// empty reports whether there is nothing to carry.
func (c *carried) empty() bool { return !c.urgent() && c.message == nil }

// urgent reports whether there is something that belongs before what comes next. The
// signature of a message may come at its end.
func (c *carried) urgent() bool { return len(c.reasoning) > 0 || len(c.calls) > 0 }

// carrier returns a block for what waits.
func (a *answer) carrier() piece {
	p := piece{kind: ofThinking, signed: signed{carried: a.waiting, carries: true}}
	a.waiting = carried{}
	return p
}

// holdCarried counts bytes that c keeps until its block ends.
func (a *answer) holdCarried(c *carried, bytes int) error {
	if err := a.facts.Hold(bytes); err != nil {
		return err
	}
	c.held += bytes
	return nil
}

// addDetail adds a part of the reasoning to the thinking block that is open. What Claude
// keeps to itself is a block of its own.
func (a *answer) addDetail(raw []byte) error {
	r, text, signature, secret := readReasoning(raw)
	if len(secret) > 0 {
		p, err := a.open(ofRedacted)
		if err != nil {
			return err
		}
		return a.keep(&p.text, facts.Text{Raw: true, Data: secret})
	}
	c := &a.waiting
	if p := a.thinking(); p != nil {
		c = &p.carried
	} else if a.cut != nil && len(c.reasoning) == 0 && a.cut.continuedBy(&r) {
		c.tail = true
	}
	n := len(c.reasoning)
	if r.field == "" || n == 0 || !c.reasoning[n-1].continuedBy(&r) {
		if err := a.holdCarried(c, r.size()); err != nil {
			return err
		}
		c.reasoning = append(c.reasoning, r.clone())
		n++
	}
	last := &c.reasoning[n-1]
	if err := a.keep(&last.text, facts.Text{Raw: true, Data: text}); err != nil {
		return err
	}
	return a.keep(&last.signature, facts.Text{Raw: true, Data: signature})
}

// thinking returns the last block of thinking that has no end; nil if there is none. Text
// that came in the same adapter call may have opened another block behind it.
func (a *answer) thinking() *piece {
	for i := len(a.pieces) - 1; i >= a.current; i-- {
		if p := &a.pieces[i]; p.kind == ofThinking && !p.carries {
			return p
		}
	}
	return nil
}

// clone returns a part that refers to nothing of the emission it came in, without text and
// signature.
func (r *reasoning) clone() reasoning {
	return reasoning{
		field: r.field, format: slices.Clone(r.format), index: slices.Clone(r.index), id: slices.Clone(r.id), raw: slices.Clone(r.raw),
	}
}

// readReasoning reads a part of the reasoning. It refers to raw, and so do text and
// signature, which are its own, and secret, which Claude keeps to itself. What nobody knows
// how to join has no field, and is kept as it is.
func readReasoning(raw []byte) (r reasoning, text, signature, secret []byte) {
	known := true
	var kind []byte
	for it := sdk.Object(raw); it.Next(); {
		v := it.Value()
		if v.Kind() == sdk.KindNull {
			continue
		}
		inside, isString := v.RawStr()
		switch string(it.Key()) {
		case "type":
			kind = inside
		case "text":
			known = known && isString && r.field == ""
			r.field, text = "text", inside
		case "summary":
			known = known && isString && r.field == ""
			r.field, text = "summary", inside
		case "signature":
			known = known && isString
			signature = inside
		case "data":
			known, secret = false, inside
		case "format":
			r.format = v
		case "index":
			r.index = v
		case "id":
			r.id = v
		default:
			known = false
		}
	}
	switch {
	case string(kind) == "reasoning.encrypted" && string(r.format) == formatOfClaude && len(secret) > 0:
		return reasoning{}, nil, nil, secret
	case known && string(kind) == "reasoning.text" && r.field != "summary":
		r.field = "text"
		return r, text, signature, nil
	case known && string(kind) == "reasoning.summary" && r.field == "summary":
		return r, text, signature, nil
	}
	return reasoning{raw: raw}, nil, nil, nil
}

// continuedBy reports whether next is the next piece of r. A signature ends it.
func (r *reasoning) continuedBy(next *reasoning) bool {
	return r.field != "" && r.field == next.field && len(r.signature) == 0 &&
		bytes.Equal(r.format, next.format) && bytes.Equal(r.index, next.index) && bytes.Equal(r.id, next.id)
}

// appendTo appends the part as JSON. Without its text, that is put back from its block.
func (r *reasoning) appendTo(dst []byte, withText bool) []byte {
	if r.field == "" {
		return append(dst, r.raw...)
	}
	dst = append(append(append(dst, `{"type":"reasoning.`...), r.field...), '"')
	if withText {
		dst = append(append(append(dst, `,"`...), r.field...), `":"`...)
		dst = append(append(dst, r.text...), '"')
	}
	if len(r.signature) > 0 {
		dst = append(append(append(dst, `,"signature":"`...), r.signature...), '"')
	}
	for _, f := range [...]struct {
		key   string
		value []byte
	}{{"format", r.format}, {"index", r.index}, {"id", r.id}} {
		if f.value != nil {
			dst = append(append(append(dst, `,"`...), f.key...), `":`...)
			dst = append(dst, f.value...)
		}
	}
	return append(dst, '}')
}

// size returns about how many bytes the part has as JSON, rather too many.
func (r *reasoning) size() int {
	return 128 + len(r.text) + len(r.signature) + len(r.format) + len(r.index) + len(r.id) + len(r.raw)
}

// signCall adds what a provider wants back with a call. A call that the client has not
// seen yet gets it from a block before it, because clients move thinking before the calls.
func (a *answer) signCall(d *facts.Delta) error {
	extras := extrasOf(d)
	if extras == nil {
		return nil
	}
	c, i := &a.waiting, a.pieceOf(d.Call)
	if i >= 0 && !a.pieces[i].begun {
		if i == a.current || a.pieces[i-1].kind != ofThinking {
			if err := a.insert(i, piece{kind: ofThinking, signed: signed{carries: true}}); err != nil {
				return err
			}
			i++
		}
		c = &a.pieces[i-1].carried
	}
	if err := a.holdCarried(c, len(extras)+pieceBytes); err != nil {
		return err
	}
	if c.calls == nil {
		c.calls = map[string]json.RawMessage{}
	}
	c.calls[a.callIDs[d.Call]] = extras
	return nil
}

// signMessage adds what a provider wants back with the message. Adapters of the time
// before REASONING_DETAIL state that as an extra field.
func (a *answer) signMessage(d *facts.Delta) error {
	if extras := extrasOf(d); extras != nil {
		if err := a.holdCarried(&a.waiting, len(extras)); err != nil {
			return err
		}
		a.waiting.message = extras
	}
	if d.Kind == abi.DeltaExtra {
		for it := sdk.Array(sdk.JSON(d.Text.Data).Get("reasoning_details")); it.Next(); {
			if it.Value().Kind() != sdk.KindObject {
				continue
			}
			if err := a.addDetail(it.Value()); err != nil {
				return err
			}
		}
	}
	return nil
}

// extrasOf returns the extra fields of a fact that travel, an object; nil if there are
// none.
func extrasOf(d *facts.Delta) []byte {
	before, value, behind := `{"extra_content":{"google":{"thought_signature":"`, d.Text, `"}}}`
	if d.Kind == abi.ToolExtra || d.Kind == abi.DeltaExtra {
		extra := sdk.JSON(d.Text.Data).Get("extra_content")
		if extra.Kind() != sdk.KindObject {
			return nil
		}
		before, value, behind = `{"extra_content":`, facts.Text{Raw: true, Data: extra}, `}`
	}
	b := make([]byte, 0, len(before)+value.Size()+len(behind))
	return append(value.AppendTo(append(b, before...)), behind...)
}

// sign gives a thinking block, which ends, its signature: Claude's own, or what has to be
// carried. rest is what has no place beside the former.
func (a *answer) sign(p *piece) (rest carried, err error) {
	c := &p.carried
	a.cut = nil
	if p.claudes() {
		p.signature = c.reasoning[0].signature
		rest = carried{message: c.message, calls: c.calls}
		if rest.empty() {
			a.facts.Drop(c.held)
		} else {
			rest.held = c.held
		}
		a.facts.Free(c.reasoning[0].text)
		p.carried = carried{}
		return rest, nil
	}
	if n := len(c.reasoning); n > 0 {
		if last := c.reasoning[n-1]; last.field != "" && len(last.signature) == 0 {
			last.text = nil
			a.cut = &last
		}
	}
	sealed, err := a.seal(p)
	if err != nil {
		return carried{}, err
	}
	p.signature = sealed
	for i := range c.reasoning {
		a.facts.Free(c.reasoning[i].text)
		a.facts.Free(c.reasoning[i].signature)
	}
	a.facts.Drop(c.held)
	p.carried = carried{}
	return carried{}, nil
}

// claudes reports whether a block is one of Claude's, signed as it is. The signature is
// good for that text alone.
func (p *piece) claudes() bool {
	if len(p.reasoning) != 1 || p.tail {
		return false
	}
	r := &p.reasoning[0]
	var text digest
	text.add(r.text)
	return string(r.format) == formatOfClaude && r.field == "text" && len(r.signature) > 0 && (len(r.text) == 0 || text == p.said)
}

// seal returns what a block carries as a signature, which is counted like a text.
func (a *answer) seal(p *piece) ([]byte, error) {
	c := &p.carried
	size := len(c.message)
	for i := range c.reasoning {
		size += c.reasoning[i].size()
	}
	for id, extras := range c.calls {
		size += 2*len(id) + len(extras) + 8
	}
	if size > seal.MaxOpen {
		size, c = 0, &carried{} // a conversation without it is better than none
	}
	// Twice on its way into the sealed form, which is smaller.
	if err := a.facts.Hold(2 * size); err != nil {
		return nil, err
	}
	defer a.facts.Drop(2 * size)
	content := seal.Content{Message: c.message, Calls: c.calls}
	restored := p.said.n == 0
	for i := range c.reasoning {
		r := &c.reasoning[i]
		var own digest
		own.add(r.text)
		withText := restored || r.field != "text" || own != p.said
		restored = restored || !withText
		content.Details = append(content.Details, r.appendTo(make([]byte, 0, r.size()), withText))
	}
	var signature []byte
	return signature, a.keep(&signature, facts.Text{Raw: true, Data: []byte(seal.Seal(content))})
}

// digest tells texts apart without keeping them: FNV-1a of 64 bits, and the length.
type digest struct {
	sum uint64
	n   int
}

func (d *digest) add(text []byte) {
	sum := d.sum
	for _, c := range text {
		sum = (sum ^ uint64(c)) * 0x100000001b3
	}
	d.sum, d.n = sum, d.n+len(text)
}
