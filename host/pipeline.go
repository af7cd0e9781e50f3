package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/record"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/sse"
	"github.com/kai-gateway/kai/sdk/abi"
)

// serve returns the handler for one endpoint of an API. Package api has authenticated the
// client before. The steps, in this order: read and check the request, plan the targets of its
// alias, look for an answer that was kept, take the room that the request needs of all limits,
// attempt one target after the other until one answers, send what it says to the client, and
// give back the room that was not used.
//
//   - copies: how many times the body's length parse may allocate
//
// The handler's error is what the client gets, by a status if nothing was sent yet. It is
// a *fault.Error, a *memory.Error, the cause of ctx's end, or internal.
func (g *generation) serve(parse dialect.Parse, copies int64) api.Handler {
	return func(ctx context.Context, x *api.Exchange) error {
		x.Record.ForModel = true
		body, err := x.Body()
		if err != nil {
			return err
		}
		return g.answer(ctx, x, body, parse, copies)
	}
}

// answer is what serve does once the body was read.
func (g *generation) answer(ctx context.Context, x *api.Exchange, body []byte, parse dialect.Parse, copies int64) error {
	c, err := g.admit(ctx, x, body, parse, copies)
	if err != nil {
		return err
	}
	c.lookUpCache(ctx)
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.leave()
	defer func() { x.Record.Content = c.spoken.content() }()
	if c.request.Stream {
		return c.streamed(ctx)
	}
	return c.whole(ctx)
}

// call is one client request on its way through the gateway. It lives as long as the
// request, and belongs to the request's goroutine alone.
type call struct {
	gateway      *generation
	http         *api.Exchange
	memory       *memory.Grant // http's: counts everything held for this request
	plan         *route.Plan
	caller       string // the name of its key
	size         int64  // an estimate of the request's tokens
	request      *dialect.Request
	info         dialect.Info
	native       *dialect.Native // the request as it came; nil: no target can take it so
	keeper       string          // the upstream that keeps what the request names; "": it names nothing
	storedTokens int64           // the tokens of the conversation that it continues and the provider keeps; 0: unknown, or none
	firstID      string          // the first id of what a provider keeps in the answer; "": none yet
	upstream     string          // the upstream that is being asked
	trace        string          // the traceparent that the upstream gets; "": none
	span         [8]byte         // the id of the attempt's span in it
	spoken       *spoken         // collects what is said; nil: nobody does
	details      *details        // collects details for spans; nil: there will be no spans
	sleep        func(ctx context.Context, d time.Duration) error
	header       func(name, value string) // sets a header of the answer, if its head was not sent

	// body is the request's Body. It becomes nil when nothing can need it any more:
	// once the answer is committed, or the request to the last target was sent.
	body dialect.Body

	admission *admission // what the request takes of the limits; nil: there are none
	cacheUse  *cacheUse  // the request's use of the cache; nil: it takes no part
	ratio     float64    // of tokens to those estimated by bytes, learnt from earlier requests; 0: unknown
}

// admit reads and checks the request, and plans which targets may answer it. The
// error is a *fault.Error.
func (g *generation) admit(ctx context.Context, x *api.Exchange, body []byte, parse dialect.Parse, copies int64) (*call, error) {
	before := x.Memory.Used()
	copies *= int64(len(body))
	if err := x.Memory.Hold(copies); err != nil {
		return nil, api.Busy(err)
	}
	who := key.PrincipalFrom(ctx)
	if len(who.Groups) > 0 {
		x.Record.Group = who.Groups[0]
	}
	r, err := parse(ctx, body, dialect.Caller{Principal: who.Name, Memory: x.Memory, Header: x.Request.Header, Buffers: g.host.buffers})
	if full, ok := errors.AsType[*memory.Error](err); ok {
		return nil, api.Busy(full)
	} else if err != nil {
		return nil, err
	}
	held := x.Memory.Used() - before
	if err := x.Memory.Hold(max(0, r.Size-held)); err != nil {
		return nil, api.Busy(err)
	}
	x.Memory.Drop(max(0, held-r.Size))
	x.Record.Model, x.Record.Stream = r.Model, r.Stream
	plan, err := g.routes.Plan(r.Model)
	if err != nil {
		return nil, g.unknownModel(ctx, r.Model, err)
	}
	x.Record.Model, x.Record.Alias = plan.Alias, plan.Alias
	g.metrics.Begin(plan.Alias)
	x.Record.Provider, x.Record.UpstreamModel = plan.Targets[0].Provider, plan.Targets[0].Model
	if !who.MayUse(plan.Alias) {
		return nil, &fault.Error{Kind: fault.Forbidden, Code: "model_not_allowed", Text: fmt.Sprintf("This API key may not use the model '%s'.", plan.Alias)}
	}
	c := &call{
		gateway: g, http: x, memory: x.Memory, plan: plan, caller: who.Name, request: r, body: r.Body, sleep: g.host.opts.Sleep, header: x.Writer.Header().Set,
		info: dialect.Info{ID: rand.Text(), RequestID: x.ID, Created: g.now().Unix(), Model: plan.Name, Memory: x.Memory},
	}
	if err := c.readNative(ctx, int64(len(body))); err != nil {
		return nil, err
	}
	if err := c.findNamed(ctx); err != nil {
		return nil, err
	}
	c.size = c.body.Tokens() + c.storedTokens
	c.detail(body)
	if who.Content && g.config.Telemetry.Content {
		c.spoken = c.listen()
	}
	return c, nil
}

