package host

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// servers serves the connections of one listener. An http.Server can't change
// its ReadHeaderTimeout, so there is one for each that the configuration has had:
// a connection keeps what it began with.
type servers struct {
	host  *Host
	base  context.Context // of all requests
	first *http.Server    // accepts; servers is its listener
	net.Listener

	mu     sync.Mutex
	down   bool
	others map[time.Duration]*handover
	serves sync.WaitGroup // the others
}

func newServers(h *Host, base context.Context, l net.Listener) *servers {
	s := &servers{host: h, base: base, Listener: l, others: map[time.Duration]*handover{}}
	s.first = s.server(s.wanted())
	return s
}

// wanted is the ReadHeaderTimeout that the configuration names now.
func (s *servers) wanted() time.Duration {
	return time.Duration(s.host.current.Load().config.Server.ReadHeaderTimeout)
}

func (s *servers) server(readHeaderTimeout time.Duration) *http.Server {
	return &http.Server{
		Handler:           s.host.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return s.base },
		ErrorLog:          slog.NewLogLogger(s.host.log.Handler(), slog.LevelWarn),

		DisableGeneralOptionsHandler: true,
	}
}

// serve serves until the listener fails or shutdown begins, which is told by
// http.ErrServerClosed.
func (s *servers) serve() error {
	err := s.first.Serve(s)
	if !errors.Is(err, http.ErrServerClosed) {
		s.close()
	}
	s.serves.Wait()
	return err
}

// Accept gives the first server its connections and hands the rest over.
func (s *servers) Accept() (net.Conn, error) {
	for {
		c, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		wanted := s.wanted()
		if wanted == s.first.ReadHeaderTimeout {
			return c, nil
		}
		if other := s.other(wanted); other == nil || !other.give(c) {
			c.Close()
		}
	}
}

// other gives the server of a ReadHeaderTimeout, nil during a shutdown.
func (s *servers) other(readHeaderTimeout time.Duration) *handover {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil
	}
	o := s.others[readHeaderTimeout]
	if o == nil {
		o = &handover{
			server: s.server(readHeaderTimeout), addr: s.Addr(),
			conns: make(chan net.Conn), closed: make(chan struct{}),
		}
		s.others[readHeaderTimeout] = o
		s.serves.Go(func() { o.server.Serve(o) }) // until it is shut down
	}
	return o
}

// all gives the servers and sees to it that they stay the only ones.
func (s *servers) all() []*http.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = true
	all := []*http.Server{s.first}
	for _, o := range s.others {
		all = append(all, o.server)
	}
	return all
}

// shutdown accepts nothing more and waits for the requests that run, for at most
// d. It may be called again to wait longer.
func (s *servers) shutdown(d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	all := s.all()
	errs := make([]error, len(all))
	var wait sync.WaitGroup
	for i, server := range all {
		wait.Go(func() { errs[i] = server.Shutdown(ctx) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// close ends everything at once.
func (s *servers) close() {
	for _, server := range s.all() {
		server.Close()
	}
}

// handover is a server whose connections somebody else accepts, and its listener.
type handover struct {
	server *http.Server
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// give hands a connection over. It fails once the server is shut down.
func (h *handover) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.closed:
		return false
	}
}

// Accept, Close and Addr make it a net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *handover) Addr() net.Addr { return h.addr }
