package openrouter

import (
	"github.com/kai-gateway/kai/plugins/internal/openaichat"
	"github.com/kai-gateway/kai/sdk"
)

// dialect is what OpenRouter's answers have of their own: failures with more to
// say, and fields about whose account paid.
var dialect = openaichat.Dialect{
	Name:         "OpenRouter",
	Failure:      func(head sdk.Head, e sdk.JSON) error { return failure(0, head, e) },
	BrokenOff:    brokenOff,
	Private:      []string{"user_id"},
	PrivateUsage: []string{"is_byok"},
}

// Response takes a whole answer. One with status 200 may still be an error:
// https://openrouter.ai/docs/api/reference/errors-and-debugging
func (adapter) Response(r *sdk.Response, _ *openaichat.State, out *sdk.Out) error {
	if r.Status < 200 || r.Status > 299 {
		return refused(r)
	}
	return dialect.Whole(r, out)
}

// Event takes one chunk of a stream.
func (adapter) Event(e *sdk.Event, s *openaichat.State, out *sdk.Out) error {
	return dialect.Event(e, s, out)
}
