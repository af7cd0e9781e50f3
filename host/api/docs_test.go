package api_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/api"
)

// TestDocsWorkOffline loads the page the way a browser does, also through a
// proxy that strips a path prefix, and finds all it needs below that prefix.
func TestDocsWorkOffline(t *testing.T) {
	g := newServer(t, api.Options{OpenAPI: func() ([]byte, error) { return []byte(`{"openapi":"3.0.3"}`), nil }})
	target, err := url.Parse(g.url)
	if err != nil {
		t.Fatal(err)
	}
	proxied := httptest.NewServer(http.StripPrefix("/kai", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Scheme, r.URL.Host = target.Scheme, target.Host
		response, err := http.DefaultTransport.RoundTrip(&http.Request{Method: r.Method, URL: r.URL, Header: r.Header})
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		for name, values := range response.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(response.StatusCode)
		io.Copy(w, response.Body)
	})))
	t.Cleanup(proxied.Close)

	for name, start := range map[string]string{
		"directly":                      g.url + "/docs",
		"with a slash":                  g.url + "/docs/",
		"behind a prefix":               proxied.URL + "/kai/docs",
		"behind a prefix, with a slash": proxied.URL + "/kai/docs/",
	} {
		t.Run(name, func(t *testing.T) {
			load := func(address string) (*url.URL, string) {
				t.Helper()
				response, err := g.client.Get(address)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				body, err := io.ReadAll(response.Body)
				if err != nil {
					t.Fatal(err)
				}
				if response.StatusCode != 200 || len(body) == 0 {
					t.Fatalf("GET %s got %d with %d bytes", address, response.StatusCode, len(body))
				}
				return response.Request.URL, string(body)
			}
			at, page := load(start)
			if strings.Contains(page, "://") || strings.Contains(page, `"//`) {
				t.Errorf("the page names something elsewhere:\n%s", page)
			}
			links := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1)
			if len(links) != 8 {
				t.Errorf("the page has %d links, want 8", len(links))
			}
			for _, link := range links {
				asset, err := at.Parse(link[1])
				if err != nil {
					t.Fatal(err)
				}
				load(asset.String())
			}
		})
	}
}

func TestDocsPolicyForbidsTheRestOfTheWeb(t *testing.T) {
	g := newServer(t, api.Options{})
	policy := g.do(t, "GET", "/docs", "").Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; ") || regexp.MustCompile(`\*|https?:|unsafe-eval|script-src[^;]*unsafe`).MatchString(policy) {
		t.Errorf("the page's policy is %q", policy)
	}
}

func TestDocsAssetsAreCompressedForThoseWhoTakeIt(t *testing.T) {
	g := newServer(t, api.Options{})
	for accept, want := range map[string]bool{
		"":                  false,
		"gzip":              true,
		"br, GZIP":          true,
		"gzip;q=0.5":        true,
		"gzip; q=0":         false,
		"gzip;q=0.0, br":    false,
		"identity, notgzip": false,
		"deflate, gzip, br": true,
	} {
		got := g.do(t, "GET", "/docs/swagger-ui.css", "", "Accept-Encoding", accept)
		if compressed := got.Header.Get("Content-Encoding") == "gzip"; compressed != want || got.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q got compressed %t and Vary %q, want %t", accept, compressed, got.Header.Get("Vary"), want)
		}
		if got.Header.Get("Content-Type") != "text/css; charset=utf-8" {
			t.Errorf("Accept-Encoding %q got Content-Type %q", accept, got.Header.Get("Content-Type"))
		}
		text := got.body
		if want {
			r, err := gzip.NewReader(strings.NewReader(got.body))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		if !strings.Contains(text, ".swagger-ui") {
			t.Errorf("Accept-Encoding %q got no style sheet", accept)
		}
	}
}

func TestOpenAPIDocument(t *testing.T) {
	with := newServer(t, api.Options{OpenAPI: func() ([]byte, error) { return []byte(`{"openapi":"3.0.3"}`), nil }})
	if got := with.do(t, "GET", "/openapi.json", ""); got.body != `{"openapi":"3.0.3"}` || got.Header.Get("Content-Type") != jsonType {
		t.Errorf("got %q %s", got.Header.Get("Content-Type"), got.body)
	}
	without := newServer(t, api.Options{})
	if got := without.do(t, "GET", "/openapi.json", ""); got.StatusCode != 404 {
		t.Errorf("without a document got %d, want 404", got.StatusCode)
	}
}
