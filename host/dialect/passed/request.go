package passed

import (
	"bytes"
	"context"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
)

const longText = 1 << 10 // bytes of a text from which on it goes by reference

// request is a checked request in JSON: what clients send, and what adapters get. It never
// changes, and is safe for concurrent use.
type request struct {
	body.Doc
	model string // as the client named it; "" if it did not
	user  string
}

// parse is a [dialect.Parse].
func (s *shape) parse(_ context.Context, b []byte, _ dialect.Caller) (*dialect.Request, error) {
	r := &request{}
	n := notes{shape: s, values: make([]body.Span, len(s.fields))}
	if err := r.Scan(bytes.TrimPrefix(b, []byte("\ufeff")), &s.grammar, &n); err != nil {
		return nil, err
	}
	r.Mend(nil)
	if err := r.read(s, n.values); err != nil {
		return nil, err
	}
	return &dialect.Request{
		Op: s.op, Model: r.model, Body: r, Size: r.Size(), Passes: s.passes,
		Whole: func(i dialect.Info) dialect.Answer { return newAnswer(i) },
	}, nil
}

// notes are what the scan finds: the values of a shape's fields.
type notes struct {
	shape  *shape
	values []body.Span
}

// Begin and End note nothing.
func (*notes) Begin(body.Place, int) {}
func (*notes) End(body.Place, int)   {}

// Value notes a field, and returns the long text in it.
func (n *notes) Value(at body.Place, b []byte, value body.Span, _ int) (long body.Span) {
	i := int(at-body.First) / 2
	if at == placeOf(i) {
		n.values[i] = value
	}
	if n.shape.fields[i].long && b[value.From] == '"' && value.To-value.From > longText {
		return body.Span{From: value.From + 1, To: value.To - 1}
	}
	return body.Span{}
}

// read reads what Kai has to know, and checks what it promises to check.
func (r *request) read(s *shape, values []body.Span) *fault.Error {
	if v := sdk.JSON(r.Doc.Model()); len(v) > 0 && v.Kind() != sdk.KindNull {
		model, ok := v.Str()
		if !ok {
			return wrong("model", "must be a string")
		}
		r.model = model
	}
	for i, f := range s.fields {
		v := sdk.JSON(values[i].Of(r.Whole()))
		if len(v) == 0 || v.Kind() == sdk.KindNull {
			if f.needed {
				return wrong(f.name, "is required")
			}
			continue
		}
		if must := f.check(v); must != "" {
			return wrong(f.name, must)
		}
		if f.name == "user" {
			r.user, _ = v.Str()
		}
	}
	return nil
}

func wrong(at, must string) *fault.Error {
	return &fault.Error{Kind: fault.Invalid, Param: at, Text: at + ": " + must}
}

// Without returns the request itself: it has no field that can be a wish.
func (r *request) Without(string) dialect.Body { return r }

// Conversation returns "": such a request belongs to none.
func (r *request) Conversation() string { return "" }

// User is who the client says the request is for.
func (r *request) User() string { return r.user }

// Tokens estimates how many tokens the request has: a quarter of its bytes.
func (r *request) Tokens() int64 { return int64(len(r.Whole()) / 4) }

// MaxOutput is [dialect.Body].
func (*request) MaxOutput() int64 { return 0 }

// Asks returns the first of the fields that the request has; "" if there is none.
func (r *request) Asks(fields, _ []string) string { return r.Has(fields) }
