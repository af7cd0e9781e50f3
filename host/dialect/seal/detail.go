package seal

import (
	"bytes"
	"slices"

	"github.com/kai-gateway/kai/host/facts"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Detail is a part of a reasoning as its provider wants it back, an element of
// reasoning_details. In a stream, one comes in many pieces. In most of them, everything
// else is longer than the text.
type Detail struct {
	Field             string // "text" or "summary", of one that may come in pieces; else ""
	Text, Signature   []byte // insides of JSON string literals
	Format, Index, ID []byte // JSON; nil: none

	// Raw is any other detail, as it came. Secret is the inside of the string that Claude
	// keeps to itself; nil: it has none.
	Raw, Secret []byte
}

// FormatOfClaude is the Format of Claude's own details.
const FormatOfClaude = `"anthropic-claude-v1"`

// ReadDetail reads an object of reasoning_details, which the result refers to. A detail
// that nobody knows how to join has no Field, and is kept as it is.
func ReadDetail(raw []byte) Detail {
	d := Detail{}
	known := true
	var kind, secret []byte
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
			known = known && isString && d.Field == ""
			d.Field, d.Text = "text", inside
		case "summary":
			known = known && isString && d.Field == ""
			d.Field, d.Text = "summary", inside
		case "signature":
			known = known && isString
			d.Signature = inside
		case "data":
			known, secret = false, inside
		case "format":
			d.Format = v
		case "index":
			d.Index = v
		case "id":
			d.ID = v
		default:
			known = false
		}
	}
	switch {
	case string(kind) == "reasoning.encrypted" && string(d.Format) == FormatOfClaude && len(secret) > 0:
		return Detail{Raw: raw, Secret: secret}
	case known && string(kind) == "reasoning.text" && d.Field != "summary":
		d.Field = "text"
		return d
	case known && string(kind) == "reasoning.summary" && d.Field == "summary":
		return d
	}
	return Detail{Raw: raw}
}

// ContinuedBy reports whether next is the next piece of d. A signature ends it.
func (d *Detail) ContinuedBy(next *Detail) bool {
	return d.Field != "" && d.Field == next.Field && len(d.Signature) == 0 &&
		bytes.Equal(d.Format, next.Format) && bytes.Equal(d.Index, next.Index) && bytes.Equal(d.ID, next.ID)
}

// Begin returns what the pieces of a detail are joined to, d first: a copy without text and
// signature.
func (d *Detail) Begin() Detail {
	return Detail{
		Field: d.Field, Format: slices.Clone(d.Format), Index: slices.Clone(d.Index), ID: slices.Clone(d.ID), Raw: slices.Clone(d.Raw),
	}
}

// AppendTo appends the detail as JSON, with or without its text.
func (d *Detail) AppendTo(dst []byte, withText bool) []byte {
	if d.Field == "" {
		return append(dst, d.Raw...)
	}
	dst = append(append(append(dst, `{"type":"reasoning.`...), d.Field...), '"')
	if withText {
		dst = append(append(append(dst, `,"`...), d.Field...), `":"`...)
		dst = append(append(dst, d.Text...), '"')
	}
	if len(d.Signature) > 0 {
		dst = append(append(append(dst, `,"signature":"`...), d.Signature...), '"')
	}
	for _, f := range [...]struct {
		key   string
		value []byte
	}{{"format", d.Format}, {"index", d.Index}, {"id", d.ID}} {
		if f.value != nil {
			dst = append(append(append(dst, `,"`...), f.key...), `":`...)
			dst = append(dst, f.value...)
		}
	}
	return append(dst, '}')
}

// Size returns about how many bytes the detail has as JSON, rather too many.
func (d *Detail) Size() int {
	return 128 + len(d.Text) + len(d.Signature) + len(d.Format) + len(d.Index) + len(d.ID) + len(d.Raw)
}

// Extras returns the extra fields of a fact that travel, as an object; nil if there are
// none. It is a TOOL_EXTRA, DELTA_EXTRA, TOOL_SIGNATURE or SIGNATURE.
func Extras(d *facts.Delta) []byte {
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

// Details calls add for each object in the reasoning_details of a DELTA_EXTRA, which is
// how adapters stated them before there was REASONING_DETAIL.
func Details(d *facts.Delta, add func(raw []byte) error) error {
	for it := sdk.Array(sdk.JSON(d.Text.Data).Get("reasoning_details")); it.Next(); {
		if it.Value().Kind() != sdk.KindObject {
			continue
		}
		if err := add(it.Value()); err != nil {
			return err
		}
	}
	return nil
}
