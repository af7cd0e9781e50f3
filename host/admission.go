package host

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/record"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/sdk/abi"
)

// admission is what a request takes of the limits.
type admission struct {
	lease     limit.Lease
	estimator *limit.Estimator // of the alias
	bytes     int64            // the tokens of the input, estimated by nothing but its bytes
	buckets   []*limit.Bucket
	room      [8]*limit.Bucket // for the usual number of them
}

// enter lets a request in if all limits have room for it. The request takes that room until
// leave. If a budget is spent that names an alias for this case, the request goes on as one
// for that alias. The error is a *fault.Error.
func (c *call) enter(ctx context.Context) error {
	if c.gateway.limits == nil {
		return nil
	}
	who := key.PrincipalFrom(ctx)
	a := &admission{bytes: c.size - c.storedTokens}
	refused, err := c.reserve(ctx, a, &who)
	if err != nil {
		return err
	}
	if plan := c.planWhenSpent(refused, &who); plan != nil {
		c.plan, c.info.Model = plan, plan.Name
		r := c.http.Record
		r.Instead, r.Provider, r.UpstreamModel = plan.Alias, plan.Targets[0].Provider, plan.Targets[0].Model
		if refused, err = c.reserve(ctx, a, &who); err != nil {
			return err
		}
	}
	if refused != nil {
		if refused.Rooms != nil {
			a.show(c.http.Writer.Header(), refused, refused.Bucket)
		}
		return notAdmitted(refused, c.gateway.now())
	}
	if a.lease != nil {
		c.admission = a
		a.show(c.http.Writer.Header(), a.lease, nil)
	}
	return nil
}

// planWhenSpent returns the plan of the alias to which requests go when a budget is spent:
// nil if the budget names none, if the key may not use it, or if it can't serve this
// request.
func (c *call) planWhenSpent(refused *limit.Refusal, who *key.Principal) *route.Plan {
	if refused == nil || refused.Unavailable {
		return nil
	}
	then := refused.Bucket.Then
	if then == "" || then == c.plan.Alias || !who.MayUse(then) {
		return nil
	}
	plan, err := c.gateway.routes.Plan(then)
	if err != nil || !slices.ContainsFunc(plan.Targets, c.servedBy) {
		return nil
	}
	return plan
}

// servedBy reports whether a target can serve the request, as it came or in translation, as
// far as that is known before its adapter is loaded.
func (c *call) servedBy(t route.Target) bool {
	known := c.gateway.providers[t.Provider].described()
	return known.Provider == "" || c.nativeAt(&t, known) || c.request.Untranslated == nil && c.mayTranslate(&t) && known.Serves(c.request.Op, t.Options)
}

// readmit lets a request in that was let in for a kept answer, which needs nothing, and
// that has to ask a model after all. It sets no headers, because they may be on their way
// already. The error is a *fault.Error.
func (c *call) readmit(ctx context.Context) error {
	a := c.admission
	if a == nil {
		return nil
	}
	c.leave()
	c.admission = nil
	who := key.PrincipalFrom(ctx)
	refused, err := c.reserve(ctx, a, &who)
	if err != nil {
		return err
	}
	if refused != nil {
		return notAdmitted(refused, c.gateway.now())
	}
	c.admission = a
	return nil
}

// reserve takes room in all buckets of the request, as it is planned now. The error is a
// *fault.Error, for a request whose cost can't be known.
func (c *call) reserve(ctx context.Context, a *admission, who *key.Principal) (refused *limit.Refusal, err error) {
	a.buckets = c.gateway.limits.of(a.room[:0], who, c.plan.Alias)
	if len(a.buckets) == 0 {
		return nil, nil
	}
	if err := c.checkUnits(a); err != nil {
		return nil, err
	}
	if err := c.checkTools(a); err != nil {
		return nil, err
	}
	if err := c.checkPrice(a); err != nil {
		return nil, err
	}
	a.estimator = c.gateway.estimators[c.plan.Alias]
	c.ratio = a.estimator.Ratio()
	c.size = max(1, int64(float64(a.bytes)*c.ratio)) + c.storedTokens
	a.lease, refused = c.gateway.host.limits.Admit(ctx, a.buckets, c.needs(a))
	return refused, nil
}

