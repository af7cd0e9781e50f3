package host

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

// errShutdown ends what still runs when the gateway has waited long enough.
var errShutdown = &fault.Error{
	Kind: fault.Stopping, Code: "shutting_down", RetryAfter: time.Second,
	Text: "Kai is shutting down; try again in a moment.",
}

// lastWords is how long answers may take to say that they were ended.
const lastWords = 5 * time.Second

// Serve serves on l until ctx ends. Then it accepts nothing more, lets requests
// finish for up to the configuration's shutdown_timeout, ends the rest with an
// error event, and returns when none is left. l is closed.
func (h *Host) Serve(ctx context.Context, l net.Listener) error {
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		h.loopback.Store(a.IP.IsLoopback())
	}
	// Requests outlive ctx, up to their own end.
	base, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	s := newServers(h, base, l)
	served := make(chan error, 1)
	go func() { served <- s.serve() }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	err := s.shutdown(time.Duration(h.current.Load().config.Server.ShutdownTimeout))
	if errors.Is(err, context.DeadlineExceeded) {
		h.log.Warn("ending the requests that still run")
		end(errShutdown)
		if err = s.shutdown(lastWords); err != nil {
			s.close()
		}
	}
	<-served
	return err
}
