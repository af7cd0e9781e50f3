package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/buffer"
	"github.com/kai-gateway/kai/host/fault"
)

// firstRead is how many bytes the gateway allocates at most because of a
// Content-Length alone. After that, the buffer is made four times as large
// whenever it is full of bytes that really arrived. So a false length costs no
// more than this, and a true one is copied at most once for each growth. A common
// large prompt, of about 200 KB, is read without any copy.
//
// From largeRead on it is made eight times as large, if the length is known: the last copy
// of a large file then needs little beside it.
const (
	firstRead = 256 << 10
	largeRead = 4 << 20
)

// body is what was read of a request's body.
type body struct {
	read   bool // Body was called
	begun  bool // some of it has arrived
	ended  bool // all of it has arrived, or the rest can't be read
	unread bool // the request was answered before its body ended
	bytes  []byte
	err    error
	owner  *buffer.Owner // of bytes; nil: they belong to Go's collector
	held   int64         // bytes counted in Options.Bodies and in the exchange's memory
}

// Body returns the request's body. The first call reads it. The bytes are valid
// until ReleaseBody is called or the exchange ends.
//
// The error is a *fault.Error that says what is wrong with the body: it is not
// JSON by its content type (415), compressed (415), empty (400), larger than
// the limit (413), late (408) or cut off (400), or there is no room for it in
// the memory that all bodies, or all requests, share (503).
func (x *Exchange) Body() ([]byte, error) {
	if !x.body.read {
		x.body.read = true
		x.body.bytes, x.body.err = x.readBody()
		x.record.BytesIn = int64(len(x.body.bytes))
		if x.body.err != nil {
			x.ReleaseBody()
		}
	}
	return x.body.bytes, x.body.err
}

// ReleaseBody gives back the memory of the body before the exchange ends. The
// bytes that Body returned must not be used any more: the next request may get them.
func (x *Exchange) ReleaseBody() {
	x.Memory.Drop(x.body.held)
	x.server.Bodies.Give(x.body.held)
	x.body.owner.Release()
	x.body.held, x.body.bytes, x.body.owner = 0, nil, nil
}

func (x *Exchange) readBody() ([]byte, error) {
	if err := x.checkContentHeaders(); err != nil {
		return nil, err
	}
	limit := x.server.MaxBody
	length := x.Request.ContentLength // -1: unknown
	if length > limit {
		return nil, tooLarge(limit)
	}
	// The one byte more than expected makes room for the read that finds the end.
	maxSize := limit + 1
	if length >= 0 {
		maxSize = length + 1
	}
	size := min(maxSize, firstRead)
	if length < 0 {
		size = min(maxSize, 4<<10)
	}
	buf, err := x.grow(nil, size)
	if err != nil {
		return nil, err
	}
	for {
		n, err := x.Request.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		x.body.begun = x.body.begun || n > 0
		x.body.ended = err != nil
		if int64(len(buf)) > limit {
			return nil, tooLarge(limit)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, x.readError(err)
		}
		if len(buf) == cap(buf) {
			factor := int64(4)
			if cap(buf) >= largeRead && length >= 0 {
				factor = 8
			}
			if buf, err = x.grow(buf, min(maxSize, factor*int64(cap(buf)))); err != nil {
				return nil, err
			}
		}
	}
	if len(buf) == 0 {
		what := "a JSON object"
		if x.form {
			what = "a form"
		}
		return nil, &fault.Error{Kind: fault.Invalid, Text: "The request has no body. Send " + what + "."}
	}
	return buf, nil
}

// grow copies buf into a buffer with room for size bytes, and counts its memory.
func (x *Exchange) grow(buf []byte, size int64) ([]byte, error) {
	size = max(size, int64(len(buf))+1)
	counted := min(size, x.server.MaxBody) // the byte more that finds the end is nobody's
	more := counted - x.body.held
	if !x.server.Bodies.Take(more) {
		return nil, Busy(fmt.Errorf("the %d MiB that all bodies may have (server.max_bodies) are in use", x.server.Bodies.Max()>>20))
	}
	if err := x.Memory.Hold(more); err != nil {
		x.server.Bodies.Give(more)
		return nil, Busy(err)
	}
	x.body.held = counted
	pool := x.server.Buffers
	if x.form {
		pool = nil // its files are sent on as they are, and may still be on their way when all else is over
	}
	grown, owner := pool.Lend(int(size))
	grown = append(grown, buf...)
	x.body.owner.Release()
	x.body.owner = owner
	return grown, nil
}

// Busy returns the error for a request that the gateway has no memory for at the
// moment. err is for the log, and says which limit was reached.
func Busy(err error) *fault.Error {
	return &fault.Error{
		Kind: fault.Full, Code: "busy", RetryAfter: time.Second,
		Cause: err,
		Text:  "The gateway holds as many requests and answers as its memory allows. Try again in a moment.",
	}
}

