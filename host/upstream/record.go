package upstream

import (
	"context"
	"errors"
	"io"

	"github.com/kai-gateway/kai/host/fault"
)

// Taken is an answer as it came, for tools that record traffic.
type Taken struct {
	Status int
	Head   []byte // as Response.Head gives it
	Body   []byte // decompressed, without the provider's key
	Broken error  // why Body is incomplete, a *fault.Error; nil: it is complete
}

// Take sends a request as Do does and reads the answer to its end, whatever it is. Of
// an answer that breaks off or stalls, it returns what came.
//
//   - error: as Do's if there was no answer, or if no adapter could be given it
//     because it is too long or can't be decompressed
func (c *Client) Take(ctx context.Context, r Request) (Taken, error) {
	res, err := c.ask(ctx, r)
	if err != nil {
		return Taken{}, err
	}
	defer res.Close()
	t := Taken{Status: res.Status, Head: res.Head()}
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
