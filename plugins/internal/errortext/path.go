package errortext

import (
	"strings"

	"github.com/kai-gateway/kai/sdk"
)

// IsPath reports whether the text of a 404 or 405 says that the server has nothing at the
// path of the request. Then base_url is wrong, and not the model, even if its name is part of
// the path. No text at all means the same, because every API explains it if it doesn't have a
// model.
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

// IsAboutModel reports whether the text of a refusal is about the model as a whole, and not
// about something that the request names, such as a file. Only what stands before the first
// quote or colon counts: a client may have written the rest.
func IsAboutModel(said string) bool {
	return strings.Contains(ownWords(said), "model")
}

// ownWords returns, in lower case, what of a text no client can have written: what stands before
// the first quote or colon.
func ownWords(said string) string {
	if i := strings.IndexAny(said, "'\"`:"); i >= 0 {
		said = said[:i]
	}
	return strings.ToLower(said)
}

// IsForeign reports whether the body of an error can't come from an API that speaks JSON: it
// is not empty, and not JSON. It came from something in front of the API, which knows nothing
// of the API's keys and accounts.
func IsForeign(body sdk.JSON) bool {
	if len(strings.TrimSpace(string(body))) == 0 {
		return false
	}
	return body.Kind() == sdk.KindAbsent || body.Valid() != nil
}
