package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/price"
	"github.com/kai-gateway/kai/host/record"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/sdk/abi"
)

// aliasesOf returns the routes of a configuration, and the capacities and prices of their
// targets, by ID. prices is nil if nothing has a price.
func aliasesOf(c *config.Config) (all []route.Alias, capacities [][]*limit.Bucket, prices []*price.Price) {
	upstreams, bearing := map[string]config.Provider{}, map[string][]*limit.Bucket{}
	for _, p := range c.Providers {
		upstreams[p.Name], bearing[p.Name] = p, capacityOf(limit.Provider, p.Name, p.Capacity)
	}
	priced := false
	target := func(alias, provider, model string, options []byte, native *bool, bears config.Capacity, costs *config.Price) route.Target {
		if native == nil {
			native = upstreams[provider].Native
		}
		prices = append(prices, priceOf(costs))
		priced = priced || costs != nil
		capacities = append(capacities, slices.Concat(bearing[provider], capacityOf(limit.Target, alias+" "+provider+" "+model, bears)))
		return route.Target{
			ID: len(capacities) - 1, Provider: provider, Upstream: upstreamID(upstreams[provider]), Model: model, Options: options,
			FirstToken: time.Duration(upstreams[provider].Timeouts.FirstToken),
			Native:     native == nil || *native, NativeAsked: native != nil && *native,
		}
	}
	all = make([]route.Alias, len(c.Models))
	for i, m := range c.Models {
		a := route.Alias{Name: m.Alias, Hidden: m.Hidden, OnPolicy: len(m.FallOn) > 0, Routing: routingOf(m.Routing)}
		for _, t := range m.Targets {
			e := route.Entry{Alias: t.Alias, Weight: float64(t.Weight), Tier: t.Tier}
			if t.Alias == "" {
				e.Target = target(m.Alias, t.Provider, t.Model, t.Options, t.Native, t.Capacity, t.Price)
				e.Context = int64(t.Context)
				if t.Timeouts.FirstToken > 0 {
					e.FirstToken = time.Duration(t.Timeouts.FirstToken)
				}
			}
			a.Entries = append(a.Entries, e)
		}
		if len(m.Targets) == 0 {
			a.Sole = true
			a.Entries = []route.Entry{{Target: target(m.Alias, m.Provider, m.Model, m.Options, m.Native, config.Capacity{}, m.Price), Weight: 1, Tier: 1}}
		}
		all[i] = a
	}
	if !priced {
		prices = nil
	}
	return all, capacities, prices
}

// priceOf returns what a target costs; nil if nobody knows.
func priceOf(p *config.Price) *price.Price {
	switch {
	case p == nil:
		return nil
	case p.Free:
		return price.Free()
	case !p.Known:
		return price.New(nil, true)
	}
	rates := &price.Rates{
		Input: int64(p.Input), CachedInput: int64(p.CachedInput), CacheWrite: int64(p.CacheWrite), Output: int64(p.Output), Reasoning: int64(p.Reasoning),
		Sound: orUnknown(p.AudioHour), Picture: orUnknown(p.Image), Speech: orUnknown(p.Speech),
	}
	return price.New(rates, p.Reported)
}

// orUnknown returns a rate; below 0 if it isn't configured.
func orUnknown(m *config.Money) int64 {
	if m == nil {
		return -1
	}
	return int64(*m)
}

// upstreamID identifies a provider by what its health depends on: where its requests go,
// by which adapter, and with which key.
func upstreamID(p config.Provider) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{p.Plugin, p.BaseURL, p.APIKey.Reveal()}, "\n")))
	return hex.EncodeToString(sum[:16])
}

func routingOf(r config.Routing) route.Routing {
	c := r.Cooldown
	return route.Routing{
		Attempts: r.Attempts, Deadline: time.Duration(r.Deadline), BackoffBase: time.Duration(r.Backoff.Base), BackoffMax: time.Duration(r.Backoff.Max),
		Sticky: strings.TrimPrefix(r.Sticky, "none"),
		Cooldown: route.Cooldown{
			Failures: c.Failures, ErrorRate: c.ErrorRate, Window: time.Duration(c.Window), MinRequests: c.MinRequests,
			Base: time.Duration(c.Base), Max: time.Duration(c.Max), Sticky: time.Duration(c.Sticky),
		},
	}
}

// search is one request's way through the targets of its alias.
type search struct {
	call     *call
	choice   route.Choice
	begin    func(native bool) answer // makes the answer of an attempt
	deadline time.Time                // no attempt begins later
	left     int                      // attempts that are still allowed
	waits    int                      // how often a target was waited for that was asked before
	failure  error                    // what the client gets if no target answers
	place    place                    // the room that it takes at the target
	full     *limit.Refusal           // of those targets that had no room, the one that will have some first
}

