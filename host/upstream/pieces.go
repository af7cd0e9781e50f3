package upstream

import (
	"io"
	"strings"

	rules "github.com/kai-gateway/kai/sdk/exchange"
)

// pieceSize is how many bytes a piece has at most, besides what was kept back of the one
// before.
const pieceSize = 32 << 10

// MediaType returns the media type of the answer, in lower case and without parameters; "" if
// it has none.
func (r *Response) MediaType() string {
	return rules.MediaType(strings.Join(r.header["Content-Type"], ","))
}

// Piece returns the next bytes of an answer that is to be passed on as it comes, and waits for
// them if necessary. more says that others are probably waiting already. What may be the
// beginning of the provider's key is kept back until more has come.
//
// The bytes are valid until the next call. The error is io.EOF after the last ones, together
// with them; others are as Body's, and nothing is returned with them.
func (r *Response) Piece() (piece []byte, more bool, err error) {
	if !r.bytes || r.closed {
		return nil, false, errNoStream
	}
	if r.window == nil {
		size := r.client.redact.longest() + pieceSize
		if err := r.hold(size); err != nil {
			return nil, false, err
		}
		r.window = make([]byte, 0, size)
	}
	for {
		r.start = append(r.window, r.start...) // what was kept back, moved to the front
		if r.err == nil && len(r.start) < cap(r.start) {
			var n int
			n, r.err = r.read(r.start[len(r.start):cap(r.start)])
			r.start = r.start[:len(r.start)+n]
		}
		if r.err != nil && r.err != io.EOF {
			return nil, false, r.err
		}
		more = len(r.start) == cap(r.start)
		clean, err := r.redacted(r.start)
		if err != nil {
			return nil, false, err
		}
		switch ready := r.client.redact.settled(clean); {
		case r.err == io.EOF:
			r.start = nil
			return clean, false, io.EOF
		case ready > 0:
			r.start = clean[ready:]
			return clean[:ready], more, nil
		default:
			r.start = clean
		}
	}
}
