// Package native has requests and answers that pass through the gateway as they are, because
// the provider speaks the client's API.
//
// A dialect that has such requests says by a [Form] what in them is the gateway's business:
// what is cut out, which ids are named, which tools. Everything else passes, known or not.
// Of an answer, it says by a [Passage] what becomes of its events.
//
// Ids of what a provider keeps for its account, such as a container, belong to the caller
// whose answer had them first. Who that is the gateway knows; this package only finds them.
package native

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/sdk"
)

// Role is what a place means to the gateway.
type Role uint8

const (
	Passed   Role = iota // nothing: it passes
	Cut                  // a field of the top level that never leaves the gateway
	ID                   // a string: the id of something that the provider keeps
	Tool                 // an object: a tool
	ToolType             // its type
	User                 // a field of the top level that says who the client's user is
)

// Form is what of an API's requests, or of its answers, concerns the gateway. Every string
// at one of its places that is long goes by reference, so its places should reach
// everything: see [body.Node].
type Form struct {
	Grammar body.Grammar
	Roles   map[body.Place]Role
}

// longText is how many bytes a string has from which on it goes by reference.
const longText = 1 << 10

// Request is a client's request as it came. It never changes, and is safe for concurrent
// use.
type Request struct {
	body.Doc
	IDs []string // which it names, each once

	tools []string  // their types, folded; "": it has none
	user  body.Span // the field that says who the user is, with its key; zero if there is none
}

// Parse checks the body of a request and finds what concerns the gateway. The Request keeps
// b, which must not change from then on.
//
//   - error: a *fault.Error
func Parse(b []byte, f *Form) (*Request, error) {
	r := &Request{}
	n := notes{form: f}
	if err := r.Scan(bytes.TrimPrefix(b, []byte("\ufeff")), &f.Grammar, &n); err != nil {
		return nil, err
	}
	r.Mend(n.cuts)
	r.IDs, r.tools, r.user = n.ids, n.tools, n.user
	return r, nil
}

// IDs returns the ids in an answer, or an event of one, each once; nil if it is not what the
// form says. It changes b.
func IDs(b []byte, f *Form) []string {
	n := notes{form: f}
	if err := new(body.Doc).Scan(b, &f.Grammar, &n); err != nil {
		return nil
	}
	return n.ids
}

// notes are what a scan finds.
type notes struct {
	form  *Form
	cuts  []body.Edit
	ids   []string
	tools []string
	user  body.Span
}

// Begin counts the tools.
func (n *notes) Begin(at body.Place, _ int) {
	if n.form.Roles[at] == Tool {
		n.tools = append(n.tools, "")
	}
}

// End notes nothing.
func (*notes) End(body.Place, int) {}

// Value notes a value with a role, and returns what goes by reference of any other.
func (n *notes) Value(at body.Place, b []byte, value body.Span, key int) (long body.Span) {
	field := body.Span{From: key, To: value.To}
	text := value.Of(b)
	switch n.form.Roles[at] {
	case Cut:
		n.cuts = append(n.cuts, body.Edit{Span: body.WithComma(b, field)})
		return body.Span{}
	case ID:
		switch id, ok := sdk.JSON(text).Str(); {
		case !ok || id == "" || len(n.ids) > maxIDs || slices.Contains(n.ids, id):
		case len(n.ids) == maxIDs:
			n.ids = append(n.ids, "")
		default:
			n.ids = append(n.ids, id)
		}
		return body.Span{}
	case ToolType:
		if kind, _ := sdk.JSON(text).Str(); len(n.tools) > 0 {
			n.tools[len(n.tools)-1] = string(body.Fold([]byte(kind)))
		}
		return body.Span{}
	case User:
		n.user = field
	}
	if text[0] == '"' && len(text) > longText {
		return body.Span{From: value.From + 1, To: value.To - 1}
	}
	return body.Span{}
}

// maxIDs is how many ids of a request or an answer are looked at. One more of a request is
// "", which is nobody's, so that a request with more is refused like one that names
// another's.
const maxIDs = 256

// Anonymous returns the request without the field that says who its user is.
func (r *Request) Anonymous() dialect.Body {
	if r.user == (body.Span{}) {
		return r
	}
	left := *r
	left.Doc, left.user = r.Doc.Without(r.user), body.Span{}
	return &left
}

// Without returns the request itself: what a client sends natively is no wish.
func (r *Request) Without(string) dialect.Body { return r }

// Conversation and User return "": what is chosen by them is chosen by the chat form.
func (r *Request) Conversation() string { return "" }

// User returns "".
func (r *Request) User() string { return "" }

// Tokens estimates how many tokens the request has: a quarter of its bytes.
func (r *Request) Tokens() int64 { return int64(len(r.Whole()) / 4) }

// MaxOutput is [dialect.Body]. It is not read: how long answers usually are is the better
// guess, since clients of this API must always state a most.
func (*Request) MaxOutput() int64 { return 0 }

// Asks returns the first part of the request by which it asks for one of the fields, or for
// a tool whose type begins so; "" if there is none. Those that are known to choose count
// besides.
func (r *Request) Asks(fields, tools []string) string {
	if field := cmp.Or(r.Has(fields), r.Has(choosingFields)); field != "" {
		return field
	}
	for i, kind := range r.tools {
		for _, prefix := range slices.Concat(tools, choosingTools) {
			if strings.HasPrefix(kind, string(body.Fold([]byte(prefix)))) {
				return "tools." + strconv.Itoa(i) + ".type"
			}
		}
	}
	return ""
}
