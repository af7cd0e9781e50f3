package api

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
)

// Offered is a model as GET / shows it.
type Offered struct {
	Model string
	Needs string // what has to be done before the model answers; "": nothing
}

// indexStyle is the style sheet of the page that GET / answers with.
//
//go:embed index.css
var indexStyle string

// indexPolicy allows the page its own style and its empty icon, and nothing else.
func indexPolicy() string {
	sum := sha256.Sum256([]byte(indexStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// index says what the gateway is, to whoever opens its bare address: with a page
// for browsers, in JSON for programs.
func (s *server) index(_ context.Context, x *Exchange) error {
	x.Writer.Header().Add("Vary", "Accept")
	if wantsHTML(x.Request.Header["Accept"]) {
		x.Writer.Header().Set("Content-Security-Policy", s.indexPolicy)
		return x.write(http.StatusOK, "text/html; charset=utf-8", s.indexPage(x.Request))
	}
	return x.answer(http.StatusOK, struct {
		Name      string   `json:"name"`
		Version   string   `json:"version"`
		Docs      string   `json:"docs"`
		OpenAPI   string   `json:"openapi"`
		Endpoints []string `json:"endpoints"`
	}{"kai", s.Version, docsPath, openAPIPath, s.table.endpoints()})
}

// indexPage returns the page for browsers. Its links are relative, so that it
// works behind a path prefix, too.
func (s *server) indexPage(r *http.Request) []byte {
	base := baseURL(r)
	key := ""
	if s.Authenticate != nil {
		key = "\n  -H 'Authorization: Bearer YOUR_KEY' \\"
	}
	model, err := json.Marshal(s.Example)
	if err != nil {
		model = []byte(`""`) // never happens with a string
	}
	curl := fmt.Sprintf("curl %s \\%s\n  -H 'Content-Type: application/json' \\\n  -d '{\"model\": %s, \"messages\": [{\"role\": \"user\", \"content\": \"Hello!\"}]}'",
		base+ChatPath, key, strings.ReplaceAll(string(model), "'", `'\''`))

	var b strings.Builder
	e := html.EscapeString
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"+
		"<title>Kai</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>%s</style>\n</head>\n<body>\n<header><b>K</b><h1>Kai <small>%s</small></h1></header>\n", indexStyle, e(s.Version))
	fmt.Fprintf(&b, "<p>A gateway that speaks OpenAI's and Anthropic's APIs. Applications use it with the base URL <code>%s/v1</code>, Anthropic's with <code>%s</code>.</p>\n", e(base), e(base))
	b.WriteString("<nav><a href=\"docs\"><strong>API</strong> described, and tried in the browser</a>")
	if s.Console != nil {
		if address := s.Console(r); address != "" {
			fmt.Fprintf(&b, "<a href=\"%s\"><strong>Console</strong> for whoever runs this gateway</a>", e(address))
		}
	}
	b.WriteString("<a href=\"health\"><strong>Health</strong> of the gateway and its providers</a></nav>\n")
	fmt.Fprintf(&b, "<h2>A first request</h2>\n<pre>%s</pre>\n", e(curl))
	if offered := s.Offered(); len(offered) > 0 {
		b.WriteString("<h2>Models</h2>\n<table>\n")
		for _, o := range offered {
			needs := o.Needs
			if needs == "" {
				needs = "ready"
			}
			fmt.Fprintf(&b, "<tr><td><code>%s</code></td><td>%s</td></tr>\n", e(o.Model), e(needs))
		}
		b.WriteString("</table>\n")
	}
	b.WriteString("<footer><a href=\"openapi.json\">openapi.json</a></footer>\n</body>\n</html>\n")
	return []byte(b.String())
}

// baseURL returns the address that the browser used, for people to copy. A host
// with characters that no host name has becomes localhost.
func baseURL(r *http.Request) string {
	scheme, host := "http", r.Host
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	if host == "" || strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") != "" {
		host = "localhost"
	}
	return scheme + "://" + host
}

// wantsHTML reports whether the values of Accept prefer HTML to JSON.
func wantsHTML(headers []string) bool {
	page, program := 0.0, 0.0
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		name, parameters, _ := strings.Cut(part, ";")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q="); ok {
			if w, err := strconv.ParseFloat(strings.TrimSpace(q), 64); err == nil {
				weight = w
			}
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "text/html":
			page = max(page, weight)
		case "application/json":
			program = max(program, weight)
		}
	}
	return page > program
}
