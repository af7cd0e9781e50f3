package config

import (
	"net/netip"
	"net/url"
	"strings"
)

// badBaseURL says why a text cannot be where requests go.
func badBaseURL(s string) string {
	if !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		return "must start with http:// or https://"
	}
	parsed, err := url.Parse(s)
	switch {
	case err != nil:
		return "is not a URL: check its host, its port and its % signs"
	case parsed.User != nil:
		return "must not hold a user name or a password: a key goes into api_key"
	case strings.Contains(s, "#"):
		return "must not hold a fragment (# and what follows)"
	case parsed.Hostname() == "":
		return "has no host after http:// or https://"
	case strings.ContainsAny(s, " \\") || strings.ContainsFunc(s, forbidden):
		return "must not hold spaces, backslashes or control characters"
	case parsed.Port() != "" && !validPort(parsed.Port()):
		return "has a port that is not a number from 1 to 65535"
	}
	return ""
}

func validPort(s string) bool {
	_, err := netip.ParseAddrPort("0.0.0.0:" + s)
	return err == nil && s != "0"
}

func onThisMachine(baseURL string) bool {
	parsed, err := url.Parse(baseURL)
	if err != nil {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(parsed.Hostname()), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// checkProxy checks the URL of a proxy. A password there would be in every
// place that prints a configuration.
func (l *loader) checkProxy(v *value, path string) {
	if !v.isText() || v.scalar == "none" || v.scalar == "environment" {
		return
	}
	parsed, err := url.Parse(v.scalar)
	switch {
	case err != nil || parsed.Hostname() == "":
		l.fault(v, path, "is not the URL of a proxy, such as http://proxy.example.com:3128")
	case parsed.User != nil:
		l.fault(v, path, "must not hold a user name or a password: put this URL into the variable HTTPS_PROXY and write proxy: environment")
	case parsed.Port() != "" && !validPort(parsed.Port()):
		l.fault(v, path, "has a port that is not a number from 1 to 65535")
	}
}
