package admin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// fake is a gateway of a test.
type fake struct {
	settings Settings
	reset    string
}

func (f *fake) Settings() Settings { return f.settings }
func (*fake) Spent(_ context.Context, by []string, since time.Time) (Spent, error) {
	return Spent{By: by, Since: since}, nil
}
func (f *fake) State() State { return State{Now: time.Unix(1_700_000_000, 0)} }
func (f *fake) ResetTarget(name string) bool {
	f.reset = name
	return name != "no/such"
}

// TestWhoMayCall is the table of Host, Origin and token.
func TestWhoMayCall(t *testing.T) {
	const (
		open   = "http://127.0.0.1:9001"
		page   = "/"
		state  = "/admin/v1/state"
		reload = "POST /admin/v1/reload"
		chat   = "POST /v1/chat/completions"
		secret = "the-token"
	)
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	bearer := header("Authorization", "Bearer "+secret)
	for name, tc := range map[string]struct {
		what   string
		host   string // default: 127.0.0.1:9001
		header http.Header
		token  string
		remote bool // it listens elsewhere than on loopback
		off    bool // the section is gone
		want   int
		says   string
	}{
		"a program on this machine":               {what: state, want: 200},
		"by localhost":                            {what: state, host: "localhost:9001", want: 200},
		"by IPv6":                                 {what: state, host: "[::1]:9001", want: 200},
		"by the configured name":                  {what: state, host: "ops.internal:9001", want: 200},
		"by a name that was pointed here":         {what: state, host: "evil.test:9001", want: 403, says: "set admin.token"},
		"metrics by such a name":                  {what: "/metrics", host: "evil.test", want: 403, says: "admin.token"},
		"the page by such a name":                 {what: page, host: "evil.test", want: 403, says: "admin.token"},
		"the playground by such a name":           {what: chat, host: "evil.test", want: 403, says: "admin.token"},
		"its own page":                            {what: reload, header: header("Origin", open, "Sec-Fetch-Site", "same-origin"), want: 200},
		"another site's page":                     {what: reload, header: header("Origin", "https://evil.test"), want: 403, says: "other origins"},
		"another port of this machine":            {what: reload, header: header("Origin", "http://127.0.0.1:3000"), want: 403, says: "other origins"},
		"a page from a file":                      {what: reload, header: header("Origin", "null"), want: 403, says: "other origins"},
		"two origins":                             {what: reload, header: header("Origin", open, "Origin", open), want: 403, says: "other origins"},
		"an image of another page":                {what: state, header: header("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"), want: 403, says: "other origins"},
		"an image of a neighbour's page":          {what: state, header: header("Sec-Fetch-Site", "same-site"), want: 403, says: "other origins"},
		"a link to the console":                   {what: page, header: header("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"), want: 200},
		"a frame's script in another page":        {what: "/console/app.js", header: header("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"), want: 403},
		"typed into the address bar":              {what: state, header: header("Sec-Fetch-Site", "none"), want: 200},
		"the playground of its own page":          {what: chat, header: header("Origin", open), want: 204},
		"without the token":                       {what: state, token: secret, want: 401, says: "Bearer"},
		"with a wrong token":                      {what: state, token: secret, header: header("Authorization", "Bearer the-tokem"), want: 401},
		"with the beginning of the token":         {what: state, token: secret, header: header("Authorization", "Bearer the"), want: 401},
		"with the token as a password":            {what: state, token: secret, header: header("Authorization", "Basic "+secret), want: 401},
		"with an empty token":                     {what: state, token: secret, header: header("Authorization", "Bearer "), want: 401},
		"with the token in the address":           {what: state + "?token=" + secret, token: secret, want: 401},
		"with the token":                          {what: state, token: secret, header: bearer, want: 200},
		"with the token, by any name":             {what: state, token: secret, host: "kai.example.com", remote: true, header: bearer, want: 200},
		"with the token, from another page":       {what: state, token: secret, header: header("Authorization", "Bearer "+secret, "Origin", "https://evil.test"), want: 403},
		"metrics without the token":               {what: "/metrics", token: secret, want: 401},
		"metrics with the token":                  {what: "/metrics", token: secret, header: bearer, want: 200},
		"the page needs no token":                 {what: page, token: secret, remote: true, want: 200},
		"nor do its files":                        {what: "/console/index.html", token: secret, remote: true, want: 200},
		"a path that isn't there does":            {what: "/admin", token: secret, want: 401},
		"the playground without the token":        {what: chat, token: secret, header: header("Authorization", "Bearer client"), want: 401},
		"a client's key is no token":              {what: chat, token: secret, header: bearer, want: 401},
		"the playground with both":                {what: chat, token: secret, header: header("Authorization", "Bearer client", tokenHeader, secret), want: 204},
		"that header is for the playground alone": {what: state, token: secret, header: header(tokenHeader, secret), want: 401},
		"elsewhere, and the token was taken out":  {what: state, remote: true, want: 403, says: "no admin.token any more"},
		"even for the page":                       {what: page, remote: true, want: 403, says: "no admin.token any more"},
		"the section was taken out":               {what: state, off: true, want: 403, says: "no admin section"},
	} {
		t.Run(name, func(t *testing.T) {
			var passed *http.Request
			s := New(Options{
				Gateway:  &fake{settings: Settings{Enabled: !tc.off, Names: []string{"ops.internal"}, Token: tc.token, Metrics: true, Console: true}},
				Loopback: !tc.remote,
				Reload:   func(context.Context) error { return nil },
				Metrics:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}),
				API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					passed = r
					w.WriteHeader(http.StatusNoContent)
				}),
			})
			method, path, ok := strings.Cut(tc.what, " ")
			if !ok {
				method, path = http.MethodGet, tc.what
			}
			r := httptest.NewRequest(method, path, nil)
			if r.Host = tc.host; tc.host == "" {
				r.Host = "127.0.0.1:9001"
			}
			if tc.header != nil {
				r.Header = tc.header
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != tc.want || !strings.Contains(w.Body.String(), tc.says) {
				t.Errorf("%s: %d %s, want %d with %q", tc.what, w.Code, w.Body, tc.want, tc.says)
			}
			if strings.Contains(w.Body.String(), secret) {
				t.Errorf("the answer has the token: %s", w.Body)
			}
			if passed != nil && (passed.Header.Get(tokenHeader) != "" || passed.Header.Get("Origin") != "" || tc.token != "" && passed.Header.Get("Authorization") != "Bearer client") {
				t.Errorf("the API got %v", passed.Header)
			}
		})
	}
}

