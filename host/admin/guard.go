package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// A listener on loopback can be reached by every page that is open in a browser on the
// machine: by its address, and by a name of the page's owner that was pointed to
// 127.0.0.1 after the page was loaded (DNS rebinding), for which the browser takes the
// listener to be the page's own server. Origin gives the first away, and Host the second.
// With a token, the second can do nothing, because it doesn't know the token.

// tokenHeader has the token in requests below /v1/, whose Authorization has the client's
// key.
const tokenHeader = "X-Kai-Admin-Token"

// check says with which status a request is refused, and why; 0: it isn't.
func (s *Server) check(c Settings, r *http.Request) (status int, why string) {
	switch {
	case !c.Enabled:
		return http.StatusForbidden, "The configuration has no admin section any more: this listener ends when Kai is started again."
	case c.Token == "" && !s.opts.Loopback:
		return http.StatusForbidden, "This listener is reached by others than its own machine, and the configuration has no admin.token any more: set one, or start Kai again."
	case c.Token == "" && !known(c.Names, r.Host):
		return http.StatusForbidden, "This listener needs no token and is not known by this name, which may lead web pages to it: use an address or localhost, or set admin.token."
	case fromAnotherPage(r):
		return http.StatusForbidden, "Pages of other origins may not call this listener; open the console at its own address."
	case c.Token == "" || isPublic(r):
		return 0, ""
	}
	shown, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		shown, isBearer = r.Header.Get(tokenHeader), true
	}
	got, want := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(c.Token))
	if !isBearer || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return http.StatusUnauthorized, "This listener needs the token of admin.token, as Authorization: Bearer TOKEN."
	}
	return 0, ""
}

// isPublic reports whether a request is for the console's files, which tell nothing: the
// page in which the token is typed must come without one.
func isPublic(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && (r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/console/"))
}

// known reports whether a Host header, with or without a port, can only mean this
// listener: an address, localhost or a name below it, or one of the configured names. A
// request without a Host comes from no browser.
func known(names []string, host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	for _, n := range names {
		if strings.EqualFold(host, strings.TrimSuffix(n, ".")) {
			return true
		}
	}
	return false
}

// fromAnotherPage reports whether a browser says that a request comes from a page which is
// not this listener's. Browsers send no Origin with some plain GETs, but all of today say
// where those come from in Sec-Fetch-Site. A link to the console is no call.
func fromAnotherPage(r *http.Request) bool {
	for _, origin := range r.Header["Origin"] {
		scheme, host, ok := strings.Cut(origin, "://")
		if !ok || scheme != "http" && scheme != "https" || !strings.EqualFold(host, r.Host) {
			return true
		}
	}
	if len(r.Header["Origin"]) > 1 {
		return true
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return !isPublic(r) || r.Header.Get("Sec-Fetch-Mode") != "navigate"
}
