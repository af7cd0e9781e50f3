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

// allows reports whether pages of an origin may call.
func (c cors) allows(origin string) bool {
	return c.enabled && (c.all || slices.Contains(c.origins, origin))
}

// answer sets the headers that belong on every answer to r, and reports whether
// r is a preflight, which the headers answer completely. Whether the path
// exists does not matter to a preflight: the page gets to read the 404.
func (c cors) answer(h http.Header, r *http.Request) (isPreflight bool) {
	if !c.enabled {
		return false
	}
	isPreflight = r.Method == http.MethodOptions && r.Header["Origin"] != nil && r.Header["Access-Control-Request-Method"] != nil
	if isPreflight {
		h.Set("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	} else {
		h.Set("Vary", "Origin")
	}
	origin := r.Header.Get("Origin")
	switch {
	case origin == "":
		return isPreflight
	case !c.allows(origin):
		return false // a preflight is refused as what it asks for would be
	case c.all:
		h.Set("Access-Control-Allow-Origin", "*")
	default:
		h.Set("Access-Control-Allow-Origin", origin)
	}
	if !isPreflight {
		h.Set("Access-Control-Expose-Headers", "x-request-id, retry-after, x-should-retry")
		return false
	}
	h.Set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"))
	if names := strings.Join(r.Header["Access-Control-Request-Headers"], ", "); names != "" {
		h.Set("Access-Control-Allow-Headers", names)
	}
	// Two hours is as long as Chromium remembers it.
	h.Set("Access-Control-Max-Age", "7200")
	return true
}
