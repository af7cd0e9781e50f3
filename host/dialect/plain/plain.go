// Package plain has what those dialects share whose requests are no conversations, and
// reach an adapter as they are but for a few edits: embeddings, completions, and what is
// passed on.
package plain

import (
	"bytes"
	"strconv"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
)

// Request is a checked request. Whoever reads it fills it in; from then on it never changes,
// and is safe for concurrent use.
type Request struct {
	body.Doc
	Model  string // as the client named it; "" if it did not
	Caller string // who the client says the request is for
	Output int64  // tokens that the answer may have; 0: nobody says
}

var _ dialect.Body = (*Request)(nil)

// ReadModel takes the model out of the body that was scanned.
func (r *Request) ReadModel() *fault.Error {
	v := sdk.JSON(r.Doc.Model())
	if len(v) == 0 || v.Kind() == sdk.KindNull {
		return nil
	}
	ok := false
	if r.Model, ok = v.Str(); !ok {
		return Wrong("model", "must be a string")
	}
	return nil
}

// Without returns the request itself: it has no field that can be a wish.
func (r *Request) Without(string) dialect.Body { return r }

// Conversation returns "": the request belongs to none.
func (r *Request) Conversation() string { return "" }

// User is who the client says the request is for.
func (r *Request) User() string { return r.Caller }

// Tokens estimates how many tokens the request has: a quarter of its bytes.
func (r *Request) Tokens() int64 { return int64(len(r.Whole()) / 4) }

// MaxOutput is how many tokens the answer may have at most; 0 if nobody says.
func (r *Request) MaxOutput() int64 { return r.Output }

// Asks returns the first of the fields that the request has; "" if there is none. These APIs
// have no tools, so if some tools would choose, a field tools counts whatever is in it.
func (r *Request) Asks(fields, tools []string) string {
	if field := r.Has(fields); field != "" || len(tools) == 0 {
		return field
	}
	return r.Has([]string{"tools"})
}

// Wrong is the error for a request that has the wrong thing at a place. must says what has
// to be there.
func Wrong(at, must string) *fault.Error {
	return &fault.Error{Kind: fault.Invalid, Param: at, Text: at + ": " + must}
}

// Items notes where the items of a list are. They must all be of one kind. A list of
// numbers is one text as tokens, and has no items.
//
//   - name: of the field, for errors
//   - at: the list, in b
//   - most: how many items there may be
//   - check: what an item must be instead; "": it is right
//   - kind: of the items
func Items(name string, b []byte, at body.Span, most int, check func(item sdk.JSON) (must string)) (items []body.Span, kind sdk.Kind, err *fault.Error) {
	n, from := 0, at.From
	for it := sdk.Array(at.Of(b)); it.Next(); n++ {
		item, must := it.Value(), ""
		if n == 0 {
			kind = item.Kind()
		}
		if item.Kind() != kind {
			must = "must be of the same kind as the items before it"
		} else if kind == sdk.KindNumber && !isToken(item) {
			must = "must be a token, an integer of at least 0"
		} else {
			must = check(item)
		}
		switch {
		case must != "":
			return nil, kind, Wrong(name+"["+strconv.Itoa(n)+"]", must)
		case kind == sdk.KindNumber:
			continue
		case n == most:
			return nil, kind, Wrong(name, "must have at most "+strconv.Itoa(most)+" items")
		}
		from += 1 + bytes.Index(b[from+1:at.To], item[:1]) // between two items there are only commas and space
		items = append(items, body.Span{From: from, To: from + len(item)})
		from += len(item) - 1
	}
	if n == 0 {
		return nil, kind, Wrong(name, "must not be empty")
	}
	return items, kind, nil
}

func isToken(v sdk.JSON) bool {
	n, ok := v.Int()
	return ok && n >= 0
}

// CheckTokens returns what is wrong with a list of tokens; "": nothing.
func CheckTokens(list sdk.JSON) (must string) {
	n := 0
	for it := sdk.Array(list); it.Next(); n++ {
		if !isToken(it.Value()) {
			return "must have nothing but tokens, integers of at least 0"
		}
	}
	if n == 0 {
		return "must not be empty"
	}
	return ""
}

// Keep returns the edits that leave n of a list's items, beginning with from.
func Keep(items []body.Span, from, n int) (edits []body.Edit) {
	last := len(items) - 1
	if from > 0 {
		edits = append(edits, body.Edit{Span: body.Span{From: items[0].From, To: items[from].From}})
	}
	if to := from + n; to <= last {
		edits = append(edits, body.Edit{Span: body.Span{From: items[to-1].To, To: items[last].To}})
	}
	return edits
}

// maxTokens is how many bytes of lists of tokens an adapter gets at once: half of what fits
// into its memory. Texts go by reference, tokens don't.
const maxTokens = 4 << 20

// AtOnce returns how many items of a list one request may have, if they are lists of tokens
// that together are too long for an adapter; else 0.
func AtOnce(b []byte, items []body.Span) int {
	total, longest := 0, 0
	for _, item := range items {
		if b[item.From] == '[' {
			total, longest = total+item.To-item.From, max(longest, item.To-item.From)
		}
	}
	if total <= maxTokens {
		return 0
	}
	return max(1, maxTokens/longest)
}
