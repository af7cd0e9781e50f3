package api

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/kai-gateway/kai/host/fault"
)

// A web page can reach a gateway that runs on its visitor's machine. It uses the
// gateway's address, or a name of the page's owner, who can point that name to
// 127.0.0.1 after the page was loaded from elsewhere (DNS rebinding). The browser
// then takes the gateway for the page's own server, and no rule of CORS applies.
// Two headers give the page away: Origin, which browsers send with every request
// except a plain GET of the page's own server, and Host, which has the name.
// Programs send no Origin.

// names are the names that a gateway is known by, in lower case.
type names map[string]bool

func newNames(hosts []string) names {
	n := names{"localhost": true}
	for _, h := range hosts {
		n[strings.ToLower(strings.TrimSuffix(h, "."))] = true
	}
	return n
}

// has reports whether a Host header, with or without a port, can only mean the
// gateway: an address, localhost or a name below it, which no name server hands
// out, or one of the configured names.
func (n names) has(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return n[host] || strings.HasSuffix(host, ".localhost")
}

// checkHost refuses requests to names that the gateway isn't known by, if the
// gateway is private: it serves only this machine, and without keys. A request
// without a Host, as in HTTP/1.0, comes from no browser.
func (s *server) checkHost(r *http.Request) error {
	if r.Host == "" || s.Private == nil || !s.Private() || s.names.has(r.Host) {
		return nil
	}
	return &fault.Error{
		Kind: fault.Forbidden,
		Text: fmt.Sprintf("This gateway serves its own machine, without keys, and is not known as '%s': a name may lead web pages to it. "+
			"Use an address or localhost, add the name to server.hosts, or set auth.enabled.", fault.Shown(r.Host, fault.MaxShown)),
	}
}

// checkOrigin refuses requests of pages that CORS doesn't allow and that aren't
// the gateway's own.
func (s *server) checkOrigin(r *http.Request) error {
	origins := r.Header["Origin"]
	if len(origins) == 0 || len(origins) == 1 && (s.cors.allows(origins[0]) || s.isOwnPage(r, origins[0])) {
		return nil
	}
	// Only what looks like an origin is repeated. Anything else may be a secret
	// that was put into the wrong header.
	page := "This page"
	if len(origins) == 1 && strings.Contains(origins[0], "://") {
		page = "Pages of the origin '" + fault.Shown(origins[0], fault.MaxShown) + "'"
	}
	return &fault.Error{
		Kind: fault.Forbidden,
		Text: page + " may not call this gateway: add the origin to cors.allow_origins, or, if it is the gateway's own, its host to server.hosts.",
	}
}

// isOwnPage reports whether an origin is the gateway's own: the page was loaded from
// the host that the request goes to, and the gateway is known by that name.
func (s *server) isOwnPage(r *http.Request, origin string) bool {
	scheme, host, ok := strings.Cut(origin, "://")
	return ok && (scheme == "http" || scheme == "https") && strings.EqualFold(host, r.Host) && s.names.has(r.Host)
}
