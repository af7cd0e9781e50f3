package anthropic

import (
	"bytes"
	"strconv"

	"github.com/kai-gateway/kai/sdk"
)

// Claude signs its thinking and wants it back unchanged, above all between a tool call and
// its result: https://platform.claude.com/docs/en/build-with-claude/extended-thinking.
// Clients get it in OpenRouter's form, the field reasoning_details, and send that back with
// the message as they got it: https://openrouter.ai/docs/use-cases/reasoning-tokens.

// claudeFormat marks the details that are Claude's.
const claudeFormat = "anthropic-claude-v1"

// detail states one part of the reasoning. text and signature are insides of JSON strings.
// In a stream, a block becomes several details with the same index. The last of them has
// the signature.
func detail(index int, text, signature []byte, out *sdk.Out) {
	b := make([]byte, 0, len(text)+len(signature)+128)
	b = append(b, `{"type":"reasoning.text","text":"`...)
	b = append(b, text...)
	if len(signature) > 0 {
		b = append(b, `","signature":"`...)
		b = append(b, signature...)
	}
	out.ReasoningDetail(0, endDetail(b, index))
}

// redacted states thinking that only Claude can read.
func redacted(index int, data []byte, out *sdk.Out) {
	b := make([]byte, 0, len(data)+128)
	b = append(b, `{"type":"reasoning.encrypted","data":"`...)
	b = append(b, data...)
	out.ReasoningDetail(0, endDetail(b, index))
}

func endDetail(b []byte, index int) []byte {
	b = append(b, `","format":"`+claudeFormat+`","index":`...)
	b = strconv.AppendInt(b, int64(index), 10)
	return append(b, '}')
}

// thinking writes the thinking of an assistant's message: LiteLLM's thinking_blocks, which
// are in Anthropic's own form, or else reasoning_details. It leaves out thinking without a
// signature of Claude's, because Anthropic would refuse it. It reports whether it wrote any.
func (c *conversation) thinking(m sdk.Message) (signed bool) {
	var native, details sdk.JSON
	for f := sdk.Object(m.Raw); f.Next(); {
		switch string(f.Key()) {
		case "thinking_blocks":
			native = f.Value()
		case "reasoning_details":
			details = f.Value()
		}
	}
	t := thoughts{conversation: c}
	if it := sdk.Array(native); native.Kind() == sdk.KindArray {
		for it.Next() {
			t.native(it.Value())
		}
	} else if details.Kind() == sdk.KindArray {
		for it := sdk.Array(details); it.Next(); {
			t.detail(it.Value())
		}
		t.end()
	}
	return t.signed
}

// thoughts joins the parts of each block of thinking.
type thoughts struct {
	*conversation
	signed bool

	index     sdk.JSON // of the block that is open
	text      []byte   // insides of JSON strings
	signature []byte
}

func (t *thoughts) native(block sdk.JSON) {
	var kind, text, signature, data sdk.JSON
	for f := sdk.Object(block); f.Next(); {
		switch string(f.Key()) {
		case "type":
			kind = f.Value()
		case "thinking":
			text = f.Value()
		case "signature":
			signature = f.Value()
		case "data":
			data = f.Value()
		}
	}
	switch inside, _ := kind.RawStr(); string(inside) {
	case "thinking":
		t.text, _ = text.RawStr()
		t.signature, _ = signature.RawStr()
		t.end()
	case "redacted_thinking":
		t.redacted(data)
	}
}

func (t *thoughts) detail(v sdk.JSON) {
	var kind, text, signature, data, format, index sdk.JSON
	for f := sdk.Object(v); f.Next(); {
		switch string(f.Key()) {
		case "type":
			kind = f.Value()
		case "text":
			text = f.Value()
		case "signature":
			signature = f.Value()
		case "data":
			data = f.Value()
		case "format":
			format = f.Value()
		case "index":
			index = f.Value()
		}
	}
	if name, ok := format.Str(); ok && name != claudeFormat {
		return
	}
	switch inside, _ := kind.RawStr(); string(inside) {
	case "reasoning.text":
		if len(t.signature) > 0 || !bytes.Equal(index, t.index) {
			t.end()
			t.index = index
		}
		inside, _ := text.RawStr()
		t.text = append(t.text, inside...)
		t.signature, _ = signature.RawStr()
	case "reasoning.encrypted":
		t.end()
		t.redacted(data)
	}
}

// end writes the block that is open.
func (t *thoughts) end() {
	if len(t.signature) > 0 {
		t.signed = true
		t.turn("assistant")
		t.w.Object()
		t.w.Key("type").String("thinking")
		t.w.Key("thinking").RawString(t.text)
		t.w.Key("signature").RawString(t.signature)
		t.w.End()
	}
	t.index, t.text, t.signature = nil, nil, nil
}

func (t *thoughts) redacted(data sdk.JSON) {
	if inside, _ := data.RawStr(); len(inside) > 0 {
		t.signed = true
		t.turn("assistant")
		t.w.Object()
		t.w.Key("type").String("redacted_thinking")
		t.w.Key("data").RawString(inside)
		t.w.End()
	}
}
