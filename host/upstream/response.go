package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/upstream/h1"
	"github.com/kai-gateway/kai/sdk/abi"
	rules "github.com/kai-gateway/kai/sdk/exchange"
	"github.com/kai-gateway/kai/sdk/frame"
)

// Sizes in bytes of the buffers that a stream is read into.
const (
	smallSize = 4 << 10
	burstSize = 32 << 10 // while reads fill their buffer
)

// What Close spends to reach the end of a body, so that its connection can be reused:
// after the last event, usually only the empty chunk is left.
const (
	drainSize = 64 << 10 // bytes
	drainWait = 50 * time.Millisecond
)

// Response is an upstream's answer. Only one goroutine may use it at a time, and it
// must be closed.
type Response struct {
	Status int // as the upstream sent it, 200 or more

	client  *Client
	x       carrier
	header  http.Header
	body    io.Reader // the body decompressed
	length  int64     // the length of the raw body; -1: unknown
	limit   int       // how many bytes a whole body may have
	whole   bool
	bytes   bool   // it is read by Piece
	window  []byte // empty: what Piece reads into
	start   []byte // the part of the body that was read by settle, to find out its kind, or by Body
	err     error  // why no more bytes come: io.EOF, or the error for the caller
	decoder *frame.Decoder
	small   *[smallSize]byte // what the decoder reads from; nil while nothing comes
	burst   *[burstSize]byte // used instead of small during a burst
	filled  bool             // the last read filled its buffer, so more is probably waiting
	ended   bool             // the decoder knows that the body has ended
	closed  bool

	overHTTP2 bool
	memory    *memory.Grant
	held      int // bytes counted in memory
	lines     int // the part of held that the decoder holds
	copied    int // the part of held that is a copy without the provider's key

	ahead      frame.Frame // a frame that Buffered found
	aheadErr   error
	aheadValid bool
}

// carrier carries a request and its answer, by the client of our own or by net/http's.
type carrier interface {
	// Read reads the body as it comes over the connection. Each read has a time-out. The
	// error is io.EOF, or for Client.failure.
	io.Reader
	Stage() h1.Stage // which it is in, or failed in
	Wait()           // until there is something to read, or nothing more to wait for
	Cause() error    // why it was ended from this side: the cause of the context's end, or an *h1.Timeout; nil: it was not
	Drain()          // from now on, the body is read for the connection's sake, for a short time
	Close()
}

var (
	_ carrier = (*h1.Exchange)(nil)
	_ carrier = (*roundTrip)(nil)
)

func newResponse(c *Client, x carrier, status int, header http.Header, length int64, r Request) *Response {
	return &Response{
		Status: status,
		client: c,
		x:      x,
		header: header,
		body:   x,
		length: length,
		limit:  cmp.Or(r.BodyLimit, c.bodyLimit),
		memory: r.Memory,
	}
}

// hold counts bytes before they are allocated. They are counted until drop or Close.
// The error is a *memory.Error, and nothing is counted then.
func (r *Response) hold(bytes int) error {
	if err := r.memory.Hold(int64(bytes)); err != nil {
		return err
	}
	r.held += bytes
	return nil
}

// count sets what is counted for one purpose, which is *counted, to bytes. The error is a
// *memory.Error.
func (r *Response) count(counted *int, bytes int) error {
	more := bytes - *counted
	if more < 0 {
		r.drop(-more)
	} else if more > 0 {
		if err := r.hold(more); err != nil {
			return err
		}
	}
	*counted = bytes
	return nil
}

// redacted returns b without the provider's key. If that takes a copy, it is counted
// until the next call.
func (r *Response) redacted(b []byte) ([]byte, error) {
	clean, copied := r.client.redact.bytes(b), 0
	if len(clean) > 0 && &clean[0] != &b[0] {
		copied = cap(clean)
	}
	return clean, r.count(&r.copied, copied)
}

// drop subtracts bytes that are no longer held.
func (r *Response) drop(bytes int) {
	r.memory.Drop(int64(bytes))
	r.held -= bytes
}

