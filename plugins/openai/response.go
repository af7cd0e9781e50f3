package openai

import (
	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/plugins/internal/openaichat"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// dialect is for servers of which nothing special is known.
var dialect = openaichat.Dialect{
	Name:      "The provider",
	Failure:   func(head sdk.Head, e sdk.JSON) error { return failure(0, head, e) },
	BrokenOff: brokenOff,
}

// Response handles a whole answer of any operation.
func (*adapter) Response(r *sdk.Response, s *openaichat.State, out *sdk.Out) error {
	if r.Op == abi.Count {
		return counted(r, out)
	}
	if r.Op == abi.Embeddings {
		return embedded(r, out)
	}
	if r.Op == abi.Responses || r.Op == abi.CompactResponses {
		return passedWhole(r, out)
	}
	if r.Op == abi.CountResponses {
		return passedCount(r, out)
	}
	if r.Op == abi.Stored {
		return kept(r, out)
	}
	if to, ok := passed[r.Op]; ok {
		return to.answer(r, s, out)
	}
	if r.Op == abi.Completions {
		if r.Status < 200 || r.Status > 299 {
			return errortext.InCompletions(failure(r.Status, r.Head, r.Body))
		}
		return dialect.WholeCompletion(r, out)
	}
	if r.Status < 200 || r.Status > 299 {
		return failure(r.Status, r.Head, r.Body)
	}
	return dialect.Whole(r, out)
}

// Event handles one event of a stream.
func (*adapter) Event(e *sdk.Event, s *openaichat.State, out *sdk.Out) error {
	switch e.Op {
	case abi.Chat: // first, because looking an operation up takes longer than most of its events
		return dialect.Event(e, s, out)
	case abi.Completions:
		return dialect.CompletionEvent(e, s, out)
	case abi.Responses:
		return responses.Event(e, nil, out)
	}
	if to, ok := passed[e.Op]; ok {
		return to.event(e, s, out)
	}
	return dialect.Event(e, s, out)
}
