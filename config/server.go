package config

import (
	"net/netip"
	"runtime"
	"strings"
	"time"
)

// Server says how the gateway listens and what it bears.
type Server struct {
	Host    string   // an IP address or a host name; default 127.0.0.1
	Hosts   []string // names the gateway is known by, besides its addresses, localhost and Host
	Port    int      // 0 to 65535, 0 is any free one; default 9000
	Workers int      // adapter instances kept per provider, at least 1; default the number of CPUs

	StreamHeadWait    time.Duration // how long the head of a stream waits for the first event; default 10s
	WriteTimeout      time.Duration // how long a client may not read; default 60s
	ShutdownTimeout   time.Duration // how long streams may finish at the end; default 30s
	ReadHeaderTimeout time.Duration // for the head of a request; default 10s
	ReadTimeout       time.Duration // for the body of a request; default 60s
	LoadWait          time.Duration // how long a request waits for an adapter that still compiles; default 30s

	MaxBody   int64 // bytes of one request's body; default 32 MiB
	MaxBodies int64 // bytes of all bodies together, at least MaxBody, at most MaxMemory; default 1 GiB
	MaxMemory int64 // bytes held of all requests and answers, at least twice MaxBody; 0: half of what there is
}

func defaultWorkers() int { return runtime.GOMAXPROCS(0) }

type serverForm struct {
	Host              string
	Hosts             []string
	Port              int
	Workers           int
	StreamHeadWait    duration `json:"stream_head_wait"`
	WriteTimeout      duration `json:"write_timeout"`
	ShutdownTimeout   duration `json:"shutdown_timeout"`
	ReadHeaderTimeout duration `json:"read_header_timeout"`
	ReadTimeout       duration `json:"read_timeout"`
	LoadWait          duration `json:"load_wait"`
	MaxBody           size     `json:"max_body"`
	MaxBodies         size     `json:"max_bodies"`
	MaxMemory         size     `json:"max_memory"`
}

func (l *loader) server(root *value) Server {
	v := root.get("server")
	if host := v.get("host"); host.isText() && strings.Contains(host.scalar, ":") {
		if _, err := netip.ParseAddr(host.scalar); err != nil {
			l.fault(host, "server.host", "must be an IP address or a host name; a port goes into server.port")
		}
	}
	for _, name := range [...]string{"stream_head_wait", "shutdown_timeout"} {
		l.checkDuration(v.get(name), join("server", name), 0)
	}
	for _, name := range [...]string{"write_timeout", "read_header_timeout", "read_timeout", "load_wait"} {
		l.checkDuration(v.get(name), join("server", name), time.Millisecond)
	}
	l.checkSize(v.get("max_body"), "server.max_body", maxBody, "1GiB")
	l.checkSize(v.get("max_bodies"), "server.max_bodies", maxBodies, "1TiB (1024GiB)")
	l.checkSize(v.get("max_memory"), "server.max_memory", maxMemory, "1TiB (1024GiB)")

	var f serverForm
	if !l.decode("#Server", v, "server", &f) {
		return Server{}
	}
	if most := v.get("max_memory"); f.MaxMemory > 0 {
		if given := v.get("max_bodies"); given == nil || given.kind == null {
			f.MaxBodies = min(f.MaxBodies, f.MaxMemory)
		}
		switch {
		case f.MaxMemory < 2*f.MaxBody:
			l.fault(most, "server.max_memory", "max_memory must be at least twice max_body, so that one provider's share of it holds the largest request")
		case f.MaxBodies > f.MaxMemory:
			l.fault(v.get("max_bodies"), "server.max_bodies", "max_bodies must be at most max_memory, which is for bodies and everything else")
		}
	}
	if f.MaxBodies < f.MaxBody {
		culprit, path := v.get("max_bodies"), "server.max_bodies"
		if culprit == nil || culprit.kind == null {
			culprit, path = v.get("max_body"), "server.max_body"
		}
		l.fault(culprit, path, "max_bodies, which is for all requests together, must be at least max_body, which is for one")
	}
	s := Server{
		Host: f.Host, Hosts: f.Hosts, Port: f.Port, Workers: f.Workers,
		StreamHeadWait:    time.Duration(f.StreamHeadWait),
		WriteTimeout:      time.Duration(f.WriteTimeout),
		ShutdownTimeout:   time.Duration(f.ShutdownTimeout),
		ReadHeaderTimeout: time.Duration(f.ReadHeaderTimeout),
		ReadTimeout:       time.Duration(f.ReadTimeout),
		LoadWait:          time.Duration(f.LoadWait),
		MaxBody:           int64(f.MaxBody), MaxBodies: int64(f.MaxBodies), MaxMemory: int64(f.MaxMemory),
	}
	if s.Workers == 0 {
		s.Workers = defaultWorkers()
	}
	return s
}
