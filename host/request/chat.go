// Package request reads what a client sent: the body of a chat completion.
//
// ParseChat checks everything that the gateway promises to check, and notes the few
// things it needs. The body is never decoded and encoded again: Body and Short only
// replace bytes in it, to put the upstream's model in and take long content out. So what
// Kai does not know passes unchanged.
//
// Errors are *fault.Error. They say where the request is wrong and what would be right,
// and never repeat content of messages. The package does no I/O.
package request

import (
	"bytes"
	"strconv"
	"strings"
	"unsafe"

	"github.com/kai-gateway/kai/sdk"
)

// Chat is a checked chat completion request. It never changes, and is safe for concurrent
// use.
type Chat struct {
	Model        string // as the client named it; "" if it did not
	Stream       bool   // default: false
	IncludeUsage bool   // stream_options.include_usage; default: false

	body     []byte
	outline  outline
	edits    []edit
	abridged *abridged     // nil if nothing is edited and no content is long
	tools    []foreignTool // whose type is not function
}

// foreignTool is a tool whose type OpenAI's chat completions don't have.
type foreignTool struct {
	index int
	kind  string // folded
}

// ParseChat checks the body of a chat completion request. The Chat keeps body,
// which must not change from then on.
//
// It repairs what clients send and providers refuse: a byte order mark is skipped, an
// escape of half a character becomes one of U+FFFD (in body itself), tool calls that
// share an id get ids of their own, a stop without text becomes null, an empty
// tool_calls is left out, and data: URLs get the form that every provider reads.
//
//   - error: a *fault.Error
func ParseChat(body []byte) (*Chat, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	outline, err := scan(body)
	if err != nil {
		return nil, err
	}
	c := &Chat{body: body, outline: outline, edits: mend(body, outline)}
	if len(outline.long) > 0 || len(c.edits) > 0 {
		c.abridged = abridge(body, outline, c.edits)
		body = c.abridged.body
	}
	if err := c.read(textOf(body)); err != nil {
		return nil, err
	}
	return c, nil
}

// textOf returns the bytes as a string without copying them: they do not change.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Asks returns the first part of the request, as in "tools[2].type", by which it asks
// for what fields or tools name, "" if there is none.
//
//   - fields: names of top-level fields that are none of OpenAI's own
//   - tools: how the type of a tool begins
//
// Names are equal whatever the case of their letters, as upstreams may read them.
func (c *Chat) Asks(fields, tools []string) string {
	for _, name := range c.outline.foreign {
		for _, field := range fields {
			if string(name) == string(fold([]byte(field))) {
				return field
			}
		}
	}
	for _, tool := range c.tools {
		for _, prefix := range tools {
			if strings.HasPrefix(tool.kind, string(fold([]byte(prefix)))) {
				return "tools[" + strconv.Itoa(tool.index) + "].type"
			}
		}
	}
	return ""
}

// Size returns how many bytes the Chat keeps besides the body: at most about twice the
// body's length.
func (c *Chat) Size() int64 {
	size := c.edited()
	if c.abridged != nil {
		size += len(c.abridged.body)
	}
	return int64(size)
}

// edited returns how many bytes the repairs have.
func (c *Chat) edited() (size int) {
	for _, e := range c.edits {
		size += len(e.by)
	}
	return size
}

// Len returns about how many bytes Body allocates or, with plain false, Short.
func (c *Chat) Len(plain bool) int64 {
	switch {
	case !plain && c.abridged != nil:
		return int64(len(c.abridged.body))
	case len(c.edits) > 0:
		return int64(2 * (len(c.body) + c.edited()))
	}
	return int64(len(c.body))
}

// Body returns the client's whole body with upstreamModel as its model, which
// becomes the first field if there is none. The caller must not modify it.
func (c *Chat) Body(upstreamModel string) []byte {
	if len(c.edits) > 0 {
		e := apply(c.body, c.outline, c.edits)
		return withModel(e.body, e.fields, c.outline.empty, e.model, upstreamModel)
	}
	return withModel(c.body, c.outline.fields.from, c.outline.empty, c.outline.model, upstreamModel)
}

// Short is Body with a token in place of each long content, whose bytes refs has. Without
// long content refs is nil, which is valid.
func (c *Chat) Short(upstreamModel string) (body []byte, refs *Refs) {
	if c.abridged == nil {
		return c.Body(upstreamModel), nil
	}
	a := c.abridged
	body = withModel(a.body, a.fields, c.outline.empty, a.model, upstreamModel)
	if len(c.outline.long) == 0 {
		return body, nil
	}
	return body, newRefs(a, c.body, c.outline.long)
}

// withModel returns the object in body with a model: instead of the value at old,
// or, if there is none, in front of the fields.
func withModel(body []byte, fields int, empty bool, old span, model string) []byte {
	out := make([]byte, 0, len(body)+len(model)+len(`"model":"",`))
	if old == (span{}) {
		out = append(out, body[:fields]...)
		out = append(out, `"model":`...)
		out = sdk.AppendQuote(out, model)
		if !empty {
			out = append(out, ',')
		}
		return append(out, body[fields:]...)
	}
	out = append(out, body[:old.from]...)
	out = sdk.AppendQuote(out, model)
	return append(out, body[old.to:]...)
}
