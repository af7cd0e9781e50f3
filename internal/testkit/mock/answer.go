package mock

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Answer answers one request. It runs in a goroutine of its own. When it returns, the
// answer is complete, unless it says otherwise.
type Answer func(x *Exchange)

// Exchange is one request and the way to answer it. Only its Answer may use it.
type Exchange struct {
	Request

	upstream *Upstream
	w        http.ResponseWriter
	gone     <-chan struct{} // closed when the client is
	headed   bool            // the head was sent
	conn     net.Conn        // once it was taken from net/http
	ended    bool            // conn was closed
}

// Set sets a header of the answer, before Head.
func (x *Exchange) Set(name string, values ...string) {
	x.w.Header()[http.CanonicalHeaderKey(name)] = values
}

// Head sends status and headers. With the content type "" there is none, unless Set has
// set one. Only the first call does anything.
func (x *Exchange) Head(status int, contentType string) {
	if x.head(status, contentType) {
		x.flush()
	}
}

// head is Head that may be sent with what follows.
func (x *Exchange) head(status int, contentType string) bool {
	if x.headed || x.conn != nil {
		return false
	}
	x.headed = true
	h := x.w.Header()
	switch {
	case contentType != "":
		h.Set("Content-Type", contentType)
	case h.Get("Content-Type") == "":
		h["Content-Type"] = nil // or net/http guesses one
	}
	x.w.WriteHeader(status)
	return true
}

// Send sends pieces of the body, each by itself. Without a Head before them, they are a
// 200.
func (x *Exchange) Send(pieces ...string) {
	x.Head(http.StatusOK, "")
	for _, p := range pieces {
		if x.conn != nil {
			io.WriteString(x.conn, p)
			continue
		}
		io.WriteString(x.w, p)
		x.flush()
	}
}

func (x *Exchange) flush() { http.NewResponseController(x.w).Flush() }

// Raw sends pieces as they are, each by itself, without HTTP's framing. The connection
// is closed when the answer returns.
func (x *Exchange) Raw(pieces ...string) {
	if !x.take() {
		return
	}
	for _, p := range pieces {
		io.WriteString(x.conn, p)
	}
}

// Cut closes the connection, which breaks an answer off that has no end yet.
func (x *Exchange) Cut() {
	if x.take() {
		x.end()
	}
}

// Reset closes the connection with RST instead of FIN. What was sent just before may be
// lost.
func (x *Exchange) Reset() {
	if x.take() {
		x.conn.(*net.TCPConn).SetLinger(0)
		x.end()
	}
}

// Hang sends nothing until the client hangs up.
func (x *Exchange) Hang() {
	if x.conn != nil {
		io.Copy(io.Discard, x.conn)
		return
	}
	select {
	case <-x.gone:
	case <-x.upstream.closed:
	}
}

// Wait sends nothing until c is closed. It reports false if the client hung up before.
// Behind Raw it doesn't learn of that.
func (x *Exchange) Wait(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-x.gone:
	case <-x.upstream.closed:
	}
	return false
}

// Pause sends nothing for a while. It reports false if the client hung up before, as
// Wait does.
func (x *Exchange) Pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.gone:
	case <-x.upstream.closed:
	}
	return false
}

// take takes the connection from net/http. It reports false when there is none.
func (x *Exchange) take() bool {
	if x.conn == nil && !x.ended {
		conn, _, err := http.NewResponseController(x.w).Hijack()
		if err != nil {
			return false
		}
		x.conn = conn
		x.upstream.keep(conn)
	}
	return !x.ended
}

// end closes a connection that was taken.
func (x *Exchange) end() {
	if x.conn != nil && !x.ended {
		x.ended = true
		x.upstream.drop(x.conn)
	}
}

// Whole is an answer that is sent at once, with its length.
func Whole(status int, contentType, body string) Answer {
	return func(x *Exchange) {
		x.Set("Content-Length", fmt.Sprint(len(body)))
		x.head(status, contentType)
		x.Send(body)
	}
}

// JSON is a 200 with a JSON value.
func JSON(body string) Answer { return Whole(http.StatusOK, "application/json", body) }

// Status is an answer without a body.
func Status(code int) Answer { return Whole(code, "", "") }

// Stream is a 200 whose pieces are sent each by itself, in chunks.
func Stream(contentType string, pieces ...string) Answer {
	return func(x *Exchange) {
		x.Head(http.StatusOK, contentType)
		x.Send(pieces...)
	}
}

// SSE is a stream of server-sent events. Pieces are sent as they are.
func SSE(pieces ...string) Answer { return Stream("text/event-stream", pieces...) }

// NDJSON is a stream of lines. Pieces are sent as they are.
func NDJSON(pieces ...string) Answer { return Stream("application/x-ndjson", pieces...) }

// Raw is an answer of bytes without HTTP's framing, behind which the connection is
// closed. Each piece is sent by itself.
func Raw(pieces ...string) Answer { return func(x *Exchange) { x.Raw(pieces...) } }

// Header sets a header of the answer that follows in Steps.
func Header(name string, values ...string) Answer {
	return func(x *Exchange) { x.Set(name, values...) }
}

// Send sends more pieces of the body.
func Send(pieces ...string) Answer { return func(x *Exchange) { x.Send(pieces...) } }

// Wait waits until c is closed.
func Wait(c <-chan struct{}) Answer { return func(x *Exchange) { x.Wait(c) } }

// Pause waits for a while.
func Pause(d time.Duration) Answer { return func(x *Exchange) { x.Pause(d) } }

// Hang waits until the client hangs up.
func Hang(x *Exchange) { x.Hang() }

// Cut closes the connection.
func Cut(x *Exchange) { x.Cut() }

// Reset closes the connection with RST.
func Reset(x *Exchange) { x.Reset() }

// Steps is what several answers do, one after the other, to one request.
func Steps(steps ...Answer) Answer {
	return func(x *Exchange) {
		for _, step := range steps {
			step(x)
		}
	}
}

// InTurn gives each request the next answer. The last answers all that follow, too.
func InTurn(answers ...Answer) Answer {
	var n atomic.Int64
	return func(x *Exchange) { answers[min(int(n.Add(1)), len(answers))-1](x) }
}

// Bytes cuts a text into pieces of a byte each.
func Bytes(s string) []string {
	pieces := make([]string, len(s))
	for i := range len(s) {
		pieces[i] = s[i : i+1]
	}
	return pieces
}
