package messages

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

// thoughts is what the assistant thought before and in one of its messages, in the fields
// that chat completions have for it. What a provider wants back is in reasoning_details,
// in OpenRouter's form: https://openrouter.ai/docs/use-cases/reasoning-tokens
//
// A signature is Claude's own, or has in it what seal put there, or is foreign and means
// nothing.
type thoughts struct {
	text      []byte            // inside of a JSON string
	details   []byte            // elements of an array
	ofMessage []byte            // an object of fields for the message
	ofCalls   map[string][]byte // and for the calls, by their ids
	index     int               // of Claude's next block
	room      int               // bytes that what is sealed may still open to, in all messages
	halves    bool              // there may be halves of characters, in what was sealed
}

// begin begins the thoughts of another message.
func (t *thoughts) begin() {
	*t = thoughts{text: t.text[:0], details: t.details[:0], room: t.room, halves: t.halves}
}

// add takes a block.
func (t *thoughts) add(b *block, place at) error {
	text := b.thinking.inside()
	if len(text) > 0 {
		if len(t.text) > 0 {
			t.text = append(t.text, `\n\n`...)
		}
		t.text = append(t.text, text...)
	}
	signature := b.signature.inside()
	switch {
	case string(b.kind) == "redacted_thinking":
		if data := b.data.inside(); len(data) > 0 {
			t.separate()
			t.details = append(append(t.details, `{"type":"reasoning.encrypted","data":"`...), data...)
			t.ofClaude()
		}
	case len(signature) == 0:
	case bytes.HasPrefix(signature, []byte(seal.Prefix)):
		return t.open(b, place)
	default:
		t.separate()
		t.details = append(append(t.details, `{"type":"reasoning.text","text":"`...), text...)
		t.details = append(append(t.details, `","signature":"`...), signature...)
		t.ofClaude()
	}
	return nil
}

func (t *thoughts) separate() {
	if len(t.details) > 0 {
		t.details = append(t.details, ',')
	}
}

// ofClaude ends a detail of Claude's.
func (t *thoughts) ofClaude() {
	t.details = append(t.details, `","format":`+seal.FormatOfClaude+`,"index":`...)
	t.details = append(strconv.AppendInt(t.details, int64(t.index), 10), '}')
	t.index++
}

// minRestored is how many bytes of sealed content a request may open to, however small
// it is.
const minRestored = 64 << 10

// open restores what was sealed into a signature, as long as there is room for it. It
// ignores what is broken.
func (t *thoughts) open(b *block, place at) error {
	c, ours, err := seal.Open(b.signature.text(), &t.room)
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return place.refuse(".signature", e.Text)
	}
	if err != nil || !ours {
		return err
	}
	text := b.thinking.inside()
	for _, detail := range c.Details {
		t.noteHalves(detail)
		t.separate()
		if text != nil && lacksText(detail) {
			t.details = append(append(t.details, `{"text":"`...), text...)
			t.details = append(append(t.details, `",`...), bytes.TrimLeft(detail, " \t\r\n")[1:]...)
			text = nil
			continue
		}
		t.details = append(t.details, detail...)
	}
	if c.Message != nil {
		t.noteHalves(c.Message)
		t.ofMessage = c.Message
	}
	for id, fields := range c.Calls {
		if t.ofCalls == nil {
			t.ofCalls = map[string][]byte{}
		}
		t.noteHalves(fields)
		t.ofCalls[id] = fields
	}
	return nil
}

func (t *thoughts) noteHalves(opened []byte) { t.halves = t.halves || seal.HasHalves(opened) }

// lacksText reports whether a detail should have a text and doesn't.
func lacksText(detail []byte) bool {
	kind := ""
	for it := sdk.Object(detail); it.Next(); {
		switch string(it.Key()) {
		case "type":
			kind, _ = it.Value().Str()
		case "text":
			return false
		}
	}
	return kind == "reasoning.text"
}

// appendTo appends the fields of the message.
func (t *thoughts) appendTo(dst []byte) []byte {
	for _, name := range [...]string{"reasoning_content", "reasoning"} {
		if len(t.text) > 0 {
			dst = append(append(dst, `,"`+name+`":"`...), t.text...)
			dst = append(dst, '"')
		}
	}
	if len(t.details) > 0 {
		dst = append(append(dst, `,"reasoning_details":[`...), t.details...)
		dst = append(dst, ']')
	}
	return appendFields(dst, t.ofMessage)
}
