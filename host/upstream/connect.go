package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/upstream/h1"
)

const (
	maxIdle      = 512       // idle connections that net/http keeps; with Go's default of 2, most requests of a burst would dial
	streamWindow = 128 << 10 // bytes of an answer over HTTP/2; 1 MB/s over a connection of 100 ms
	readBuffer   = 4 << 10   // bytes of each connection's buffer; 16 KiB would save only 0.04 µs for each event of a burst
)

// connectBy makes the client that requests go by: our own for HTTP/1.1, net/http's for HTTP/2,
// proxies, and names that are not written in ASCII. The error names the option that is wrong.
func (c *Client) connectBy(o Options, dialer net.Dialer) error {
	proxy, proxyHost, err := parseProxy(o.Proxy, c.base)
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	plain := c.base.url.Scheme == "http"
	direct := isDirect(proxy, c.base)
	own := false
	switch o.HTTPVersion {
	case "", "auto":
		own = plain
	case "1.1":
		own = true
	case "2":
		c.onlyHTTP2 = true
		if plain && !direct {
			return errors.New("http_version: 2 over http:// is not possible through a proxy")
		}
	default:
		return errors.New(`http_version: must be "auto", "1.1" or "2"`)
	}

	dialer.Timeout = c.waits[h1.Connecting]
	dialer.Control = newGuard(c.base.url.Hostname(), proxyHost).control
	config := &tls.Config{}
	if o.TLS != nil {
		config = o.TLS.Clone()
	}
	host, address, ascii := c.base.server()
	if !own || !direct || !ascii || o.transport {
		c.transport = c.newTransport(proxy, dialer, config, o.HTTPVersion)
		return nil
	}
	if plain {
		config = nil
	}
	c.own, err = h1.New(h1.Options{Address: address, Host: host, Dial: dialer.DialContext, TLS: config, Waits: c.waits})
	if err != nil {
		return fmt.Errorf("base_url: host: %w", err)
	}
	return nil
}

// server returns the Host header of requests, and where to connect. ascii is false for a name
// that would have to be encoded first.
func (b baseURL) server() (host, address string, ascii bool) {
	port := b.url.Port()
	host = strings.TrimSuffix(b.url.Host, ":")
	if zone := strings.IndexByte(host, '%'); zone >= 0 { // of an IPv6 address; it means something here only
		host = host[:zone] + host[strings.IndexByte(host, ']'):]
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[b.url.Scheme]
	}
	for i := range len(host) {
		if host[i] >= 0x80 {
			return "", "", false
		}
	}
	return host, net.JoinHostPort(b.url.Hostname(), port), true
}

// isDirect reports whether requests reach base_url without a proxy. That doesn't change: the
// environment is read once.
func isDirect(proxy func(*http.Request) (*url.URL, error), base baseURL) bool {
	if proxy == nil {
		return true
	}
	u, err := proxy(&http.Request{URL: &base.url})
	return u == nil && err == nil
}

// newTransport makes the client of net/http.
func (c *Client) newTransport(proxy func(*http.Request) (*url.URL, error), dialer net.Dialer, config *tls.Config, version string) *http.Transport {
	// Records of 16 KiB from the start: Go begins with small ones, which would cut
	// the first 128 KiB of a prompt into some ninety writes.
	config.DynamicRecordSizingDisabled = true
	protocols := new(http.Protocols)
	protocols.SetHTTP1(version != "2")
	protocols.SetHTTP2(version != "1.1")
	protocols.SetUnencryptedHTTP2(version == "2")
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    c.waits[h1.Connecting],
		DisableCompression:     true, // decompressed here, so that limits apply to the result
		Protocols:              protocols,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		ReadBufferSize:         readBuffer,
		HTTP2: &http.HTTP2Config{
			// A connection carries many streams. Pings tell that it is dead before
			// each of them has waited for its own time-out.
			SendPingTimeout: 30 * time.Second,
			PingTimeout:     15 * time.Second,
			// How much of an answer may arrive before it is read. Go's default of 4 MiB
			// would be held for each client that stops reading.
			MaxReceiveBufferPerStream: streamWindow,
		},
	}
}