// attempts asks the targets of the plan one after the other, until one answers or has begun
// to, or the client's request is to blame. begin makes a new answer for each attempt.
func (c *call) attempts(ctx context.Context, begin func(native bool) answer) error {
	now := c.gateway.now()
	s := &search{
		call: c, begin: begin, left: c.plan.Attempts(), deadline: now.Add(c.plan.Routing.Deadline),
		choice: c.plan.Choose(c.session(), c.tokens()),
	}
	if c.request.Op != abi.Chat {
		s.choice.Operation = c.request.Op.String()
	}
	if !c.plan.Sole {
		who := key.PrincipalFrom(ctx)
		s.choice.Allowed = func(t *route.Target) bool { return mayLeadTo(&who, t) }
		if slices.ContainsFunc(c.plan.Targets, func(t route.Target) bool { return c.served(&t) }) {
			s.choice.Able = c.served // else the first one says what it can't do
		}
	}
	s.choice.Room = func(t *route.Target) bool { return s.room(ctx, t.ID) }
	for {
		target, lease, err := s.choice.Next(c.gateway.now())
		if target == nil {
			return s.exhausted(err)
		}
		done, err := s.ask(ctx, target, lease)
		if done {
			return err
		}
	}
}

// mayLeadTo reports whether a caller may use all aliases that lead to a target.
func mayLeadTo(who *key.Principal, t *route.Target) bool {
	return !slices.ContainsFunc(t.Via(), func(alias string) bool { return !who.MayUse(alias) })
}

// served reports whether a target can take the request, as far as is known before its
// adapter is asked.
func (c *call) served(t *route.Target) bool {
	known := c.gateway.providers[t.Provider].described()
	return known.Provider == "" && c.mayTranslate(t) || c.request.Untranslated == nil && c.mayTranslate(t) && known.Serves(c.request.Op, t.Options) || c.nativeAt(t, known)
}

// ask asks a target. After a failure it waits and asks it once more, if that may help and
// no other target can be asked instead. done says that no other target may be asked.
func (s *search) ask(ctx context.Context, target *route.Target, lease route.Lease) (done bool, err error) {
	for again := false; ; again = true {
		s.left--
		o := s.attempt(ctx, target, &lease)
		if o.err == nil {
			s.call.keep(ctx, target, &o)
		}
		if o.err == nil || o.committed || ctx.Err() != nil {
			return true, o.err
		}
		s.failure = worse(s.failure, o.err)
		kind := fault.KindOf(o.err)
		switch {
		case s.call.plan.Sole || !s.mayFollow(kind):
			return true, s.failure
		case kind == fault.Context:
			s.choice.Larger(target)
		}
		if s.left <= 0 || !s.call.gateway.now().Before(s.deadline) {
			return true, s.final()
		}
		wait := s.backoff(o.err)
		if again || !kind.Repeat() || wait > s.call.plan.Routing.BackoffMax || s.choice.Ready(s.call.gateway.now()) {
			return false, nil
		}
		if err := s.call.sleep(ctx, wait); err != nil {
			return true, err
		}
		if s.waits++; !s.room(ctx, target.ID) {
			return false, nil
		}
		lease = target.Health().In(s.choice.Operation).Take()
	}
}

// attempt asks a target once, and notes the outcome.
func (s *search) attempt(ctx context.Context, target *route.Target, lease *route.Lease) (o outcome) {
	c := s.call
	o.err, o.tokens = errAbandoned, -1
	begun := c.gateway.now()
	defer func() {
		if o.err == errAbandoned { // nobody knows how far it got
			o.usage = record.Usage{Input: c.size, Estimated: true}
		}
		now := c.gateway.now()
		cooled := lease.Done(now, blameOf(&o, healthOf(ctx, o.err)))
		s.place.leave(o.used())
		c.note(ctx, target, o, begun, now, cooled)
	}()
	if !c.plan.Sole {
		c.header("X-Kai-Attempts", strconv.Itoa(len(c.http.Record.Attempts)+1))
	}
	return c.attempt(ctx, *target, c.plan.Sole || s.left <= 0, s.begin)
}

// used returns how many tokens the attempt used, as far as that is known; below 0: it is
// not.
func (o *outcome) used() int64 {
	if o.tokens >= 0 || o.err == errAbandoned {
		return o.tokens
	}
	return o.usage.Input + o.usage.Output
}

// errAbandoned is the outcome of an attempt that panicked.
var errAbandoned = &fault.Error{Kind: fault.Internal}

// healthOf returns what an outcome says about its target: nothing if the client hung up, or if
// it is this machine that ran out of something.
func healthOf(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil, errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return &fault.Error{Kind: fault.Gone, Cause: err}
	}
	return err
}

