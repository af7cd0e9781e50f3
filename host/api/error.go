package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/kai-gateway/kai/host/fault"
)

// fail answers with err: a *fault.Error as its kind says, and anything else as an
// internal error of which the client learns the request's ID and the log the rest.
func (x *Exchange) fail(err error) {
	x.note(err)
	if x.writer.wrote {
		return
	}
	e := x.ClientError(err)
	h := x.Writer.Header()
	if e.Kind == fault.Unauthenticated && x.dialect.Challenge != "" {
		h.Set("WWW-Authenticate", x.dialect.Challenge)
	}
	if e.RetryAfter > 0 {
		seconds := (e.RetryAfter - 1) / time.Second // and one more, to round up
		h.Set("Retry-After", strconv.FormatInt(int64(seconds)+1, 10))
	}
	if !e.Repeatable() {
		h.Set("X-Should-Retry", "false")
	}
	x.answerEarly()
	if err := x.JSON(e.HTTPStatus(), x.dialect.AppendError(nil, e)); err != nil {
		x.note(err)
	}
}

// ClientError is what a client learns of err: a *fault.Error as it is, of
// anything else that it was an internal error of this request.
func (x *Exchange) ClientError(err error) *fault.Error {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e
	}
	return &fault.Error{Kind: fault.Internal, Text: "internal error, request " + x.ID}
}

func (s *server) unknownPath(r *http.Request) error {
	return &fault.Error{
		Kind: fault.NotFound,
		Text: fmt.Sprintf("There is no %s %s here. %s", printable(r.Method, maxShown), printable(r.URL.Path, maxShown), s.table.served),
	}
}

func wrongMethod(r *http.Request, allow string) error {
	return &fault.Error{
		Kind: fault.MethodNotAllowed,
		Text: fmt.Sprintf("%s does not take %s; it takes %s.", printable(r.URL.Path, maxShown), printable(r.Method, maxShown), allow),
	}
}

// maxShown is how many characters of a client's text an error repeats.
const maxShown = 100

// printable makes foreign text fit for people who read it on terminals and in
// logs: what is not printable becomes U+FFFD, and after limit characters it is
// cut.
func printable(s string, limit int) string {
	shown := 0
	for i := range s {
		if shown == limit {
			s = s[:i] + "…"
			break
		}
		shown++
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
