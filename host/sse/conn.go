package sse

import (
	"context"
	"net"
	"sync"
)

// Listen wraps a listener so that its connections are Conns. ConnContext must be that of
// the http.Server that serves it.
func Listen(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

// Accept waits for the next connection. It is a *Conn.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: c}, nil
}

type connKey struct{}

// ConnContext is for http.Server: it lets ConnFrom find a request's connection.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*Conn); ok {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// ConnFrom returns the connection of the request whose context ctx is, or nil if it isn't a
// *Conn.
func ConnFrom(ctx context.Context) *Conn {
	c, _ := ctx.Value(connKey{}).(*Conn)
	return c
}

// Conn is a client's connection that can gather what is written to it. net/http writes
// through a buffer of 4 KiB, so a large event would take several writes to the system.
//
// It is safe for concurrent use, but only one goroutine may call Cork and Uncork.
type Conn struct {
	net.Conn

	mu   sync.Mutex
	held *[]byte // what was gathered; nil: it isn't corked
}

// maxHeld is how many bytes are gathered at most. What comes after them is written.
const maxHeld = 64 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// Cork gathers what is written until Uncork.
func (c *Conn) Cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held = buffers.Get().(*[]byte)
	}
}

// Uncork writes what was gathered since Cork. The error is that of the write. Without Cork
// it does nothing.
func (c *Conn) Uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		return nil
	}
	b := c.held
	err := c.writeHeld()
	c.held = nil
	buffers.Put(b)
	return err
}

// Write writes p, or gathers it. It then reports success, and a failure is Uncork's.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		return c.Conn.Write(p)
	}
	if len(*c.held)+len(p) > maxHeld {
		if err := c.writeHeld(); err != nil {
			return 0, err
		}
		if len(p) > maxHeld {
			return c.Conn.Write(p)
		}
	}
	*c.held = append(*c.held, p...)
	return len(p), nil
}

// writeHeld writes what was gathered. It belongs to nobody afterwards, even after an error.
func (c *Conn) writeHeld() error {
	b := *c.held
	*c.held = b[:0]
	if len(b) == 0 {
		return nil
	}
	_, err := c.Conn.Write(b)
	return err
}

// CloseWrite tells the client that nothing more comes. net/http does so before it closes a
// connection whose request it hasn't read to its end.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