// settle finds out what kind of answer this is, by the rules of exchange.Answer. It reads
// as much of the body as it needs for that.
func (r *Response) settle(asked abi.Framing) error {
	if r.overHTTP2 {
		if err := r.hold(streamWindow); err != nil { // net/http fills it while nobody reads
			return err
		}
	}
	if r.Status < 200 {
		return r.client.failed("sent an informational answer as its last", fmt.Errorf("status %d", r.Status))
	}
	body, err := decoded(r.body, r.header)
	if err != nil {
		return r.client.failed("sent an answer in an encoding that was not asked for", err)
	}
	r.body = body

	a := rules.Answer{Asked: asked, Status: r.Status, ContentType: strings.Join(r.header["Content-Type"], ",")}
	form, framing := a.Look(nil, false)
	for form == rules.Undecided {
		ended := !r.more()
		if ended && r.err != nil && r.err != io.EOF {
			if len(r.start) == 0 {
				return r.err
			}
			form = rules.Whole // Body says what is wrong: the answer had begun
			break
		}
		form, framing = a.Look(r.start, ended)
	}
	switch form {
	case rules.Page:
		return r.client.webPage(r)
	case rules.Redirect:
		return r.client.redirected(r)
	case rules.Whole:
		r.whole = true
		return nil
	case rules.Bytes:
		r.bytes = true
		return nil
	}
	r.decoder = frame.NewDecoder(framing, r.client.lineLimit)
	r.decoder.Feed(r.start)
	r.start = nil
	return nil
}

