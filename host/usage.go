package host

import (
	"context"
	"errors"
	"time"

	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/record"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/sdk/abi"
)

// note records an attempt that has ended.
//
//   - cooled: its target cools down because of it
func (c *call) note(ctx context.Context, target *route.Target, o outcome, begun, now time.Time, cooled bool) {
	r := c.http.Record
	a := record.Attempt{
		Target: target.ID, Provider: target.Provider, Model: target.Model,
		Began: begun, Duration: now.Sub(begun), Usage: o.usage, Calls: o.calls, Cooled: cooled,
	}
	if o.err != nil {
		if e, ok := errors.AsType[*fault.Error](o.err); ok {
			a.Code = e.Code
		}
		if a.Class = fault.KindOf(o.err).String(); ctx.Err() != nil {
			a.Class, a.Code = fault.Gone.String(), ""
		}
	}
	if !o.first.IsZero() {
		a.FirstContent = o.first.Sub(begun)
		r.FirstContent = o.first.Sub(r.Began)
	}
	r.Usage = o.usage
	if prices := c.gateway.prices; prices != nil {
		p := prices[target.ID]
		a.Cost, a.Price = p.Of(a.Usage), p.Version()
	}
	r.Add(a)
}

// bytesPerToken is how many bytes of text a token has, roughly.
const bytesPerToken = 4

// usageOf is what an attempt used: what the provider counted, or else what the lengths of
// the texts suggest. A provider that was cut short may have counted only a part.
//
//   - err: how the attempt ended
func (c *call) usageOf(u facts.Usage, err error) record.Usage {
	r := record.Usage{Input: u.Prompt, CachedInput: u.Cached, CacheWrite: u.CacheWrite, Output: u.Completion, Reasoning: u.Reasoning}
	if stated := (u.Stated + bytesPerToken - 1) / bytesPerToken; stated > r.Output && (err != nil || !u.Known) {
		r.Output, r.Estimated = stated, true
	}
	if u.Priced {
		r.Stated = record.Cost{Nano: u.Cost, Known: true}
	}
	answered := err == nil && c.request.Op != abi.Count || u.Stated > 0
	if answered && !u.Known {
		r.Input, r.Estimated = c.size, true
	}
	return r
}
