package messages

import (
	"slices"
	"strings"
)

// content writes the content of one chat message: a string if it is only text, else an
// array of parts. Texts that follow one another are joined, with sep between them, unless
// each has to stay a part of its own.
type content struct {
	sep    string // between texts, as it stands inside of a JSON string
	parts  bool   // each text stays a part of its own
	failed bool   // the first text is to say that something failed
	from   int    // where the content begins
	form   contentForm
}

// contentForm is what of the content was written.
type contentForm uint8

const (
	noContent   contentForm = iota
	inString                // an open string
	inText                  // an array whose last part is a text, its string open
	behindParts             // an open array
)

const textPart = `{"type":"text","text":"`

// begin begins a content.
func (t *translation) begin(sep string) {
	t.content = content{sep: sep, parts: t.form.parts(), from: len(t.out)}
}

// openText goes to where a text can be appended, which begins with head.
func (t *translation) openText(head []byte) {
	c := &t.content
	if c.failed {
		defer t.prefix(head)
	}
	switch {
	case c.parts && c.form == noContent:
		t.raw(`[` + textPart)
		c.form = inText
	case c.parts, c.form == behindParts:
		t.raw(`,` + textPart)
		c.form = inText
	case c.form == noContent:
		t.raw(`"`)
		c.form = inString
	default:
		t.raw(c.sep)
		return // to the same part
	}
	t.origins.parts = append(t.origins.parts, originOf(t.here))
}

// prefix writes the words that tell a failure, unless the text has them.
func (t *translation) prefix(head []byte) {
	t.content.failed = false
	start := string(unquoted(head[:min(len(head), 6*len(toolUseError))]))
	if !strings.HasPrefix(start, errorPrefix) && !strings.HasPrefix(start, toolUseError) {
		t.raw(errorPrefix)
	}
}

const (
	errorPrefix  = "Error: "
	toolUseError = "<tool_use_error>" // Claude Code's own mark
)

// closeText ends what openText began. cache marks a part of its own.
func (t *translation) closeText(cache value) {
	t.found.cache = t.found.cache || cache.isObject()
	if !t.content.parts {
		return // another text may follow
	}
	t.raw(`"`)
	t.cache(cache)
	t.raw(`}`)
	t.content.form = behindParts
}

// text writes a text, which is the inside of a JSON string. An empty one is left out.
func (t *translation) text(inside []byte, cache value) {
	if len(inside) == 0 {
		return
	}
	t.openText(inside)
	t.out = append(t.out, inside...)
	t.closeText(cache)
}

// openPart goes to where a part can be appended that is no text.
func (t *translation) openPart() {
	c := &t.content
	t.origins.parts = append(t.origins.parts, originOf(t.here))
	switch c.form {
	case noContent:
		t.raw(`[`)
	case inString:
		t.out = slices.Insert(t.out, c.from, []byte(`[`+textPart[:len(textPart)-1])...)
		t.raw(`"},`)
	case inText:
		t.raw(`"},`)
	case behindParts:
		t.raw(`,`)
	}
	c.form = behindParts
}

// end ends the content. If nothing was written, the content is none.
func (t *translation) end(none string) {
	switch t.content.form {
	case noContent:
		t.raw(none)
	case inString:
		t.raw(`"`)
	case inText:
		t.raw(`"}]`)
	case behindParts:
		t.raw(`]`)
	}
}

// cache writes a mark up to which the prompt is cached, after the fields of an object.
func (t *translation) cache(mark value) {
	if !mark.isObject() {
		return
	}
	t.found.cache = true
	if t.form.Cache {
		t.raw(`,"cache_control":`)
		t.out = append(t.out, mark...)
	}
}

// cacheLast puts a mark into the part that was written last.
func (t *translation) cacheLast(mark value) {
	if !mark.isObject() {
		return
	}
	if t.content.form != behindParts {
		t.found.cache = true
		return
	}
	t.out = t.out[:len(t.out)-1]
	t.cache(mark)
	t.raw(`}`)
}

func (t *translation) raw(s string) { t.out = append(t.out, s...) }
