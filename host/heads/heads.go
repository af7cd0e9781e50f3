// Package heads bounds the memory of connections whose requests nobody has admitted yet:
// connections on which nothing comes, heads that have no end, and requests without a key.
//
// A Table counts them. When they hold more than they may, it closes the oldest of those with a
// large head, and then the oldest of all. So a flood of connections can't take the server's
// memory, and mostly closes itself: honest clients have sent a small head, with a key, long
// before it would be their turn to be closed.
package heads

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// What is counted, in bytes: net/http's own buffers and goroutine for a connection, and what it
// makes of a head, which has each line as strings in a map.
const (
	perConn = 20 << 10
	perLine = 160
	perByte = 2
)

// The sizes of heads, as they are counted. Usual ones have a kilobyte in twenty lines, which
// counts as five.
const (
	small = 16 << 10
	most  = 256 << 10 // more is refused: 64 KiB in 800 lines
)

var errTooLarge = errors.New("the head of the request has too many lines")

// Table counts the connections of one server that hold something without being admitted. It is
// safe for concurrent use.
type Table struct {
	// Limit returns how many bytes they may hold. It may change at any time.
	Limit func() int64
	// Full is called when connections are closed, at most once a minute. Default: nobody is
	// told.
	Full func()

	mu           sync.Mutex
	small, large list  // of those that are counted, by what their heads hold
	held         int64 // by all of them
	warned       time.Time
}

// list has connections in the order in which they were added.
type list struct{ first, last *Conn }

// Conn is a connection that a Table counts.
type Conn struct {
	net.Conn
	table *Table

	reading atomic.Bool // a head is awaited, or on its way
	refused atomic.Bool // one was too large

	// The table's mu guards these.
	in            *list // that has it; nil: it isn't counted
	before, after *Conn // in it
	head          int64 // what the head holds that has come
}

// Listen wraps a listener so that its connections are Conns. State must be told of what the
// http.Server says of them.
func (t *Table) Listen(l net.Listener) net.Listener { return listener{l, t} }

type listener struct {
	net.Listener
	table *Table
}

// Accept waits for the next connection. It is a *Conn, and is counted.
func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: conn, table: l.table}
	c.await()
	return c, nil
}

// State must be told of each change of the connection that http.Server.ConnState reports.
func (c *Conn) State(s http.ConnState) {
	switch s {
	case http.StateActive: // the head has come
		c.reading.Store(false)
	case http.StateIdle:
		c.await()
	case http.StateClosed, http.StateHijacked:
		c.reading.Store(false)
		c.table.mu.Lock()
		c.table.drop(c)
		c.table.mu.Unlock()
	}
}

// await counts a connection on which nothing has come of the next request.
func (c *Conn) await() {
	t := c.table
	t.mu.Lock()
	t.drop(c)
	c.head = 0
	t.add(c)
	over := t.over()
	t.mu.Unlock()
	c.reading.Store(true)
	closeAll(over)
}

// Read reads, and counts what it reads of a head.
func (c *Conn) Read(p []byte) (int, error) {
	if c.refused.Load() {
		return 0, errTooLarge // again, for net/textproto overlooks the first
	}
	n, err := c.Conn.Read(p)
	if n > 0 && c.reading.Load() && !c.read(p[:n]) {
		c.refused.Store(true)
		return 0, errTooLarge // which net/http answers with a 400
	}
	return n, err
}

// read counts a part of a head. It reports false if the head is too large.
func (c *Conn) read(p []byte) bool {
	// The body of the request may follow. A blank line whose two ends come apart is missed, so
	// that a little of the body is counted, too.
	for _, end := range [...]string{"\n\r\n", "\n\n"} {
		if at := bytes.Index(p, []byte(end)); at >= 0 {
			p = p[:at]
		}
	}
	bytes := int64(perByte*len(p) + perLine*bytes.Count(p, []byte{'\n'}))
	t := c.table
	t.mu.Lock()
	counted := t.drop(c)
	c.head += bytes
	if counted {
		t.add(c)
	}
	fits, over := c.head <= most, t.over()
	t.mu.Unlock()
	closeAll(over)
	return fits
}

// CloseWrite is for net/http, which tells clients that nothing more comes.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// add counts a connection. It is the youngest of its list.
func (t *Table) add(c *Conn) {
	c.in = &t.small
	if c.head > small {
		c.in = &t.large
	}
	c.before, c.in.last = c.in.last, c
	if c.before != nil {
		c.before.after = c
	} else {
		c.in.first = c
	}
	t.held += perConn + c.head
}

// drop counts a connection no longer. It reports whether it was counted.
func (t *Table) drop(c *Conn) bool {
	if c.in == nil {
		return false
	}
	if c.before != nil {
		c.before.after = c.after
	} else {
		c.in.first = c.after
	}
	if c.after != nil {
		c.after.before = c.before
	} else {
		c.in.last = c.before
	}
	c.before, c.after, c.in = nil, nil, nil
	t.held -= perConn + c.head
	return true
}

// over takes out those that are too many. The caller must close them, without holding t.mu.
func (t *Table) over() (over []*Conn) {
	for limit := t.Limit(); t.held > limit; {
		c := cmp.Or(t.large.first, t.small.first)
		if c == nil {
			break
		}
		over = append(over, c)
		t.drop(c)
	}
	if len(over) > 0 && t.Full != nil {
		if now := time.Now(); now.Sub(t.warned) >= time.Minute {
			t.warned = now
			go t.Full()
		}
	}
	return over
}

func closeAll(conns []*Conn) {
	for _, c := range conns {
		c.Conn.Close()
	}
}

type connKey struct{}

// Context is for http.Server.ConnContext: it lets Admit find a request's connection.
func Context(ctx context.Context, c *Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// Admit counts what the head of a request holds by hold, and no longer in its table: the
// request, whose context ctx is, has been admitted. The error is that of hold, and changes
// nothing. A request whose connection is no Conn needs nothing.
func Admit(ctx context.Context, hold func(bytes int64) error) error {
	c, _ := ctx.Value(connKey{}).(*Conn)
	if c == nil {
		return nil
	}
	t := c.table
	t.mu.Lock()
	bytes := c.head
	t.mu.Unlock()
	if err := hold(bytes); err != nil {
		return err
	}
	t.mu.Lock()
	t.drop(c)
	t.mu.Unlock()
	return nil
}
