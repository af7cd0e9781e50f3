package upstream

import (
	"context"
	"errors"
	"io"

	"github.com/kai-gateway/kai/host/fault"
)

// Recorded is an answer as it came, for tools that record traffic.
type Recorded struct {
	Status int
	Head   []byte // as Response.Head returns it
	Body   []byte // decompressed, without the provider's key
	Broken error  // why Body is incomplete, a *fault.Error; nil: it is complete
}

// Record sends a request as Do does and reads the answer to its end, whatever kind of
// answer it is. If the answer breaks off or stalls, it returns the part that came.
//
//   - error: as from Do, if there was no answer, or if the answer is too long for an
//     adapter or can't be decompressed
func (c *Client) Record(ctx context.Context, r Request) (Recorded, error) {
	res, err := c.send(ctx, r)
	if err != nil {
		return Recorded{}, err
	}
	defer res.Close()
	t := Recorded{Status: res.Status, Head: res.Head()}
	if res.body, err = decoded(res.body, res.header); err != nil {
		return t, c.failed("sent an answer in an encoding that was not asked for", err)
	}
	var body []byte
	for err == nil && len(body) <= c.bodyLimit {
		if len(body) == cap(body) {
			body = append(make([]byte, 0, max(smallSize, 2*cap(body))), body...)
		}
		var n int
		n, err = res.read(body[len(body):cap(body)])
		body = body[:len(body)+n]
	}
	res.err = err
	var garbled *encodingError
	switch {
	case len(body) > c.bodyLimit:
		return t, c.tooLong("an answer", c.bodyLimit)
	case err != io.EOF && (ctx.Err() != nil || errors.As(err, &garbled)):
		return t, err
	case err != io.EOF:
		if !errors.As(err, new(*fault.Error)) {
			return t, err
		}
		t.Broken = err
	}
	t.Body = c.redact.bytes(body)
	return t, nil
}
