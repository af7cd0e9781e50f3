package h1

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Request is a request whose body is in memory.
type Request struct {
	Method string      // without those whose answer has no body, such as HEAD
	Target string      // path and query, escaped
	Header http.Header // without those that are the client's: see owned
	Head   *Head       // what Client.Prepare has made of these three, which then aren't looked at; nil: Send makes it
	Body   []byte
	Rest   [][]byte // what follows Body
}

// Head is the head of a request without the length of its body, checked and ready to be sent.
// Any number of requests may use it, also at the same time.
type Head struct {
	begin  string // the first line, and the host
	fields string // the rest, with the empty line
	bodied bool   // it states the length of a body even if there is none
}

// Prepare makes the head of r. The error is a *RequestError.
func (c *Client) Prepare(r *Request) (*Head, error) { return r.prepare(c.host) }

func (r *Request) prepare(host string) (*Head, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	names := make([]string, 0, 16)
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	var fields []byte
	for _, name := range names {
		for _, v := range r.Header[name] {
			fields = appendField(fields, name, v)
		}
	}
	return &Head{
		begin:  string(appendField([]byte(r.Method+" "+r.Target+" HTTP/1.1\r\n"), "Host", host)),
		fields: string(append(fields, "\r\n"...)),
		bodied: r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch,
	}, nil
}

// appendTo appends the head of a request to dst whose body has so many bytes.
func (h *Head) appendTo(dst []byte, size int64) []byte {
	dst = append(dst, h.begin...)
	if size > 0 || h.bodied {
		dst = append(dst, "Content-Length: "...)
		dst = append(strconv.AppendInt(dst, size, 10), "\r\n"...)
	}
	return append(dst, h.fields...)
}

// RequestError says why a request isn't sent. It repeats no value of a header.
type RequestError struct{ what string }

func (e *RequestError) Error() string { return e.what }

// owned has the headers that the client writes itself, or that would change what a request
// or a connection is.
var owned = map[string]bool{
	"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Connection": true, "Trailer": true, "Te": true,
	"Upgrade": true, "Expect": true, "Keep-Alive": true, "Proxy-Connection": true,
}

// check refuses a request that a server could read as something else.
func (r *Request) check() error {
	switch {
	case !IsToken(r.Method) || r.Method == http.MethodHead || r.Method == http.MethodConnect:
		return &RequestError{fmt.Sprintf("method %q", r.Method)}
	case !strings.HasPrefix(r.Target, "/") || !isVisible(r.Target):
		return &RequestError{fmt.Sprintf("target %q", r.Target)}
	}
	for name, values := range r.Header {
		if !IsToken(name) || owned[http.CanonicalHeaderKey(name)] {
			return &RequestError{fmt.Sprintf("header %q", name)}
		}
		for _, v := range values {
			if !IsValue(v) {
				return &RequestError{fmt.Sprintf("header %q has a control character", name)}
			}
		}
	}
	return nil
}

// size is how long the body is.
func (r *Request) size() int64 {
	n := int64(len(r.Body))
	for _, p := range r.Rest {
		n += int64(len(p))
	}
	return n
}

func appendField(dst []byte, name, value string) []byte {
	return append(append(append(append(dst, name...), ": "...), value...), "\r\n"...)
}

const (
	// recordSize is how much TLS puts into one record, and so into one system call.
	recordSize = 16 << 10

	// A larger body than smallBody may not fit into the system's buffers. Then the
	// server's answer is looked for after each stall in which it took nothing.
	smallBody = 16 << 10
	stall     = 100 * time.Millisecond
)

// write sends a request over k. whole is false if it was not sent to its end. Then the
// error is nil if the server has answered and takes nothing any more.
func (x *Exchange) write(k *conn, r *Request) (whole bool, err error) {
	head := r.Head.appendTo(k.scratch[:0], r.size())
	k.vector = append(k.parts[:0], head)
	if len(r.Body) > 0 {
		k.vector = append(k.vector, r.Body)
	}
	for _, p := range r.Rest {
		if len(p) > 0 {
			k.vector = append(k.vector, p)
		}
	}
	defer func() {
		k.parts, k.vector = [4][]byte{}, nil // an idle connection holds no request
		k.reuse(head)
	}()
	switch {
	case k.secure():
		err = k.writeRecords()
	case r.size() <= smallBody:
		_, err = k.vector.WriteTo(k.wire)
	default:
		return x.writeLarge(k)
	}
	return err == nil, err
}

// reuse keeps the memory of a head, unless it is large.
func (k *conn) reuse(head []byte) {
	if cap(head) <= bufferSize {
		k.scratch = head[:0]
	}
}

// writeLarge writes k.vector, and stops if the server has answered and takes nothing any
// more. Such a server, which refuses a large body, could otherwise keep both sides waiting.
func (x *Exchange) writeLarge(k *conn) (whole bool, err error) {
	defer x.writeBy(time.Time{})
	for {
		x.writeBy(time.Now().Add(stall))
		n, err := k.vector.WriteTo(k.wire)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || x.Cause() != nil {
			return false, err
		}
		if n > 0 {
			continue
		}
		x.readBy(time.Now().Add(time.Millisecond))
		_, err = k.in.Peek(min(k.in.Buffered()+1, bufferSize)) // more than had come
		x.readBy(time.Time{})
		if !errors.Is(err, os.ErrDeadlineExceeded) && !k.promises() {
			return false, nil // reading the head tells what it is
		}
	}
}

// promises reports whether what has come are informational answers, or may become one. The
// server goes on reading behind those.
func (k *conn) promises() (some bool) {
	const informational = "HTTP/1.1 1"
	waiting, _ := k.in.Peek(k.in.Buffered())
	for whole := true; whole && len(waiting) > 0; {
		n := min(len(waiting), len(informational))
		if string(waiting[:n]) != informational[:n] {
			return false
		}
		some = true
		_, waiting, whole = bytes.Cut(waiting, []byte("\r\n\r\n"))
	}
	return some
}

// records has memory for the first record of a request.
var records = sync.Pool{New: func() any { return new([recordSize]byte) }}

// writeRecords writes k.vector so that the head shares its record with the body's
// beginning. A write over TLS can't be interrupted and continued, so it isn't looked
// whether the server has answered.
func (k *conn) writeRecords() error {
	record := records.Get().(*[recordSize]byte)
	defer records.Put(record)
	first, parts := record[:0], k.vector
	for len(parts) > 0 && len(first) < recordSize {
		n := min(len(parts[0]), recordSize-len(first))
		first = append(first, parts[0][:n]...)
		if parts[0] = parts[0][n:]; len(parts[0]) == 0 {
			parts = parts[1:]
		}
	}
	_, err := k.wire.Write(first)
	clear(first) // a pool must not hold a key
	for _, p := range parts {
		if err == nil && len(p) > 0 {
			_, err = k.wire.Write(p)
		}
	}
	return err
}

// IsToken reports whether s can be a method or a header's name (RFC 9110, 5.6.2).
func IsToken(s string) bool {
	for i := range len(s) {
		if !tokens[s[i]] {
			return false
		}
	}
	return s != ""
}

var tokens = func() (set [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		set[c] = true
	}
	return set
}()

// isVisible reports whether s has visible characters of ASCII only.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// isHost reports whether s can be the value of Host: letters, digits, and what ports and
// addresses of IPv6 need.
func isHost(s string) bool {
	return isVisible(s) && !strings.ContainsAny(s, "/\\@?#,\"<>")
}

// IsValue reports whether s can be the value of a header (RFC 9110, 5.5).
func IsValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
