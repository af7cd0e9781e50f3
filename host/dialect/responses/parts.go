package responses

import (
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

// texts are pieces of a text: insides of JSON string literals, which need not be decoded
// to be joined.
type texts [][]byte

// add adds a piece behind what separates it from those before. Empty ones add nothing.
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

// What is between texts that become one, escaped.
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
	for it := sdk.Object(v); it.Next(); {
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
	inside, ok := text.RawStr()
	if !ok {
		return p, at.in(field).wrong(mustBeString)
	}
	p.text = inside
	return p, nil
}

// isText reports whether the part is nothing but its text.
func (p *part) isText() bool { return p.text != nil && p.breakpoint == nil }

// readTexts adds the texts of a content: a string, or an array of parts that have only
// texts.
func (t *texts) readTexts(content sdk.JSON, at spot, first, between string) *fault.Error {
	if inside, ok := content.RawStr(); ok {
		t.add(first, inside)
		return nil
	}
	if !isList(content) {
		return at.wrong("must be a string or an array of content parts")
	}
	separator := first
	it := sdk.Array(content)
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

// appendUserContent appends the content of a message of the user: a string if it is
// nothing but one text, else an array of parts.
func appendUserContent(dst []byte, content sdk.JSON, at spot) ([]byte, *fault.Error) {
	if isString(content) {
		return append(dst, content...), nil
	}
	if !isList(content) {
		return dst, at.wrong("must be a string or an array of content parts")
	}
	start, n := len(dst), 0
	var only part
	it := sdk.Array(content)
	for ; it.Next(); n++ {
		p, err := readPart(it.Value(), at.element(n))
		if err != nil {
			return dst, err
		}
		if only = p; n == 0 {
			dst = append(dst, '[')
		} else {
			dst = append(dst, ',')
		}
		dst = p.appendTo(dst)
	}
	switch {
	case n == 0:
		return append(dst, `""`...), nil
	case n == 1 && only.isText():
		return texts{only.text}.appendTo(dst[:start]), nil
	}
	return append(dst, ']'), nil
}

// check checks a part that is no text.
func (p *part) check(at spot) *fault.Error {
	switch p.kind {
	case "input_image":
		switch {
		case p.imageURL == nil && p.fileID != nil:
			return at.in("file_id").unsupported("Kai keeps no files; send image_url")
		case !isString(p.imageURL):
			return at.in("image_url").wrong("must be a string, a link or a data: URL")
		case p.detail != nil && !oneOf("low", "high", "auto", "original")(p.detail):
			return at.in("detail").wrong("must be one of low, high, auto, original")
		}
	case "input_file":
		switch {
		case p.fileData == nil && p.fileURL == nil && p.fileID != nil:
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

// appendTo appends the part in the form of chat completions.
func (p *part) appendTo(dst []byte) []byte {
	switch p.kind {
	case "input_image":
		dst = append(append(dst, `{"type":"image_url","image_url":{"url":`...), p.imageURL...)
		if detail := p.detail; detail != nil {
			if oneOf("original")(detail) {
				detail = sdk.JSON(`"high"`) // the most that chat knows
			}
			dst = append(append(dst, `,"detail":`...), detail...)
		}
		dst = append(dst, '}')
	case "input_file":
		data := p.fileData
		if data == nil {
			data = p.fileURL
		}
		dst = append(append(dst, `{"type":"file","file":{"file_data":`...), data...)
		if p.filename != nil {
			dst = append(append(dst, `,"filename":`...), p.filename...)
		}
		dst = append(dst, '}')
	case "input_audio":
		dst = append(append(dst, `{"type":"input_audio","input_audio":`...), p.audio...)
	default:
		dst = texts{p.text}.appendTo(append(dst, `{"type":"text","text":`...))
	}
	if p.breakpoint != nil {
		dst = append(append(dst, `,"prompt_cache_breakpoint":`...), p.breakpoint...)
	}
	return append(dst, '}')
}