// spends reports whether the request is paid out of a budget.
func (a *admission) spends() bool {
	return slices.ContainsFunc(a.buckets, func(b *limit.Bucket) bool { return b.Unit == limit.Money })
}

// checkTools refuses tools that the provider runs and bills apart from tokens, if a budget has to
// pay for them.
func (c *call) checkTools(a *admission) error {
	if c.native == nil || c.native.Billed == "" || c.asksNoModel() || !a.spends() {
		return nil
	}
	return &fault.Error{
		Kind: fault.Unpriced, Code: "unsupported_operation", Param: c.native.Billed,
		Text: c.native.Billed + ": a budget pays for this request, and what this tool costs is not known",
	}
}

// needs returns what the request will probably need, at the price of its most expensive
// target. A kept answer needs nothing.
func (c *call) needs(a *admission) (r limit.Reserve) {
	switch {
	case c.asksNoModel(), c.cacheUse != nil && c.cacheUse.found != nil:
		return r
	case c.request.Op != abi.Embeddings && c.request.Op != abi.Moderations && c.request.Op != abi.Rerank: // which say nothing
		if r.Output = c.body.MaxOutput(); r.Output <= 0 {
			r.Output = a.estimator.Output()
		}
	}
	r.Input = c.size
	if a.spends() && c.gateway.prices != nil {
		for i := range c.plan.Targets {
			p := c.gateway.prices[c.plan.Targets[i].ID]
			r.InputCost = max(r.InputCost, p.Of(record.Usage{
				Input: r.Input, Sound: c.request.Sound, Pictures: c.request.Pictures, Characters: c.request.Characters, Estimated: true,
			}).Nano)
			r.OutputCost = max(r.OutputCost, p.Of(record.Usage{Output: r.Output}).Nano)
		}
	}
	return r
}

// leave gives back what the request took and didn't use. Defer it, so that it runs once
// however the request ends.
func (c *call) leave() {
	a := c.admission
	if a == nil {
		return
	}
	r := c.http.Record
	a.lease.Settle(limit.Usage{Input: r.Usage.Input, Output: r.Usage.Output, Cost: r.Cost.Nano})
	if n := len(r.Attempts); n > 0 && r.Attempts[n-1].Class == "" && !r.Usage.Estimated {
		bytes := a.bytes
		if c.storedTokens > 0 {
			bytes = 0 // most of the input was not in the request, so it tells nothing about the request's bytes
		}
		a.estimator.Observe(bytes, r.Usage.Input, r.Usage.Output)
	}
}

// rooms says how much each bucket of a request has left. A lease does, and so does a
// refusal.
type rooms interface {
	Left(i int) (remaining int64, reset time.Duration)
}

// show tells the client what is left of its key's limits. Of those for requests, and of
// those for tokens, it shows the one with the smallest part left. A request that isn't let
// in is told about the limit that refused it, if that is its key's or a group's, and about
// groups' limits of a unit for which the key has none.
//
//   - refused: the limit that doesn't let it in; nil: it is let in
func (a *admission) show(h http.Header, rooms rooms, refused *limit.Bucket) {
	var told [2]room
	n := 0
	for _, unit := range [...]limit.Unit{limit.Requests, limit.Tokens} {
		tightest := a.tightest(unit, limit.Key, rooms, refused)
		if tightest.of == nil && refused != nil {
			tightest = a.tightest(unit, limit.Group, rooms, refused)
		}
		if tightest.of != nil {
			told[n] = tightest
			n++
		}
	}
	showRoom(h, told[:n])
}

// tightest returns, of an owner's limits in a unit, the one that doesn't let the request
// in, or else the one with the smallest part left. of is nil if there is none.
func (a *admission) tightest(unit limit.Unit, owner limit.Owner, rooms rooms, refused *limit.Bucket) (tightest room) {
	least := 2.0
	for i, b := range a.buckets {
		if b.Unit != unit || b.Owner != owner && (b != refused || b.Owner != limit.Group) {
			continue
		}
		left, reset := rooms.Left(i)
		part := float64(left) / float64(max(1, b.Limit))
		if b == refused {
			part = -1
		}
		if part < least {
			least, tightest = part, room{b, left, reset}
		}
	}
	return tightest
}

// room is what a limit has left, and how long it takes until all of it is free again.
type room struct {
	of    *limit.Bucket
	left  int64
	reset time.Duration
}