// parseProxy returns the transport's proxy function, nil for none, and the host
// of the proxy if the configuration names one.
func parseProxy(s string, base baseURL) (func(*http.Request) (*url.URL, error), string, error) {
	if base.loopback() {
		s = "none"
	}
	switch s {
	case "", "none":
		return nil, "", nil
	case "environment":
		return http.ProxyFromEnvironment, "", nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		// The parser's message would show a password.
		return nil, "", errors.New(`must be "none", "environment" or a URL such as http://proxy.example:3128`)
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return nil, "", fmt.Errorf("scheme %q is not one of http, https, socks5, socks5h", u.Scheme)
	}
	return http.ProxyURL(u), u.Hostname(), nil
}

// sendOwn sends a request over our own client.
func (c *Client) sendOwn(ctx context.Context, r Request) (*Response, error) {
	head, err := c.prepared(r)
	if err != nil {
		r.tellSent()
		return nil, c.badRequest(err)
	}
	x := c.own.Start(ctx)
	err = x.Send(h1.Request{Head: head, Body: r.Body, Rest: r.Rest})
	r.tellSent()
	if err != nil {
		err = c.failure(x, err)
		x.Close()
		return nil, err
	}
	return newResponse(c, x, x.Status, x.Header, x.Length, r), nil
}

// Bounds of the heads that are kept: an adapter asks for few different ones, unless it puts
// something of a client's into them.
const (
	maxPrepared     = 16
	longestPrepared = 1 << 10 // bytes of what an adapter asks for
)

// prepared returns the head of a request, which is checked and made when an adapter asks for
// such a head for the first time. The error says what is wrong with it.
func (c *Client) prepared(r Request) (*h1.Head, error) {
	known := &c.heads[min(int(r.Framing), 1)] // all but whole answers are asked for in the same way
	once := r.ContentType != "" || r.Trace != "" || len(r.Head) > longestPrepared
	if !once {
		c.headsMu.Lock()
		head := (*known)[string(r.Head)]
		c.headsMu.Unlock()
		if head != nil {
			return head, nil
		}
	}
	m, err := c.compose(r)
	if err != nil {
		return nil, err
	}
	head, err := c.own.Prepare(&h1.Request{Method: m.method, Target: m.url.RequestURI(), Header: m.header})
	if err != nil || once {
		return head, err
	}
	c.headsMu.Lock()
	defer c.headsMu.Unlock()
	if *known == nil || len(*known) == maxPrepared {
		*known = map[string]*h1.Head{}
	}
	(*known)[string(r.Head)] = head
	return head, nil
}

// sendTransport sends a request over net/http.
func (c *Client) sendTransport(ctx context.Context, m message, r Request) (*Response, error) {
	req := &http.Request{
		Method: m.method,
		URL:    m.url,
		Host:   m.url.Host,
		Header: m.header,
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	content, rest := r.Body, r.Rest
	if len(content) > 0 {
		req.ContentLength = int64(len(content))
		for _, p := range rest {
			req.ContentLength += int64(len(p))
		}
		req.GetBody = func() (io.ReadCloser, error) { return newBody(content, rest), nil }
		req.Body, _ = req.GetBody()
	}
	x := newRoundTrip(ctx, c.waits, c.onlyHTTP2)
	req = req.WithContext(x.ctx)
	answer, err := c.transport.RoundTrip(req)
	if err != nil && x.stale() {
		// The server closes connections that were idle for a while, or was restarted.
		// The other idle ones are hardly better, so the repeat gets a new connection.
		c.transport.CloseIdleConnections()
		if req.GetBody != nil {
			req.Body, _ = req.GetBody()
		}
		answer, err = c.transport.RoundTrip(req)
	}
	if err != nil {
		err = c.failure(x, err)
		x.Close()
		return nil, err
	}
	// net/http keeps the request, and with it GetBody, until the answer's end. Without
	// this, GetBody would keep the body.
	content, rest = nil, nil
	x.raw = answer.Body
	x.enter(h1.Reading)
	res := newResponse(c, x, answer.StatusCode, answer.Header, answer.ContentLength, r)
	res.overHTTP2 = answer.ProtoMajor == 2
	return res, nil
}
