package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/frame"
)

// Sizes in bytes of the buffers a stream is read with.
const (
	smallSize = 4 << 10  // each open stream keeps one
	burstSize = 32 << 10 // lent while reads fill what they are given
)

// What Close spends to reach the end of a body, so that its connection can be
// used again: after the last event there is usually the empty chunk left.
const (
	drainSize = 64 << 10 // bytes
	drainWait = 50 * time.Millisecond
)

// Response is an upstream's answer. It is read by one goroutine at a time and
// must be closed.
type Response struct {
	Status int // as the upstream sent it, 200 or more

	client  *Client
	x       *exchange
	header  http.Header
	raw     io.ReadCloser // the body as it comes
	body    io.Reader     // decompressed, and timed
	length  int64         // of the body as it comes; -1: unknown
	whole   bool
	start   []byte // read to find out what kind of body it is, and not handed on yet
	err     error  // why no more bytes come: io.EOF, or what the caller is told
	decoder *frame.Decoder
	small   []byte
	burst   *[burstSize]byte // what is read into instead of small; nil most of the time
	filled  bool             // the last read filled its buffer: more is waiting, most likely
	ended   bool             // the decoder was told that the body ended
	closed  bool

	ahead      frame.Frame // a frame that Buffered found
	aheadErr   error
	aheadValid bool
}

func newResponse(c *Client, x *exchange, answer *http.Response) *Response {
	return &Response{
		Status: answer.StatusCode,
		client: c,
		x:      x,
		header: answer.Header,
		raw:    answer.Body,
		body:   &wire{body: answer.Body, x: x},
		length: answer.ContentLength,
	}
}

// settle finds out whether the answer is one value or a stream.
func (r *Response) settle(f abi.Framing) error {
	if r.Status < 200 {
		return r.client.failed("sent an informational answer as its last", fmt.Errorf("status %d", r.Status))
	}
	body, err := decoded(r.body, r.header)
	if err != nil {
		return r.client.failed("sent an answer in an encoding that was not asked for", err)
	}
	r.body = body

	media := mediaType(r.header)
	switch {
	case r.Status >= 300, f == abi.Whole && !isHTML(media):
		r.whole = true
	case isHTML(media):
		return r.client.failed("sent a web page instead of an API answer. Is its base_url right?", fmt.Errorf("content type %q", media))
	case f == abi.SSE && media != "text/event-stream":
		r.whole = r.beginsLikeValue(media)
	case f == abi.NDJSON && isJSON(media):
		r.whole = !r.hasSeveralLines()
	}
	if r.err != nil && r.err != io.EOF {
		return r.err
	}
	if !r.whole {
		r.decoder = frame.NewDecoder(f, r.client.lineLimit)
		r.decoder.Feed(r.start)
		r.start = nil
	}
	return nil
}

// beginsLikeValue tells a JSON value from the event stream in whose place it
// came: no field of an event stream begins like one.
func (r *Response) beginsLikeValue(media string) bool {
	i := r.nextText(0)
	if i < 0 {
		return isJSON(media)
	}
	first := r.start[i]
	return first == '{' || first == '[' || isJSON(media) && strings.IndexByte(":deir", first) < 0 // comment, data, event, id, retry
}

// hasSeveralLines tells one JSON value, perhaps spread over lines, from several
// with a line each.
func (r *Response) hasSeveralLines() bool {
	begin := r.nextText(0)
	if begin < 0 {
		return false
	}
	end := begin
	for end == len(r.start) || r.start[end] != '\n' {
		end++
		if end >= len(r.start) && !r.more() {
			return false
		}
	}
	return json.Valid(r.start[begin:end]) && r.nextText(end) >= 0
}

// nextText gives the index in start of the first byte from i on that is no
// white space, reading as needed; -1 if there is none.
func (r *Response) nextText(i int) int {
	for {
		for ; i < len(r.start); i++ {
			if c := r.start[i]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
				return i
			}
		}
		if !r.more() {
			return -1
		}
	}
}

// more reads on into start. It is false at the end of the body, at an error,
// which is then in err, and when a whole body could not be longer.
func (r *Response) more() bool {
	for r.err == nil && len(r.start) <= r.client.bodyLimit {
		if len(r.start) == cap(r.start) {
			r.start = append(make([]byte, 0, max(smallSize, 2*cap(r.start))), r.start...)
		}
		n, err := r.read(r.start[len(r.start):cap(r.start)])
		r.start = r.start[:len(r.start)+n]
		r.err = err
		if n > 0 {
			return true
		}
	}
	return false
}

// read reads from the body; its errors are io.EOF or what a caller is told.
func (r *Response) read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err != nil && err != io.EOF {
		err = r.client.fault(r.x, err)
	}
	return n, err
}

// Whole reports whether the answer is one value, for Body: the status is
// outside 2xx, its framing is abi.Whole, or one JSON value came in place of a
// stream. Otherwise it is a stream, for Next.
func (r *Response) Whole() bool { return r.whole }

