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
		Began: begun, Duration: now.Sub(begun), Usage: o.usage, Calls: o.calls, Status: o.status, Cooled: cooled, Uncertain: o.uncertain, Span: c.span, Reported: c.details.reported(target.Model),
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

// asksNoModel reports whether no model is asked: tokens are counted, or a response is looked up.
func (c *call) asksNoModel() bool { return c.request.Op == abi.Count || c.request.Op == abi.Stored }

// bytesPerToken is how many bytes of text a token has, roughly.
const bytesPerToken = 4

// tokensOf estimates how many tokens a text of so many bytes has.
func (c *call) tokensOf(bytes int64) int64 {
	n := (bytes + bytesPerToken - 1) / bytesPerToken
	if c.ratio > 0 && n > 0 {
		n = max(1, int64(float64(n)*c.ratio))
	}
	return n
}

// uncounted estimates what an attempt used of which nothing came that could be counted.
// That is the input, if the upstream had begun to answer or the client hung up, and for
// pictures and speech, once some came, as much output as such answers usually have.
// uncertain says that it may have used some tokens, or none.
//
//   - err: how the attempt ended
func (c *call) uncounted(ctx context.Context, a *attempt, err error) (u record.Usage, uncertain bool) {
	slow := fault.KindOf(err) == fault.Slow
	switch {
	case err == nil, !a.sent, c.asksNoModel():
		return u, false
	case ctx.Err() != nil, a.accepted && !slow:
		u = record.Usage{Input: c.size, Sound: c.request.Sound, Pictures: c.request.Pictures, Characters: c.request.Characters, Estimated: true}
		if op := c.request.Op; a.hasContent && c.admission != nil && (op == abi.Images || op == abi.Speech) {
			u.Output = c.admission.estimator.Output() // the length of what came says nothing
		}
		return u, false
	}
	return u, slow
}

// usageOf is what an attempt used: what the provider counted, or else what the lengths of
// the texts and of the sound suggest. A provider that was cut short may have counted only a part.
//
//   - err: how the attempt ended
func (c *call) usageOf(u facts.Usage, err error) record.Usage {
	r := record.Usage{Input: u.Prompt, CachedInput: u.Cached, CacheWrite: u.CacheWrite, Output: u.Completion, Reasoning: u.Reasoning}
	if stated := c.tokensOf(u.Stated); stated > r.Output && (err != nil || !u.Known) {
		r.Output, r.Estimated = stated, true
	}
	if u.Priced {
		r.Stated = record.Cost{Nano: u.Cost, Known: true}
	}
	if c.request.Op == abi.Transcriptions {
		r.Sound = u.Sound
	}
	answered := err == nil && !c.asksNoModel() || u.Stated > 0
	if answered || u.Known {
		r.Pictures, r.Characters = c.request.Pictures, c.request.Characters
	}
	if answered && !u.Known && r.Sound == 0 {
		r.Input, r.Sound, r.Estimated = c.size, c.request.Sound, true
	}
	return r
}
