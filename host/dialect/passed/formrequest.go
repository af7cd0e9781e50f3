package passed

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/plain"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

// form is a checked request of type multipart/form-data with one file. Adapters get a
// description of it, in which the file has a size and no content. It never changes, and is
// safe for concurrent use.
type form struct {
	bytes  []byte
	parts  []part
	file   part
	model  string // as the client named it; "" if it did not
	user   string
	stream bool // the client wants events
}

// ours are the names of fields that Kai reads or writes. No other may look like one of them.
var ours = []string{"model", "file", "stream", "user"}

// parseTranscription is a [dialect.Parse] for forms.
func parseTranscription(_ context.Context, b []byte, c dialect.Caller) (*dialect.Request, error) {
	_, parameters, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || parameters["boundary"] == "" {
		return nil, badForm("its content type names no boundary")
	}
	f := &form{bytes: b}
	parts, bad := parseForm(b, parameters["boundary"])
	if bad != nil {
		return nil, bad
	}
	if err := f.read(parts); err != nil {
		return nil, err
	}
	return &dialect.Request{
		Op: abi.Transcriptions, Model: f.model, Stream: f.stream, Body: f, Size: f.size(), Passes: plainText, Sound: f.sound(),
		Whole:    func(i dialect.Info) dialect.Answer { return newAnswer(i) },
		Streamed: func(i dialect.Info) dialect.Stream { return stream{info: i, text: true} },
	}, nil
}

// read takes the parts, and checks what Kai promises to check.
func (f *form) read(parts []part) *fault.Error {
	seen := map[string]bool{}
	for _, p := range parts {
		base, folded := baseOf(p.name), string(body.Fold([]byte(p.name)))
		for _, our := range ours {
			if p.name != our && base == our {
				return plain.Wrong(p.name, fmt.Sprintf("some servers read this field as %s: send it as %[1]s or leave it out", our))
			}
		}
		if seen[folded] && !strings.HasSuffix(folded, "[]") {
			return plain.Wrong(p.name, "a second field of the same name, whatever the case of its letters: send each field once")
		}
		seen[folded] = true
		if p.file != (p.name == "file") {
			return plain.Wrong(p.name, "only the field file must be a file, with a name")
		}
		if p.file {
			f.file = p
			continue
		}
		if err := f.readField(p); err != nil {
			return err
		}
	}
	if f.file.name == "" {
		return plain.Wrong("file", "is required")
	}
	if f.file.content.To == f.file.content.From {
		return plain.Wrong("file", "must not be empty")
	}
	return nil
}

// baseOf returns the field, folded, that some server may take a name for: what stands
// before brackets, in them, or before a dot. Servers read m[0], m.0, m.x and [m] as fields
// of m, or as m.
func baseOf(name string) string {
	name = strings.TrimLeft(name, "[].")
	if end := strings.IndexAny(name, "[]."); end >= 0 {
		name = name[:end]
	}
	return string(body.Fold([]byte(name)))
}

// readField takes a field that is no file.
func (f *form) readField(p part) *fault.Error {
	content := p.content.Of(f.bytes)
	if !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0 {
		return plain.Wrong(p.name, "must be a text in UTF-8")
	}
	if p.isLong() {
		if slices.Contains(ours, p.name) {
			return plain.Wrong(p.name, fmt.Sprintf("must have at most %d KiB", longField>>10))
		}
		f.parts = append(f.parts, p)
		return nil
	}
	value := string(content)
	switch p.name {
	case "model":
		f.model = value
		return nil // its place is the first one
	case "user":
		f.user = value
	case "stream":
		if f.stream = strings.EqualFold(value, "true"); !f.stream && !strings.EqualFold(value, "false") {
			return plain.Wrong("stream", "must be true or false")
		}
		if !f.stream {
			return nil // this is the default
		}
	}
	f.parts = append(f.parts, p)
	return nil
}

// plainText says which content type a transcription may have besides JSON. A text that is
// called HTML and is none counts, too.
func plainText(mediaType string) (contentType string, ok bool) {
	switch mediaType {
	case "text/vtt", "application/x-subrip", "text/srt":
		return mediaType, true
	case "", "text/plain", "text/html", "application/octet-stream":
		return "text/plain; charset=utf-8", true
	}
	return "", false
}

