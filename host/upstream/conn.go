package upstream

import (
	"bytes"
	"io"
	"net"
)

// newBody makes the reader that net/http sends a request's body from.
//
// Over plain HTTP it is a body, which conn recognizes. Over TLS, where every record of
// 16 KiB is a separate write anyway, it is a type that net/http knows to be in memory,
// so that head and body share the first record.
func newBody(p []byte, more [][]byte, scheme string) io.ReadCloser {
	if scheme == "http" || len(p) > inMemory || len(more) > 0 {
		return &body{rest: p, more: more}
	}
	return io.NopCloser(bytes.NewReader(p))
}

// inMemory is the size, in bytes, up to which net/http is told that a body is in memory.
const inMemory = 64 << 10

// body is a request's body in memory. conn sends it in one piece.
type body struct {
	rest []byte   // of the piece that is being read
	more [][]byte // those after it
}

func (b *body) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if len(b.more) == 0 {
			return 0, io.EOF
		}
		if b.rest, b.more = b.more[0], b.more[1:]; len(b.more) == 0 {
			b.more = nil // its array would keep the pieces
		}
	}
	n := copy(p, b.rest)
	if b.rest = b.rest[n:]; len(b.rest) == 0 {
		b.rest = nil // net/http keeps the body until the answer's end
	}
	return n, nil
}

func (b *body) Close() error { return nil }

// left returns how many bytes were not read yet.
func (b *body) left() int64 {
	n := int64(len(b.rest))
	for _, p := range b.more {
		n += int64(len(p))
	}
	return n
}

// conn sends a request's head and body in one system call and without a copy.
//
// net/http does not know that our body is in memory. So it writes the head and then
// lets the connection read the body, which takes one write for the head and one for
// every 32 KiB. conn holds the head back until the body comes. It does so only if a
// request with a body was announced and the bytes end like a head, and only until the
// next write of any kind. If net/http ever does this differently, there are more
// writes, and nothing breaks.
type conn struct {
	*net.TCPConn
	expecting bool        // the next write is the head of a request with a body
	held      []byte      // that head; its array is reused
	parts     [4][]byte   // backs vector, so that writing allocates nothing
	vector    net.Buffers // head and body
}

var endOfHead = []byte("\r\n\r\n")

// expect says whether the next request has a body. It is called before net/http gives the
// request to the connection's writer, so there is no race.
func (c *conn) expect(body bool) { c.expecting = body }

func (c *conn) Write(p []byte) (int, error) {
	if c.expecting {
		c.expecting = false
		if bytes.HasSuffix(p, endOfHead) {
			c.held = append(c.held, p...)
			return len(p), nil
		}
	}
	if len(c.held) == 0 {
		return c.TCPConn.Write(p)
	}
	n, err := c.writeBoth(p)
	return int(n), err
}

// ReadFrom is called by net/http to send a body, through io.Copy.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if b, ok := limited.R.(*body); ok && b.left() <= limited.N {
			p, more := b.rest, b.more
			limited.N -= b.left()
			b.rest, b.more = nil, nil
			return c.writeBoth(p, more...)
		}
	}
	if len(c.held) > 0 {
		if _, err := c.writeBoth(nil); err != nil {
			return 0, err
		}
	}
	return c.TCPConn.ReadFrom(r)
}

// writeBoth sends the held head, p and more, and returns how much was written besides the head.
func (c *conn) writeBoth(p []byte, more ...[]byte) (int64, error) {
	head := int64(len(c.held))
	c.vector = append(append(c.parts[:0], c.held, p), more...)
	n, err := c.vector.WriteTo(c.TCPConn)
	c.held, c.parts, c.vector = c.held[:0], [4][]byte{}, nil
	return max(n-head, 0), err
}
