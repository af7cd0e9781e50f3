package api

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

// fail answers with err, unless the answer has begun, and notes it for the log. A
// *fault.Error is answered as its kind says. Anything else is an internal error: the
// client gets the request's ID, and the log the rest.
func (x *Exchange) fail(err error) {
	x.note(err)
	if x.writer.wrote {
		return
	}
	e := x.ClientError(err)
	if x.dialect.Translate != nil {
		e = x.dialect.Translate(e)
	}
	h := x.Writer.Header()
	if e.Kind == fault.Unauthenticated && x.dialect.Challenge != "" {
		h.Set("WWW-Authenticate", x.dialect.Challenge)
	}
	if e.RetryAfter > 0 {
		seconds := (e.RetryAfter - 1) / time.Second // plus one below, to round up
		h.Set("Retry-After", strconv.FormatInt(int64(seconds)+1, 10))
	}
	if !e.Repeatable() {
		h.Set("X-Should-Retry", "false")
	}
	x.answerEarly()
	if err := x.JSON(e.HTTPStatus(), x.dialect.AppendError(nil, e, x.ID)); err != nil {
		x.note(err)
	}
}

// ClientError returns what the client may learn of err: the *fault.Error in it, or
// an internal error with the request's ID in place of anything else.
func (x *Exchange) ClientError(err error) *fault.Error {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e
	}
	return &fault.Error{Kind: fault.Internal, Text: "internal error, request " + x.ID}
}

func (s *server) unknownPath(r *http.Request) error {
	return &fault.Error{
		Kind: fault.NotFound,
		Text: fmt.Sprintf("There is no %s %s here.%s %s", fault.Shown(r.Method, fault.MaxShown), fault.Shown(r.URL.Path, fault.MaxShown), s.adviceFor(r.URL.Path), s.table.served),
	}
}

// adviceFor says what was likely meant by a path that doesn't exist, and what to do about it;
// "" if nobody knows. It begins with a space.
func (s *server) adviceFor(wrong string) string {
	meant := path.Clean("/" + wrong)
	switch {
	case strings.HasPrefix(meant, "/v1/v1/"):
		return " The client adds /v1 to its base URL by itself: leave it out there."
	case s.table.serves("/v1" + meant):
		return " The base URL of OpenAI's clients must end in /v1; Anthropic's must not, since they add it themselves."
	case meant != wrong && s.table.serves(meant):
		return " The path is " + fault.Shown(meant, fault.MaxShown) + ", with no slash twice and none at its end: see the client's base URL."
	case s.table.serves(meant + "s"):
		return " Did you mean " + fault.Shown(meant, fault.MaxShown) + "s?"
	case strings.HasPrefix(meant, "/api/") && s.table.serves(meant[len("/api"):]):
		return " The base URL must end in /v1, without /api before it; that of Anthropic's clients must have neither."
	case strings.HasPrefix(meant, "/api/"):
		return " Kai does not speak Ollama's own API: take a client for OpenAI's, with a base URL that ends in /v1."
	}
	return ""
}

func wrongMethod(r *http.Request, allow string) error {
	return &fault.Error{
		Kind: fault.MethodNotAllowed,
		Text: fmt.Sprintf("%s does not take %s; it takes %s.", fault.Shown(r.URL.Path, fault.MaxShown), fault.Shown(r.Method, fault.MaxShown), allow),
	}
}

// wantsWebSocket reports whether a request is the beginning of a WebSocket.
func wantsWebSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

func noWebSocket(r *http.Request) error {
	return &fault.Error{
		Kind: fault.NoWebSocket,
		Text: fmt.Sprintf("Kai speaks no WebSocket; send requests to %s with POST.", fault.Shown(r.URL.Path, fault.MaxShown)),
	}
}
