package responses

import (
	"net/http"
	"time"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
)

// patience is how long a client is asked to wait if nobody knows how long it must. Codex
// gives up at once on a 429 that does not say it.
const patience = 5 * time.Second

// Dialect returns what all paths of the Responses API have in common: everything is as in
// OpenAI's other APIs, except that a client that asks too often is always told when to ask
// again.
func Dialect() *dialect.Dialect {
	d := dialect.OpenAI()
	d.Translate = func(e *fault.Error) *fault.Error {
		if e.HTTPStatus() != http.StatusTooManyRequests || e.RetryAfter > 0 || e.Kind == fault.Quota {
			return e
		}
		own := *e
		own.RetryAfter = patience
		return &own
	}
	return d
}
