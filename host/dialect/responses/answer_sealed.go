package responses

import (
	"encoding/json"
	"slices"

	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/facts"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// sealed collects what providers want back with the next request and what this API has no
// place for. Clients carry it back as the encrypted_content of reasoning items.
type sealed struct {
	details []detail
	message []byte                     // extra fields of the message
	calls   map[string]json.RawMessage // extra fields of calls, by their ids
	held    int                        // bytes counted for all of it but the details' texts
}

// detail is a part of the reasoning as its provider wants it back. In a stream, one comes
// in many pieces, most of which would be longer without their text than with it.
type detail struct {
	field             string // "text" or "summary", of a detail that may come in pieces
	text, signature   []byte // insides of JSON string literals
	format, index, id string // JSON; "": none

	raw []byte // any other detail
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
			for it := sdk.Array(sdk.JSON(d.Text.Data).Get("reasoning_details")); it.Next(); {
				if err := a.sealDetail(it.Value()); err != nil {
					return err
				}
			}
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

// extras returns the fields of a fact that travel, as an object; nil if there are none.
func (a *answer) extras(d *facts.Delta) ([]byte, error) {
	before, behind := `{"extra_content":{"google":{"thought_signature":"`, `"}}}`
	value := d.Text
	if d.Kind == abi.ToolExtra || d.Kind == abi.DeltaExtra {
		before, behind = `{"extra_content":`, "}"
		extra := sdk.JSON(d.Text.Data).Get("extra_content")
		if extra.Kind() != sdk.KindObject {
			return nil, nil
		}
		value = facts.Text{Raw: true, Data: extra}
	}
	if err := a.holdSealed(len(before) + 2*len(value.Data) + len(behind)); err != nil {
		return nil, err
	}
	return append(value.AppendTo([]byte(before)), behind...), nil
}

// holdSealed counts bytes until what is sealed goes into an item.
func (a *answer) holdSealed(bytes int) error {
	if err := a.facts.Hold(bytes); err != nil {
		return err
	}
	a.sealed.held += bytes
	return nil
}

// sealDetail adds a part of the reasoning to the one before, if it continues that.
func (a *answer) sealDetail(raw []byte) error {
	s := &a.sealed
	d, text, signature := readDetail(raw)
	if d.field == "" {
		if err := a.holdSealed(len(raw) + itemBytes); err != nil {
			return err
		}
		s.details = append(s.details, detail{raw: slices.Clone(raw)})
		return nil
	}
	if n := len(s.details); n == 0 || !s.details[n-1].continuedBy(d) {
		if err := a.holdSealed(itemBytes + len(d.format) + len(d.index) + len(d.id)); err != nil {
			return err
		}
		s.details = append(s.details, d)
	}
	last := &s.details[len(s.details)-1]
	if err := a.keep(&last.text, text); err != nil {
		return err
	}
	return a.keep(&last.signature, signature)
}

// readDetail reads a detail that may come in pieces. Its text and signature are parts of
// raw. It has no field if it is none, or has fields that nobody knows how to join.
func readDetail(raw []byte) (d detail, text, signature []byte) {
	ok := true
	typ := ""
	for it := sdk.Object(raw); it.Next() && ok; {
		v := it.Value()
		if v.Kind() == sdk.KindNull {
			continue
		}
		switch key := string(it.Key()); key {
		case "type":
			typ, ok = v.Str()
		case "text", "summary":
			ok = d.field == ""
			d.field = key
			if ok {
				text, ok = v.RawStr()
			}
		case "signature":
			signature, ok = v.RawStr()
		case "format":
			d.format = string(v)
		case "index":
			d.index = string(v)
		case "id":
			d.id = string(v)
		default:
			ok = false
		}
	}
	switch {
	case !ok:
		return detail{}, nil, nil
	case typ == "reasoning.text" && d.field != "summary":
		d.field = "text"
	case typ != "reasoning.summary" || d.field != "summary":
		return detail{}, nil, nil
	}
	return d, text, signature
}

// continuedBy reports whether next is the next piece of d. A signature ends a block.
func (d *detail) continuedBy(next detail) bool {
	return d.field == next.field && d.format == next.format && d.index == next.index && d.id == next.id && len(d.signature) == 0
}

// appendTo appends the detail as JSON.
func (d *detail) appendTo(dst []byte) []byte {
	if d.field == "" {
		return append(dst, d.raw...)
	}
	dst = append(dst, `{"type":"reasoning.`...)
	dst = append(dst, d.field...)
	dst = append(dst, `","`...)
	dst = append(dst, d.field...)
	dst = append(dst, `":"`...)
	dst = append(dst, d.text...)
	dst = append(dst, '"')
	if len(d.signature) > 0 {
		dst = append(dst, `,"signature":"`...)
		dst = append(dst, d.signature...)
		dst = append(dst, '"')
	}
	for _, f := range [...]struct{ key, value string }{{"format", d.format}, {"index", d.index}, {"id", d.id}} {
		if f.value != "" {
			dst = append(dst, `,"`...)
			dst = append(dst, f.key...)
			dst = append(dst, `":`...)
			dst = append(dst, f.value...)
		}
	}
	return append(dst, '}')
}

// size returns about how many bytes the detail has as JSON, rather too many.
func (d *detail) size() int {
	return 96 + len(d.text) + len(d.signature) + len(d.format) + len(d.index) + len(d.id) + len(d.raw)
}

// size returns about how many bytes of JSON are sealed, rather too many; 0 if nothing is.
func (s *sealed) size() int {
	n := len(s.message)
	for i := range s.details {
		n += s.details[i].size()
	}
	for id, extras := range s.calls {
		n += 2*len(id) + len(extras) + 8
	}
	return n
}

// sealUp returns what was sealed, in the form in which clients carry it, and forgets it.
// It is "" if there is nothing, or more than may be sealed: a conversation that goes on
// without it is better than one that can't go on.
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
			content.Details = append(content.Details, d.appendTo(make([]byte, 0, d.size())))
		}
		if text = seal.Seal(content); text == seal.Prefix {
			text = ""
		}
		a.facts.Drop(2*size - len(text))
	}
	for i := range s.details {
		a.facts.Free(s.details[i].text)
		a.facts.Free(s.details[i].signature)
	}
	a.facts.Drop(s.held)
	*s = sealed{}
	return text, nil
}
