package upstream

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/kai-gateway/kai/host/fault"

	rules "github.com/kai-gateway/kai/sdk/exchange"
)

// webPage returns the error for a web page in place of an answer. No provider's API sends
// one: it comes from something on the way, or base_url is wrong. So its status says
// nothing about the gateway's key or account. It can be trusted only where it says that a
// request is too large, or when to come back.
func (c *Client) webPage(r *Response) *fault.Error {
	e := c.failed(fmt.Sprintf("sent a web page with status %d instead of an API answer", r.Status),
		fmt.Errorf("content type %q, title %q", r.header.Get("Content-Type"), title(r.start)))
	advice := ""
	switch s := r.Status; {
	case s == 429:
		e.Kind, e.Code = fault.Rate, "rate_limit_exceeded"
		advice = ": something in front of it limits the requests"
	case s == 413:
		e.Kind, e.OwnStatus, e.Code = fault.Context, s, "request_too_large"
		advice = ": the request is too large for something in front of it"
	case s == 408 || s == 504 || s == 524:
		e.Kind, e.Code = fault.Slow, codeTimeout
		advice = ": something in front of it got no answer in time"
	case s >= 500:
		advice = ": it, or something in front of it, is not working"
	case s == 401 || s == 407:
		e.NoRetry = true
		advice = ": something in front of it, such as a proxy, asks for credentials. " + c.checkAddress()
	case s == 404 || s == 405 || s == 410:
		e.NoRetry = true
		advice = ": there is no API at this place. " + c.checkAddress()
	case s >= 400:
		e.NoRetry = true
		advice = ": something in front of it, such as a proxy or a firewall, refused the request"
	default:
		e.NoRetry = true
		advice = ". " + c.checkAddress()
	}
	e.Text += advice
	if e.Kind == fault.Rate || r.Status >= 500 {
		e.RetryAfter = rules.RetryAfter(r.header, c.now())
	}
	return e
}

// checkAddress returns advice for clients: is base_url right, and what is it usually?
func (c *Client) checkAddress() string {
	if c.usual == "" {
		return "Is its base_url right?"
	}
	return "Is its base_url right? Usually it is " + c.usual + "."
}

// titles finds the title of a page.
var titles = regexp.MustCompile(`(?is)<title[^>]*>\s*(.{0,80})`)

// title returns the title of a web page for the log. It looks only at the page's first
// bytes.
func title(page []byte) string {
	if m := titles.FindSubmatch(page[:min(len(page), smallSize)]); m != nil {
		text, _, _ := bytes.Cut(m[1], []byte("<"))
		return strings.ToValidUTF8(string(bytes.TrimSpace(text)), "?")
	}
	return ""
}

// redirected returns the error for a redirect. Redirects are not followed: the request
// has a key that is meant for base_url, and a POST would become a GET.
func (c *Client) redirected(r *Response) *fault.Error {
	location, shown, advice := c.describeLocation(r.header.Get("Location"))
	e := c.failed(fmt.Sprintf("answered with a redirect, status %d%s, which Kai does not follow. %s",
		r.Status, shown, advice), fmt.Errorf("location %q", location))
	e.Text = c.redact.text(e.Text)
	e.NoRetry = true
	return e
}

const maxShownPath = 100 // bytes of a path in a message

// describeLocation reads a Location. It returns what the log and what a client may see of
// it, both without credentials, and what the operator should do.
func (c *Client) describeLocation(location string) (logged, shown, advice string) {
	correct := "Correct its base_url"
	if c.usual != "" {
		correct += "; usually it is " + c.usual
	}
	if location == "" {
		return "", "", correct + "."
	}
	to, err := c.base.url.Parse(location)
	if err != nil || to.Host == "" {
		return "unreadable", "", correct + "."
	}
	to = &url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path, RawPath: to.RawPath}
	logged = to.String()
	path := to.EscapedPath()
	if len(path) > maxShownPath {
		path = path[:maxShownPath] + "…"
	}
	from := c.base.url
	switch {
	case to.Hostname() == from.Hostname() && from.Scheme == "http" && to.Scheme == "https":
		return logged, " to the same place by https", "Its base_url must begin with https://."
	case to.Scheme == from.Scheme && to.Host == from.Host:
		return logged, " to " + path + " of the same server", correct + "."
	case isPublic(to):
		return logged, " to " + to.Scheme + "://" + to.Host + path, correct + "."
	}
	return logged, " to another server, which Kai's log names", correct + "."
}

// isPublic reports whether a URL's host has a public name, which clients may see.
func isPublic(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	if u.Port() != "" || net.ParseIP(host) != nil || !strings.Contains(host, ".") {
		return false
	}
	for _, domain := range privateDomains {
		if strings.HasSuffix(host, domain) {
			return false
		}
	}
	return true
}

// privateDomains are endings of host names that no public network knows.
var privateDomains = [...]string{
	".internal", ".local", ".localdomain", ".lan", ".intranet", ".corp", ".private", ".home.arpa", ".svc", ".docker",
}