// Form is [dialect.Form]: the model first, the file last, under a boundary that nobody could
// foresee.
func (f *form) Form(upstreamModel string) (contentType string, pieces [][]byte) {
	boundary := "kai-" + rand.Text()
	text := append(appendFieldHead(nil, boundary, "model"), upstreamModel+"\r\n"...)
	for _, p := range f.parts {
		text = appendFieldHead(text, boundary, p.name)
		if content := p.content.Of(f.bytes); p.isLong() {
			pieces, text = append(pieces, text, content), nil
		} else {
			text = append(text, content...)
		}
		text = append(text, "\r\n"...)
	}
	text = fmt.Appendf(text, "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\nContent-Type: %s\r\n\r\n",
		boundary, f.file.fileName, f.file.mediaType)
	return "multipart/form-data; boundary=" + boundary, append(pieces, text, f.file.content.Of(f.bytes), []byte("\r\n--"+boundary+"--\r\n"))
}

func appendFieldHead(dst []byte, boundary, name string) []byte {
	return fmt.Appendf(dst, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n", boundary, name)
}

// Body describes the form in JSON: each field is a string, or an array of strings where its
// name ends in [], and the file an object. A long field is one, too.
//
//	{"model":"m","language":"en","timestamp_granularities[]":["word"],"file":{"filename":"a.mp3","content_type":"audio/mpeg","bytes":25}}
func (f *form) Body(upstreamModel string) []byte {
	out := facts.AppendString([]byte(`{"model":`), upstreamModel)
	for i, p := range f.parts {
		list := strings.HasSuffix(p.name, "[]")
		if list && f.first(p.name) != i {
			continue // it is in the list already
		}
		out = append(facts.AppendString(append(out, ','), p.name), ':')
		if !list {
			out = f.appendField(out, p)
			continue
		}
		out = append(out, '[')
		for k, q := range f.parts[i:] {
			if q.name == p.name {
				if k > 0 {
					out = append(out, ',')
				}
				out = f.appendField(out, q)
			}
		}
		out = append(out, ']')
	}
	out = facts.AppendString(append(out, `,"file":{"filename":`...), f.file.fileName)
	out = facts.AppendString(append(out, `,"content_type":`...), f.file.mediaType)
	out = strconv.AppendInt(append(out, `,"bytes":`...), int64(f.file.content.To-f.file.content.From), 10)
	return append(out, "}}"...)
}

// appendField appends a field as adapters get it.
func (f *form) appendField(dst []byte, p part) []byte {
	if p.isLong() {
		return fmt.Appendf(dst, `{"bytes":%d}`, p.content.To-p.content.From)
	}
	return facts.AppendString(dst, string(p.content.Of(f.bytes)))
}

// first returns the index of the first part with a name.
func (f *form) first(name string) int {
	for i, p := range f.parts {
		if p.name == name {
			return i
		}
	}
	return -1
}

// Short is Body: there is no content in it that could be long.
func (f *form) Short(upstreamModel string) ([]byte, *body.Refs) { return f.Body(upstreamModel), nil }

// Len returns about how many bytes Body allocates.
func (f *form) Len(bool) int64 { return 2 * f.size() }

// size returns how many bytes the form needs besides the client's body.
func (f *form) size() int64 {
	size := int64(1 << 10)
	for _, p := range f.parts {
		size += int64(len(p.name)) + 128
		if !p.isLong() {
			size += int64(p.content.To - p.content.From)
		}
	}
	return size
}

// soundBytes is about how many bytes a second of sound takes in a file at least, which is
// that of well compressed speech. Other files have up to a hundred times as many.
const soundBytes = 4000

// sound estimates how long the sound in the file is, at least a second. It is too long rather
// than too short.
func (f *form) sound() time.Duration {
	return max(time.Second, time.Duration(f.file.content.To-f.file.content.From)*(time.Second/soundBytes))
}

// Without returns the form itself: it has no field that can be a wish.
func (f *form) Without(string) dialect.Body { return f }

// Conversation returns "": a form belongs to none.
func (f *form) Conversation() string { return "" }

// User is who the client says the request is for.
func (f *form) User() string { return f.user }

// Tokens estimates how many tokens the texts of the form have. The file doesn't count, since
// nobody knows what is in it.
func (f *form) Tokens() int64 { return f.size() / 4 }

// MaxOutput is [dialect.Body].
func (*form) MaxOutput() int64 { return 0 }

// Asks returns the first of the fields that the form has, in whatever way some server may read
// its name; "" if there is none. Forms have no tools, so if some
// tools would choose, a field tools counts whatever is in it.
func (f *form) Asks(fields, tools []string) string {
	if len(tools) > 0 {
		fields = append(slices.Clip(fields), "tools")
	}
	for _, p := range f.parts {
		base := baseOf(p.name)
		for _, field := range fields {
			if base == string(body.Fold([]byte(field))) {
				return field
			}
		}
	}
	return ""
}
