package host

import (
	"fmt"
	"io"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/upstream"
)

// pass gives the client the bytes of an answer as they come. The first ones commit it. The
// adapter, which asked for this, gets none of them.
func (a *attempt) pass(res *upstream.Response) error {
	a.finalStep = true
	contentType, ok := "", false
	if passes := a.call.request.Passes; passes != nil {
		contentType, ok = passes(res.MediaType())
	}
	if !ok {
		return &fault.Error{
			Kind: fault.Upstream, Code: "upstream_error",
			Text: fmt.Sprintf("Provider '%s' answered with something other than what was asked for.", a.provider.name),
		}
	}
	for {
		piece, more, err := res.Piece()
		if err != nil && err != io.EOF {
			return err
		}
		if a.bytes += int64(len(piece)); a.bytes > int64(a.provider.config.Limits.StreamOutput) {
			return a.adapterError(nil, "The answer of provider '%s' is larger than its limits.stream_output allows.", a.provider.name)
		}
		if len(piece) > 0 {
			if err := a.answer.pass(contentType, piece, !more); err != nil {
				return err
			}
			a.hasContent, a.committed = true, true
			a.releaseRequest()
		}
		switch {
		case err == nil:
		case !a.committed:
			return &fault.Error{Kind: fault.Upstream, Code: "upstream_error", Text: fmt.Sprintf("Provider '%s' answered with nothing.", a.provider.name)}
		default:
			return nil
		}
	}
}
