package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/kai-gateway/kai/sdk"
)

// fail answers with err. This is the one place where errors get their status:
// an *sdk.Error has its own, anything else is an internal error of which the
// client learns the request's ID and the log the rest.
func (x *Exchange) fail(err error) {
	x.note(err)
	if x.writer.wrote {
		return
	}
	e := clientError(err, x.ID)
	h := x.Writer.Header()
	if e.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if e.RetryAfterMS > 0 {
		seconds := e.RetryAfterMS / 1000
		if e.RetryAfterMS%1000 > 0 {
			seconds++
		}
		h.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	if !worthRepeating(e) {
		h.Set("X-Should-Retry", "false")
	}
	x.answerEarly()
	if err := x.JSON(e.Status, e.AppendJSON(nil)); err != nil {
		x.note(err)
	}
}

// clientError is what a client learns of err: a valid *sdk.Error whose Status
// is an error's and whose Type is set.
func clientError(err error, id string) *sdk.Error {
	var e *sdk.Error
	if !errors.As(err, &e) {
		return &sdk.Error{Status: 500, Type: sdk.ServerError, Message: "internal error, request " + id}
	}
	shown := *e
	if shown.Status < 400 || shown.Status > 599 {
		shown.Status = 500
	}
	if shown.Type == "" {
		shown.Type = sdk.TypeOf(shown.Status)
	}
	return &shown
}

// ClientError is what a client learns of err: an *sdk.Error as it is, of
// anything else that it was an internal error of this request.
func (x *Exchange) ClientError(err error) *sdk.Error { return clientError(err, x.ID) }

// worthRepeating reports whether the same request may succeed later. SDKs
// repeat every 408, 409, 429 and 5xx unless told otherwise.
func worthRepeating(e *sdk.Error) bool {
	if e.NoRetry {
		return false
	}
	switch e.Code {
	case "provider_not_configured", // until the configuration changes
		"adapter_error",      // adapters are pure: the same request fails again
		"upstream_auth",      // the upstream refused the gateway's own credentials
		"insufficient_quota": // until somebody pays
		return false
	}
	return e.Status >= 500 || e.Status == 408 || e.Status == 409 || e.Status == 429
}

// served says what there is, to those who asked for something else.
const served = "Kai serves POST /v1/chat/completions, GET /v1/models and GET /v1/models/{id}; GET /docs describes them."

func unknownPath(r *http.Request) error {
	return &sdk.Error{
		Status:  404,
		Message: fmt.Sprintf("There is no %s %s here. %s", printable(r.Method, maxShown), printable(r.URL.Path, maxShown), served),
	}
}

func wrongMethod(r *http.Request, allow string) error {
	return &sdk.Error{
		Status:  405,
		Message: fmt.Sprintf("%s does not take %s; it takes %s.", printable(r.URL.Path, maxShown), printable(r.Method, maxShown), allow),
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
