package chat

import (
	"bytes"
	"strconv"
	"strings"
	"unsafe"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
)

// Request is a checked chat completion request: what clients of this API send, and what
// adapters get, whatever the client's API. It never changes, and is safe for concurrent
// use.
type Request struct {
	body.Doc
	Model        string // as the client named it; "" if it did not
	Stream       bool   // default: false
	IncludeUsage bool   // stream_options.include_usage; default: false
	Store        bool   // the provider shall keep the answer; default: false

	tools  []foreignTool // whose type is not function
	effort body.Span     // the field, with its key; zero if there is none

	maxOutput, choices int64 // tokens of a choice, and how many choices; 0: it doesn't say

	media, mediaBytes int64 // images, sounds and files in it, and their size

	named body.IDs // of what providers keep
}

// foreignTool is a tool of a type that OpenAI's chat completions don't have.
type foreignTool struct {
	index int
	kind  string // folded
}

// ParseRequest checks the body of a chat completion request. The Request keeps body,
// which must not change from then on. Nothing of it is decoded and encoded again: Body
// and Short only replace bytes, so what Kai does not know passes unchanged.
//
// It repairs what clients send and providers refuse: a byte order mark is skipped, an
// escape of half a character becomes one of U+FFFD (in body itself), tool calls that
// share an id get ids of their own, a stop without text becomes null, an empty
// tool_calls is left out, and data: URLs get the form that every provider reads.
//
//   - error: a *fault.Error
func ParseRequest(b []byte) (*Request, error) {
	return parseRequest(bytes.TrimPrefix(b, []byte("\ufeff")), (*body.Doc).Scan, false)
}

// ParseTranslated is ParseRequest for a body that a dialect has written. Messages and tools
// must be well formed, and [body.Doc.Scan] must have accepted all strings in the client's
// request, so neither is checked again.
func ParseTranslated(b []byte) (*Request, error) { return parseRequest(b, (*body.Doc).Rescan, true) }

func parseRequest(b []byte, scan func(*body.Doc, []byte, *body.Grammar, body.Reader) error, made bool) (*Request, error) {
	n := &notes{} // one allocation
	r := &n.Request
	if err := scan(&r.Doc, b, &grammar, n); err != nil {
		return nil, err
	}
	if err := n.read(r.Mend(n.mend(b)), made && n.messages > 0); err != nil {
		return nil, err
	}
	n.scanned = scanned{}
	return r, nil
}

// Size returns how many bytes the Request keeps besides the body.
func (r *Request) Size() int64 { return r.Doc.Size() + r.named.Size() }

// IDs returns the ids, and the links, by which the request names what a provider keeps, each once.
func (r *Request) IDs() []string { return r.named.All() }

// textOf returns the bytes as a string without copying them: they do not change.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Without returns the request without a field. Only reasoning_effort can be left out.
func (r *Request) Without(field string) dialect.Body {
	if field != effort || r.effort == (body.Span{}) {
		return r
	}
	left := *r
	left.Doc, left.effort = r.Doc.Without(r.effort), body.Span{}
	return &left
}

// Asks returns the first part of the request, such as "tools[2].type", by which it asks for
// one of fields or tools; "" if there is none.
//
//   - fields: names of top-level fields that are none of OpenAI's own
//   - tools: what the type of a tool begins with
//
// The case of letters in names doesn't matter, because upstreams may ignore it.
func (r *Request) Asks(fields, tools []string) string {
	if field := r.Has(fields); field != "" {
		return field
	}
	for _, tool := range r.tools {
		for _, prefix := range tools {
			if strings.HasPrefix(tool.kind, string(body.Fold([]byte(prefix)))) {
				return "tools[" + strconv.Itoa(tool.index) + "].type"
			}
		}
	}
	return ""
}
