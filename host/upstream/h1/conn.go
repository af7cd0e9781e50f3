package h1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// bufferSize is that of a connection's buffer in bytes. 16 KiB would make a burst no
// faster, and take 12 KiB more for each open stream.
const bufferSize = 4 << 10

// conn is a connection. Whoever has taken it from the client, or made it, is its only user.
type conn struct {
	socket  *socket
	wire    net.Conn      // what carries HTTP: the socket's own connection, or TLS over the socket
	in      *bufio.Reader // reads from wire
	scratch []byte        // empty: memory for heads
	kept    bool          // it has served a request
	since   time.Duration // when it became idle, on the client's clock
	one     [1]byte

	parts  [4][]byte   // backs vector, so that writing allocates nothing
	vector net.Buffers // what is written
}

// newConn makes a connection over raw, with TLS if there is a configuration for that. If it
// fails, raw is for the caller to close.
func newConn(ctx context.Context, raw net.Conn, config *tls.Config) (*conn, error) {
	k := &conn{socket: newSocket(raw), wire: raw}
	if config != nil {
		secure := tls.Client(k.socket, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		k.wire = secure
	}
	k.in = bufio.NewReaderSize(k.wire, bufferSize)
	return k, nil
}

// secure reports whether the connection is one of TLS.
func (k *conn) secure() bool { return k.wire != k.socket.Conn }

// close closes the connection, and doesn't wait for anything: TLS would, to say goodbye.
func (k *conn) close() { k.socket.Conn.Close() }

// quiet reports whether an idle connection can be used: its server has neither closed it
// nor sent something that nobody asked for.
func (k *conn) quiet() bool {
	if k.in.Buffered() > 0 {
		return false
	}
	if !k.secure() {
		n, err := k.socket.readNow(k.one[:])
		return n == 0 && err == errNothing
	}
	// TLS may have read ahead, so it is asked.
	k.socket.peeking, k.socket.peeked = true, 0
	n, err := k.wire.Read(k.one[:])
	k.socket.peeking = false
	return n == 0 && k.socket.peeked == 0 && errors.Is(err, errNothing)
}

// socket is the connection of the operating system.
type socket struct {
	net.Conn
	raw     syscall.RawConn // nil: only deadlines can tell whether a read would wait
	peeking bool            // reads don't wait, and nothing is written
	peeked  int             // how many bytes these have brought, and how often something was to be written

	// What readNow gives to and gets from the callback of raw.
	try func(fd uintptr) bool
	p   []byte
	n   int
	err error
}

func newSocket(c net.Conn) *socket {
	s := &socket{Conn: c, raw: rawOf(c)}
	s.try = s.tryRead
	return s
}

// Read is what TLS reads with.
func (s *socket) Read(p []byte) (int, error) {
	if !s.peeking {
		return s.Conn.Read(p)
	}
	n, err := s.readNow(p)
	s.peeked += n
	return n, err
}

// Write is what TLS writes with. While an idle connection is looked at, TLS may want to answer
// what has come, and a server that takes nothing would keep it waiting. So nothing is sent:
// such a connection isn't used again.
func (s *socket) Write(p []byte) (int, error) {
	if s.peeking {
		s.peeked++
		return 0, errNothing
	}
	return s.Conn.Write(p)
}

// errNothing is the error of a read that would have to wait. As TLS sees it, the
// connection goes on.
var errNothing error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "nothing to read yet" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// readNow reads what is there, without waiting. The error is errNothing if that is nothing,
// and io.EOF if the server has closed the connection.
func (s *socket) readNow(p []byte) (int, error) {
	if s.raw == nil {
		return s.readSoon(p)
	}
	s.p, s.n, s.err = p, 0, nil
	if err := s.raw.Read(s.try); err != nil {
		return 0, err
	}
	n, err := s.n, s.err
	s.p, s.err = nil, nil
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// readSoon is readNow where the system has no way to read without waiting. It waits for a
// millisecond.
func (s *socket) readSoon(p []byte) (int, error) {
	s.SetReadDeadline(time.Now().Add(time.Millisecond))
	defer s.SetReadDeadline(time.Time{})
	n, err := s.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errNothing
	}
	return n, err
}
