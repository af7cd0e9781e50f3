package host

import (
	"crypto/tls"
	"slices"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/admin"
	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/limit/fleet"
	"github.com/kai-gateway/kai/host/shared"
)

// outages says what the words of shared.on_outage mean.
var outages = map[string]fleet.Outage{"local": fleet.Divide, "deny": fleet.Deny, "allow": fleet.Allow}

// sharedServer is the client as limits need it.
type sharedServer struct{ *shared.Client }

// Script is for fleet.Server.
func (s sharedServer) Script(text string) fleet.Run { return s.Client.Script(text) }

// openShared connects to the store that gateways share, and has limits count there.
func (h *Host) openShared(c *config.Config) error {
	s := c.Shared
	o := shared.Options{
		Addresses: s.Addresses, Socket: s.Socket, Sentinel: s.Sentinel, User: s.User, Password: s.Password.Reveal(), Database: s.Database,
		Prefix: s.Prefix, Secret: s.Secret.Reveal(), Timeout: time.Duration(s.Timeout), Logger: h.log, Observe: h.metrics.Shared,
		Durable: slices.ContainsFunc(limitsOf(c).all(), func(b *limit.Bucket) bool { return b.Unit == limit.Money }),
	}
	if s.TLS {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		if s.CA != "" {
			var err error
			if o.TLS.RootCAs, err = certificates(s.CA); err != nil {
				return problems(caProblem(c, err))
			}
		}
	}
	client, err := shared.Open(o)
	if err != nil {
		return err
	}
	h.shared, h.outage = client, outages[s.OnOutage]
	h.fleet = fleet.New(fleet.Options{
		Server: sharedServer{client}, Outage: h.outage, Timeout: o.Timeout, Now: h.opts.Now, Warn: h.warnOfBudget, Logger: h.log,
	})
	h.limits = h.fleet
	h.cells.Tell = h.tellCooling
	return nil
}

// followShared learns from now on what other gateways tell, about targets that must be there.
func (h *Host) followShared() {
	if h.shared != nil {
		h.shared.Follow(coolings, h.hearCooling)
	}
}

// sharedState returns how the store that gateways share is doing; nil: there is none.
func (h *Host) sharedState() *admin.Shared {
	if h.shared == nil {
		return nil
	}
	s := &admin.Shared{Up: h.shared.Up(), Replicas: h.fleet.Gateways(), Errors: h.shared.Errors()}
	for word, outage := range outages {
		if outage == h.outage {
			s.OnOutage = word
		}
	}
	return s
}

// closeShared ends the connection to that store.
func (h *Host) closeShared() {
	if h.fleet != nil {
		h.fleet.Close()
	}
	if h.shared != nil {
		h.shared.Close()
	}
}