// answerEarly prepares an answer to a request whose body is still arriving. Without
// it, net/http would read at most drained bytes more of the body and then close the
// connection. That resets it while the client is still sending, and most clients then
// never see the answer. With it, the answer leaves at once, and discardBody reads the
// rest of the body.
func (x *Exchange) answerEarly() {
	const drained = 256 << 10
	if length := x.Request.ContentLength; length >= 0 && length <= drained || x.body.ended {
		return
	}
	if !x.body.begun && x.Request.Header.Get("Expect") != "" {
		return // the client waits for a 100 before it sends its body, and won't get one
	}
	x.body.unread = http.NewResponseController(x.writer.ResponseWriter).EnableFullDuplex() == nil
	// The part of the body that is never read must not be taken for another request.
	x.Writer.Header().Set("Connection", "close")
}

// discardBody reads and drops the rest of a body, if the request was answered early.
// It reads at most four times the size that a body may have, within the time that a
// body may take, and needs next to no memory.
func (x *Exchange) discardBody() {
	if !x.body.unread || x.writer.failed {
		return
	}
	if err := x.writer.FlushError(); err == nil {
		_, _ = io.CopyN(io.Discard, x.Request.Body, 4*x.server.MaxBody)
	}
}

// readError says why a body could not be read to its end.
func (x *Exchange) readError(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &fault.Error{
			Kind: fault.Timeout, Code: "request_timeout",
			Cause: err,
			Text:  fmt.Sprintf("The request body did not arrive within %v.", x.server.ReadTimeout),
		}
	case errors.Is(err, io.ErrUnexpectedEOF), x.Request.Context().Err() != nil:
		return &fault.Error{
			Kind:  fault.Invalid,
			Cause: errors.Join(errHungUp, err),
			Text:  "The request body ended before it was complete.",
		}
	}
	return &fault.Error{Kind: fault.Invalid, Text: "The request body could not be read: its transfer coding is broken.", Cause: err}
}

// errHungUp is in errors after which nobody waits for the answer.
var errHungUp = fmt.Errorf("the client hung up: %w", context.Canceled)

func tooLarge(limit int64) error {
	return &fault.Error{
		Kind: fault.TooLarge, Code: "request_too_large",
		Text: fmt.Sprintf("The request body is larger than %s. Send less, or raise server.max_body in the gateway's configuration.", fault.Size(limit)),
	}
}

// checkContentHeaders accepts JSON, or a form where that is what the route takes, that is
// not compressed.
//
// Each header may be repeated, or have several values joined by commas, as some
// proxies send it. Then all its values must be right.
//
// A body without a content type is taken for JSON, but not from a browser: a page
// of any origin can post such a body without a preflight.
func (x *Exchange) checkContentHeaders() error {
	h := x.Request.Header
	for _, coding := range headerValues(h["Content-Encoding"]) {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return &fault.Error{Kind: fault.Unsupported, Text: "Compressed request bodies are not supported. Send the body without Content-Encoding."}
		}
	}
	if x.form {
		return checkForm(h["Content-Type"])
	}
	if lines := h["Content-Type"]; len(lines) == 1 && lines[0] == "application/json" {
		return nil // as nearly every client writes it
	}
	types := headerValues(h["Content-Type"])
	for _, t := range types {
		if !isJSON(t) {
			return errNotJSON()
		}
	}
	if len(types) == 0 && len(h["Origin"]) > 0 {
		return errNotJSON()
	}
	return nil
}

// headerValues returns the values of a header that may be repeated, or that may have
// several values joined by commas.
func headerValues(lines []string) (values []string) {
	for _, line := range lines {
		for v := range strings.SplitSeq(line, ",") {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

// checkForm accepts the content type of a form.
func checkForm(types []string) error {
	if len(types) == 1 {
		if media, parameters, err := mime.ParseMediaType(types[0]); err == nil && media == "multipart/form-data" && parameters["boundary"] != "" {
			return nil
		}
	}
	return &fault.Error{Kind: fault.Unsupported, Text: "The request body must be a form. Send it with 'Content-Type: multipart/form-data; boundary=…'."}
}

func errNotJSON() error {
	return &fault.Error{Kind: fault.Unsupported, Text: "The request body must be JSON. Send it with 'Content-Type: application/json'."}
}

// isJSON reports whether a content type is application/json or one of its
// relatives, such as application/vnd.api+json. Parameters do not matter.
func isJSON(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.TrimSpace(t)
	if strings.EqualFold(t, "application/json") {
		return true
	}
	t = strings.ToLower(t)
	return strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json")
}
