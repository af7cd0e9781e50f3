package responses

import (
	"bytes"
	"context"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

// ParseCompact is a [dialect.Parse] of requests to POST /v1/responses/compact, which make a
// conversation shorter. They have fewer fields than those to /v1/responses. Only a provider
// that speaks this API can read what it makes of a conversation, so no request is
// translated.
func ParseCompact(_ context.Context, b []byte, _ dialect.Caller) (*dialect.Request, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	var r reading
	if err := r.read(b); err != nil {
		return nil, err
	}
	if err := r.fields.checkAlways(); err != nil {
		return nil, err
	}
	if r.fields.flag("stream", false) {
		return nil, unsupported("stream", "not supported: a compacted conversation comes as a whole; leave it out")
	}
	model, _ := r.fields["model"].Str()
	untranslated := &fault.Error{
		Kind: fault.Invalid, Code: "unsupported_operation", Param: "model",
		Text: "Only a provider that speaks the Responses API itself can compact a conversation here, and only one without what Kai has sealed.",
	}
	return &dialect.Request{
		Op: abi.CompactResponses, NativeOp: abi.CompactResponses, Model: model, Untranslated: untranslated,
		Native: func() (*dialect.Native, error) { return passed(b, untranslated) },
	}, nil
}
