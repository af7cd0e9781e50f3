// Package upstream carries an adapter's request to its provider and brings the
// answer back, whole or cut into frames.
//
// It owns everything an adapter is not trusted with: the address, the secret,
// TLS, time-outs, limits, compression and connection reuse. It guarantees that
//
//   - a request goes to base_url's origin and below its path, whatever the
//     adapter says, and to no link-local, multicast or metadata address that
//     the configuration does not name itself;
//   - ending the context ends the upstream connection at once;
//   - an answer that broke off is an error and never a clean end;
//   - no answer, error or head line repeats the provider's key, see redactor;
//   - every error is an *fault.Error whose message holds no address and no key,
//     the cause of the context's end, or a *memory.Error.
//
// It follows no redirect, keeps no cookie, knows no provider and reads no
// JSON beyond telling one value from a line of several. Web pages and redirects
// are errors here, for they are none of a provider's API.
package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Options configures New. Only Provider and BaseURL are required.
type Options struct {
	Provider  string           // the provider's name in the configuration, for messages
	BaseURL   string           // http or https, without userinfo and fragment; path and query are kept
	Usual     string           // the BaseURL that most have, for messages; default: none
	Secret    Secret           // added to every request; default: none
	Connect   time.Duration    // from the request to a usable connection, TLS included; default 10 s
	FirstByte time.Duration    // from the connection to the answer's head; default 10 min
	Idle      time.Duration    // longest silence within the answer's body; default 5 min
	Proxy     string           // "none", "environment" or a URL; default "none", and always none for a loopback base_url
	LineLimit int              // bytes of one line or event of a stream; default 32 MiB
	BodyLimit int              // bytes of a whole answer, decompressed; default 32 MiB
	UserAgent string           // sent unless the adapter names one; default "kai"
	Now       func() time.Time // for dates in answers; default time.Now
	TLS       *tls.Config      // for example private certificate authorities; copied; default: the system's
}

// Secret is the header that authorizes requests at the provider. It is added
// after the request left the adapter, so no adapter sees it or places it.
type Secret struct {
	Header string // name; "" is no secret
	Value  string // the complete value, for example "Bearer abc"
	Key    string // the part of Value that no answer may repeat, "abc"; default: Value's last word
}

// key is what is replaced in answers.
func (s Secret) key() string {
	if s.Key != "" {
		return s.Key
	}
	return s.Value[strings.LastIndexByte(s.Value, ' ')+1:]
}

// String keeps the value out of logs.
func (s Secret) String() string {
	if s.Header == "" {
		return "none"
	}
	return s.Header + ": REDACTED"
}

// GoString keeps the value out of %#v.
func (s Secret) GoString() string { return s.String() }

const (
	defaultConnect   = 10 * time.Second
	defaultFirstByte = 10 * time.Minute
	defaultIdle      = 5 * time.Minute
	defaultLimit     = 32 << 20
)

// Client sends requests to one provider. It is safe for concurrent use and, but for
// Retire, does not change after New; a reload makes a new one.
type Client struct {
	provider  string
	usual     string
	base      target
	secret    Secret
	redact    *redactor
	userAgent string
	waits     waits
	lineLimit int
	bodyLimit int
	now       func() time.Time
	transport *http.Transport
	retired   atomic.Bool
	bursts    sync.Pool // of *[burstSize]byte: see Response.fill
}

// New checks the options and makes a client. It opens no connection.
func New(o Options) (*Client, error) {
	return newClient(o, net.Dialer{})
}

// newClient lets tests bring a dialer with a resolver of their own.
func newClient(o Options, dialer net.Dialer) (*Client, error) {
	base, err := parseBase(o.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("base_url: %w", err)
	}
	c := &Client{
		provider:  o.Provider,
		usual:     o.Usual,
		base:      base,
		secret:    Secret{Header: textproto.CanonicalMIMEHeaderKey(o.Secret.Header), Value: o.Secret.Value},
		redact:    newRedactor(o.Secret.key()),
		userAgent: orDefault(o.UserAgent, "kai"),
		waits: waits{
			connecting: orDefault(o.Connect, defaultConnect),
			answering:  orDefault(o.FirstByte, defaultFirstByte),
			reading:    orDefault(o.Idle, defaultIdle),
			draining:   drainWait,
		},
		lineLimit: orDefault(o.LineLimit, defaultLimit),
		bodyLimit: orDefault(o.BodyLimit, defaultLimit),
		now:       o.Now,
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.bursts.New = func() any { return new([burstSize]byte) }
	if o.Secret.Header != "" && (!isToken(o.Secret.Header) || !isHeaderValue(o.Secret.Value)) {
		return nil, errors.New("secret: not a valid header")
	}
	if !isHeaderValue(c.userAgent) {
		return nil, errors.New("user agent: not a valid header value")
	}
	proxy, proxyHost, err := parseProxy(o.Proxy, base)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}

	guard := newGuard(base.url.Hostname(), proxyHost)
	dialer.Timeout = c.waits[connecting]
	dialer.Control = guard.control
	config := &tls.Config{}
	if o.TLS != nil {
		config = o.TLS.Clone()
	}
	// Records of 16 KiB from the start: Go's ramp of small ones would cut the
	// first 128 KiB of a prompt into some ninety writes.
	config.DynamicRecordSizingDisabled = true
	c.transport = &http.Transport{
		Proxy: proxy,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			if tcp, ok := nc.(*net.TCPConn); ok && base.url.Scheme == "http" {
				return &conn{TCPConn: tcp}, nil
			}
			return nc, nil
		},
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    c.waits[connecting],
		DisableCompression:     true, // done here, so that limits apply to what comes out
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		ReadBufferSize:         readBuffer,
		HTTP2: &http.HTTP2Config{
			// A connection carries many streams: notice that it is dead before
			// every one of them waits for its own time-out.
			SendPingTimeout: 30 * time.Second,
			PingTimeout:     15 * time.Second,
			// What may arrive of an answer before it is read. Go's own 4 MiB would be
			// set aside for each client that stops reading.
			MaxReceiveBufferPerStream: streamWindow,
		},
	}
	return c, nil
}

