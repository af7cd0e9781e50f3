package embeddings

import (
	"bytes"
	"context"
	"slices"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/plain"
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
	atBelow                               // what an object of the input has in it, whose long texts go by reference
	atUnknown = atBelow + body.WithID + 1 // what Kai doesn't look at
	// Each of these two and the next are those of body.NodesOfIDs.
)

var grammar = body.Grammar{
	Needs: "input", Folds: true,
	Known: []string{"model", "input", "encoding_format", "dimensions", "user", "stream"},
	Places: append([]body.Node{
		body.Top: {Other: atUnknown, Fields: append([]body.Field{
			{Name: "model", Place: body.Model}, {Name: "input", Place: atInput}, {Name: "encoding_format", Place: atFormat},
			{Name: "dimensions", Place: atDimensions}, {Name: "user", Place: atUser}, {Name: "stream", Place: atStream},
		}, ofIDs[body.AnyPlace].Fields...)},
		atInput:  {Element: atItem},
		atItem:   below[body.AnyPlace],
		atStream: {},
	}, slices.Concat(below, ofIDs)...),
}.Indexed()

var below, ofIDs = body.NodesOfIDs(atBelow), body.NodesOfIDs(atUnknown)

// Request is a checked request for embeddings: what clients send, and what adapters get. It
// never changes, and is safe for concurrent use.
type Request struct {
	plain.Request
	Base64 bool // the client wants its vectors in base64

	items  []body.Span // of an array of texts, of lists of tokens, or of objects; else nil
	atOnce int         // how many of them one request may have; see [plain.AtOnce]
	edits  []body.Edit
	named  body.IDs // of what providers keep
}

// Parse reads a request to POST /v1/embeddings. It is a [dialect.Parse].
func Parse(_ context.Context, b []byte, _ dialect.Caller) (*dialect.Request, error) {
	r, err := ParseRequest(b)
	if err != nil {
		return nil, err
	}
	return &dialect.Request{
		Op: abi.Embeddings, Model: r.Model, Body: r, Size: r.Size(), IDs: r.named.All(), Inputs: r.Inputs(), InputsAtOnce: r.atOnce, Part: r.part,
		Whole: func(i dialect.Info) dialect.Answer { return newAnswer(i, r.Base64) },
	}, nil
}

// ParseRequest checks the body of a request for embeddings. The Request keeps body, which
// must not change from then on. The field stream, which this API doesn't have and some
// clients send all the same, is left out, and so are fields that are null.
//
//   - error: a *fault.Error
func ParseRequest(b []byte) (*Request, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	r := &Request{}
	n := notes{}
	if err := r.Scan(b, &grammar, &n); err != nil {
		return nil, err
	}
	for _, field := range n.left {
		r.edits = append(r.edits, body.Edit{Span: body.WithComma(b, field)})
	}
	r.Mend(r.edits)
	if err := r.read(b, &n); err != nil {
		return nil, err
	}
	r.named, r.atOnce = n.named, plain.AtOnce(b, r.items)
	return r, nil
}

// notes are what the scan finds; a span is zero if there is no such field.
type notes struct {
	input, format, dimensions, user body.Span
	left                            []body.Span // what is left out: fields with their keys
	named                           body.IDs
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
	}
	if at == atStream || (at == atFormat || at == atDimensions || at == atUser) && b[value.From] == 'n' {
		n.left = append(n.left, body.Span{From: key, To: value.To})
	}
	if at >= atUnknown {
		n.named.Note(at-atUnknown, value.Of(b))
		return body.Span{}
	}
	if at >= atBelow {
		n.named.Note(at-atBelow, value.Of(b))
	}
	if (at == atInput || at == atItem || at >= atBelow) && b[value.From] == '"' && value.To-value.From > longText {
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
	if err := r.ReadModel(); err != nil {
		return err
	}
	if v, there := field(n.format); there {
		switch format, _ := v.Str(); format {
		case "float":
		case "base64":
			r.Base64 = true
		default:
			return plain.Wrong("encoding_format", "must be float or base64")
		}
	}
	if v, there := field(n.dimensions); there {
		if d, ok := v.Int(); !ok || d < 1 {
			return plain.Wrong("dimensions", "must be an integer of at least 1")
		}
	}
	if v, there := field(n.user); there {
		ok := false
		if r.Caller, ok = v.Str(); !ok {
			return plain.Wrong("user", "must be a string")
		}
	}
	v, there := field(n.input)
	if !there {
		return plain.Wrong("input", "is required: a text, or an array of texts or tokens")
	}
	return r.readInput(b, n.input, v)
}

// readInput checks the input, which stands at a place in b.
func (r *Request) readInput(b []byte, at body.Span, input sdk.JSON) (err *fault.Error) {
	switch input.Kind() {
	case sdk.KindString:
		if len(input) == len(`""`) {
			return plain.Wrong("input", "must not be empty")
		}
		return nil
	case sdk.KindArray:
		r.items, _, err = plain.Items("input", b, at, maxInputs, checkItem)
		return err
	}
	return plain.Wrong("input", "must be a text, or an array of texts, tokens or lists of tokens")
}

// checkItem returns what is wrong with an item of the input; "": nothing. Only the provider
// knows what an object means.
func checkItem(v sdk.JSON) string {
	switch v.Kind() {
	case sdk.KindString:
		if len(v) == len(`""`) {
			return "must not be empty"
		}
	case sdk.KindArray:
		return plain.CheckTokens(v)
	case sdk.KindNumber, sdk.KindObject:
	default:
		return "must be a text, a token or a list of tokens"
	}
	return ""
}

// Inputs returns how many vectors the client wants.
func (r *Request) Inputs() int { return max(1, len(r.items)) }

// Size returns how many bytes the Request keeps besides the body.
func (r *Request) Size() int64 { return r.Doc.Size() + r.named.Size() + int64(cap(r.items))*16 }

// part returns the request for n of its inputs, the first of which is from.
func (r *Request) part(from, n int) dialect.Body {
	if n >= len(r.items) {
		return r
	}
	p := *r
	p.items = r.items[from : from+n]
	p.Mend(append(plain.Keep(r.items, from, n), r.edits...))
	return &p
}