// more reads the next bytes into start. It returns false if none come, and then err says
// why, or if start is longer than a whole body may be.
func (r *Response) more() bool {
	for r.err == nil && len(r.start) <= r.limit {
		if len(r.start) == cap(r.start) {
			if r.err = r.grow(); r.err != nil {
				return false
			}
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

// grow makes room in start. A body longer than the first buffer is probably read to
// its end. The declared length is only a hint for its size: no more than 1 MiB at a
// time is allocated because of it. One byte more than that length lets the end be
// found without growing again. The error is a *memory.Error.
func (r *Response) grow() error {
	size := smallSize
	if n := cap(r.start); n == 0 && r.length >= 0 && r.body == io.Reader(r.x) {
		size = int(min(smallSize, r.length+1)) // it is not compressed, so it won't be longer
	} else if n > 0 {
		size = max(2*n, int(min(r.length+1, 1<<20)))
		if int64(n) <= r.length {
			size = int(min(int64(size), r.length+1))
		}
	}
	size = min(size, r.limit+1)
	if err := r.hold(size); err != nil {
		return err
	}
	old := cap(r.start)
	r.start = append(make([]byte, 0, size), r.start...)
	r.drop(old)
	return nil
}

// read reads from the body. Its errors are io.EOF or what Client.failure returns.
func (r *Response) read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err != nil && err != io.EOF {
		err = r.client.failure(r.x, err)
	}
	return n, err
}

// Whole reports whether the answer is one value, to be read by Body, and not a stream,
// to be read by Next. See exchange.Answer for the rule.
func (r *Response) Whole() bool { return r.whole }

// Bytes reports whether the answer is neither a value nor a stream of events, and is to be read
// by Piece.
func (r *Response) Bytes() bool { return r.bytes }

// Head returns the headers that an adapter may see, sorted, each as
// "lower-case-name: value\n": content type, retry-after, rate limits and request ids.
func (r *Response) Head() []byte {
	return rules.Head(r.client.redact.names(r.header), r.client.now(), r.client.redact.text)
}

// Body reads a whole answer and returns what an adapter may see of it. The caller owns the
// result, whose memory is counted until Close.
//
//   - error: context.Cause of the request's context; a *fault.Error with the code
//     upstream_error for a body that is too long, broken or cut short, or
//     upstream_timeout; or a *memory.Error
func (r *Response) Body() ([]byte, error) {
	for r.more() {
	}
	body := r.start
	r.start = nil
	switch {
	case len(body) > r.limit:
		r.err = r.client.tooLong("an answer", r.limit)
		return nil, r.err
	case r.err != io.EOF:
		return nil, r.err
	}
	body, err := r.redacted(body)
	if err != nil {
		return nil, err
	}
	return rules.Body(r.Status, body), nil
}

var errNoStream = errors.New("Next on an answer that is whole or closed")

// Next returns the next frame of a stream, and waits for it if necessary.
//
// The frame is valid until the next call of Next or Buffered. The error is io.EOF
// after the last frame of a stream whose connection ended cleanly; whether the answer
// is complete is for the caller to judge. Other errors are as Body's. Frames that came
// before a failure are returned before it.
func (r *Response) Next() (frame.Frame, error) {
	if r.whole || r.bytes || r.closed {
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

// Buffered reports whether Next will return without waiting for the network. If not, the
// caller should first send on what it has made of the frames so far.
func (r *Response) Buffered() bool {
	if !r.whole && !r.bytes && !r.closed && !r.aheadValid {
		r.ahead, r.aheadErr, r.aheadValid = r.pull()
	}
	return r.aheadValid
}

// More reports whether the read that brought the last frame has brought more, which may be
// another frame. Unlike Buffered it leaves the frame valid.
func (r *Response) More() bool { return r.aheadValid || r.decoder != nil && r.decoder.More() }

// Lines returns the lines id and retry that came with the frame that Next returned last, as
// frame.Decoder has them. They are valid as long as the frame.
func (r *Response) Lines() []byte {
	if lines := r.decoder.Lines(); len(lines) > 0 {
		return r.client.redact.bytes(lines)
	}
	return nil
}

// pull returns what Next should return, if that is known without reading (ok).
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
		f.Name = r.client.redact.bytes(f.Name)
		if f.Data, err = r.redacted(f.Data); err != nil {
			r.err, r.ended = err, true
			return frame.Frame{}, err, true
		}
		return f, nil, true
	case r.err != nil:
		return frame.Frame{}, r.err, true
	}
	return frame.Frame{}, nil, false
}

// undecodable returns the error for a stream that the decoder refused.
func (r *Response) undecodable(err error) error {
	if errors.Is(err, frame.ErrTooLong) {
		e := r.client.tooLong("a line", r.client.lineLimit)
		e.Text += ", which is what limits.input allows"
		return e
	}
	return r.client.failed("sent a stream that cannot be read", err)
}

// fill reads once and feeds the decoder, which must have no frame left.
func (r *Response) fill() {
	if r.err = r.count(&r.lines, r.decoder.Held()); r.err != nil {
		return
	}
	// The decoder has read all that it was fed, so its buffer is free. A burst is read in large
	// pieces, so that there are fewer reads and flushes. Most streams are slow, and hold no
	// buffer while they wait.
	r.returnBuffer()
	var p []byte
	if r.filled {
		r.burst = r.client.bursts.Get().(*[burstSize]byte)
		p = r.burst[:]
	} else {
		if r.body == io.Reader(r.x) {
			r.x.Wait()
		}
		r.small = r.client.smalls.Get().(*[smallSize]byte)
		p = r.small[:]
	}
	n, err := r.read(p)
	r.err = err
	r.filled = n == len(p)
	if n > 0 {
		r.decoder.Feed(p[:n])
	}
}

// returnBuffer gives back what the decoder was fed with.
func (r *Response) returnBuffer() {
	if r.small != nil {
		r.client.smalls.Put(r.small)
		r.small = nil
	}
	if r.burst != nil {
		r.client.bursts.Put(r.burst)
		r.burst = nil
	}
}

// Close ends the request and invalidates the frames that Next returned. If the answer
// was read to its end, or to a few bytes before it, its connection can be reused.
// Otherwise the connection is closed, which ends the upstream's work. Close may wait
// for up to 50 ms. Further calls do nothing.
func (r *Response) Close() {
	if r.closed {
		return
	}
	r.closed = true
	if r.err == nil {
		r.drain()
	}
	r.x.Close()
	r.drop(r.held)
	r.returnBuffer()
	if r.client.retired.Load() {
		r.client.closeIdle()
	}
}

// drain reads the rest of a body that is no longer wanted, if it is short and comes
// soon.
func (r *Response) drain() {
	r.x.Drain()
	p := r.client.bursts.Get().(*[burstSize]byte)
	defer r.client.bursts.Put(p)
	for left := drainSize; left > 0; {
		n, err := r.x.Read(p[:])
		if err != nil {
			return
		}
		left -= n
	}
}
