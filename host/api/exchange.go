package api

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/record"
)

// Exchange is one client request on its way through the gateway. It belongs to
// the goroutine that serves the request and ends with it.
type Exchange struct {
	ID      string              // the x-request-id of the answer, unique
	Start   time.Time           // when the request's head had been read
	Request *http.Request       // its body is read by the method Body
	Writer  http.ResponseWriter // supports http.ResponseController

	// Record is what will be logged and counted. The handler fills in what it learns. Its
	// Status and Err are by default those of the answer and of the handler.
	Record *record.Request

	Memory *memory.Grant // counts the memory held for this request; released when the exchange ends

	server    *server
	dialect   *dialect.Dialect // the route's
	parameter string           // the value of the {parameter} in the route's path
	form      bool             // its body is a form and no JSON
	quiet     bool             // logged at debug only

	body   body
	memory memory.Grant
	writer responseWriter
	record record.Request

	idHeader [1]string // the value of the answer's header X-Request-Id
}

func (s *server) newExchange(w http.ResponseWriter, r *http.Request) *Exchange {
	x := &Exchange{
		ID:      newID(),
		Start:   s.Now(),
		Request: r,
		server:  s,
		dialect: s.openAI,
		memory:  s.Memory.Grant(),
	}
	x.Memory = &x.memory
	x.writer = responseWriter{ResponseWriter: w}
	x.Writer = &x.writer
	x.Record = &x.record
	x.record.ID, x.record.Began, x.record.Client, x.record.TraceParent = x.ID, x.Start, clientOf(r), first(r.Header["Traceparent"])
	x.idHeader[0] = x.ID
	w.Header()["X-Request-Id"] = x.idHeader[:]
	return x
}

// newID returns an id that no other request has, with 130 random bits.
func newID() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	id := [30]byte{'r', 'e', 'q', '_'}
	random := id[4:]
	_, _ = rand.Read(random) // it never fails
	for i, b := range random {
		random[i] = letters[b%32]
	}
	return string(id[:])
}

// clientOf returns the address that a request came from, without its port.
func clientOf(r *http.Request) string {
	if host, port, ok := strings.Cut(r.RemoteAddr, ":"); ok && host != "" && host[0] != '[' && strings.IndexByte(port, ':') < 0 {
		return host
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// holdHead counts what the request's head holds.
func (x *Exchange) holdHead() error {
	if x.server.AdmitHead == nil {
		return nil
	}
	if err := x.server.AdmitHead(x.Request.Context(), x.Memory.Hold); err != nil {
		return Busy(err)
	}
	return nil
}

// first returns the first value of a header, "" if there is none. Its name must be looked up in its
// canonical form, which Header.Get would make anew for each request.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// Parameter returns what stands in the request's path in place of the {parameter} of the
// route's, slashes included.
func (x *Exchange) Parameter() string { return x.parameter }

// JSON answers with status and body, which must be JSON. An error means that
// the client did not accept the answer in time, or is gone.
func (x *Exchange) JSON(status int, body []byte) error {
	return x.write(status, "application/json", body)
}

// nosniff is a header's values, which nobody changes.
var nosniff = []string{"nosniff"}

func (x *Exchange) write(status int, contentType string, body []byte) error {
	h := x.Writer.Header()
	values := [...]string{contentType, strconv.Itoa(len(body))} // one piece of memory
	h["Content-Type"], h["Content-Length"], h["X-Content-Type-Options"] = values[:1:1], values[1:], nosniff
	rc := http.NewResponseController(x.writer.ResponseWriter)
	// net/http clears the deadline when the request is over. Writers in tests may
	// not support deadlines, so the error is ignored.
	_ = rc.SetWriteDeadline(time.Now().Add(x.server.WriteTimeout))
	x.Writer.WriteHeader(status)
	_, err := x.Writer.Write(body)
	return err
}

// Begin begins an answer with status 200 that is no JSON. Send sends its body.
func (x *Exchange) Begin(contentType string) {
	h := x.Writer.Header()
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	x.Writer.WriteHeader(http.StatusOK)
}

// Send sends a part of the body. flush says that it must not wait for the next one. An error
// means that the client did not accept it in time, or is gone.
func (x *Exchange) Send(p []byte, flush bool) error {
	_ = http.NewResponseController(x.writer.ResponseWriter).SetWriteDeadline(time.Now().Add(x.server.WriteTimeout))
	_, err := x.Writer.Write(p)
	if err == nil && flush {
		err = x.writer.FlushError()
	}
	return err
}

// Abort cuts the client's connection, which is all that tells it that an answer which has begun
// can't be completed. err is for the log. Abort doesn't return.
func (x *Exchange) Abort(err error) {
	x.note(err)
	panic(http.ErrAbortHandler)
}

// finish deals with the error that a handler returned, and with handlers that
// returned none but wrote nothing.
func (x *Exchange) finish(err error) {
	switch {
	case err == nil && !x.writer.wrote:
		x.fail(errors.New("the handler wrote no answer"))
	case err != nil:
		x.fail(err)
	}
}

// end ends the exchange, even if its handler panicked: it writes the log line and
// gives back all memory that was held for the exchange. It must be deferred.
func (x *Exchange) end() {
	v := recover()
	if v != nil && v != http.ErrAbortHandler {
		x.server.Logger.LogAttrs(x.Request.Context(), slog.LevelError, "panic while serving a request",
			slog.String("request_id", x.ID), slog.Any("err", v), slog.String("stack", string(debug.Stack())))
	}
	switch {
	case v == nil:
	case v == http.ErrAbortHandler:
		x.note(http.ErrAbortHandler)
	case !x.writer.wrote:
		x.fail(errPanicked)
		v = nil
	default:
		// The answer has begun, so its status can no longer say that it failed.
		// Only a cut connection tells the client.
		x.note(errPanicked)
		v = http.ErrAbortHandler
	}
	x.ReleaseBody()
	x.Memory.Release()
	x.close()
	x.log()
	if x.server.Observe != nil {
		x.server.Observe(x.Record)
	}
	if v != nil {
		panic(v)
	}
	x.discardBody()
}

var errPanicked = errors.New("panic, see the log entry of the same request")

// responseWriter remembers what was answered.
type responseWriter struct {
	http.ResponseWriter
	status int
	wrote  bool // the answer's head was written
	failed bool // a write or flush failed: the client does not accept the answer
}

func (w *responseWriter) WriteHeader(status int) {
	if !w.wrote && status >= 200 {
		w.status, w.wrote = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.defaultStatus()
	n, err := w.ResponseWriter.Write(p)
	w.failed = w.failed || err != nil
	return n, err
}

// FlushError sends what is buffered. http.ResponseController calls it.
func (w *responseWriter) FlushError() error {
	w.defaultStatus()
	err := http.NewResponseController(w.ResponseWriter).Flush()
	w.failed = w.failed || err != nil
	return err
}

// defaultStatus records that a first write or flush without a status sends 200.
func (w *responseWriter) defaultStatus() {
	if !w.wrote {
		w.status, w.wrote = http.StatusOK, true
	}
}

// Unwrap is for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
