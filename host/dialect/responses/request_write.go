package responses

import (
	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect/chat"

	"github.com/kai-gateway/kai/sdk"
)

// completion is the chat completion that a request becomes. What is long, or may have to be
// mended, is marked as it is written, so that nobody has to look for it again.
type completion struct {
	out   []byte // each field and each message has a comma before it
	marks chat.Marks
}

// raw appends JSON.
func (c *completion) raw(parts ...string) {
	for _, p := range parts {
		c.out = append(c.out, p...)
	}
}

// message begins a message, up to its content.
func (c *completion) message(role string) {
	c.marks.Message()
	c.raw(`,{"role":"`, role, `","content":`)
}

// literal appends a string as it stands in the client's body.
func (c *completion) literal(v sdk.JSON, mark func(*chat.Marks, []byte, int)) {
	from := len(c.out)
	c.out = append(c.out, v...)
	mark(&c.marks, c.out, from)
}

// text appends a text that is the content of a message or of a part.
func (c *completion) text(t texts) {
	from := len(c.out)
	c.out = t.appendTo(c.out)
	c.marks.Text(c.out, from)
}

// part appends a part of a message of the user.
func (c *completion) part(p *part) {
	switch p.kind {
	case "input_image":
		c.raw(`{"type":"image_url","image_url":{"url":`)
		c.literal(p.imageURL, (*chat.Marks).URL)
		if detail := p.detail; detail != nil {
			if oneOf("original")(detail) {
				detail = sdk.JSON(`"high"`) // the most that chat knows
			}
			c.raw(`,"detail":`, string(detail))
		}
		c.raw("}")
	case "input_file":
		data := p.fileData
		if data == nil {
			data = p.fileURL
		}
		c.raw(`{"type":"file","file":{"file_data":`)
		c.literal(data, (*chat.Marks).File)
		if p.filename != nil {
			c.raw(`,"filename":`, string(p.filename))
		}
		c.raw("}")
	case "input_audio":
		c.audio(p.audio)
	default:
		c.raw(`{"type":"text","text":`)
		c.text(texts{p.text})
	}
	if p.breakpoint != nil {
		c.raw(`,"prompt_cache_breakpoint":`, string(p.breakpoint))
	}
	c.raw("}")
}

// audio appends the beginning of a part that is a sound, which chat has in the same form.
func (c *completion) audio(sound sdk.JSON) {
	c.raw(`{"type":"input_audio","input_audio":`)
	open := "{"
	for f := body.FieldsOf(sound); f.Next(); open = "," {
		c.raw(open)
		c.out = append(sdk.AppendQuote(c.out, string(f.Key())), ':')
		if string(f.Key()) == "data" && f.Kind() == sdk.KindString {
			c.literal(f.Value(), (*chat.Marks).Audio)
		} else {
			c.out = append(c.out, f.Value()...)
		}
	}
	if open == "{" {
		c.raw(open)
	}
	c.raw("}")
}
