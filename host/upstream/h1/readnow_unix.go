//go:build unix

package h1

import (
	"net"
	"syscall"
)

// rawOf returns the descriptor of a connection, for reads that don't wait; nil if it has
// none.
func rawOf(c net.Conn) syscall.RawConn {
	if with, ok := c.(syscall.Conn); ok {
		if raw, err := with.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}

// tryRead reads once. Go's sockets never block, so the error is EAGAIN if there is nothing.
func (s *socket) tryRead(fd uintptr) bool {
	for {
		n, err := syscall.Read(int(fd), s.p)
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			s.err = errNothing
		default:
			s.err = err
		}
		s.n = max(n, 0)
		return true
	}
}
