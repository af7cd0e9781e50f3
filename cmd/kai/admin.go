package main

import (
	"context"
	"log/slog"
	"net"
	"strings"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/host/live"
)

// listen opens the gateway's listener, and the one for whoever runs it, which is nil if there
// is to be none. problem says why one of them can't be opened; "": nothing is wrong.
func listen(c *config.Config) (l, admin net.Listener, problem string) {
	if c.Admin.Enabled && c.Admin.Port != 0 && c.Admin.Port == c.Server.Port { // by --port; the rest was checked
		return nil, nil, "--port is admin.port as well: the gateway's clients must not reach that listener, so choose another"
	}
	l, err := net.Listen("tcp", c.Server.Address())
	if err != nil {
		return nil, nil, listenProblem(c.Server.Address(), err)
	}
	if !c.Admin.Enabled {
		return l, nil, ""
	}
	if admin, err = net.Listen("tcp", c.Admin.Address()); err != nil {
		l.Close()
		return nil, nil, "admin: " + strings.NewReplacer("--port", "admin.port", "server.host or --host", "admin.host").Replace(listenProblem(c.Admin.Address(), err))
	}
	return l, admin, ""
}

// serveAdmin serves the listener until ctx ends.
func serveAdmin(ctx context.Context, log *slog.Logger, h *host.Host, reloads *live.Reloader, l net.Listener) {
	log.Info("serving the admin listener", "url", "http://"+reachable(l.Addr())+"/")
	reload := func(ctx context.Context) error {
		_, err := reloads.Reload(ctx, "admin listener") // the log has the warnings
		return err
	}
	if err := h.ServeAdmin(ctx, l, reload); err != nil {
		log.Error("the admin listener ended", "err", err)
	}
}

func closeListener(l net.Listener) {
	if l != nil {
		l.Close()
	}
}
