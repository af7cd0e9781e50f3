package host

import (
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/admin"
	"github.com/kai-gateway/kai/host/limit"
)

// maxShownKeys is how many keys the state has. A console asks for it every two seconds.
const maxShownKeys = 1000

// showKeys adds to the state who may call, and how much of all limits and budgets is used.
func (a adminGateway) showKeys(g *generation, s *admin.State) {
	c := g.config
	keys := c.Auth.Keys[:min(len(c.Auth.Keys), maxShownKeys)]
	s.Keys, s.MoreKeys, s.Currency = []admin.Key{}, len(c.Auth.Keys)-len(keys), c.Pricing.Currency
	s.Groups, s.Limits = []admin.Group{}, []admin.Limit{}
	l := g.limits
	if l == nil {
		l = &limits{}
	}
	all := l.first(c, keys)
	used := a.h.limits.Used(all)
	take := func(buckets []*limit.Bucket) []admin.Limit { // in the order of all
		shown := make([]admin.Limit, len(buckets))
		for i, b := range buckets {
			shown[i] = shownLimit(b, used[i])
		}
		used = used[len(buckets):]
		return shown
	}
	for _, k := range keys {
		shown := admin.Key{Name: k.Name, Group: k.Group, Models: append([]string{}, k.Models...), Disabled: k.Disabled, Limits: take(l.keys[k.Name])}
		if !k.Expires.IsZero() {
			shown.Expires = &k.Expires
		}
		s.Keys = append(s.Keys, shown)
	}
	for _, group := range c.Auth.Groups {
		s.Groups = append(s.Groups, admin.Group{Name: group.Name, Parent: group.Parent, Limits: take(l.groups[group.Name])})
	}
	for _, m := range c.Models {
		s.Limits = append(s.Limits, take(l.aliases[m.Alias])...)
	}
	s.Limits = append(s.Limits, take(l.gateway)...)
}

// first returns the buckets of some keys, of all groups, of all aliases and of the gateway.
func (l *limits) first(c *config.Config, keys []config.Key) (all []*limit.Bucket) {
	for _, k := range keys {
		all = append(all, l.keys[k.Name]...)
	}
	for _, group := range c.Auth.Groups {
		all = append(all, l.groups[group.Name]...)
	}
	for _, m := range c.Models {
		all = append(all, l.aliases[m.Alias]...)
	}
	return append(all, l.gateway...)
}

// windowWords are the admin listener's words for the lengths of windows.
var windowWords = map[time.Duration]string{0: "", time.Second: "second", time.Minute: "minute", time.Hour: "hour", 24 * time.Hour: "day"}

// shownLimit returns a bucket as the admin listener shows it.
func shownLimit(b *limit.Bucket, used int64) admin.Limit {
	s := admin.Limit{What: unitWords[b.Unit], Per: windowWords[b.Window], Used: float64(used), Max: float64(b.Limit)}
	if b.Owner == limit.Alias {
		s.Name = b.Name
	}
	if b.Unit == limit.Money {
		const nano = 1e9
		s.Per, s.Used, s.Max, s.Warn = periodWords[b.Period], s.Used/nano, s.Max/nano, float64(b.Warn)/nano
	}
	return s
}