// TestWhatTheListenerDoesNotHave asks for what is there by other methods, and for what isn't.
func TestWhatTheListenerDoesNotHave(t *testing.T) {
	for name, tc := range map[string]struct {
		what     string
		settings Settings
		want     int
		allow    string
		says     string
		never    string
	}{
		"a reload that only looks":     {what: "GET /admin/v1/reload", want: 405, allow: "POST", says: "takes POST"},
		"a reload by PUT":              {what: "PUT /admin/v1/reload", want: 405, allow: "POST"},
		"a target that is looked at":   {what: "GET /admin/v1/targets/a/m/reset", want: 405, allow: "POST"},
		"a state that is written":      {what: "POST /admin/v1/state", want: 405, allow: "GET, HEAD"},
		"another path":                 {what: "GET /admin/v1/nothing", want: 404, says: "POST /admin/v1/reload, POST", never: "console"},
		"another path, with a console": {what: "GET /admin/v1/nothing", settings: Settings{Console: true}, want: 404, says: "the console at /"},
		"a status that is none":        {what: "GET /admin/v1/requests?status=foo", want: 400, says: "ok, failed, or a number"},
		"a status that is a number":    {what: "GET /admin/v1/requests?status=429", want: 200},
	} {
		t.Run(name, func(t *testing.T) {
			tc.settings.Enabled = true
			s := New(Options{Gateway: &fake{settings: tc.settings}, Loopback: true})
			method, path, _ := strings.Cut(tc.what, " ")
			r := httptest.NewRequest(method, path, nil)
			r.Host = "127.0.0.1:9001"
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			body := w.Body.String()
			if w.Code != tc.want || w.Header().Get("Allow") != tc.allow || !strings.Contains(body, tc.says) || tc.never != "" && strings.Contains(body, tc.never) {
				t.Errorf("%s: %d %q %s, want %d %q with %q", tc.what, w.Code, w.Header().Get("Allow"), body, tc.want, tc.allow, tc.says)
			}
		})
	}
}
