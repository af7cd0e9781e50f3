package api_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
)

func TestCORS(t *testing.T) {
	const app, evil = "https://app.example.com", "https://evil.example"
	all := api.CORS{Enabled: true, AllowOrigins: []string{"*"}}
	some := api.CORS{Enabled: true, AllowOrigins: []string{"http://localhost:3000", app}}
	off := api.CORS{AllowOrigins: []string{"*"}}
	const expose = "x-request-id, retry-after, x-should-retry, request-id, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, x-kai-cache, age"
	const preflightVary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"

	preflight := func(origin string, more ...string) []string {
		return append([]string{"Origin", origin, "Access-Control-Request-Method", "POST"}, more...)
	}
	for name, tc := range map[string]struct {
		cors    api.CORS
		method  string // default GET
		path    string // default /v1/models
		headers []string
		status  int // default 200
		want    map[string]string
	}{
		"every origin may": {
			cors: all, headers: []string{"Origin", evil},
			want: map[string]string{"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": expose, "Vary": "Origin"},
		},
		"a listed origin may": {
			cors: some, headers: []string{"Origin", app},
			want: map[string]string{"Access-Control-Allow-Origin": app, "Access-Control-Expose-Headers": expose, "Vary": "Origin"},
		},
		"an origin that is not listed may not": {
			cors: some, headers: []string{"Origin", evil}, status: 403, want: map[string]string{"Vary": "Origin"},
		},
		"an origin that only begins like a listed one may not": {
			cors: some, headers: []string{"Origin", app + ".evil.example"}, status: 403, want: map[string]string{"Vary": "Origin"},
		},
		"a page without an origin of its own may not": {
			cors: some, headers: []string{"Origin", "null"}, status: 403, want: map[string]string{"Vary": "Origin"},
		},
		"no origin": {cors: some, want: map[string]string{"Vary": "Origin"}},
		"off":       {cors: off, headers: []string{"Origin", app}, status: 403},
		"an unknown path can be read": {
			cors: some, path: "/nowhere", headers: []string{"Origin", app}, status: 404,
			want: map[string]string{"Access-Control-Allow-Origin": app, "Access-Control-Expose-Headers": expose, "Vary": "Origin"},
		},
		"a missing key can be read": {
			cors: some, path: "/v1/guarded", headers: []string{"Origin", app}, status: 401,
			want: map[string]string{"Access-Control-Allow-Origin": app, "Access-Control-Expose-Headers": expose, "Vary": "Origin"},
		},
		"a preflight is answered with what it asks": {
			cors: some, method: "OPTIONS", status: 204,
			headers: preflight(app, "Access-Control-Request-Headers", "authorization,content-type,x-stainless-os"),
			want: map[string]string{
				"Access-Control-Allow-Origin": app, "Access-Control-Allow-Methods": "POST",
				"Access-Control-Allow-Headers": "authorization,content-type,x-stainless-os", "Access-Control-Max-Age": "7200", "Vary": preflightVary,
			},
		},
		"a preflight when every origin may": {
			cors: all, method: "OPTIONS", headers: preflight(evil), status: 204,
			want: map[string]string{
				"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "POST", "Access-Control-Max-Age": "7200", "Vary": preflightVary,
			},
		},
		"a preflight that names its headers in two lines": {
			cors: all, method: "OPTIONS", status: 204,
			headers: preflight(app, "Access-Control-Request-Headers", "a", "Access-Control-Request-Headers", "b"),
			want: map[string]string{
				"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "a, b",
				"Access-Control-Max-Age": "7200", "Vary": preflightVary,
			},
		},
		"a preflight needs no key": {
			cors: all, method: "OPTIONS", path: "/v1/guarded", headers: preflight(app), status: 204,
			want: map[string]string{
				"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "POST", "Access-Control-Max-Age": "7200", "Vary": preflightVary,
			},
		},
		"a preflight of an origin that is not listed": {
			cors: some, method: "OPTIONS", headers: preflight(evil), status: 403, want: map[string]string{"Vary": preflightVary},
		},
		"a preflight when off": {cors: off, method: "OPTIONS", headers: preflight(app), status: 403},
		"OPTIONS that is no preflight": {
			cors: all, method: "OPTIONS", headers: []string{"Origin", app}, status: 204,
			want: map[string]string{
				"Allow": "GET, HEAD, OPTIONS", "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": expose, "Vary": "Origin",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newServer(t, api.Options{CORS: tc.cors, Authenticate: func(r *http.Request, _ *dialect.Dialect) (context.Context, string, error) {
				if r.URL.Path == "/v1/guarded" {
					return nil, "", &fault.Error{Kind: fault.Unauthenticated, Text: "no key"}
				}
				return r.Context(), "", nil
			}})
			if tc.method == "" {
				tc.method = "GET"
			}
			if tc.path == "" {
				tc.path = "/v1/models"
			}
			if tc.status == 0 {
				tc.status = 200
			}
			got := g.do(t, tc.method, tc.path, "", tc.headers...)
			if got.StatusCode != tc.status {
				t.Errorf("got %d %s, want %d", got.StatusCode, got.body, tc.status)
			}
			for _, header := range []string{
				"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age",
				"Access-Control-Expose-Headers", "Access-Control-Allow-Credentials", "Vary", "Allow",
			} {
				if got, want := got.Header.Get(header), tc.want[header]; got != want {
					t.Errorf("%s = %q, want %q", header, got, want)
				}
			}
		})
	}
}
