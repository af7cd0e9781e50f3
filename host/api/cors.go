package api

import (
	"net/http"
	"slices"
	"strings"
)

// CORS says which web pages may call the gateway from a browser.
type CORS struct {
	Enabled      bool
	AllowOrigins []string // "*" for all, or origins such as "https://app.example.com", compared byte for byte
}

// preflight is what the log calls a preflight's endpoint.
const preflight = "preflight"

type cors struct {
	enabled bool
	all     bool
	origins []string
}

func newCORS(c CORS) cors {
	return cors{enabled: c.Enabled, all: slices.Contains(c.AllowOrigins, "*"), origins: c.AllowOrigins}
}

// allows reports whether pages of an origin may call the gateway.
func (c cors) allows(origin string) bool {
	return c.enabled && (c.all || slices.Contains(c.origins, origin))
}

// setHeaders sets the CORS headers of the answer to r. It reports whether r is a
// preflight, which needs nothing but these headers. A preflight succeeds even if
// the path does not exist: the page is then allowed to read the 404.
func (c cors) setHeaders(h http.Header, r *http.Request) (isPreflight bool) {
	if !c.enabled {
		return false
	}
	origins := r.Header["Origin"]
	isPreflight = r.Method == http.MethodOptions && origins != nil && r.Header["Access-Control-Request-Method"] != nil
	if isPreflight {
		h.Set("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	} else {
		h["Vary"] = []string{"Origin"}
	}
	origin := first(origins)
	switch {
	case origin == "":
		return isPreflight
	case !c.allows(origin):
		return false // a preflight is refused like the request that it asks about
	case c.all:
		h.Set("Access-Control-Allow-Origin", "*")
	default:
		h.Set("Access-Control-Allow-Origin", origin)
	}
	if !isPreflight {
		h.Set("Access-Control-Expose-Headers", "x-request-id, retry-after, x-should-retry, request-id, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, x-kai-cache, age")
		return false
	}
	h.Set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"))
	if names := strings.Join(r.Header["Access-Control-Request-Headers"], ", "); names != "" {
		h.Set("Access-Control-Allow-Headers", names)
	}
	// Chromium remembers it for two hours at most.
	h.Set("Access-Control-Max-Age", "7200")
	return true
}
