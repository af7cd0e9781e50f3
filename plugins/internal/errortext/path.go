package errortext

import (
	"strings"

	"github.com/kai-gateway/kai/sdk"
)

// IsPath reports whether what a server said with a 404 or 405 is about the path of
// the request: that it serves nothing there. Then base_url is at fault, and the
// model is not, though its name may be part of the path. Nothing said is that, too:
// every API explains a model that it doesn't have.
func IsPath(said string) bool {
	s := strings.ToLower(strings.Trim(said, " .!\r\n\t"))
	switch s {
	case "", "not found", "404 not found", "404 page not found", "page not found", "file not found", // the last is llama.cpp's
		"path not found", "route not found", "url not found", "endpoint not found", "no such route",
		"method not allowed", "405 method not allowed", "404", "405":
		return true
	}
	for _, part := range [...]string{
		"cannot post ",                 // Express
		"invalid url",                  // OpenAI
		"unknown request url",          // Groq
		"unrecognized request url",     // Stripe's and others'
		"requested url",                // "… was not found on this server": Google, Flask, nginx
		"no route matched",             // Kong
		"unexpected endpoint",          // LM Studio
		"unknown endpoint", "no route", // servers in Go and Rust
		"unknown path", "no such path", "no such endpoint", "endpoint does not exist",
	} {
		if strings.Contains(s, part) {
			return true
		}
	}
	// "POST /v1/v1/messages not found", "Route POST:/v1/v1/messages not found",
	// "/v1/v1/messages does not exist"
	return (strings.Contains(s, "not found") || strings.Contains(s, "not exist") || strings.Contains(s, "not allowed")) &&
		(strings.Contains(s, "post /") || strings.Contains(s, "post:/") || strings.Contains(s, " /v1") || strings.HasPrefix(s, "/"))
}

// IsForeign reports whether the body of an error is none of an API that speaks
// JSON: there is something, and it is no JSON. It came from what stands before the
// API, which knows nothing of its keys and accounts.
func IsForeign(body sdk.JSON) bool {
	if len(strings.TrimSpace(string(body))) == 0 {
		return false
	}
	return body.Kind() == sdk.KindAbsent || body.Valid() != nil
}

// Foreign is the error for a status that refuses the gateway with a body that is
// not of the API, in the words of whoever sent it.
func Foreign(lead string, body sdk.JSON) *sdk.Error {
	e := &sdk.Error{Status: 502, Type: sdk.ServerError, Code: "upstream_error", NoRetry: true, Message: lead + "."}
	if said := Clean(string(body), nil); said != "" {
		e.Message = lead + ": " + said
	}
	return e
}
