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
func newBody(p []byte, scheme string) io.ReadCloser {
	if scheme == "http" || len(p) > inMemory {
		return &body{rest: p}
	}
	return io.NopCloser(bytes.NewReader(p))
}

// inMemory is the size, in bytes, up to which net/http is told that a body is in memory.
const inMemory = 64 << 10

// body is a request's body in memory. conn sends it in one piece.
type body struct{ rest []byte }

func (b *body) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	if b.rest = b.rest[n:]; len(b.rest) == 0 {
		b.rest = nil // net/http keeps the body until the answer's end
	}
	return n, nil
}

func (b *body) Close() error { return nil }

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
	parts     [2][]byte   // backs vector, so that writing allocates nothing
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
		if b, ok := limited.R.(*body); ok && int64(len(b.rest)) <= limited.N {
			p := b.rest
			b.rest = nil
			limited.N -= int64(len(p))
			return c.writeBoth(p)
		}
	}
	if len(c.held) > 0 {
		if _, err := c.writeBoth(nil); err != nil {
			return 0, err
		}
	}
	return c.TCPConn.ReadFrom(r)
}

// writeBoth sends the held head and p, and returns how much of p was written.
func (c *conn) writeBoth(p []byte) (int64, error) {
	head := int64(len(c.held))
	c.parts = [2][]byte{c.held, p}
	c.vector = c.parts[:]
	n, err := c.vector.WriteTo(c.TCPConn)
	c.held, c.parts, c.vector = c.held[:0], [2][]byte{}, nil
	return max(n-head, 0), err
}
