// Package h1 is a client for one server that speaks HTTP/1.1. The request is in memory,
// and the answer is read piece by piece.
//
// An exchange is done by the goroutine that asks for it: it connects, sends head and body
// in one system call, and reads the answer through the connection's one buffer of 4 KiB.
// No other goroutine, channel or timer belongs to an exchange. One goroutine of the client,
// the sweeper, ends those that wait too long.
//
// The package guarantees that
//
//   - when the context ends, or a stage takes too long, the exchange ends at once, wherever
//     it is, and its connection with it;
//   - an answer that broke off is an error and never a clean end;
//   - a connection serves another request only if the one before was sent whole, its
//     answer was read to its end, and nothing came behind that;
//   - what can be read in two ways is refused: folded lines, a length that is given twice
//     or beside an encoding, an encoding other than chunked, names with a space;
//   - a server's head, chunk lines and trailers have limits, and what it sends is never
//     held beyond these and the buffer;
//   - a request is one request: a head with a line end or control character where none
//     belongs is refused before anything is sent.
//
// It follows no redirects, keeps no cookies, knows no proxies, compresses nothing, waits
// for no "100 Continue" and speaks neither HTTP/2 nor methods without a body in their
// answer, such as HEAD. The answer is only read when the request was sent, except for an
// answer to a request that the server doesn't want to read to its end. So a server that
// sends its answer while it still reads the request is read late. Without TLS, the rest of a
// body is not sent if the server takes nothing for 100 ms while an answer with any final
// status waits, even with 200.
package h1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// Options configures New. All but TLS are required.
type Options struct {
	Address string // where to connect: host:port
	Host    string // the header of that name

	// Dial makes a connection that carries bytes. Its context ends with the time for
	// connecting.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// TLS is copied. Without a ServerName it takes the host of Address; sessions are
	// resumed. Default: no TLS.
	TLS *tls.Config

	Waits Waits // all are positive
}

const (
	maxIdle    = 512              // idle connections kept
	idleFor    = 90 * time.Second // how long one is kept
	lookEvery  = 10 * time.Second // how often idle connections are looked at, to give back those the server closed
	longestNap = 250 * time.Millisecond
)

// Client keeps the connections to one server. It is safe for concurrent use.
type Client struct {
	address string
	host    string
	connect func(ctx context.Context, network, address string) (net.Conn, error)
	tls     *tls.Config
	waits   Waits
	nap     time.Duration // how long the sweeper sleeps while there are exchanges
	start   time.Time
	wake    chan struct{}

	mu       sync.Mutex
	idle     []*conn     // the last used at the end, so ordered by since
	active   []*Exchange // each knows its index
	looked   time.Duration
	retired  bool          // no connection is kept
	closed   bool          // and the sweeper ends with the last exchange
	sweeping chan struct{} // closed when the sweeper ends; nil: there is none
	resting  bool          // the sweeper sleeps for longer than nap
}

// New makes a client. It opens no connection and starts no goroutine.
func New(o Options) (*Client, error) {
	if o.Host == "" || !isHost(o.Host) {
		return nil, errors.New("not a host")
	}
	c := &Client{
		address: o.Address,
		host:    o.Host,
		connect: o.Dial,
		waits:   o.Waits,
		nap:     max(min(o.Waits[Answering]/8, o.Waits[Reading]/8, longestNap), time.Millisecond),
		start:   time.Now(),
		wake:    make(chan struct{}, 1),
	}
	if o.TLS != nil {
		c.tls = o.TLS.Clone()
		c.tls.NextProtos = []string{"http/1.1"}
		// Records of 16 KiB from the start: Go begins with small ones, which would cut
		// the first 128 KiB of a request into some ninety writes.
		c.tls.DynamicRecordSizingDisabled = true
		if c.tls.ServerName == "" {
			c.tls.ServerName, _, _ = net.SplitHostPort(o.Address)
		}
		if c.tls.ClientSessionCache == nil {
			c.tls.ClientSessionCache = tls.NewLRUClientSessionCache(4) // of one server
		}
	}
	return c, nil
}

// CloseIdle closes the idle connections.
func (c *Client) CloseIdle() {
	c.mu.Lock()
	idle := c.idle
	c.idle = nil
	c.mu.Unlock()
	for _, k := range idle {
		k.close()
	}
}

// Retire closes the idle connections and keeps none from now on. The client can still be
// used.
func (c *Client) Retire() {
	c.mu.Lock()
	c.retired = true
	c.mu.Unlock()
	c.CloseIdle()
}

// Close closes the idle connections and ends the sweeper. Exchanges that still run go on,
// and the last of them ends it. No exchange may be started afterwards.
func (c *Client) Close() {
	c.mu.Lock()
	c.retired, c.closed = true, true
	c.mu.Unlock()
	c.CloseIdle()
	c.endSweeper()
}

// clock is the time since the client was made. It never goes back.
func (c *Client) clock() time.Duration { return time.Since(c.start) }

// take returns the idle connection that was used last, if its server has neither closed
// it nor sent anything; nil if there is none.
func (c *Client) take() *conn {
	for {
		c.mu.Lock()
		n := len(c.idle)
		if n == 0 {
			c.mu.Unlock()
			return nil
		}
		k := c.idle[n-1]
		c.idle[n-1] = nil
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		if c.clock()-k.since < idleFor && k.quiet() {
			return k
		}
		k.close()
	}
}

// keep takes back a connection on which nothing is left to read.
func (c *Client) keep(k *conn) {
	k.kept, k.since = true, c.clock()
	c.mu.Lock()
	full := c.retired || len(c.idle) == maxIdle
	if !full {
		c.idle = append(c.idle, k)
	}
	c.mu.Unlock()
	if full {
		k.close()
	}
}

// dial makes a connection that is ready for a request. The error is the cause of the
// context's end, or what failed.
func (c *Client) dial(ctx context.Context) (*conn, error) {
	within, cancel := context.WithTimeout(ctx, c.waits[Connecting])
	defer cancel()
	raw, err := c.connect(within, "tcp", c.address)
	if err == nil {
		var k *conn
		if k, err = newConn(within, raw, c.tls); err == nil {
			return k, nil
		}
		raw.Close()
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case within.Err() != nil:
		return nil, &Timeout{Connecting, c.waits[Connecting]}
	}
	return nil, err
}