// whole answers with one JSON object, or with bytes that pass as they come.
func (c *call) whole(ctx context.Context) error {
	var last *wholeAnswer
	err := c.respond(ctx, func(native bool) answer {
		if last = (&wholeAnswer{http: c.http, now: c.gateway.now}); native {
			last.Answer = c.native.Whole(c.info)
		} else {
			last.Answer = c.request.Whole(c.info)
		}
		return last
	})
	if last != nil && last.passed {
		if err != nil {
			c.http.Abort(err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	return c.http.JSON(200, last.body)
}

// streamed answers with server-sent events.
func (c *call) streamed(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	server := c.gateway.config.Server
	stream := c.request.Streamed(c.info)
	client := sse.New(c.http.Writer, sse.Options{
		HeadWait: time.Duration(server.StreamHeadWait), WriteTimeout: time.Duration(server.WriteTimeout), Gone: cancel,
		Alive: stream.KeepAlive, Conn: sse.ConnFrom(c.http.Request.Context()),
	})
	defer client.Close()
	c.header = client.SetHeader

	err := c.respond(ctx, func(native bool) answer {
		a := &streamedAnswer{client: client, now: c.gateway.now}
		if !native {
			a.Answer = stream.Begin()
			return a
		}
		passes := stream.(dialect.NativeStream).BeginNative()
		if passes == nil {
			return nil
		}
		a.Answer = passes
		return a
	})
	if err != nil {
		client.Fail(func(dst []byte) []byte { return stream.Fail(dst, c.http.ClientError(err)) })
	}
	if errors.Is(err, sse.ErrGone) {
		err = &fault.Error{Kind: fault.Gone, Cause: err, Text: "The client did not take its answer."}
	}
	return err // which answers with a status if the head wasn't sent
}

// remember stores what later requests may refer to, once it is known that this one is answered
// in translation or from the cache.
func (c *call) remember() {
	if c.request.Remember != nil {
		c.request.Remember()
		c.request.Remember = nil
	}
}

// inClientTerms returns an error about the request's chat form in the terms of the client's request.
func (c *call) inClientTerms(err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok && c.request.Fault != nil {
		return c.request.Fault(e)
	}
	return err
}

// attempt asks one target. If it speaks the client's API, the request goes there as it is.
// last says that no other target will be asked, so that nothing needs to be kept for one.
func (c *call) attempt(ctx context.Context, target route.Target, last bool, begin func(native bool) answer) outcome {
	p := c.gateway.providers[target.Provider]
	c.http.Record.Provider, c.http.Record.UpstreamModel, c.http.Record.Plugin = target.Provider, target.Model, p.config.Plugin
	c.http.Record.Words = p.config.Log == "debug" && (c.http.Record.Words || len(c.http.Record.Attempts) == 0)
	c.upstream = target.Upstream
	c.spoken.begin()
	c.details.begin()
	if c.trace, c.span = "", [8]byte{}; p.config.Trace {
		c.trace, c.span = c.gateway.host.tracer.Outward(c.http.Record)
	}
	native, err := c.prepare(ctx, p, target)
	if err != nil {
		return outcome{err: err}
	}
	var o outcome
	if native {
		if o = c.pass(ctx, p, target, last, begin); !o.refused {
			return o
		}
		if c.request.Untranslated != nil {
			return outcome{err: c.request.Untranslated, calls: o.calls}
		}
	}
	c.noteNative(false)
	calls := o.calls
	o = c.translate(ctx, p, target, last, func() answer { return begin(false) })
	o.calls.Add(calls)
	o.err = c.inClientTerms(o.err)
	return o
}

// translate asks a target for an answer to the chat form of the request. If the upstream
// refuses what the client merely wishes, it is asked again at once without that. This
// doesn't count as another attempt, and the provider remembers it for the next requests.
func (c *call) translate(ctx context.Context, p *provider, target route.Target, last bool, begin func() answer) outcome {
	c.remember()
	op := c.request.Op
	w := wish{target.Model, c.request.Wish}
	if w.field != "" && p.refused.refuses(w) {
		return c.ask(ctx, &attempt{provider: p, target: target, op: op, last: last, without: w.field, answer: begin()})
	}
	o := c.ask(ctx, &attempt{provider: p, target: target, op: op, last: last, wish: w.field, answer: begin()})
	if !o.refused || ctx.Err() != nil {
		return o
	}
	if fault.KindOf(o.err) == fault.RefusedField {
		p.refused.add(w)
	}
	calls := o.calls
	o = c.ask(ctx, &attempt{provider: p, target: target, op: op, last: last, without: w.field, answer: begin()})
	o.calls.Add(calls)
	return o
}

// ask takes an attempt to its end.
func (c *call) ask(ctx context.Context, a *attempt) outcome {
	a.call = c
	p, target := a.provider, a.target
	before := c.memory.Used()
	a.batch.Memory = c.memory
	if p.config.BaseURL == "" && p.adapter.Manifest().Profile().KnowsModels {
		a.target.Options = c.gateway.withModels(ctx, target.Options)
	}
	if a.native {
		a.target.Options = withHeaders(target.Options, c.native.Headers)
	}
	var end func()
	a.adapter, end = forRequest(p.adapter)
	defer end()
	defer a.close()
	err := a.runInTime(ctx)
	if err == nil {
		a.finalStep, a.hasContent = true, true
		a.releaseRequest()
		err = a.answer.end()
	}
	usage := a.answer.Usage()
	o := outcome{tokens: -1, usage: c.usageOf(usage, err), calls: a.batch.Calls, first: a.answer.firstSent()}
	if usage.Known {
		o.tokens = usage.Total
	}
	if o.usage == (record.Usage{}) {
		o.usage, o.uncertain = c.uncounted(ctx, a, err)
	}
	if err == nil {
		return o
	}
	refused := a.refusesWish(err)
	if (a.committed || a.last && !a.native) && !refused {
		a.answer.commit()
		a.answer.flush() // what came before the failure belongs to the client
	} else {
		c.memory.Drop(c.memory.Used() - before) // what was held for the discarded answer
	}
	o.err, o.status, o.committed, o.refused = a.memoryError(err), a.status, a.committed, refused
	o.first = a.answer.firstSent()
	return o
}

// refusesWish reports whether an attempt failed because the upstream refuses what the
// client merely wishes, before it answered anything.
func (a *attempt) refusesWish(err error) bool {
	e, ok := errors.AsType[*fault.Error](err)
	return ok && a.wish != "" && !a.hasContent && e.Param == a.wish && (e.Kind == fault.RefusedField || e.Kind == fault.RefusedValue)
}

// prepare waits until the provider of a target can be asked, and checks that this request
// may ask it. native says that the request can go there as it is.
func (c *call) prepare(ctx context.Context, p *provider, target route.Target) (native bool, err error) {
	if err := p.prepare(ctx, time.Duration(c.gateway.config.Server.LoadWait)); err != nil {
		return false, err
	}
	profile := p.adapter.Manifest().Profile()
	asked := c.body
	if native = c.nativeAt(&target, profile); native {
		asked = c.native.Body(profile.Takes, anything)
	} else if err := c.untranslated(ctx); err != nil {
		return false, err
	} else if !c.mayTranslate(&target) {
		return false, dialect.NotKept()
	} else if err := p.serves(c.request.Op, target.Options); err != nil {
		return false, c.unserved(ctx, err)
	}
	if err := p.checkRouting(ctx, asked); err != nil {
		if !native {
			err = c.inClientTerms(err)
		}
		return false, err
	}
	if err := c.memory.Join(p.share); err != nil {
		return false, &fault.Error{Kind: fault.ShareFull, Code: "busy", RetryAfter: time.Second, Cause: err,
			Text: "Requests and answers of this model's provider hold as much memory as they may (limits.share). Try again in a moment."}
	}
	return native, nil
}

// untranslated is why no target can get the request in translation; nil: one may.
func (c *call) untranslated(ctx context.Context) error {
	if c.request.Untranslated == nil {
		return nil
	}
	return c.unserved(ctx, c.request.Untranslated)
}

// unserved adds to the error for an operation that the target doesn't have which models
// have it, if the client can choose another model.
func (c *call) unserved(ctx context.Context, err error) error {
	ability := abilities[c.request.Op]
	if ability == "" {
		return err
	}
	text := fmt.Sprintf("The model '%s' can't %s; ", c.plan.Alias, ability)
	if c.request.Op == abi.Completions {
		text += "ask it at " + api.ChatPath + ", or another model: "
	}
	switch able := c.gateway.aliasesServing(ctx, c.request.Op); {
	case len(able) == 0:
		text += "no model that is configured here and that this key may use can."
	case len(able) > maxNamed:
		text += "GET " + api.ModelsPath + " lists which can."
	default:
		text += "these can: " + strings.Join(able, ", ")
	}
	return &fault.Error{Kind: fault.Unable, Code: "unsupported_operation", Param: "model", Text: text}
}

// forgetRequest drops the client's body and what was made of it. Nothing that follows
// may need them. Further calls do nothing.
func (c *call) forgetRequest() {
	if c.body == nil {
		return
	}
	c.memory.Drop(c.request.Size)
	c.request.Owner.Release()
	c.request.Owner = nil
	c.body, c.request.Body, c.request.Form, c.request.Native, c.request.Remember, c.native = nil, nil, nil, nil, nil, nil
	c.http.ReleaseBody()
}

// sleep waits for d, or until ctx ends. Then the error is its cause.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
