package host

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/limit"
)

// limits are the limits and budgets of a configuration.
type limits struct {
	keys, groups, aliases map[string][]*limit.Bucket
	gateway               []*limit.Bucket
}

// limitsOf returns the limits of a configuration; nil if it has none.
func limitsOf(c *config.Config) *limits {
	l := &limits{keys: map[string][]*limit.Bucket{}, groups: map[string][]*limit.Bucket{}, aliases: map[string][]*limit.Bucket{}}
	some := false
	put := func(into map[string][]*limit.Bucket, owner limit.Owner, name string, allowed config.CallLimits, b *config.Budget) {
		if all := slices.Concat(bucketsOf(owner, name, allowed), budgetOf(owner, name, b, c.Pricing.Zone)); len(all) > 0 {
			into[name], some = all, true
		}
	}
	for _, k := range c.Auth.Keys {
		put(l.keys, limit.Key, k.Name, k.Limits, k.Budget)
	}
	for _, g := range c.Auth.Groups {
		put(l.groups, limit.Group, g.Name, g.Limits, g.Budget)
	}
	for _, m := range c.Models {
		put(l.aliases, limit.Alias, m.Alias, m.Limits, nil)
	}
	l.gateway = bucketsOf(limit.Gateway, "", c.Limits)
	if !some && len(l.gateway) == 0 {
		return nil
	}
	return l
}

// The words in the IDs of buckets, which must stay as they are: a count is found by them.
var (
	ownerWords  = [...]string{limit.Key: "key", limit.Group: "group", limit.Alias: "alias", limit.Gateway: "gateway", limit.Provider: "provider", limit.Target: "target"}
	unitWords   = [...]string{limit.Requests: "requests", limit.Tokens: "tokens", limit.InputTokens: "input_tokens", limit.OutputTokens: "output_tokens", limit.Concurrent: "concurrent", limit.Money: "money"}
	periodWords = [...]string{limit.Total: "total", limit.Day: "day", limit.Week: "week", limit.Month: "month"}
)

func bucketsOf(owner limit.Owner, name string, c config.CallLimits) (all []*limit.Bucket) {
	for _, u := range [...]struct {
		unit  limit.Unit
		rates config.Rates
	}{{limit.Requests, c.Requests}, {limit.Tokens, c.Tokens}, {limit.InputTokens, c.InputTokens}, {limit.OutputTokens, c.OutputTokens}} {
		for _, r := range u.rates {
			all = append(all, &limit.Bucket{
				ID: fmt.Sprint(ownerWords[owner], " ", name, " ", unitWords[u.unit], " ", r.Per), Owner: owner, Name: name, Unit: u.unit, Limit: int64(r.N), Window: r.Per,
			})
		}
	}
	if c.Concurrent != nil {
		all = append(all, &limit.Bucket{
			ID: fmt.Sprint(ownerWords[owner], " ", name, " concurrent"), Owner: owner, Name: name, Unit: limit.Concurrent, Limit: int64(*c.Concurrent),
		})
	}
	return all
}

func budgetOf(owner limit.Owner, name string, b *config.Budget, zone *time.Location) (all []*limit.Bucket) {
	if b == nil {
		return nil
	}
	for _, p := range [...]struct {
		period limit.Period
		most   *config.Money
	}{{limit.Day, b.Day}, {limit.Week, b.Week}, {limit.Month, b.Month}, {limit.Total, b.Total}} {
		if p.most == nil {
			continue
		}
		const nano = 1000 // in a millionth
		most := int64(*p.most) * nano
		all = append(all, &limit.Bucket{
			ID: fmt.Sprint(ownerWords[owner], " ", name, " money ", periodWords[p.period]), Owner: owner, Name: name, Unit: limit.Money, Limit: most,
			Period: p.period, Zone: zone, Warn: int64(math.Ceil(float64(most) * b.Warn)), Then: b.Then,
		})
	}
	return all
}

// all returns every bucket.
func (l *limits) all() (all []*limit.Bucket) {
	if l == nil {
		return nil
	}
	for _, of := range []map[string][]*limit.Bucket{l.keys, l.groups, l.aliases} {
		for _, buckets := range of {
			all = append(all, buckets...)
		}
	}
	return append(all, l.gateway...)
}

// of appends the buckets that a request counts in: those of its key, of that key's groups
// from the inside out, of the alias, and of the gateway.
func (l *limits) of(into []*limit.Bucket, who *key.Principal, alias string) []*limit.Bucket {
	into = append(into, l.keys[who.Name]...)
	for _, group := range who.Groups {
		into = append(into, l.groups[group]...)
	}
	return append(append(into, l.aliases[alias]...), l.gateway...)
}

// estimatorsOf returns the estimators of a configuration, by alias. They outlive
// configurations.
func (h *Host) estimatorsOf(c *config.Config) map[string]*limit.Estimator {
	all := make(map[string]*limit.Estimator, len(c.Models))
	for _, m := range c.Models {
		e, _ := h.estimators.LoadOrStore(m.Alias, &limit.Estimator{})
		all[m.Alias] = e.(*limit.Estimator)
	}
	return all
}
