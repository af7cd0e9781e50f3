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
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/upstream/h1"
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

	// HTTPVersion is "auto", "1.1" or "2". "auto" is 1.1 over http://, and over https:// what
	// the server prefers. "2" over http:// needs a server that expects it, and no proxy.
	// Default "auto".
	HTTPVersion string

	transport bool // for tests: net/http's Transport for everything
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
	waits     h1.Waits
	lineLimit int
	bodyLimit int
	now       func() time.Time
	own       *h1.Client      // for HTTP/1.1 without a proxy; else nil
	transport *http.Transport // for everything else; else nil
	onlyHTTP2 bool            // the transport speaks nothing else
	retired   atomic.Bool
	smalls    sync.Pool // of *[smallSize]byte: see Response.fill
	bursts    sync.Pool // of *[burstSize]byte

	headsMu sync.Mutex
	heads   [2]map[string]*h1.Head // by what adapters ask for: for whole answers, and for others
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
		userAgent: cmp.Or(o.UserAgent, "kai"),
		waits: h1.Waits{
			h1.Connecting: cmp.Or(o.Connect, defaultConnect),
			h1.Answering:  cmp.Or(o.FirstByte, defaultFirstByte),
			h1.Reading:    cmp.Or(o.Idle, defaultIdle),
			h1.Draining:   drainWait,
		},
		lineLimit: cmp.Or(o.LineLimit, defaultLimit),
		bodyLimit: cmp.Or(o.BodyLimit, defaultLimit),
		now:       o.Now,
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.smalls.New = func() any { return new([smallSize]byte) }
	c.bursts.New = func() any { return new([burstSize]byte) }
	if o.Secret.Header != "" && (!h1.IsToken(o.Secret.Header) || !h1.IsValue(o.Secret.Value)) {
		return nil, errors.New("secret: not a valid header")
	}
	if !h1.IsValue(c.userAgent) {
		return nil, errors.New("user agent: not a valid header value")
	}
	if err := c.connectBy(o, dialer); err != nil {
		return nil, err
	}
	return c, nil
}

// Close closes the idle connections. Connections in use are closed when their answer
// ends. The client must not be used afterwards.
func (c *Client) Close() {
	if c.own != nil {
		c.own.Close()
		return
	}
	c.transport.CloseIdleConnections()
}

// Retire is for a client that has a successor, which uses connections of its own. It
// closes the idle connections, now and whenever an answer ends. The client can still be
// used.
func (c *Client) Retire() {
	c.retired.Store(true)
	c.closeIdle()
}

// closeIdle closes the idle connections of a client that has retired.
func (c *Client) closeIdle() {
	if c.own != nil {
		c.own.Retire()
		return
	}
	c.transport.CloseIdleConnections()
}

// Request is a request that an adapter asks for.
type Request struct {
	Head    []byte      // payload of REQUEST: "POST /api/chat\nname: value\n"
	Body    []byte      // must never change before Sent: it may be read even after the answer was closed
	Rest    [][]byte    // what follows Body; the same holds for it
	Framing abi.Framing // how the answer is expected to be framed

	// Sent is called once, during Do, when nothing will read Body any more. net/http may read
	// it even afterwards: of a request that it sends, Sent is not called. Default: nobody is
	// told.
	Sent func()

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

// tellSent says that nothing will read Body any more.
func (r *Request) tellSent() {
	if r.Sent != nil {
		r.Sent()
	}
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
	if len(r.Body) == 0 {
		r.Rest = nil
	}
	if c.own != nil {
		return c.sendOwn(ctx, r)
	}
	m, err := c.compose(r)
	if err != nil {
		return nil, c.badRequest(err)
	}
	return c.sendTransport(ctx, m, r)
}

// message is the head of a request.
type message struct {
	method string
	url    *url.URL
	header http.Header
}

// compose makes the head of the request. If there is an error, the adapter is to blame.
func (c *Client) compose(r Request) (message, error) {
	head, err := parseHead(r.Head)
	if err != nil {
		return message{}, err
	}
	u, err := c.base.join(head.path)
	if err != nil {
		return message{}, err
	}
	if c.secret.Header != "" {
		if _, named := head.header[c.secret.Header]; named {
			return message{}, fmt.Errorf("header %q: is the provider's secret", strings.ToLower(c.secret.Header))
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
	return message{head.method, u, head.header}, nil
}
