package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

// firstRead is how many bytes a Content-Length alone can make the gateway set
// aside. Beyond it memory follows what really arrived, in steps of four times,
// so that a false length costs no more and a true one is copied at most once
// per step. The common large prompt, about 200 KB, is read without any copy.
const firstRead = 256 << 10

// body is what was read of a request's body.
type body struct {
	read   bool // Body was called
	begun  bool // something of it arrived
	ended  bool // all of it, or it can't be read any further
	unread bool // it was answered before it ended
	bytes  []byte
	err    error
	held   int64 // of what all bodies may have, and of the exchange's memory
}

// Body returns the request's body, which it reads the first time it is called.
// The bytes live until ReleaseBody is called or the exchange ends.
//
// The error is a *fault.Error that says what is wrong with the body: it is no
// JSON by its content type (415), compressed (415), empty (400), larger than
// the limit (413), not there in time (408), cut off (400), or one too many for
// the memory that all bodies, or all requests, share (503).
func (x *Exchange) Body() ([]byte, error) {
	if !x.body.read {
		x.body.read = true
		x.body.bytes, x.body.err = x.readBody()
		if x.body.err != nil {
			x.ReleaseBody()
		}
	}
	return x.body.bytes, x.body.err
}

// ReleaseBody gives the memory of the body back, for exchanges that outlive
// their body's use by far. What Body returned must not be used any more.
func (x *Exchange) ReleaseBody() {
	x.Memory.Drop(x.body.held)
	x.server.Bodies.Give(x.body.held)
	x.body.held = 0
	x.body.bytes = nil
}

func (x *Exchange) readBody() ([]byte, error) {
	if err := checkContentHeaders(x.Request.Header); err != nil {
		return nil, err
	}
	limit := x.server.MaxBody
	length := x.Request.ContentLength // -1: unknown
	if length > limit {
		return nil, tooLarge(limit)
	}
	// One byte more than expected makes room for the read that finds the end.
	most := limit + 1
	if length >= 0 {
		most = length + 1
	}
	size := min(most, firstRead)
	if length < 0 {
		size = min(most, 4<<10)
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
			return nil, x.unreadable(err)
		}
		if len(buf) == cap(buf) {
			if buf, err = x.grow(buf, min(most, 4*int64(cap(buf)))); err != nil {
				return nil, err
			}
		}
	}
	if len(buf) == 0 {
		return nil, &fault.Error{Kind: fault.Invalid, Text: "The request has no body. Send a JSON object."}
	}
	return buf, nil
}

// grow returns a buffer of the given size that starts with the bytes of buf.
func (x *Exchange) grow(buf []byte, size int64) ([]byte, error) {
	size = max(size, int64(len(buf))+1)
	more := size - x.body.held
	if !x.server.Bodies.Take(more) {
		return nil, Busy(fmt.Errorf("the %d MiB that all bodies may have (server.max_bodies) are in use", x.server.Bodies.Max()>>20))
	}
	if err := x.Memory.Hold(more); err != nil {
		x.server.Bodies.Give(more)
		return nil, Busy(err)
	}
	x.body.held = size
	grown := make([]byte, len(buf), size)
	copy(grown, buf)
	return grown, nil
}

// Busy is the error for a request that the gateway has no memory for now. err says
// in the log which limit it is.
func Busy(err error) *fault.Error {
	return &fault.Error{
		Kind: fault.Full, Code: "busy", RetryAfter: time.Second,
		Cause: err,
		Text:  "The gateway holds as many requests and answers as its memory allows. Try again in a moment.",
	}
}

// answerEarly prepares for an answer to a request whose body is still being sent.
// net/http would read at most drained bytes more of it and then close the connection,
// which resets it while the client sends, and most clients never see the answer then.
// Instead the answer leaves at once, and discardBody takes in what follows.
func (x *Exchange) answerEarly() {
	const drained = 256 << 10
	if length := x.Request.ContentLength; length >= 0 && length <= drained || x.body.ended {
		return
	}
	if !x.body.begun && x.Request.Header.Get("Expect") != "" {
		return // the client waits to be asked for its body, and won't be
	}
	x.body.unread = http.NewResponseController(x.writer.ResponseWriter).EnableFullDuplex() == nil
	// What is never read of the body must not be taken for the next request.
	x.Writer.Header().Set("Connection", "close")
}

// discardBody reads what is left of a body that was answered early, as long as a body
// may take and some more than one may have. It takes next to no memory.
func (x *Exchange) discardBody() {
	if !x.body.unread || x.writer.broken {
		return
	}
	if err := x.writer.FlushError(); err == nil {
		_, _ = io.CopyN(io.Discard, x.Request.Body, 4*x.server.MaxBody)
	}
}

// unreadable says why a body could not be read to its end.
func (x *Exchange) unreadable(err error) error {
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

// errHungUp marks errors that mean that nobody waits for the answer.
var errHungUp = fmt.Errorf("the client hung up: %w", context.Canceled)

func tooLarge(limit int64) error {
	return &fault.Error{
		Kind: fault.TooLarge, Code: "request_too_large",
		Text: fmt.Sprintf("The request body is larger than %s. Send less, or raise server.max_body in the gateway's configuration.", size(limit)),
	}
}

// size writes a number of bytes as people do: size(32<<20) is "32 MiB".
func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// checkContentHeaders accepts JSON that is not compressed.
//
// Each header may come several times, or joined by commas, as some proxies send
// it; then all of it must be right.
//
// A missing content type is taken for JSON, but not from a browser: a page of
// any origin can post a body without type, and without asking first by a
// preflight.
func checkContentHeaders(h http.Header) error {
	for _, coding := range listed(h["Content-Encoding"]) {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return &fault.Error{Kind: fault.Unsupported, Text: "Compressed request bodies are not supported. Send the body without Content-Encoding."}
		}
	}
	types := listed(h["Content-Type"])
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

// listed gives the values of a header that may be repeated or joined by commas.
func listed(lines []string) (values []string) {
	for _, line := range lines {
		for v := range strings.SplitSeq(line, ",") {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
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
