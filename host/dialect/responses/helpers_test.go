package responses

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/fault"
)

func raws(texts ...string) (all []json.RawMessage) {
	for _, text := range texts {
		all = append(all, json.RawMessage(text))
	}
	return all
}

// parsed reads a request of alice.
func parsed(o Options, body string) (*dialect.Request, *fault.Error) {
	r, err := translated(o, "alice", []byte(body))
	var e *fault.Error
	if err != nil && !errors.As(err, &e) {
		panic("not a *fault.Error: " + err.Error())
	}
	return r, e
}

// translated reads a request that is answered in translation.
func translated(o Options, principal string, body []byte) (*dialect.Request, error) {
	r, err := Parse(o)(context.Background(), body, dialect.Caller{Principal: principal})
	switch {
	case err != nil:
		return nil, err
	case r.Untranslated != nil:
		return nil, r.Untranslated
	case r.Remember != nil:
		r.Remember()
	}
	return r, nil
}

// chatBody returns the chat completion that a request becomes.
func chatBody(t testing.TB, o Options, body string) string {
	t.Helper()
	r, err := parsed(o, body)
	if err != nil {
		t.Fatalf("%s is refused: %v", body, err)
	}
	return string(r.Body.Body(r.Model))
}

// openSummary returns the summary that is sealed in the encrypted_content of an item.
func openSummary(sealed string) ([]byte, error) {
	c, _, err := seal.Open(sealed, new(seal.MaxOpen))
	return summaryIn(c), err
}
