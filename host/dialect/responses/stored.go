package responses

import (
	"context"
	"maps"
	"net/url"
	"slices"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/native"
	"github.com/kai-gateway/kai/host/facts"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// StoredRequest says what a client asks of a response that a provider keeps.
type StoredRequest struct {
	Method string // GET or DELETE
	ID     string
	Part   string // below the response's path: InputItems, or "" for the response itself
	Query  string // of the URL, as the provider gets it; "": none
	Model  string // the alias that it was made with
}

// InputItems is the part of a response that has what was said before it.
const InputItems = "input_items"

// storedForm is the form of the request to an adapter.
var storedForm = native.Form{
	Grammar: body.Grammar{
		Needs:  "id",
		Places: []body.Node{body.Top: {Fields: []body.Field{{Name: "model", Place: body.Model}, {Name: "id", Place: atID}}}},
	},
	Roles: native.Roles{atID: native.ID},
}.Indexed()

// ParseStored returns a Parse that makes a request of k, whatever the body is. Only the
// target that keeps the response can be asked.
func ParseStored(k StoredRequest) dialect.Parse {
	return func(context.Context, []byte, dialect.Caller) (*dialect.Request, error) {
		b := sdk.AppendQuote([]byte(`{"method":`), k.Method)
		b = facts.AppendString(append(b, `,"id":`...), k.ID)
		if k.Part != "" {
			b = facts.AppendString(append(b, `,"part":`...), k.Part)
		}
		if k.Query != "" {
			b = facts.AppendString(append(b, `,"query":`...), k.Query)
		}
		b = append(b, '}')
		return &dialect.Request{
			Op: abi.Stored, NativeOp: abi.Stored, Model: k.Model, Size: int64(len(b)), Untranslated: noResponse(),
			Native: func() (*dialect.Native, error) {
				q, err := native.Parse(b, &storedForm)
				if err != nil {
					return nil, err
				}
				return &dialect.Native{
					Size: q.Size(), IDs: q.IDs, Unknown: noResponse(),
					Body:  func(_, _ func(string) bool) dialect.Body { return q },
					Whole: func(i dialect.Info) dialect.Passing { return native.NewWhole(i, newPassage(i, &wholeForm)) },
				}, nil
			},
		}, nil
	}
}

// queries are the parameters of a URL's query that a provider gets.
var queries = []string{"after", "before", "include", "include[]", "limit", "order"}

// StoredQuery returns the part of a URL's query that a provider gets, encoded. It deletes the
// other parameters from values.
func StoredQuery(values url.Values) string {
	maps.DeleteFunc(values, func(name string, _ []string) bool { return !slices.Contains(queries, name) })
	return values.Encode()
}
