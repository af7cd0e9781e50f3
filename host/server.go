package host

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/kai-gateway/kai/sdk"
)

// errShutdown ends what still runs when the gateway has waited long enough.
var errShutdown = &sdk.Error{
	Status: 503, Type: sdk.ServerError, Code: "shutting_down", RetryAfterMS: 1000,
	Message: "Kai is shutting down; try again in a moment.",
}

// lastWords is how long answers may take to say that they were ended.
const lastWords = 5 * time.Second

// Serve serves on l until ctx ends. Then it accepts nothing more, lets requests
// finish for up to the configuration's shutdown_timeout, ends the rest with an
// error event, and returns when none is left. l is closed.
func (h *Host) Serve(ctx context.Context, l net.Listener) error {
	// Requests outlive ctx, up to their own end.
	base, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	server := &http.Server{
		Handler:           h.Handler(),
		ReadHeaderTimeout: h.opts.Config.Server.ReadHeaderTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),

		DisableGeneralOptionsHandler: true,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	err := shutdown(server, h.current.Load().config.Server.ShutdownTimeout)
	if errors.Is(err, context.DeadlineExceeded) {
		h.log.Warn("ending the requests that still run")
		end(errShutdown)
		if err = shutdown(server, lastWords); err != nil {
			server.Close()
		}
	}
	<-served
	return err
}

func shutdown(s *http.Server, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return s.Shutdown(ctx)
}
