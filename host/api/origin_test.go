package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/api"
)

// TestWhoMayCall sends what browsers send for pages of other sites, of the
// gateway's own, and for those whose name was pointed to the gateway.
func TestWhoMayCall(t *testing.T) {
	some := api.CORS{Enabled: true, AllowOrigins: []string{"https://app.example.com"}}
	all := api.CORS{Enabled: true, AllowOrigins: []string{"*"}}
	for name, tc := range map[string]struct {
		cors    api.CORS
		private bool
		path    string // default /v1/models
		host    string
		origin  string
		status  int
		names   string // the setting that the refusal names
	}{
		"a program":                               {cors: some, host: "kai:9000", status: 200},
		"a program, by address":                   {cors: some, host: "10.0.0.7:9000", status: 200},
		"a listed page":                           {cors: some, host: "kai:9000", origin: "https://app.example.com", status: 200},
		"another page":                            {cors: some, host: "127.0.0.1:9000", origin: "https://evil.test", status: 403, names: "cors.allow_origins"},
		"another page, all may":                   {cors: all, host: "127.0.0.1:9000", origin: "https://evil.test", status: 200},
		"another page without CORS":               {host: "127.0.0.1:9000", origin: "https://app.example.com", status: 403, names: "cors.allow_origins"},
		"no origin of its own":                    {cors: some, host: "127.0.0.1:9000", origin: "null", status: 403, names: "cors.allow_origins"},
		"an empty origin":                         {cors: some, host: "127.0.0.1:9000", origin: " ", status: 403, names: "cors.allow_origins"},
		"the own page, by address":                {cors: some, host: "127.0.0.1:9000", origin: "http://127.0.0.1:9000", status: 200},
		"the own page, by IPv6":                   {cors: some, host: "[::1]:9000", origin: "http://[::1]:9000", status: 200},
		"the own page, localhost":                 {cors: some, host: "localhost:9000", origin: "http://localhost:9000", status: 200},
		"the own page, in capitals":               {cors: some, host: "LOCALHOST:9000", origin: "http://localhost:9000", status: 200},
		"the own page, without CORS":              {host: "localhost:9000", origin: "http://localhost:9000", status: 200},
		"the own page, by a name":                 {cors: some, host: "kai.example.com", origin: "https://kai.example.com", status: 200},
		"another port of this machine":            {cors: some, host: "127.0.0.1:9000", origin: "http://127.0.0.1:8080", status: 403, names: "cors.allow_origins"},
		"a name that was pointed here":            {cors: some, host: "evil.test:9000", origin: "http://evil.test:9000", status: 403, names: "server.hosts"},
		"a name that looks like an address":       {cors: some, host: "127.0.0.1.evil.test", origin: "http://127.0.0.1.evil.test", status: 403, names: "server.hosts"},
		"a name that looks like localhost":        {cors: some, host: "localhost.evil.test", origin: "http://localhost.evil.test", status: 403, names: "server.hosts"},
		"a name that ends like one of ours":       {cors: some, host: "evilkai.example.com", origin: "http://evilkai.example.com", status: 403, names: "server.hosts"},
		"another scheme":                          {cors: some, host: "localhost:9000", origin: "ftp://localhost:9000", status: 403},
		"a page elsewhere than /v1/":              {cors: some, path: "/health", host: "kai:9000", origin: "https://evil.test", status: 200},
		"private, a program":                      {cors: all, private: true, host: "127.0.0.1:9000", status: 200},
		"private, localhost":                      {cors: all, private: true, host: "localhost:9000", status: 200},
		"private, localhost with a dot":           {cors: all, private: true, host: "localhost.:9000", status: 200},
		"private, below localhost":                {cors: all, private: true, host: "kai.localhost:9000", status: 200},
		"private, IPv6":                           {cors: all, private: true, host: "[::1]:9000", status: 200},
		"private, IPv6 without a port":            {cors: all, private: true, host: "[::1]", status: 200},
		"private, a known name":                   {cors: all, private: true, host: "KAI.example.com:9000", status: 200},
		"private, no name":                        {cors: all, private: true, host: "", status: 200},
		"private, a name that was pointed here":   {cors: all, private: true, host: "evil.test:9000", status: 403, names: "server.hosts"},
		"private, the same, elsewhere than /v1/":  {cors: all, private: true, path: "/health", host: "evil.test:9000", status: 403, names: "server.hosts"},
		"private, a listed page and a wrong name": {cors: some, private: true, host: "evil.test", origin: "https://app.example.com", status: 403, names: "server.hosts"},
	} {
		t.Run(name, func(t *testing.T) {
			h := api.New(api.Options{
				Models: listing("a"), CORS: tc.cors,
				Hosts: []string{"Kai.Example.com."}, Private: func() bool { return tc.private },
			})
			path := tc.path
			if path == "" {
				path = "/v1/models"
			}
			r := httptest.NewRequest("GET", path, nil)
			r.Host = tc.host
			if tc.origin != "" {
				r.Header.Set("Origin", strings.TrimSpace(tc.origin))
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tc.status {
				t.Fatalf("got %d %s, want %d", w.Code, w.Body, tc.status)
			}
			if !strings.Contains(w.Body.String(), tc.names) {
				t.Errorf("the refusal does not name %s: %s", tc.names, w.Body)
			}
			if w.Code == http.StatusForbidden && w.Header().Get("X-Should-Retry") != "false" {
				t.Error("the refusal asks to be repeated")
			}
		})
	}
}
