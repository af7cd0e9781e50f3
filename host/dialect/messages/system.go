package messages

import (
	"bytes"
)

// billingHeader is what the first block of Claude Code's system prompt begins with.
// Anthropic's API removes it, and any other model would read it. In older versions it
// changes with every request, and so defeats every cache of prompts.
const billingHeader = "x-anthropic-billing-header:"

// system writes the system prompt as the first message.
func (t *translation) system(v value) error {
	if v == nil || v.isString() && v.isEmpty() {
		return nil
	}
	place := atMessage(-1)
	before := t.mark()
	t.beginMessage(place, `{"role":"system","content":`)
	t.begin(`\n\n`)
	switch {
	case v.isString():
		t.text(v.inside(), nil)
	case v.isArray():
		if err := t.each(&cursor{b: v}, place, t.systemBlock); err != nil {
			return err
		}
	default:
		return refuse("system", "must be a string or an array of text blocks")
	}
	if t.content.form == noContent {
		t.reset(before)
		return nil
	}
	t.end("")
	t.raw(`}`)
	return nil
}

func (t *translation) systemBlock(b *block, place at) error {
	if string(b.kind) != "text" || !b.text.isString() {
		return place.refuse("", "must be a block of type text with a text, a string")
	}
	if place.block == 0 && bytes.HasPrefix(b.text.inside(), []byte(billingHeader)) {
		t.found.native = true
		if !t.form.Native {
			return nil
		}
	}
	t.text(b.text.inside(), b.cache)
	return nil
}

// reminder writes a message that the system put into the conversation as a text of the
// user. Claude Code itself uses that form with servers that have no such messages. It stays
// where it is, so that the prompt before it doesn't change.
func (t *translation) reminder(content value, cleared bool) error {
	const before, behind = `<system-reminder>\n`, `\n</system-reminder>`
	if content.isString() {
		if len(content.inside()) > 0 && !cleared {
			t.openText(nil)
			t.raw(before)
			t.out = append(t.out, content.inside()...)
			t.raw(behind)
			t.closeText(nil)
		}
		return nil
	}
	open := false
	var cache value
	err := t.each(&cursor{b: content}, t.here, func(b *block, place at) error {
		switch string(b.kind) {
		case "text":
			inside := b.text.inside()
			if len(inside) == 0 || cleared {
				return nil
			}
			if open {
				t.raw(`\n`)
			} else {
				t.openText(nil)
				t.raw(before)
				open = true
			}
			t.out = append(t.out, inside...)
			cache = b.cache
		case "tool_addition", "tool_removal":
			return t.changeTools(b, place)
		}
		return nil
	})
	if open {
		t.raw(behind)
		t.closeText(cache)
	}
	return err
}
