// Package upstream carries an adapter's request to its provider and brings the
// answer back, whole or cut into frames.
//
// It does everything that an adapter is not trusted with: the address, the secret,
// TLS, time-outs, limits, compression and connection reuse. It guarantees that
//
//   - a request goes to base_url's origin and below its path, whatever the
//     adapter says, and never to a link-local, multicast or metadata address
//     unless the configuration names that address itself;
//   - when the context ends, the upstream connection ends at once;
//   - an answer that broke off is an error and never a clean end;
//   - no answer, error or header repeats the provider's key (see redactor);
//   - every error is a *fault.Error, whose message has no address and no key, or
//     the cause of the context's end, or a *memory.Error.
//
// It follows no redirects, keeps no cookies and knows no provider. Of JSON it only
// tells one value from several lines of values. Web pages and redirects are errors,
// because no provider's API consists of them.
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
	Usual     string           // the usual BaseURL of such providers, for messages; default: none
	Secret    Secret           // added to every request; default: none
	Connect   time.Duration    // limit from the request to a usable connection, TLS included; default 10 s
	FirstByte time.Duration    // limit from the connection to the answer's head; default 10 min
	Idle      time.Duration    // limit of a silence within the answer's body; default 5 min
	Proxy     string           // "none", "environment" or a URL; default "none", and always none for a loopback base_url
	LineLimit int              // how many bytes a line or event of a stream may have; default 32 MiB
	BodyLimit int              // how many bytes a whole answer may have, decompressed; default 32 MiB
	UserAgent string           // sent unless the adapter sets one; default "kai"
	Now       func() time.Time // for dates in answers; default time.Now
	TLS       *tls.Config      // for private certificate authorities, for example; copied; default: the system's
}

// Secret is the header that authorizes requests at the provider. It is added
// after the request has left the adapter, so no adapter sees it or decides where
// it goes.
type Secret struct {
	Header string // the header's name; "": there is no secret
	Value  string // the header's complete value, for example "Bearer abc"
	Key    string // the part of Value that no answer may repeat, "abc"; default: Value's last word
}

// key returns the text that is replaced in answers.
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

// Client sends requests to one provider. It is safe for concurrent use. Its options never
// change: a provider whose options change gets a new Client.
type Client struct {
	provider  string
	usual     string
	base      baseURL
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
//
//   - error: names the option that is wrong, and repeats neither a URL nor the secret
func New(o Options) (*Client, error) {
	return newClient(o, net.Dialer{})
}

// newClient is New with a dialer, so that tests can use a resolver of their own.
func newClient(o Options, dialer net.Dialer) (*Client, error) {
	base, err := parseBaseURL(o.BaseURL)
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
	// Records of 16 KiB from the start: Go begins with small ones, which would cut
	// the first 128 KiB of a prompt into some ninety writes.
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
		DisableCompression:     true, // decompressed here, so that limits apply to the result
		ForceAttemptHTTP2:      true,
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
	return c, nil
}

const (
	maxIdle      = 512       // idle connections kept; with Go's default of 2, most requests of a burst would dial
	streamWindow = 128 << 10 // bytes of an answer over HTTP/2; 1 MB/s over a connection of 100 ms
	readBuffer   = 4 << 10   // bytes of each connection's buffer; 16 KiB would save only 0.04 µs for each event of a burst
)

// Close closes the idle connections. Connections in use are closed when their answer
// ends. The client must not be used afterwards.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Retire is for a client that has a successor, which uses connections of its own. It
// closes the idle connections, now and whenever an answer ends. The client can still be
// used.
func (c *Client) Retire() {
	c.retired.Store(true)
	c.transport.CloseIdleConnections()
}

// Request is a request that an adapter asks for.
type Request struct {
	Head    []byte      // payload of REQUEST: "POST /api/chat\nname: value\n"
	Body    []byte      // must never change: it may be read even after the answer was closed
	Rest    [][]byte    // what follows Body; the same holds for it
	Framing abi.Framing // how the answer is expected to be framed

	// ContentType is that of the body. Default: what the adapter says.
	ContentType string

	// Trace is sent as the header traceparent, whatever the adapter says. "": none is
	// added.
	Trace string

	// Memory counts what is held of the answer until it is closed. Default: nothing
	// is counted.
	Memory *memory.Grant

	// BodyLimit is how many bytes a whole answer may have, decompressed. Default: that of
	// the client's options.
	BodyLimit int
}

// Do sends a request and waits for the head of its answer, and for the first bytes
// of the body if they are needed to tell what kind of answer it is.
//
//   - ctx: if it ends before the response is closed, the connection is closed
//   - the caller must close the response
//   - error: context.Cause(ctx); a *fault.Error with the code adapter_error for a
//     request that is not allowed, otherwise upstream_error, upstream_timeout or the
//     code that a web page or redirect stands for; or a *memory.Error, which says
//     nothing about the upstream
//
// An answer of any status is no error, unless it is a web page or redirect. A request is
// sent once, with one exception: it is repeated if the server closed a reused connection
// before a byte of the answer came.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := resp.settle(r.Framing); err != nil {
		resp.Close()
		return nil, err
	}
	return resp, nil
}

// send sends a request and waits for the head of its answer.
func (c *Client) send(ctx context.Context, r Request) (*Response, error) {
	req, err := c.compose(r)
	if err != nil {
		return nil, c.badRequest(err)
	}
	content, rest := r.Body, r.Rest
	if len(content) > 0 {
		scheme := req.URL.Scheme
		req.ContentLength = int64(len(content))
		for _, p := range rest {
			req.ContentLength += int64(len(p))
		}
		req.GetBody = func() (io.ReadCloser, error) { return newBody(content, rest, scheme), nil }
		req.Body, _ = req.GetBody()
	}
	x := newRoundTrip(ctx, c.waits, req.Body != nil)
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
		x.end()
		return nil, err
	}
	// net/http keeps the request, and with it GetBody, until the answer's end. Without
	// this, GetBody would keep the body.
	content, rest = nil, nil
	x.enter(reading)
	return newResponse(c, x, answer, r), nil
}

// compose makes the HTTP request. If there is an error, the adapter is to blame.
func (c *Client) compose(r Request) (*http.Request, error) {
	head, err := parseHead(r.Head)
	if err != nil {
		return nil, err
	}
	u, err := c.base.join(head.path)
	if err != nil {
		return nil, err
	}
	if c.secret.Header != "" {
		if _, named := head.header[c.secret.Header]; named {
			return nil, fmt.Errorf("header %q: is the provider's secret", strings.ToLower(c.secret.Header))
		}
		head.header[c.secret.Header] = []string{c.secret.Value}
	}
	if r.ContentType != "" {
		head.header["Content-Type"] = []string{r.ContentType}
	}
	if r.Trace != "" {
		head.header["Traceparent"] = []string{r.Trace}
	}
	if _, named := head.header["User-Agent"]; !named {
		head.header["User-Agent"] = []string{c.userAgent}
	}
	// A stream is asked for uncompressed: a server that compresses collects what it
	// should send, and each open stream would need a window of 40 KiB.
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

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