const (
	maxIdle      = 512       // idle connections kept; Go's own 2 would make most of a burst dial again
	streamWindow = 128 << 10 // bytes of an answer over HTTP/2; 1 MB/s over a connection of 100 ms
	readBuffer   = 4 << 10   // bytes of each connection's buffer; 16 KiB saved 0.04 µs an event of a burst
)

// Close closes the idle connections; those in use close when their answer
// ends. The client must not be used afterwards.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Retire closes the idle connections, now and whenever an answer ends from here on:
// those who take the client's place have their own. It can still be used.
func (c *Client) Retire() {
	c.retired.Store(true)
	c.transport.CloseIdleConnections()
}

// Request is what an adapter asks for.
type Request struct {
	Head    []byte      // payload of REQUEST: "POST /api/chat\nname: value\n"
	Body    []byte      // must not change any more: it may be read even after the answer was closed
	Framing abi.Framing // of the answer

	// Memory counts what is held of the answer until that is closed. Default: nothing
	// is counted.
	Memory *memory.Grant
}

// Do sends a request and waits for the head of its answer and for the first
// bytes of the body, which tell what it is.
//
//   - ctx is the request's only lifetime: its end closes the connection, until
//     the response is closed
//   - the caller must close the response
//   - error: context.Cause(ctx), or an *fault.Error: 502 adapter_error for a
//     request that is not allowed, 502 upstream_error, 504 upstream_timeout, and
//     what a web page or a redirect stands for; or a *memory.Error, which says
//     nothing of the upstream
//
// Any other status is an answer. Nothing is repeated, with one exception: a kept
// connection that the server closed before a byte of the answer came.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	resp, err := c.ask(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := resp.settle(r.Framing); err != nil {
		resp.Close()
		return nil, err
	}
	return resp, nil
}

// ask sends a request and waits for the head of its answer.
func (c *Client) ask(ctx context.Context, r Request) (*Response, error) {
	req, err := c.compose(r)
	if err != nil {
		return nil, c.badRequest(err)
	}
	content := r.Body
	if len(content) > 0 {
		scheme := req.URL.Scheme
		req.ContentLength = int64(len(content))
		req.GetBody = func() (io.ReadCloser, error) { return newBody(content, scheme), nil }
		req.Body, _ = req.GetBody()
	}
	x := newExchange(ctx, c.waits, req.Body != nil)
	req = req.WithContext(x.ctx)
	answer, err := c.transport.RoundTrip(req)
	if err != nil && x.stale() {
		// The server closes what was idle for a while, or was restarted: what
		// else is idle is hardly better, so the repeat gets a new connection.
		c.transport.CloseIdleConnections()
		if req.GetBody != nil {
			req.Body, _ = req.GetBody()
		}
		answer, err = c.transport.RoundTrip(req)
	}
	if err != nil {
		err = c.failure(x, err)
		x.end()
		return nil, err
	}
	// net/http keeps the request, and GetBody with it, until the answer's end.
	content = nil
	x.enter(reading)
	return newResponse(c, x, answer, r.Memory), nil
}

// compose makes the HTTP request; its errors are the adapter's fault.
func (c *Client) compose(r Request) (*http.Request, error) {
	head, err := parseHead(r.Head)
	if err != nil {
		return nil, err
	}
	u, err := c.base.join(head.target)
	if err != nil {
		return nil, err
	}
	if c.secret.Header != "" {
		if _, named := head.header[c.secret.Header]; named {
			return nil, fmt.Errorf("header %q: is the provider's secret", strings.ToLower(c.secret.Header))
		}
		head.header[c.secret.Header] = []string{c.secret.Value}
	}
	if _, named := head.header["User-Agent"]; !named {
		head.header["User-Agent"] = []string{c.userAgent}
	}
	// A stream is asked for plain: compressing would make the server collect
	// what it should send, and cost each open stream 40 KiB of window.
	coding := "identity"
	if r.Framing == abi.Whole {
		coding = "gzip"
	}
	head.header["Accept-Encoding"] = []string{coding}

	req := &http.Request{
		Method: head.method,
		URL:    u,
		Host:   u.Host,
		Header: head.header,
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	return req, nil
}

// parseProxy gives the transport's proxy function, nil for none, and the host
// of a proxy that the configuration names.
func parseProxy(s string, base target) (func(*http.Request) (*url.URL, error), string, error) {
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
		// The parser's own message would show a password.
		return nil, "", errors.New(`must be "none", "environment" or a URL such as http://proxy.example:3128`)
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return nil, "", fmt.Errorf("scheme %q is not one of http, https, socks5, socks5h", u.Scheme)
	}
	return http.ProxyURL(u), u.Hostname(), nil
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
