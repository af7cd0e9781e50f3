package responses

import (
	"encoding/json"

	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/facts"

	"github.com/kai-gateway/kai/sdk/abi"
)

// sealed collects what providers want back with the next request and what this API has no
// place for. Clients carry it as the encrypted_content of reasoning items.
type sealed struct {
	details []seal.Detail
	message []byte                     // extra fields of the message
	calls   map[string]json.RawMessage // extra fields of calls, by their ids
	held    int                        // bytes counted for all of it but the details' texts
}

// seal adds a fact that providers want back; others are dropped.
func (a *answer) seal(d *facts.Delta) error {
	switch d.Kind {
	case abi.ReasoningDetail:
		return a.sealDetail(d.Text.Data)
	case abi.ToolExtra, abi.ToolSignature:
		return a.sealCall(a.calls[d.Call].callID, d)
	case abi.Signature, abi.DeltaExtra:
		extras, err := a.extras(d)
		if err != nil {
			return err
		}
		if extras != nil {
			a.sealed.message = extras
		}
		if d.Kind == abi.DeltaExtra {
			return seal.Details(d, a.sealDetail)
		}
	}
	return nil
}

// sealCall adds what a provider wants back with a call.
func (a *answer) sealCall(id string, d *facts.Delta) error {
	extras, err := a.extras(d)
	if err != nil || extras == nil {
		return err
	}
	if a.sealed.calls == nil {
		a.sealed.calls = map[string]json.RawMessage{}
	}
	a.sealed.calls[id] = extras
	return nil
}

// extras returns the fields of a fact that travel, as an object, which it counts; nil if
// there are none.
func (a *answer) extras(d *facts.Delta) ([]byte, error) {
	extras := seal.Extras(d)
	return extras, a.holdSealed(len(extras))
}

// holdSealed counts bytes until what is sealed goes into an item.
func (a *answer) holdSealed(bytes int) error {
	if err := a.facts.Hold(bytes); err != nil {
		return err
	}
	a.sealed.held += bytes
	return nil
}

// sealDetail adds a part of the reasoning, and joins it to the one before if it continues
// that.
func (a *answer) sealDetail(raw []byte) error {
	s := &a.sealed
	d := seal.ReadDetail(raw)
	if n := len(s.details); n == 0 || !s.details[n-1].ContinuedBy(&d) {
		if err := a.holdSealed(d.Size()); err != nil {
			return err
		}
		s.details = append(s.details, d.Begin())
	}
	last := &s.details[len(s.details)-1]
	if err := a.keep(&last.Text, d.Text); err != nil {
		return err
	}
	return a.keep(&last.Signature, d.Signature)
}

// size returns about how many bytes of JSON are sealed, rather too many; 0 if nothing is.
func (s *sealed) size() int {
	n := len(s.message)
	for i := range s.details {
		n += s.details[i].Size()
	}
	for id, extras := range s.calls {
		n += 2*len(id) + len(extras) + 8
	}
	return n
}

// sealUp returns what was sealed, in the form in which clients carry it, and forgets it. It
// returns "" if there is nothing, or more than may be sealed: a conversation without it is
// better than one that can't go on.
func (a *answer) sealUp() (string, error) {
	s := &a.sealed
	size := s.size()
	if size == 0 {
		return "", nil
	}
	text := ""
	if size <= seal.MaxOpen {
		// Twice on its way into the sealed form, which is smaller.
		if err := a.facts.Hold(2 * size); err != nil {
			return "", err
		}
		content := seal.Content{Message: s.message, Calls: s.calls}
		for i := range s.details {
			d := &s.details[i]
			content.Details = append(content.Details, d.AppendTo(make([]byte, 0, d.Size()), true))
		}
		if text = seal.Seal(content); text == seal.Prefix {
			text = ""
		}
		a.facts.Drop(2*size - len(text))
	}
	for i := range s.details {
		a.facts.Free(s.details[i].Text)
		a.facts.Free(s.details[i].Signature)
	}
	a.facts.Drop(s.held)
	*s = sealed{}
	return text, nil
}
