package messages

import (
	"encoding/json"

	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/facts"

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
	reasoning []seal.Detail
	message   []byte                     // extra fields of the message, an object
	calls     map[string]json.RawMessage // extra fields of calls, by their ids
	held      int                        // bytes counted for all of it but the texts of reasoning
	tail      bool                       // its first reasoning belongs to what an earlier block says
}

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

// addDetail adds a part of the reasoning to the open thinking block. What Claude keeps to
// itself gets a block of its own.
func (a *answer) addDetail(raw []byte) error {
	r := seal.ReadDetail(raw)
	if r.Secret != nil {
		p, err := a.open(ofRedacted)
		if err != nil {
			return err
		}
		return a.keep(&p.text, facts.Text{Raw: true, Data: r.Secret})
	}
	c := &a.waiting
	if p := a.thinking(); p != nil {
		c = &p.carried
	} else if a.cut != nil && len(c.reasoning) == 0 && a.cut.ContinuedBy(&r) {
		c.tail = true
	}
	n := len(c.reasoning)
	if n == 0 || !c.reasoning[n-1].ContinuedBy(&r) {
		if err := a.holdCarried(c, r.Size()); err != nil {
			return err
		}
		c.reasoning = append(c.reasoning, r.Begin())
		n++
	}
	last := &c.reasoning[n-1]
	if err := a.keep(&last.Text, facts.Text{Raw: true, Data: r.Text}); err != nil {
		return err
	}
	return a.keep(&last.Signature, facts.Text{Raw: true, Data: r.Signature})
}

// thinking returns the last block of thinking that has not ended, nil if there is none. A
// text from the same adapter call may have opened another block after it.
func (a *answer) thinking() *piece {
	for i := len(a.pieces) - 1; i >= a.current; i-- {
		if p := &a.pieces[i]; p.kind == ofThinking && !p.carries {
			return p
		}
	}
	return nil
}

// signCall adds what a provider wants back with a call. If the client has not seen the call
// yet, a block before the call carries it, because clients move thinking before the calls.
func (a *answer) signCall(d *facts.Delta) error {
	extras := seal.Extras(d)
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

// signMessage adds what a provider wants back with the message. Adapters from before
// REASONING_DETAIL state it as an extra field.
func (a *answer) signMessage(d *facts.Delta) error {
	if extras := seal.Extras(d); extras != nil {
		if err := a.holdCarried(&a.waiting, len(extras)); err != nil {
			return err
		}
		a.waiting.message = extras
	}
	if d.Kind == abi.DeltaExtra {
		return seal.Details(d, a.addDetail)
	}
	return nil
}

// sign gives a thinking block that ends its signature: Claude's own, or what has to be
// carried. rest is what has no place beside Claude's.
func (a *answer) sign(p *piece) (rest carried, err error) {
	c := &p.carried
	a.cut = nil
	if p.claudes() {
		p.signature = c.reasoning[0].Signature
		rest = carried{message: c.message, calls: c.calls}
		if rest.empty() {
			a.facts.Drop(c.held)
		} else {
			rest.held = c.held
		}
		a.facts.Free(c.reasoning[0].Text)
		p.carried = carried{}
		return rest, nil
	}
	if n := len(c.reasoning); n > 0 {
		if last := c.reasoning[n-1]; last.Field != "" && len(last.Signature) == 0 {
			last.Text = nil
			a.cut = &last
		}
	}
	sealed, err := a.seal(p)
	if err != nil {
		return carried{}, err
	}
	p.signature = sealed
	for i := range c.reasoning {
		a.facts.Free(c.reasoning[i].Text)
		a.facts.Free(c.reasoning[i].Signature)
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
	text.add(r.Text)
	return string(r.Format) == seal.FormatOfClaude && r.Field == "text" && len(r.Signature) > 0 && (len(r.Text) == 0 || text == p.said)
}

// seal returns what a block carries as a signature, which is counted like a text.
func (a *answer) seal(p *piece) ([]byte, error) {
	c := &p.carried
	size := len(c.message)
	for i := range c.reasoning {
		size += c.reasoning[i].Size()
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
		own.add(r.Text)
		withText := restored || r.Field != "text" || own != p.said
		restored = restored || !withText
		content.Details = append(content.Details, r.AppendTo(make([]byte, 0, r.Size()), withText))
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
