package upstream

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestParseHead(t *testing.T) {
	for name, tc := range map[string]struct {
		in     string
		method string
		target string
		header map[string]string
	}{
		"a request line":             {"POST /api/chat\n", "POST", "/api/chat", nil},
		"the last line without end":  {"GET /api/tags", "GET", "/api/tags", nil},
		"headers":                    {"PUT /a\ncontent-type: application/json\nx-title: a: b\n", "PUT", "/a", map[string]string{"Content-Type": "application/json", "X-Title": "a: b"}},
		"space around values":        {"PATCH /a\na:b\nc:  d\t\n", "PATCH", "/a", map[string]string{"A": "b", "C": "d"}},
		"an empty value":             {"DELETE /a\na:\n", "DELETE", "/a", map[string]string{"A": ""}},
		"what is behind one space":   {"GET  /a\n", "GET", " /a", nil}, // join refuses it
		"a user agent of its own":    {"GET /a\nuser-agent: x\n", "GET", "/a", map[string]string{"User-Agent": "x"}},
		"a value beyond ASCII":       {"GET /a\nx-title: é\n", "GET", "/a", map[string]string{"X-Title": "é"}},
		"a vendor's header with key": {"GET /a\nhttp-referer: https://kai.test/\n", "GET", "/a", map[string]string{"Http-Referer": "https://kai.test/"}},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := parseHead([]byte(tc.in))
			if err != nil {
				t.Fatalf("parseHead(%q) = %v", tc.in, err)
			}
			if h.method != tc.method || h.path != tc.target {
				t.Errorf("parseHead(%q) = %q %q, want %q %q", tc.in, h.method, h.path, tc.method, tc.target)
			}
			got := map[string]string{}
			for k := range h.header {
				got[k] = h.header.Get(k)
			}
			if !maps.Equal(got, tc.header) {
				t.Errorf("parseHead(%q) headers = %q, want %q", tc.in, got, tc.header)
			}
		})
	}
}

func TestParseHeadRefuses(t *testing.T) {
	cases := map[string]string{
		"nothing":               "",
		"no target":             "POST\n",
		"a lower case method":   "post /a\n",
		"another method":        "CONNECT /a\n",
		"an empty method":       " /a\n",
		"a line end in CRLF":    "GET /a\na: b\r\n",
		"a line without colon":  "GET /a\nabc\n",
		"an empty line":         "GET /a\n\n",
		"a second head":         "GET /a\na: b\n\nGET /b\n",
		"an upper case name":    "GET /a\nA: b\n",
		"a name with a space":   "GET /a\na b: c\n",
		"a name with space end": "GET /a\na : c\n",
		"no name":               "GET /a\n: c\n",
		"a name beyond ASCII":   "GET /a\né: c\n",
		"a folded line":         "GET /a\na: b\n c\n",
		"CR in a value":         "GET /a\na: b\rc: d\n",
		"NUL in a value":        "GET /a\na: \x00\n",
		"a control in a value":  "GET /a\na: \x1b[0m\n",
		"a name twice":          "GET /a\na: b\na: c\n",
		"too long a head":       "GET /a\na: " + strings.Repeat("x", maxHead),
		"too many headers": "GET /a\n" + func() (s string) {
			for i := range maxHeaders + 1 {
				s += "h" + strings.Repeat("x", i) + ": 1\n"
			}
			return s
		}(),
	}
	for _, name := range []string{
		"accept-encoding", "authorization", "connection", "content-length", "cookie", "expect", "forwarded", "host",
		"keep-alive", "origin", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
		"x-forwarded-for", "x-forwarded-host", "x-forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip", "client-ip", "x-client-ip",
		"x-original-url", "x-original-host", "x-rewrite-url", "x-http-method-override", "x-http-method", "x-method-override", "x-host",
		"x-envoy-external-address", "x-remote-user", "remote-addr", "x-ms-client-principal-id", "x-goog-iap-jwt-assertion", "sec-fetch-site",
		"x-originating-ip", "x-true-client-ip", "cluster-client-ip", "x-custom-ip-authorization", "x-http-destinationurl", "x-request-uri",
		"x-override-url", "destination", "client-cert", "ssl-client-verify", "x-client-cert", "x-arr-clientcert",
		"x_real_ip", "x-real_ip", "content_length", "a_b",
	} {
		cases["the host's header "+name] = "GET /a\n" + name + ": x\n"
	}
	for name, in := range cases {
		t.Run(name, func(t *testing.T) {
			if h, err := parseHead([]byte(in)); err == nil {
				t.Errorf("parseHead(%.80q) = %v, want an error", in, h)
			}
		})
	}
}

func TestReservedHeadersAreSorted(t *testing.T) {
	if !slices.IsSorted(reserved) {
		t.Error("reserved is searched by halves and must be sorted")
	}
}
