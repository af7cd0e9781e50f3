package conform

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// refusals are answers that are not a success and have no error text of the upstream. Web
// pages and redirects never reach an adapter.
var refusals = []struct {
	status            int
	contentType, body string
}{
	{400, "text/plain", "Bad Request"},
	{401, "text/html", "Sign in"},
	{403, "", ""},
	{404, "text/plain", "404 page not found"},
	{429, "text/plain", "slow down"},
	{429, "application/json", "null"},
	{500, "text/html", "Internal Server Error"},
	{500, "application/json", `{"error":`},
	{500, "application/json", `{"error":null}`},
	{500, "application/json", `{"error":{"message":null}}`},
	{502, "text/plain", "Bad Gateway"},
	{503, "application/json", "[]"},
	{504, "", ""},
	{529, "text/plain", "\xff\xfe"},
}

// errorBodies answers with errors that are not the upstream's own.
func (c *check) errorBodies(a lastAnswer) {
	for _, r := range refusals {
		name := fmt.Sprintf("the upstream answers %d with %q", r.status, r.body)
		header := http.Header{}
		if r.contentType != "" {
			header.Set("Content-Type", r.contentType)
		}
		o, ok := c.replayChanged(name, c.withAnswer(a.n, r.status, header, []byte(r.body), false))
		if !ok {
			continue
		}
		e := statedError(o.Replay)
		switch {
		case e == nil:
			c.result.fail(name, "the adapter states no ERROR:\n%s", o.Emissions())
		case strings.TrimSpace(e.message) == "":
			c.result.fail(name, "its ERROR has no message")
		case r.status == 429 && e.HTTPStatus() != 429:
			c.result.fail(name, "the client gets %d; with 429 it would wait and try again", e.HTTPStatus())
		case r.status == 401 && e.HTTPStatus() == 401:
			c.result.fail(name, "the client gets 401, but it is the gateway's key that was refused: give 502 and the code upstream_auth")
		case r.status >= 500 && e.HTTPStatus() < 500 && e.HTTPStatus() != 429:
			c.result.fail(name, "the client gets %d, as if the request were at fault", e.HTTPStatus())
		}
	}
}

// clientError is an ERROR with the adapter's own message, which may be empty. The gateway
// would replace that.
type clientError struct {
	*fault.Error
	message string
}

// statedError returns the ERROR of a replay, or nil if there is none.
func statedError(r *transcript.Replay) *clientError {
	for _, call := range r.Calls {
		for _, e := range call {
			if e.Kind == abi.Error {
				message, _ := sdk.JSON(e.Data).Get("message").Str()
				return &clientError{facts.DecodeError(e.Data), message}
			}
		}
	}
	return nil
}
