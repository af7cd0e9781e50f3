package responses

import (
	"bytes"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

// texts are pieces of a text: insides of JSON string literals, which need not be decoded
// to be joined.
type texts [][]byte

// add adds a piece after a separator from those before. An empty piece adds nothing.
func (t *texts) add(separator string, inside []byte) {
	if len(inside) == 0 {
		return
	}
	if len(*t) > 0 && separator != "" {
		*t = append(*t, []byte(separator))
	}
	*t = append(*t, inside)
}

// appendTo appends all of the text as a JSON string.
func (t texts) appendTo(dst []byte) []byte {
	dst = append(dst, '"')
	for _, piece := range t {
		dst = append(dst, piece...)
	}
	return append(dst, '"')
}

// insideOf returns what is between the quotes of a string that was checked; ok is false of
// anything else.
func insideOf(v sdk.JSON) (inside []byte, ok bool) {
	if len(v) < 2 || v[0] != '"' {
		return nil, false
	}
	return v[1 : len(v)-1], true
}

// unescaped returns the text that the inside of a string stands for, without a copy if
// possible.
func unescaped(inside []byte) []byte {
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	return sdk.AppendUnquote(nil, inside)
}

// What stands between texts that become one, escaped.
const (
	lineEnd   = `\n`
	blankLine = `\n\n`
)

// part is what Kai reads of a part of a content. What is null is absent.
type part struct {
	kind string
	text []byte // the inside of the string that is its text; nil of a part that has none

	imageURL, detail, audio, breakpoint sdk.JSON
	fileID, fileData, fileURL, filename sdk.JSON
}

// readPart reads one part of a content.
func readPart(v sdk.JSON, at spot) (p part, err *fault.Error) {
	if !isMap(v) {
		return p, at.wrong(`must be an object such as {"type": "input_text", "text": "…"}`)
	}
	var text, refusal, sealed sdk.JSON
	for it := body.FieldsOf(v); it.Next(); {
		v := it.Value()
		if v.Kind() == sdk.KindNull {
			continue
		}
		switch string(it.Key()) {
		case "type":
			p.kind, _ = v.Str()
		case "text":
			text = v
		case "refusal":
			refusal = v
		case "encrypted_content":
			sealed = v
		case "image_url":
			p.imageURL = v
		case "detail":
			p.detail = v
		case "input_audio":
			p.audio = v
		case "prompt_cache_breakpoint":
			p.breakpoint = v
		case "file_id":
			p.fileID = v
		case "file_data":
			p.fileData = v
		case "file_url":
			p.fileURL = v
		case "filename":
			p.filename = v
		}
	}
	field := "text"
	switch p.kind {
	case "input_text", "output_text", "text", "summary_text", "reasoning_text":
	case "refusal":
		field, text = "refusal", refusal
	case "encrypted_content":
		field, text = "encrypted_content", sealed
	case "input_image", "input_file", "input_audio":
		return p, p.check(at)
	default:
		return p, at.in("type").unsupported("Kai knows no parts of type" + shown(p.kind) + "; use input_text, input_image, input_file or input_audio")
	}
	inside, ok := insideOf(text)
	if !ok {
		return p, at.in(field).wrong(mustBeString)
	}
	p.text = inside
	return p, nil
}

// isText reports whether the part is nothing but its text.
func (p *part) isText() bool { return p.text != nil && p.breakpoint == nil }

// readTexts adds the texts of a content: a string, or an array of parts that are only
// texts.
func (t *texts) readTexts(content sdk.JSON, at spot, first, between string) *fault.Error {
	if inside, ok := insideOf(content); ok {
		t.add(first, inside)
		return nil
	}
	if !isList(content) {
		return at.wrong("must be a string or an array of content parts")
	}
	separator := first
	it := body.ElementsOf(content)
	for i := 0; it.Next(); i++ {
		p, err := readPart(it.Value(), at.element(i))
		if err != nil {
			return err
		}
		if p.text == nil {
			return at.element(i).in("type").unsupported("only texts can stand here; send " + p.kind + " in a message of the user")
		}
		if len(p.text) > 0 {
			t.add(separator, p.text)
			separator = between
		}
	}
	return nil
}

// userContent appends the content of a message of the user: a string if it is nothing but
// one text, else an array of parts.
func (c *completion) userContent(content sdk.JSON, at spot) *fault.Error {
	if isString(content) {
		c.literal(content, (*chat.Marks).Text)
		return nil
	}
	if !isList(content) {
		return at.wrong("must be a string or an array of content parts")
	}
	it := body.ElementsOf(content)
	if !it.Next() {
		c.raw(`""`)
		return nil
	}
	p, err := readPart(it.Value(), at.element(0))
	more := it.Next()
	if err == nil && !more && p.isText() {
		c.text(texts{p.text})
		return nil
	}
	c.raw("[")
	for n := 1; err == nil; n++ {
		c.part(&p)
		if !more {
			c.raw("]")
			return nil
		}
		c.raw(",")
		p, err = readPart(it.Value(), at.element(n))
		more = it.Next()
	}
	return err
}

// check checks a part that is no text.
func (p *part) check(at spot) *fault.Error {
	switch p.kind {
	case "input_image":
		switch {
		case p.fileID != nil:
			return at.in("file_id").unsupported("Kai keeps no files; send image_url")
		case !isString(p.imageURL):
			return at.in("image_url").wrong("must be a string, a link or a data: URL")
		case p.detail != nil && !oneOf("low", "high", "auto", "original")(p.detail):
			return at.in("detail").wrong("must be one of low, high, auto, original")
		}
	case "input_file":
		switch {
		case p.fileID != nil:
			return at.in("file_id").unsupported("Kai keeps no files; send file_data or file_url")
		case p.fileData == nil && p.fileURL == nil:
			return at.in("file_data").wrong("a file needs file_data or file_url")
		case p.fileData != nil && !isString(p.fileData):
			return at.in("file_data").wrong(mustBeString)
		case p.fileData == nil && !isString(p.fileURL):
			return at.in("file_url").wrong(mustBeString)
		case p.filename != nil && !isString(p.filename):
			return at.in("filename").wrong(mustBeString)
		}
	default:
		if !isMap(p.audio) {
			return at.in("input_audio").wrong("must be an object with data and format")
		}
	}
	return nil
}