// Head gives the headers an adapter may see, "lower-case-name: value\n" each
// and sorted: the content type, retry-after, rate limits and request ids.
func (r *Response) Head() []byte { return headLines(r.header, r.client.redact) }

// Body reads a whole answer. The result is the caller's.
//
//   - error: context.Cause of the request's context, or an *sdk.Error: 502
//     upstream_error for a body that is over the limit, broken or cut short,
//     504 upstream_timeout
func (r *Response) Body() ([]byte, error) {
	limit := r.client.bodyLimit
	body := r.start
	r.start = nil
	if body == nil {
		// One byte more than declared, so that the end is found without growing.
		// The declaration is a hint: nothing large is set aside on its word.
		body = make([]byte, 0, min(max(r.length+1, 512), 1<<20))
	}
	for len(body) <= limit {
		if r.err == io.EOF {
			return r.client.redact.bytes(body), nil
		}
		if r.err != nil {
			return nil, r.err
		}
		if len(body) == cap(body) {
			body = append(make([]byte, 0, min(2*cap(body), limit+1)), body...)
		}
		var n int
		n, r.err = r.read(body[len(body):cap(body)])
		body = body[:len(body)+n]
	}
	r.err = r.client.tooLong("an answer", limit)
	return nil, r.err
}

var errNoStream = errors.New("Next on an answer that is whole or closed")

// Next gives the next frame of a stream, waiting for it.
//
// The frame is valid until the next call of Next or Buffered. After the last
// one of a stream that ended cleanly the error is io.EOF; whether the stream
// said all it had to say is for the caller to judge. Other errors are as
// Body's; frames that came before a failure are given first.
func (r *Response) Next() (frame.Frame, error) {
	if r.whole || r.closed {
		return frame.Frame{}, errNoStream
	}
	if r.aheadValid {
		f, err := r.ahead, r.aheadErr
		r.ahead, r.aheadErr, r.aheadValid = frame.Frame{}, nil, false
		return f, err
	}
	for {
		if f, err, ok := r.pull(); ok {
			return f, err
		}
		r.fill()
	}
}

// Buffered reports whether Next will return without waiting for the network.
// When it is false, what was made of the frames so far should be flushed.
func (r *Response) Buffered() bool {
	if !r.whole && !r.closed && !r.aheadValid {
		r.ahead, r.aheadErr, r.aheadValid = r.pull()
	}
	return r.aheadValid
}

// pull gives what Next returns, if that is known without reading.
func (r *Response) pull() (f frame.Frame, err error, ok bool) {
	f, ok, err = r.decoder.Next()
	if !ok && err == nil && r.err == io.EOF && !r.ended {
		r.ended = true
		f, ok, err = r.decoder.End()
	}
	switch {
	case err != nil:
		r.err, r.ended = r.undecodable(err), true
		return frame.Frame{}, r.err, true
	case ok:
		f.Name, f.Data = r.client.redact.bytes(f.Name), r.client.redact.bytes(f.Data)
		return f, nil, true
	case r.err != nil:
		return frame.Frame{}, r.err, true
	}
	return frame.Frame{}, nil, false
}

func (r *Response) undecodable(err error) error {
	if errors.Is(err, frame.ErrTooLong) {
		return r.client.tooLong("a line", r.client.lineLimit)
	}
	return r.client.failed("sent a stream that cannot be read", err)
}

// fill reads once and feeds the decoder, which has no frame left.
func (r *Response) fill() {
	// A burst is read in large pieces, for fewer reads and flushes; a stream
	// that trickles, as most do, keeps little memory while it waits.
	if r.filled && r.burst == nil {
		r.burst = r.client.bursts.Get().(*[burstSize]byte)
	} else if !r.filled {
		r.returnBurst()
	}
	var p []byte
	if r.burst != nil {
		p = r.burst[:]
	} else {
		if r.small == nil {
			r.small = make([]byte, smallSize)
		}
		p = r.small
	}
	n, err := r.read(p)
	r.err = err
	r.filled = n == len(p)
	if n > 0 {
		r.decoder.Feed(p[:n])
	}
}

func (r *Response) returnBurst() {
	if r.burst != nil {
		r.client.bursts.Put(r.burst)
		r.burst = nil
	}
}

// Close ends the exchange and makes the frames it gave invalid. An answer that
// is at its end, or a few bytes before it, leaves its connection for the next
// request; otherwise the connection is closed, which ends the upstream's work.
// Close may wait for up to 50 ms; further calls do nothing.
func (r *Response) Close() {
	if r.closed {
		return
	}
	r.closed = true
	if r.err == nil {
		r.drain()
	}
	r.raw.Close()
	r.x.end()
	r.returnBurst()
}

// drain looks for the end of a body that nobody reads any more.
func (r *Response) drain() {
	r.x.enter(draining)
	p := r.client.bursts.Get().(*[burstSize]byte)
	defer r.client.bursts.Put(p)
	for left := drainSize; left > 0; {
		n, err := r.raw.Read(p[:])
		if err != nil {
			return
		}
		left -= n
	}
}
