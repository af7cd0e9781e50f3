package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/kai-gateway/kai/host/upstream/h1"
)

// Limits of an adapter's request head.
const (
	maxHead    = 32 << 10 // bytes
	maxHeaders = 64       // lines
)

// head is a parsed REQUEST payload.
type head struct {
	method string
	path   string // with the query, as the adapter wrote it
	header http.Header
}

// parseHead reads "POST /api/chat\nname: value\n". Every line ends with "\n";
// the last may leave it out.
func parseHead(p []byte) (head, error) {
	if len(p) > maxHead {
		return head{}, fmt.Errorf("request head of %d bytes, more than %d", len(p), maxHead)
	}
	line, rest, _ := strings.Cut(string(p), "\n")
	method, path, ok := strings.Cut(line, " ")
	if !ok {
		return head{}, fmt.Errorf("request line %q: not METHOD PATH", line)
	}
	switch method {
	case "GET", "POST", "PUT", "PATCH", "DELETE":
	default:
		return head{}, fmt.Errorf("method %q: not one of GET, POST, PUT, PATCH, DELETE", method)
	}
	h := head{method: method, path: path, header: make(http.Header, 8)}
	for len(rest) > 0 {
		line, rest, _ = strings.Cut(rest, "\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return head{}, fmt.Errorf("header line %q: not name: value", line)
		}
		if err := checkHeader(name, value); err != nil {
			return head{}, fmt.Errorf("header %q: %w", name, err)
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		if _, twice := h.header[key]; twice {
			return head{}, fmt.Errorf("header %q: named twice", name)
		}
		if len(h.header) == maxHeaders {
			return head{}, fmt.Errorf("more than %d headers", maxHeaders)
		}
		h.header[key] = []string{strings.Trim(value, " \t")}
	}
	return h, nil
}

func checkHeader(name, value string) error {
	switch {
	case !h1.IsToken(name):
		return errors.New("not a header name")
	case name != strings.ToLower(name):
		return errors.New("must be lower case")
	case isReserved(name):
		return errors.New("is not the adapter's to set")
	case !h1.IsValue(value):
		return errors.New("has a control character")
	}
	return nil
}

// reserved has the headers that an adapter may not set, sorted. They carry secrets,
// control the connection, or tell proxies and servers who sends the request, to which
// host, and how. The names that begin with one of reservedPrefixes do so, too.
var (
	reserved = []string{
		"accept-encoding", "authorization", "cf-ipcountry", "cf-pseudo-ipv4", "cf-ray", "cf-visitor", "cf-worker", "client-cert", "client-cert-chain", "client-ip", "cluster-client-ip", "connection", "content-length", "cookie", "cookie2", "destination",
		"expect", "fastly-client-ip", "forwarded", "forwarded-for", "front-end-https", "host",
		"http2-settings", "keep-alive", "origin", "te", "trailer", "transfer-encoding", "true-client-ip",
		"upgrade", "via", "x-arr-clientcert", "x-arr-log-id", "x-arr-ssl", "x-azure-clientip", "x-azure-socketip", "x-client-ip",
		"x-cluster-client-ip", "x-custom-ip-authorization", "x-host", "x-method-override", "x-originating-ip", "x-override-url",
		"x-proxyuser-ip", "x-real-host", "x-real-ip", "x-request-uri", "x-scheme", "x-true-client-ip", "x-url-scheme",
	}
	reservedPrefixes = []string{
		"cf-access-", "cf-connecting-", "proxy-", "remote-", "sec-", "ssl-client-", "x-accel-", "x-amzn-oidc-", "x-appengine-", "x-auth-request-",
		"x-authenticated-", "x-client-cert", "x-envoy-", "x-forwarded", "x-goog-authenticated-", "x-goog-iap-", "x-http-destination", "x-http-method",
		"x-ms-client-principal", "x-original-", "x-remote-", "x-rewrite-", "x-ssl-", "x-webauth-",
	}
)

// isReserved reports whether an adapter may not set a header. Names with an underscore are
// reserved, too: for servers in the tradition of CGI, x_real_ip and x-real-ip are the same.
func isReserved(name string) bool {
	if _, found := slices.BinarySearch(reserved, name); found || strings.Contains(name, "_") {
		return true
	}
	return slices.ContainsFunc(reservedPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
