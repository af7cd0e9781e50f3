package responses

import (
	"context"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/sdk/abi"
)

// ParseCount returns what reads requests to POST /v1/responses/input_tokens: those to
// /v1/responses, whose tokens are only counted, and of which nothing is remembered.
func ParseCount(o Options) dialect.Parse {
	parse := Parse(o)
	return func(ctx context.Context, b []byte, c dialect.Caller) (*dialect.Request, error) {
		r, err := parse(ctx, b, c)
		if err != nil {
			return nil, err
		}
		r.Op, r.NativeOp, r.Stream, r.Remember = abi.Count, abi.CountResponses, false, nil
		r.Whole = func(i dialect.Info) dialect.Answer {
			return dialect.NewCount(i, `{"object":"response.input_tokens","input_tokens":`)
		}
		return r, nil
	}
}
