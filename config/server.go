package config

import (
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
)

// Server says how the gateway listens, and how much time and memory requests may take.
type Server struct {
	Host    string   `json:"host"`    // an IP address or a host name
	Hosts   []string `json:"hosts"`   // names the gateway is known by, besides its addresses, localhost and Host
	Port    int      `json:"port"`    // 0 is any free one
	Workers int      `json:"workers"` // adapter instances kept per provider, at least 1

	StreamHeadWait    Duration `json:"stream_head_wait"`    // how long the head of a stream waits for the first event
	WriteTimeout      Duration `json:"write_timeout"`       // how long a client may read nothing
	ShutdownTimeout   Duration `json:"shutdown_timeout"`    // how long streams may finish at the end
	ReadHeaderTimeout Duration `json:"read_header_timeout"` // for the head of a request
	ReadTimeout       Duration `json:"read_timeout"`        // for the body of a request
	LoadWait          Duration `json:"load_wait"`           // how long a request waits for an adapter that still compiles

	MaxBody   Size `json:"max_body"`   // of one request's body
	MaxBodies Size `json:"max_bodies"` // of all bodies together, at least MaxBody, at most MaxMemory
	MaxMemory Size `json:"max_memory"` // held of all requests and answers, at least four times MaxBody; 0: half of what there is
}

// Address returns host and port as net.Listen takes them.
func (s Server) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

func defaultWorkers() int { return runtime.GOMAXPROCS(0) }

func (l *loader) server(root *value) Server {
	v := root.get("server")
	if host := v.get("host"); host.isText() && strings.Contains(host.scalar, ":") {
		if _, err := netip.ParseAddr(host.scalar); err != nil {
			l.fault(host, "server.host", "must be an IP address or a host name; a port goes into server.port")
		}
	}
	var s Server
	if !l.decode("#Server", v, "server", &s) {
		return Server{}
	}
	if most := v.get("max_memory"); s.MaxMemory > 0 {
		if given := v.get("max_bodies"); given == nil || given.kind == null {
			s.MaxBodies = min(s.MaxBodies, s.MaxMemory)
		}
		switch {
		case s.MaxMemory < 4*s.MaxBody:
			l.fault(most, "server.max_memory", "max_memory must be at least four times max_body: one provider's share of it, half, holds the largest request and the copy that is sent")
		case s.MaxBodies > s.MaxMemory:
			l.fault(v.get("max_bodies"), "server.max_bodies", "max_bodies must be at most max_memory, which is for bodies and everything else")
		}
	}
	if s.MaxBodies < s.MaxBody {
		culprit, path := v.get("max_bodies"), "server.max_bodies"
		if culprit == nil || culprit.kind == null {
			culprit, path = v.get("max_body"), "server.max_body"
		}
		l.fault(culprit, path, "max_bodies, which is for all requests together, must be at least max_body, which is for one")
	}
	if s.Workers == 0 {
		s.Workers = defaultWorkers()
	}
	return s
}
