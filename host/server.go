package host

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/heads"
	"github.com/kai-gateway/kai/host/sse"
)

// errShutdown is the cause that ends requests which run longer than shutdown_timeout.
var errShutdown = &fault.Error{
	Kind: fault.Stopping, Code: "shutting_down", RetryAfter: time.Second,
	Text: "Kai is shutting down; try again in a moment.",
}

// headsPart says how much connections may hold whose requests nobody has admitted: this
// fraction of server.max_memory, besides it.
const headsPart = 4

// counted returns the connection that the listener of serve made, below all wrappers.
func counted(c net.Conn) *heads.Conn { return c.(*sse.Conn).Conn.(*heads.Conn) }

// lastWords is how long requests that are ended may take to tell their clients.
const lastWords = 5 * time.Second

// Serve serves on l until ctx ends. Then it accepts nothing more, gives requests up to
// the configuration's shutdown_timeout to finish, ends the rest with an error event, and
// returns when none is left. It closes l.
//
// A reload doesn't change read_header_timeout, because an http.Server can't.
func (h *Host) Serve(ctx context.Context, l net.Listener) error {
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		h.loopback.Store(a.IP.IsLoopback())
		h.port.Store(int64(a.Port))
	}
	return h.serve(ctx, l, h.Handler(), func() {})
}

// serve is Serve for any handler. stopping is called when nothing more is accepted.
func (h *Host) serve(ctx context.Context, l net.Listener, handler http.Handler, stopping func()) error {
	// Requests outlive ctx, up to their own end.
	base, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	table := &heads.Table{
		Limit: func() int64 { return h.memory.Max() / headsPart },
		Full: func() {
			h.log.Warn("closing the connections that have waited longest, or have been slow to send a head: all that wait hold as much as they may")
		},
	}
	s := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: time.Duration(h.current.Load().config.Server.ReadHeaderTimeout),
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return heads.Context(sse.ConnContext(ctx, c), counted(c))
		},
		ConnState: func(c net.Conn, s http.ConnState) { counted(c).State(s) },
		ErrorLog:  slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),

		DisableGeneralOptionsHandler: true,
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(sse.Listen(table.Listen(l))) }()
	select {
	case err := <-served:
		s.Close()
		return err
	case <-ctx.Done():
	}
	stopping()
	err := shutdown(s, time.Duration(h.current.Load().config.Server.ShutdownTimeout))
	if errors.Is(err, context.DeadlineExceeded) {
		h.log.Warn("ending the requests that still run")
		end(errShutdown)
		if err = shutdown(s, lastWords); err != nil {
			s.Close()
		}
	}
	<-served
	return err
}

// shutdown accepts nothing more and waits up to d for the requests that run. It may be
// called again to wait longer.
func shutdown(s *http.Server, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return s.Shutdown(ctx)
}