// roomHeaders are those of a limit for requests, and of one for tokens.
var roomHeaders = [...][3]string{
	limit.Requests: {"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"},
	limit.Tokens:   {"X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},
}

// showRoom tells the client what is left of limits for requests and tokens, at most one of
// each, as OpenAI does: https://platform.openai.com/docs/guides/rate-limits. Every answer
// has these headers, so all of them are in one string.
func showRoom(h http.Header, told []room) {
	var buf [160]byte
	var ends [2 * 3]int
	text, n := buf[:0], 0
	for _, r := range told {
		text = strconv.AppendInt(text, r.of.Limit, 10)
		ends[n] = len(text)
		text = strconv.AppendInt(text, r.left, 10)
		ends[n+1] = len(text)
		text = append(text, r.reset.Round(time.Millisecond).String()...)
		ends[n+2] = len(text)
		n += 3
	}
	if n == 0 {
		return
	}
	all, values, from := string(text), make([]string, n), 0
	for i := range values {
		values[i] = all[from:ends[i]]
		from = ends[i]
		h[roomHeaders[told[i/3].of.Unit][i%3]] = values[i : i+1 : i+1]
	}
}

// notAdmitted is the error for a request that isn't let in. It names limits of the client's
// own key and groups, and of nobody else.
func notAdmitted(r *limit.Refusal, now time.Time) error {
	if r.Unavailable {
		return &fault.Error{
			Kind: fault.Full, Code: "limits_unavailable", RetryAfter: r.Wait,
			Text: "This gateway can't check its limits at the moment. Try again in a second.",
		}
	}
	b := r.Bucket
	e := &fault.Error{Kind: fault.Limited, Code: "rate_limit_exceeded", RetryAfter: max(0, r.Wait), NoRetry: r.Wait < 0 || r.Wait >= longestRetry}
	whose, most := " of this gateway", ""
	if b.Owner == limit.Key || b.Owner == limit.Group {
		whose, most = " of "+ownerWords[b.Owner]+" '"+b.Name+"'", strconv.FormatInt(b.Limit, 10)+" "
	}
	what := limitNames[b.Unit] + perWords[b.Window]
	switch {
	case r.TooLarge:
		e.Code = "request_too_large_for_limit"
		e.Text = "This request alone needs more than twice what the limit of " + most + what + whose + " allows, so it will never be let in. Send a shorter one."
		if b.Unit == limit.Money {
			e.Text = "This request alone costs more than twice the budget" + whose + " for " + periodNames[b.Period] + ", so it will never be let in. Send a shorter one."
		}
	case b.Unit == limit.Money:
		e.Code, e.NoRetry = "budget_exceeded", true
		e.Text = "The budget" + whose + " for " + periodNames[b.Period] + " is spent."
		if r.Wait >= 0 {
			e.Text += " The next one begins at " + now.Add(r.Wait).In(b.Zone).Round(time.Second).Format(time.RFC3339) + "."
		}
	case b.Limit == 0:
		e.Text = "The limits" + whose + " allow no " + limitNames[b.Unit] + "."
	case b.Unit == limit.Concurrent:
		e.Code = "concurrency_limit_exceeded"
		e.Text = "The limit of " + most + what + whose + " is reached. Try again when one of them has ended."
	default:
		e.Text = "The limit of " + most + what + whose + " is reached. Try again in " + wholeSeconds(r.Wait).String() + "."
	}
	return e
}

// wholeSeconds rounds up, as the header Retry-After does.
func wholeSeconds(d time.Duration) time.Duration {
	return (max(d, time.Second) + time.Second - 1).Truncate(time.Second)
}

// What limits are called in texts for clients.
var (
	limitNames  = [...]string{limit.Requests: "requests", limit.Tokens: "tokens", limit.InputTokens: "input tokens", limit.OutputTokens: "output tokens", limit.Concurrent: "requests at one time", limit.Money: "money"}
	perWords    = map[time.Duration]string{0: "", time.Second: " per second", time.Minute: " per minute", time.Hour: " per hour", 24 * time.Hour: " per day"}
	periodNames = [...]string{limit.Total: "all time", limit.Day: "the day", limit.Week: "the week", limit.Month: "the month"}
)
