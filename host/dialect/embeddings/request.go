package embeddings

import (
	"bytes"
	"context"
	"strconv"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

const (
	maxInputs = 2048    // as many as OpenAI takes
	longText  = 1 << 10 // bytes of a text from which on it goes by reference
)

// The places of a request that Kai looks at.
const (
	atInput = body.First + iota
	atItem  // input[]
	atFormat
	atDimensions
	atUser
	atStream
)

var grammar = body.Grammar{
	Needs: "input",
	Known: func(name []byte) bool {
		switch string(name) {
		case "model", "input", "encoding_format", "dimensions", "user", "stream":
			return true
		}
		return false
	},
	Places: []body.Node{
		body.Top: {Fields: []body.Field{
			{Name: "model", Place: body.Model}, {Name: "input", Place: atInput}, {Name: "encoding_format", Place: atFormat},
			{Name: "dimensions", Place: atDimensions}, {Name: "user", Place: atUser}, {Name: "stream", Place: atStream},
		}},
		atInput: {Element: atItem},
	},
}

// Request is a checked request for embeddings: what clients send, and what adapters get. It
// never changes, and is safe for concurrent use.
type Request struct {
	body.Doc
	Model  string // as the client named it; "" if it did not
	Base64 bool   // the client wants its vectors in base64

	user  string
	items []body.Span // of an array of texts, of lists of tokens, or of objects; else nil
	edits []body.Edit
}

// Parse reads a request to POST /v1/embeddings. It is a [dialect.Parse].
func Parse(_ context.Context, b []byte, _ dialect.Caller) (*dialect.Request, error) {
	r, err := ParseRequest(b)
	if err != nil {
		return nil, err
	}
	return &dialect.Request{
		Op: abi.Embeddings, Model: r.Model, Body: r, Size: r.Size(), Inputs: r.Inputs(), Part: r.part,
		Whole: func(i dialect.Info) dialect.Answer { return newAnswer(i, r.Base64) },
	}, nil
}

// ParseRequest checks the body of a request for embeddings. The Request keeps body, which
// must not change from then on. The field stream, which this API doesn't have and some
// clients send all the same, is left out.
//
//   - error: a *fault.Error
func ParseRequest(b []byte) (*Request, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	r := &Request{}
	n := notes{}
	if err := r.Scan(b, &grammar, &n); err != nil {
		return nil, err
	}
	if n.stream != (body.Span{}) {
		r.edits = []body.Edit{{Span: body.WithComma(b, n.stream)}}
	}
	r.Mend(r.edits)
	if err := r.read(b, &n); err != nil {
		return nil, err
	}
	return r, nil
}

// notes are what the scan finds; a span is zero if there is no such field.
type notes struct {
	input, format, dimensions, user body.Span
	stream                          body.Span // with its key
}

// Begin and End note nothing.
func (*notes) Begin(body.Place, int) {}
func (*notes) End(body.Place, int)   {}

// Value notes a field, and returns the long text in it.
func (n *notes) Value(at body.Place, b []byte, value body.Span, key int) (long body.Span) {
	switch at {
	case atInput:
		n.input = value
	case atFormat:
		n.format = value
	case atDimensions:
		n.dimensions = value
	case atUser:
		n.user = value
	case atStream:
		n.stream = body.Span{From: key, To: value.To}
	}
	if (at == atInput || at == atItem) && b[value.From] == '"' && value.To-value.From > longText {
		return body.Span{From: value.From + 1, To: value.To - 1}
	}
	return body.Span{}
}

// read fills the fields of r and checks what Kai promises to check; everything else passes.
// A field that is null counts as absent.
func (r *Request) read(b []byte, n *notes) *fault.Error {
	field := func(s body.Span) (v sdk.JSON, there bool) {
		v = s.Of(b)
		return v, len(v) > 0 && v.Kind() != sdk.KindNull
	}
	ok := true
	if v, there := sdk.JSON(r.Doc.Model()), len(r.Doc.Model()) > 0; there && v.Kind() != sdk.KindNull {
		if r.Model, ok = v.Str(); !ok {
			return wrong("model", "must be a string")
		}
	}
	if v, there := field(n.format); there {
		switch format, _ := v.Str(); format {
		case "float":
		case "base64":
			r.Base64 = true
		default:
			return wrong("encoding_format", "must be float or base64")
		}
	}
	if v, there := field(n.dimensions); there {
		if d, ok := v.Int(); !ok || d < 1 {
			return wrong("dimensions", "must be an integer of at least 1")
		}
	}
	if v, there := field(n.user); there {
		if r.user, ok = v.Str(); !ok {
			return wrong("user", "must be a string")
		}
	}
	v, there := field(n.input)
	if !there {
		return wrong("input", "is required: a text, or an array of texts or tokens")
	}
	return r.readInput(v, n.input.From)
}

// readInput checks the input, which stands at from.
func (r *Request) readInput(input sdk.JSON, from int) *fault.Error {
	switch input.Kind() {
	case sdk.KindString:
		if len(input) == len(`""`) {
			return wrong("input", "must not be empty")
		}
		return nil
	case sdk.KindArray:
	default:
		return wrong("input", "must be a text, or an array of texts, tokens or lists of tokens")
	}
	kind, at := sdk.KindAbsent, from
	n := 0
	for it := sdk.Array(input); it.Next(); n++ {
		v := it.Value()
		if n == 0 {
			kind = v.Kind()
		}
		if v.Kind() != kind {
			return wrong(place(n), "must be of the same kind as the items before it")
		}
		if problem := checkItem(v); problem != "" {
			return wrong(place(n), problem)
		}
		if kind == sdk.KindNumber {
			continue
		}
		if n == maxInputs {
			return wrong("input", "must have at most "+strconv.Itoa(maxInputs)+" items")
		}
		at += 1 + bytes.Index(input[at+1-from:], v[:1]) // between two items there are only commas and space
		r.items = append(r.items, body.Span{From: at, To: at + len(v)})
		at += len(v) - 1
	}
	if n == 0 {
		return wrong("input", "must not be empty")
	}
	return nil
}

// checkItem returns what is wrong with an item of the input; "": nothing. What an object
// means only its provider knows.
func checkItem(v sdk.JSON) string {
	switch v.Kind() {
	case sdk.KindString:
		if len(v) == len(`""`) {
			return "must not be empty"
		}
	case sdk.KindNumber:
		if !isToken(v) {
			return "must be a token, an integer of at least 0"
		}
	case sdk.KindArray:
		n := 0
		for it := sdk.Array(v); it.Next(); n++ {
			if !isToken(it.Value()) {
				return "must have nothing but tokens, integers of at least 0"
			}
		}
		if n == 0 {
			return "must not be empty"
		}
	case sdk.KindObject:
	default:
		return "must be a text, a token or a list of tokens"
	}
	return ""
}

func isToken(v sdk.JSON) bool {
	n, ok := v.Int()
	return ok && n >= 0
}

func place(item int) string { return "input[" + strconv.Itoa(item) + "]" }

func wrong(at, must string) *fault.Error {
	return &fault.Error{Kind: fault.Invalid, Param: at, Text: at + ": " + must}
}

// Inputs returns how many vectors the client wants.
func (r *Request) Inputs() int { return max(1, len(r.items)) }

// Size returns how many bytes the Request keeps besides the body.
func (r *Request) Size() int64 { return r.Doc.Size() + int64(cap(r.items))*16 }

// part returns the request for n of its inputs, the first of which is from.
func (r *Request) part(from, n int) dialect.Body {
	if n >= len(r.items) {
		return r
	}
	edits := append([]body.Edit(nil), r.edits...)
	if from > 0 {
		edits = append(edits, body.Edit{Span: body.Span{From: r.items[0].From, To: r.items[from].From}})
	}
	if to := from + n; to < len(r.items) {
		edits = append(edits, body.Edit{Span: body.Span{From: r.items[to-1].To, To: r.items[len(r.items)-1].To}})
	}
	p := *r
	p.items = r.items[from : from+n]
	p.Mend(edits)
	return &p
}

// Without returns the request itself: it has no field that can be a wish.
func (r *Request) Without(string) dialect.Body { return r }

// Conversation returns "": a request for embeddings belongs to none.
func (r *Request) Conversation() string { return "" }

// User is who the client says the request is for.
func (r *Request) User() string { return r.user }

// Tokens estimates how many tokens the request has: a quarter of its bytes.
func (r *Request) Tokens() int64 { return int64(len(r.Whole()) / 4) }

// MaxOutput is [dialect.Body]: vectors are no tokens.
func (*Request) MaxOutput() int64 { return 0 }

// Asks returns the first of the fields that the request has; "" if there is none.
func (r *Request) Asks(fields, _ []string) string { return r.Has(fields) }
