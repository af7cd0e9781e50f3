package upstream

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"
)

// baseURL is a provider's base_url after it was checked. Adapters' paths are joined to it.
type baseURL struct {
	url   url.URL
	path  string          // escaped, without a slash at its end
	names map[string]bool // the names in base_url's own query
}

// parseBaseURL checks base_url. Its errors don't repeat the value, which may contain a
// password where none is allowed.
func parseBaseURL(s string) (baseURL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return baseURL{}, errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return baseURL{}, errors.New("must start with http:// or https://")
	case u.User != nil:
		return baseURL{}, errors.New("must not hold a user or password: use api_key")
	case u.Hostname() == "":
		return baseURL{}, errors.New("has no host")
	case u.Fragment != "" || strings.Contains(s, "#"):
		return baseURL{}, errors.New("must not have a fragment")
	case strings.ContainsFunc(u.RawQuery, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return baseURL{}, errors.New("has a character in its query that must be percent-encoded")
	}
	b := baseURL{url: *u, path: strings.TrimRight(u.EscapedPath(), "/"), names: map[string]bool{}}
	if b.path != "" {
		if err := checkPath(b.path); err != nil {
			return baseURL{}, fmt.Errorf("path: %w", err)
		}
	}
	for name := range u.Query() {
		b.names[name] = true
	}
	return b, nil
}

// loopback reports whether base_url names this machine, which no proxy can reach.
func (b baseURL) loopback() bool {
	host := strings.TrimSuffix(strings.ToLower(b.url.Hostname()), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && (addr.Unmap().IsLoopback() || addr.IsUnspecified())
}

// join puts an adapter's path and query below base_url. If base_url has a query parameter
// itself, the adapter's parameter of that name is left out.
//
// Example: "/chat?a=1&b=2" below "https://host/v1?b=3" is
// "https://host/v1/chat?b=3&a=1".
func (b baseURL) join(s string) (*url.URL, error) {
	path, query, _ := strings.Cut(s, "?")
	if err := checkPath(path); err != nil {
		return nil, fmt.Errorf("path %q: %w", path, err)
	}
	if err := checkQuery(query); err != nil {
		return nil, fmt.Errorf("query %q: %w", query, err)
	}
	u := b.url
	u.RawPath = b.path + path
	plain, err := url.PathUnescape(u.RawPath)
	if err != nil {
		return nil, fmt.Errorf("path %q: %w", path, err)
	}
	u.Path = plain
	u.ForceQuery = false
	for len(query) > 0 {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err != nil || pair == "" || b.names[name] {
			continue
		}
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += pair
	}
	return &u, nil
}

var errEscape = errors.New("has a broken percent escape")

// checkPath refuses every path that a server might resolve to a place outside of
// base_url. Servers differ in how often they decode, whether they read a backslash
// as a slash, and whether "..;x" goes up a level.
func checkPath(p string) error {
	switch {
	case !strings.HasPrefix(p, "/"):
		return errors.New("does not start with a slash")
	case !allIn(p, pathBytes):
		return errors.New("has a character that must be percent-encoded")
	case p == "/":
		return nil
	}
	rest := p[1:]
	for more := true; more; {
		var s string
		s, rest, more = strings.Cut(rest, "/")
		if s == "" && more {
			return errors.New("has an empty segment")
		}
		if err := checkSegment(s); err != nil {
			return err
		}
	}
	return nil
}

// checkSegment checks a segment as it is and after each further decoding:
// "%252e%252e" is ".." to a server behind another one that also decodes.
func checkSegment(s string) error {
	for first := true; ; first = false {
		if name, _, _ := strings.Cut(s, ";"); name == "." || name == ".." {
			return errors.New("has a dot segment")
		}
		for i := range len(s) {
			switch c := s[i]; {
			case c < 0x20 || c == 0x7f:
				return errors.New("has a control character")
			case c == '\\' || c == '/':
				return errors.New("has an encoded slash or a backslash")
			}
		}
		if !utf8.ValidString(s) {
			// "%c0%ae" is a dot to a decoder that accepts overlong forms.
			return errors.New("is not UTF-8 when decoded")
		}
		if !strings.Contains(s, "%") {
			return nil
		}
		decoded, err := url.PathUnescape(s)
		if err != nil {
			if first {
				return errEscape
			}
			return nil // a literal "100%", which no server decodes any further
		}
		s = decoded
	}
}

func checkQuery(q string) error {
	if !allIn(q, queryBytes) {
		return errors.New("has a character that must be percent-encoded")
	}
	decoded, err := url.QueryUnescape(q)
	if err != nil {
		return errEscape
	}
	for i := range len(decoded) {
		if c := decoded[i]; c < 0x20 || c == 0x7f {
			return errors.New("has a control character")
		}
	}
	return nil
}

const (
	unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
	subDelims  = "!$&'()*+,="
)

// The characters that may stay unencoded (RFC 3986, 3.3 and 3.4). ";" is not one of them
// in a query, because some servers read it as "&".
var (
	pathBytes  = byteSet(unreserved + subDelims + ";:@%/")
	queryBytes = byteSet(unreserved + subDelims + ":@%/?")
)

func byteSet(s string) (set [256]bool) {
	for i := range len(s) {
		set[s[i]] = true
	}
	return set
}

func allIn(s string, set [256]bool) bool {
	for i := range len(s) {
		if !set[s[i]] {
			return false
		}
	}
	return true
}
