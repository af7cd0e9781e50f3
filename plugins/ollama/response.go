package ollama

import (
	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Response handles a whole answer: one object with the whole message, or an error.
func (*adapter) Response(r *sdk.Response, s *state, out *sdk.Out) error {
	if r.Op == abi.Embeddings {
		return embedded(r, s, out)
	}
	if r.Op.Native() {
		return passed(r, s, out)
	}
	if r.Op == abi.Completions {
		return errortext.InCompletions(answered(r, s, out))
	}
	return answered(r, s, out)
}

func answered(r *sdk.Response, s *state, out *sdk.Out) error {
	if r.Status < 200 || r.Status > 299 {
		return failed(r, s)
	}
	if err := take(r.Body, s, out); err != nil {
		return err
	}
	if !s.Ended {
		return errortext.Upstream("Ollama's answer is not complete.")
	}
	return nil
}
