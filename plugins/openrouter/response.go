package openrouter

import (
	"github.com/kai-gateway/kai/plugins/internal/embedding"
	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/plugins/internal/openaichat"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// dialect says how OpenRouter's answers differ: failures say more, and there are fields about
// whose account pays.
var dialect = openaichat.Dialect{
	Name:         "OpenRouter",
	Failure:      func(head sdk.Head, e sdk.JSON) error { return failure(0, head, e) },
	BrokenOff:    brokenOff,
	Private:      []string{"user_id"},
	PrivateUsage: []string{"is_byok"},
}

// Response handles a whole answer. Even with status 200 it may be an error:
// https://openrouter.ai/docs/api/reference/errors-and-debugging
func (*adapter) Response(r *sdk.Response, s *state, out *sdk.Out) error {
	if r.Op == abi.Embeddings {
		return embedded(r, out)
	}
	if r.Op.Native() {
		return passed(r, s, out)
	}
	if r.Op == abi.Completions {
		if r.Status < 200 || r.Status > 299 {
			return errortext.InCompletions(refused(r))
		}
		return dialect.WholeCompletion(r, out)
	}
	if r.Status < 200 || r.Status > 299 {
		return explain(refused(r), &s.State)
	}
	return explain(dialect.Whole(r, out), &s.State)
}

// embedded states the vectors of an answer.
func embedded(r *sdk.Response, out *sdk.Out) error {
	switch body := sdk.JSON(r.Body); {
	case r.Status < 200 || r.Status > 299:
		return errortext.InEmbeddings(refused(r))
	case body.Valid() == nil && !body.Get("error").Empty():
		return errortext.InEmbeddings(failure(0, r.Head, body.Get("error")))
	case !embedding.OpenAI(body, out):
		return errortext.Upstream("OpenRouter's answer is no list of embeddings.")
	}
	return nil
}

// Event handles one chunk of a stream.
func (*adapter) Event(e *sdk.Event, s *state, out *sdk.Out) error {
	if e.Op.Native() {
		return others.Event(e, &s.Usage, out)
	}
	if e.Op == abi.Completions {
		return dialect.CompletionEvent(e, &s.State, out)
	}
	return explain(dialect.Event(e, &s.State, out), &s.State)
}
