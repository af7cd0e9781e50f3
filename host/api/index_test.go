package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
)

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

func TestIndexIsAPageForBrowsers(t *testing.T) {
	g := newServer(t, api.Options{Example: "demo"})
	for accept, page := range map[string]bool{
		browser:                                 true,
		"text/html":                             true,
		"*/*":                                   false, // curl
		"":                                      false,
		"application/json":                      false,
		"application/json, text/html;q=0.5":     false,
		"application/json;q=0.1, TEXT/HTML;q=1": true,
		"text/html;q=0":                         false,
		"application/json, text/plain, */*":     false,
	} {
		got := g.do(t, "GET", "/", "", "Accept", accept)
		if isPage := got.Header.Get("Content-Type") == "text/html; charset=utf-8"; got.StatusCode != 200 || isPage != page {
			t.Errorf("Accept: %s got %d %s, want a page: %t", accept, got.StatusCode, got.Header.Get("Content-Type"), page)
		}
		if got.Header.Get("Vary") == "" {
			t.Errorf("Accept: %s got no Vary", accept)
		}
	}
}

func TestIndexPage(t *testing.T) {
	offered := func() []api.Offered {
		return []api.Offered{{Model: "demo"}, {Model: "<b>x", Needs: "set X & Y"}}
	}
	g := newServer(t, api.Options{Version: "1.2.3", Example: "demo", Offered: offered})
	got := g.do(t, "GET", "/", "", "Accept", browser)
	for _, part := range []string{
		"Kai <small>1.2.3</small>", `<a href="docs">`, `<a href="openapi.json">`,
		"curl " + g.url + "/v1/chat/completions \\\n  -H &#39;Content-Type: application/json&#39;", "{&#34;model&#34;: &#34;demo&#34;, ",
		"<code>demo</code></td><td>ready", "<code>&lt;b&gt;x</code></td><td>set X &amp; Y",
	} {
		if !strings.Contains(got.body, part) {
			t.Errorf("the page lacks %q:\n%s", part, got.body)
		}
	}
	if strings.Contains(got.body, "YOUR_KEY") {
		t.Error("the page asks for a key that nobody needs")
	}

	// Nothing comes from elsewhere, nothing runs, and the policy says so.
	for _, link := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(got.body, -1) {
		if strings.Contains(link[1], ":") && link[1] != "data:," || strings.HasPrefix(link[1], "/") {
			t.Errorf("the page leads to %q", link[1])
		}
	}
	_, style, _ := strings.Cut(got.body, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	policy := got.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"';") {
		t.Errorf("the policy %q does not allow the page's style alone", policy)
	}
	if strings.Contains(got.body, "<script") || strings.Contains(got.body, " style=") {
		t.Error("the page has what its policy refuses")
	}
}

func TestIndexPageOfAGuardedGateway(t *testing.T) {
	g := newServer(t, api.Options{Example: "demo", Authenticate: func(r *http.Request, _ *dialect.Dialect) (context.Context, string, error) {
		return r.Context(), "", nil
	}})
	got := g.do(t, "GET", "/", "", "Accept", browser)
	if !strings.Contains(got.body, "-H &#39;Authorization: Bearer YOUR_KEY&#39;") || strings.Contains(got.body, "<h2>Models") {
		t.Errorf("the page does not ask for a key, or lists models:\n%s", got.body)
	}
}

func TestIndexPageRepeatsNoStrangeHost(t *testing.T) {
	r := httptest.NewRequest("GET", "http://gateway/", nil)
	r.Header.Set("Accept", browser)
	r.Host = "x$(id)"
	w := httptest.NewRecorder()
	api.New(api.Options{}).ServeHTTP(w, r)
	if page := w.Body.String(); strings.Contains(page, "$(") || !strings.Contains(page, "curl http://localhost/v1/") {
		t.Errorf("the page repeats a host that a shell would run:\n%s", page)
	}

	g := newServer(t, api.Options{})
	got := g.do(t, "GET", "/", "", "Accept", browser, "X-Forwarded-Proto", "https")
	if !strings.Contains(got.body, strings.Replace(g.url, "http:", "https:", 1)+"/v1") {
		t.Errorf("behind TLS the page names another address:\n%s", got.body)
	}
}

func TestIndexPageLeadsToTheConsole(t *testing.T) {
	address := ""
	g := newServer(t, api.Options{Console: func(*http.Request) string { return address }})
	if got := g.do(t, "GET", "/", "", "Accept", browser); strings.Contains(got.body, "Console") {
		t.Errorf("without a console the page has:\n%s", got.body)
	}
	address = "http://localhost:9001/"
	if got := g.do(t, "GET", "/", "", "Accept", browser); !strings.Contains(got.body, `<a href="http://localhost:9001/"><strong>Console`) {
		t.Errorf("the page does not lead to the console:\n%s", got.body)
	}
	if got := g.do(t, "GET", "/", ""); strings.Contains(got.body, "9001") {
		t.Errorf("programs are told of the console: %s", got.body)
	}
}