// blameOf returns what a failure says about the target's health in the operation. A 403 says what
// the account may do with the model, and a 401 what is wrong with the key. Adapters say the same
// of both, which is why the status counts here.
func blameOf(o *outcome, err error) error {
	if fault.KindOf(err) == fault.Auth && o.status == 403 {
		return &fault.Error{Kind: fault.Denied, RetryAfter: fault.RetryAfterOf(err), Cause: err}
	}
	return err
}

// mayFollow reports whether another target may be asked after a failure.
func (s *search) mayFollow(kind fault.Kind) bool {
	switch kind {
	case fault.Policy:
		return s.call.plan.OnPolicy
	case fault.Slow:
		return !s.call.request.Lasting
	}
	return kind.Next()
}

// backoff returns how long to wait before a target that failed is asked again: as long as it
// said, or else a random time that grows with each wait.
func (s *search) backoff(err error) time.Duration {
	r := &s.call.plan.Routing
	if told := fault.RetryAfterOf(err); told > 0 {
		return told
	}
	return time.Duration(rand.Int64N(int64(min(r.BackoffMax, r.BackoffBase<<min(s.waits, 16))) + 1))
}

// worse returns which of two failures the client is told: the later one, with these
// exceptions. What is wrong with the client's request comes first. When to try again is
// better to know than that a server failed. What is wrong between the gateway and a
// provider, or that a model lacks the operation, is told only if there is nothing else.
func worse(old, err error) error {
	if old == nil {
		return err
	}
	rank := func(err error) int {
		switch kind := fault.KindOf(err); {
		case kind == fault.Auth || kind == fault.Quota || kind == fault.RefusedOperation:
			return 0
		case kind.Refusal():
			return 3
		case kind.Repeat() && fault.RetryAfterOf(err) > 0:
			return 2
		}
		return 1
	}
	if rank(err) < rank(old) {
		return old
	}
	return err
}

// final returns what the client is told after the last attempt, with the soonest time at which
// a target may be asked again.
func (s *search) final() error {
	e, ok := errors.AsType[*fault.Error](s.failure)
	if !ok || !e.Kind.Repeat() || s.call.plan.Sole {
		return s.failure
	}
	told := *e
	soonest := s.call.plan.Soonest(s.choice.Operation, s.call.gateway.now())
	if s.full != nil && s.full.Wait >= 0 {
		soonest = max(min(s.full.Wait, soonest), time.Second) // one that is well, and full
	}
	if soonest > 0 && (e.RetryAfter <= 0 || e.RetryAfter > soonest) {
		told.RetryAfter = soonest
	}
	told.NoRetry = told.NoRetry || told.RetryAfter > longestRetry
	return &told
}

// longestRetry is the longest Retry-After that OpenAI's libraries keep to. After a longer
// one they would try again when they like, so they are told not to:
// https://github.com/openai/openai-python/blob/main/src/openai/_base_client.py
const longestRetry = time.Minute

// exhausted returns the error if no target is left: the failure to tell the client, or why
// no target was asked.
func (s *search) exhausted(err error) error {
	cooled, ok := errors.AsType[*route.Cooled](err)
	switch {
	case s.failure != nil:
		return s.final()
	case ok && (s.full == nil || s.full.Wait < 0 || s.full.Wait >= cooled.Until.Sub(s.call.gateway.now())):
		wait := max(cooled.Until.Sub(s.call.gateway.now()), time.Second)
		e := &fault.Error{Kind: fault.Rate, Code: "rate_limit_exceeded", RetryAfter: wait, NoRetry: wait > longestRetry,
			Text: "All providers of this model asked to be left alone for a while. Try again later."}
		if cooled.Kind != fault.Rate {
			e.Kind, e.Code = fault.Busy, "overloaded"
		}
		return e
	case s.full != nil:
		return s.errFull()
	}
	return &fault.Error{Kind: fault.Forbidden, Code: "model_not_allowed", Text: "This API key may not use any of the targets of the model '" + s.call.plan.Alias + "' that can take this request."}
}

// session identifies what the alias keeps together at one target; "" for nothing.
func (c *call) session() string {
	var session string
	switch sticky := c.plan.Routing.Sticky; sticky {
	case "":
	case "conversation":
		session = c.body.Conversation()
	case "user":
		session = c.body.User()
	default:
		session = c.http.Request.Header.Get(strings.TrimPrefix(sticky, "header:"))
	}
	if session == "" {
		return ""
	}
	return c.caller + "\x00" + session
}

// tokens estimates how many tokens the request has, where the targets of the alias differ
// in what they take.
func (c *call) tokens() int64 {
	if !c.plan.Bounded {
		return 0
	}
	return c.size
}
