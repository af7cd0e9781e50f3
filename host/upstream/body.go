package upstream

import (
	"bytes"
	"io"
)

// newBody makes the reader that net/http sends a request's body from. If it is not large,
// it is one that net/http knows to be in memory, so that head and body share the first
// record of TLS.
func newBody(p []byte, more [][]byte) io.ReadCloser {
	if len(p) > inMemory || len(more) > 0 {
		return &body{rest: p, more: more}
	}
	return io.NopCloser(bytes.NewReader(p))
}

// inMemory is the size, in bytes, up to which net/http is told that a body is in memory.
const inMemory = 64 << 10

// body is a request's body in memory.
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
