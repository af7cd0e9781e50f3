package api

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/kai-gateway/kai/host/fault"
)

// A web page reaches a gateway on its visitor's machine: by its address, or by a
// name of the page's owner, which can be pointed to 127.0.0.1 after the page was
// loaded from elsewhere (DNS rebinding). To the browser that is the page's own
// server then, and no rule of CORS applies. What tells is Origin, which browsers
// send with every request but a plain GET of a page's own server, and Host, which
// is the name. Programs send no Origin.

// names are the names that a gateway is known by.
type names map[string]bool

func newNames(hosts []string) names {
	n := names{"localhost": true}
	for _, h := range hosts {
		n[strings.ToLower(strings.TrimSuffix(h, "."))] = true
	}
	return n
}

// has reports whether a Host header, with or without a port, can be nobody else's
// than the gateway's: an address, localhost or a name below it, which no server
// for names hands out, or one of those that are configured.
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

// checkHost refuses names that the gateway isn't known by, if it is private: for
// this machine alone and without keys. Without a Host, as in HTTP/1.0, there is
// no browser.
func (s *server) checkHost(r *http.Request) error {
	if r.Host == "" || s.Private == nil || !s.Private() || s.names.has(r.Host) {
		return nil
	}
	return &fault.Error{
		Kind: fault.Forbidden,
		Text: fmt.Sprintf("This gateway serves its own machine, without keys, and is not known as '%s': a name may lead web pages to it. "+
			"Use an address or localhost, add the name to server.hosts, or set auth.enabled.", printable(r.Host, maxShown)),
	}
}

// checkOrigin refuses pages that CORS doesn't allow. A page of the gateway's own is
// one that was loaded from where the request goes, under a name that is the
// gateway's.
func (s *server) checkOrigin(r *http.Request) error {
	origins := r.Header["Origin"]
	if len(origins) == 0 || len(origins) == 1 && (s.cors.allows(origins[0]) || s.own(r, origins[0])) {
		return nil
	}
	// An origin is shown if it is one: anything else may be a secret that was put
	// into the wrong header.
	page := "This page"
	if len(origins) == 1 && strings.Contains(origins[0], "://") {
		page = "Pages of the origin '" + printable(origins[0], maxShown) + "'"
	}
	return &fault.Error{
		Kind: fault.Forbidden,
		Text: page + " may not call this gateway: add the origin to cors.allow_origins, or, if it is the gateway's own, its host to server.hosts.",
	}
}

func (s *server) own(r *http.Request, origin string) bool {
	scheme, host, ok := strings.Cut(origin, "://")
	return ok && (scheme == "http" || scheme == "https") && strings.EqualFold(host, r.Host) && s.names.has(r.Host)
}
