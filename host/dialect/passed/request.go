package passed

import (
	"bytes"
	"context"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/plain"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

const longText = 1 << 10 // bytes of a text from which on it goes by reference

// request is a checked request in JSON: what clients send, and what adapters get. It never
// changes, and is safe for concurrent use.
type request struct {
	plain.Request
	stream bool // the client wants events

	pictures, characters int64 // as dialect.Request has them
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
		Op: s.op, Model: r.Model, Stream: r.stream, Body: r, Size: r.Size() + n.named.Size(), IDs: n.named.All(), Passes: s.passes,
		Pictures: r.pictures, Characters: r.characters,
		Whole:    func(i dialect.Info) dialect.Answer { return newAnswer(i) },
		Streamed: func(i dialect.Info) dialect.Stream { return stream{info: i} },
	}, nil
}

// notes are what the scan finds: the values of a shape's fields.
type notes struct {
	shape  *shape
	values []body.Span
	named  body.IDs // of what providers keep
}

// Begin and End note nothing.
func (*notes) Begin(body.Place, int) {}
func (*notes) End(body.Place, int)   {}

// Value notes a field, and returns the long text in it.
func (n *notes) Value(at body.Place, b []byte, value body.Span, _ int) (long body.Span) {
	if b[value.From] == '"' && value.To-value.From > longText {
		long = body.Span{From: value.From + 1, To: value.To - 1}
	}
	below, unknown := n.shape.below(), n.shape.unknown()
	switch {
	case at >= unknown:
		n.named.Note(at-unknown, value.Of(b))
		return body.Span{}
	case at >= below:
		if !n.shape.data {
			n.named.Note(at-below, value.Of(b))
		}
		return long
	}
	i := int(at-body.First) / 2
	if at == placeOf(i) {
		n.values[i] = value
	}
	if !n.shape.fields[i].long {
		return body.Span{}
	}
	return long
}

// read reads what Kai has to know, and checks what it promises to check.
func (r *request) read(s *shape, values []body.Span) *fault.Error {
	if err := r.ReadModel(); err != nil {
		return err
	}
	if s.op == abi.Images {
		r.pictures = 1
	}
	for i, f := range s.fields {
		v := sdk.JSON(values[i].Of(r.Whole()))
		if len(v) == 0 || v.Kind() == sdk.KindNull {
			if f.needed {
				return plain.Wrong(f.name, "is required"+f.hint)
			}
			continue
		}
		if must := f.check(v); must != "" {
			return plain.Wrong(f.name, must)
		}
		r.stream = r.stream || f.streams != nil && f.streams(v)
		switch {
		case s.op == abi.Images && f.name == "n":
			r.pictures, _ = v.Int()
		case s.op == abi.Speech && f.name == "input":
			r.characters = characters(v)
		}
		if f.name == "user" {
			r.Caller, _ = v.Str()
		}
	}
	return nil
}

// characters returns how many characters a JSON string has. An escape counts as one.
func characters(v sdk.JSON) (n int64) {
	for i := 1; i < len(v)-1; i++ {
		switch c := v[i]; {
		case c == '\\' && v[i+1] == 'u':
			i += len("u0000")
		case c == '\\':
			i++
		case !utf8.RuneStart(c):
			continue
		}
		n++
	}
	return n
}
