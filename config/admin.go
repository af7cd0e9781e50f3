package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Admin is a listener for whoever runs the gateway.
type Admin struct {
	Enabled    bool   `json:"-"`           // there is such a section; without it the rest is empty
	Host       string `json:"host"`        // an IP address or a host name
	Port       int    `json:"port"`        // 0 is any free one; else not the server's
	Token      Secret `json:"token"`       // what requests must show; there is one if Host is not this machine's alone
	Metrics    bool   `json:"metrics"`     // serve /metrics
	KeyMetrics bool   `json:"key_metrics"` // with series for each key
	Console    bool   `json:"console"`     // serve the console
}

// Address returns host and port as net.Listen takes them.
func (a Admin) Address() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// IsLoopback reports whether a host of the configuration is reached from its own machine
// alone.
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// admin checks that the section doesn't open to others what needs no token, and that it
// leaves the server its port.
func (l *loader) admin(root *value, server Server) Admin {
	v := root.get("admin")
	if v == nil || v.kind == null && !v.bad {
		return Admin{}
	}
	host, port := v.get("host"), v.get("port")
	if host.isText() && strings.Contains(host.scalar, ":") {
		if _, err := netip.ParseAddr(host.scalar); err != nil {
			l.fault(host, "admin.host", "must be an IP address or a host name; a port goes into admin.port")
		}
	}
	var a Admin
	if !l.decode("#Admin", v, "admin", &a) {
		return Admin{}
	}
	a.Enabled = true
	if a.Token.IsZero() && !IsLoopback(a.Host) {
		l.fault(host, "admin.host", "is reached by others than this machine: set admin.token, or 127.0.0.1")
	}
	if a.Port != 0 && a.Port == server.Port {
		if port == nil || port.kind == null {
			port = v
		}
		l.fault(port, "admin.port", "is the server's port as well: the gateway's clients must not reach this listener, so give it another")
	}
	return a
}
