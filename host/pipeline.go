package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/auth"
	"github.com/kai-gateway/kai/host/long"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/request"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/stream"
	"github.com/kai-gateway/kai/host/upstream"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/sdk/abi"
	rules "github.com/kai-gateway/kai/sdk/exchange"
)

// chat answers one chat completion. The client was let in already (api asks
// auth before it calls); what happens from here on, in this order: the body is
// read and checked, its alias resolved, the provider's adapter asked for an
// upstream request, the upstream asked, and what it answers turned by the
// adapter into facts and by package stream into what the client sees.
func (g *generation) chat(ctx context.Context, x *api.Exchange) error {
	body, err := x.Body()
	if err != nil {
		return err
	}
	// Long content is taken out into a copy, at most as large as the body.
	if err := x.Memory.Hold(int64(len(body))); err != nil {
		return api.Busy(err)
	}
	asked, err := request.ParseChat(body)
	if err != nil {
		return err
	}
	x.Memory.Drop(int64(len(body) - asked.Size()))
	x.Record.Model, x.Record.Stream = asked.Model, asked.Stream
	target, err := g.routes.Resolve(asked.Model)
	if err != nil {
		return g.unknownModel(ctx, asked.Model, err)
	}
	x.Record.Model, x.Record.Provider, x.Record.UpstreamModel = target.Alias, target.Provider, target.Model
	if !auth.PrincipalFrom(ctx).MayUse(target.Alias) {
		return &fault.Error{Kind: fault.Forbidden, Text: fmt.Sprintf("This API key may not use the model '%s'.", target.Alias)}
	}
	p := g.providers[target.Provider]
	x.Record.Plugin = p.config.Plugin
	if err := p.prepare(ctx, time.Duration(g.config.Server.LoadWait)); err != nil {
		return err
	}
	if err := p.checkRouting(ctx, asked); err != nil {
		return err
	}
	if err := x.Memory.Join(p.share); err != nil {
		return api.Busy(err)
	}
	info := stream.Info{
		ID: "chatcmpl-" + rand.Text(), Created: g.now().Unix(), Model: target.Alias, IncludeUsage: asked.IncludeUsage,
		Memory: x.Memory,
	}
	e := exchange{provider: p, http: x, memory: x.Memory, asked: asked, target: target, sleep: g.host.opts.Sleep}
	e.batch.Memory = x.Memory
	if p.config.BaseURL == "" && p.adapter.Manifest().Profile().KnowsModels {
		e.target.Options = g.withModels(ctx, target.Options)
	}
	var end func()
	e.adapter, end = forRequest(p.adapter)
	defer end()
	defer e.close()
	if asked.Stream {
		return g.streamed(ctx, &e, info)
	}
	return whole(ctx, &e, info)
}

// whole answers with one JSON object.
func whole(ctx context.Context, e *exchange, info stream.Info) error {
	answer := stream.NewWhole(info)
	e.answer = &wholeAnswer{whole: answer}
	err := e.run(ctx)
	e.meter(answer.Usage())
	if err != nil {
		return e.outOfMemory(err)
	}
	e.forgetRequest()
	body, err := answer.End()
	if err != nil {
		return e.outOfMemory(err)
	}
	return e.http.JSON(200, body)
}

// streamed answers with server-sent events.
func (g *generation) streamed(ctx context.Context, e *exchange, info stream.Info) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := stream.NewClient(e.http.Writer, stream.ClientOptions{
		HeadWait: time.Duration(g.config.Server.StreamHeadWait), WriteTimeout: time.Duration(g.config.Server.WriteTimeout), Gone: cancel,
	})
	defer client.Close()

	answer := &chunkedAnswer{chunks: stream.NewChunks(info), client: client, now: g.now}
	e.answer = answer
	err := e.run(ctx)
	if err == nil {
		err = answer.end()
	}
	e.meter(answer.chunks.Usage())
	if !answer.first.IsZero() {
		e.http.Record.FirstChunk = answer.first.Sub(e.http.Start)
	}
	if err != nil {
		err = e.outOfMemory(err)
		// What came before the failure belongs to the client.
		answer.flush()
		client.Fail(answer.chunks.Fail(nil, e.http.ClientError(err)))
	}
	return err // which answers with a status if the head wasn't sent
}

// answer is what becomes of an exchange's emissions.
type answer interface {
	apply([]abi.Emission) error
	flush() error // nothing more will come soon
	endMark()     // the upstream said that its answer is complete
	complete() bool
}

// Whether an answer is complete is noted when a call's emissions were taken: a
// call that finishes an answer and then breaks the protocol completes nothing.

type wholeAnswer struct {
	whole *stream.Whole
	ended bool
}

func (a *wholeAnswer) apply(ems []abi.Emission) error {
	if err := a.whole.Apply(ems); err != nil {
		return err
	}
	a.ended = a.whole.Complete()
	return nil
}

func (a *wholeAnswer) flush() error   { return nil }
func (a *wholeAnswer) endMark()       { a.whole.EndMark() }
func (a *wholeAnswer) complete() bool { return a.ended }

type chunkedAnswer struct {
	chunks *stream.Chunks
	client *stream.Client
	buf    []byte
	now    func() time.Time
	first  time.Time // when the first chunk went out
	ended  bool
}

// maxUnflushed is how much of a burst is gathered before it goes out.
const maxUnflushed = 32 << 10

func (a *chunkedAnswer) apply(ems []abi.Emission) (err error) {
	if a.buf, err = a.chunks.Apply(a.buf, ems); err != nil {
		return err
	}
	a.ended = a.chunks.Complete()
	if len(a.buf) > maxUnflushed {
		return a.flush()
	}
	return nil
}

func (a *chunkedAnswer) flush() error {
	if len(a.buf) == 0 {
		return nil
	}
	if a.first.IsZero() {
		a.first = a.now()
	}
	err := a.client.Write(a.buf)
	if a.buf = a.buf[:0]; cap(a.buf) > maxUnflushed {
		a.buf = nil // a burst's buffer isn't kept for the slow rest of a stream
		a.chunks.Flushed()
	}
	return err
}

func (a *chunkedAnswer) endMark()       { a.chunks.EndMark() }
func (a *chunkedAnswer) complete() bool { return a.ended }

func (a *chunkedAnswer) end() (err error) {
	if a.buf, err = a.chunks.End(a.buf); err != nil {
		return err
	}
	return a.flush()
}

// exchange is one request on its way to the upstream and back. It may take
// several steps, each a request and its answer.
type exchange struct {
	provider *provider
	adapter  adapter
	http     *api.Exchange
	memory   *memory.Grant // of http
	asked    *request.Chat
	target   route.Target
	answer   answer

	sleep func(ctx context.Context, d time.Duration) error

	plain bool              // the adapter wants long content as it is
	refs  *request.Refs     // long content that stays with the host
	state []byte            // what the adapter remembers
	next  *upstream.Request // what it wants to send
	wait  time.Duration     // before that is sent
	batch wasm.Batch
	bytes int64 // emitted so far
	held  int64 // counted for the body of next
	sent  bool  // something was sent upstream
	ended bool  // the adapter said that nothing more comes

	response *upstream.Response // the last one, open
}

// close lets go of the upstream. It may wait a moment for the end of an answer
// that nobody needs, so that its connection can be used again: what the client is
// to get goes out before.
func (e *exchange) close() {
	if e.response != nil {
		e.response.Close()
		e.response = nil
	}
}

// Bounds of an exchange of several steps, for upstreams that are polled.
const (
	maxSteps = 256
	minWait  = 250 * time.Millisecond
)

// run takes the exchange to its end: nil when the adapter and the upstream have
// said all they had to say.
func (e *exchange) run(ctx context.Context) error {
	if err := e.request(ctx); err != nil {
		return err
	}
	for step := 0; e.next != nil; step++ {
		if step == maxSteps {
			return &fault.Error{Kind: fault.Adapter, Code: "adapter_error", Text: fmt.Sprintf("Provider '%s' needed more than %d requests for one answer.", e.provider.name, maxSteps)}
		}
		if err := e.sleep(ctx, e.wait); err != nil {
			return err
		}
		r := *e.next
		e.next, e.wait = nil, 0
		err := e.step(ctx, r)
		if err != nil && e.answer.complete() && ctx.Err() == nil {
			return nil // whatever broke behind the end is nobody's loss
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// request asks the adapter what to send for the client's request.
func (e *exchange) request(ctx context.Context) error {
	e.plain = e.adapter.Manifest().Profile().PlainContent
	size := e.asked.Len(e.plain)
	if err := e.memory.Hold(size); err != nil {
		return err
	}
	var body []byte
	if e.plain {
		body = e.asked.Body(e.target.Model)
	} else {
		body, e.refs = e.asked.Short(e.target.Model)
	}
	failed, err := e.adapter.Request(ctx, abi.Chat, e.asked.Stream, e.target.Options, body, &e.batch)
	e.memory.Drop(size)
	if err := e.took(ctx, failed, err); err != nil {
		return err
	}
	if e.next == nil {
		return e.spread(ctx)
	}
	return e.answer.apply(e.batch.Emissions)
}

// maxPace is how long the WAITs of an answer without upstream may take together.
const maxPace = time.Hour

// spread applies an answer that needed no upstream. It came from one call, but a
// client that asked for a stream wants to see it in pieces, at the pace that the
// adapter sets.
func (e *exchange) spread(ctx context.Context) error {
	if slices.ContainsFunc(e.batch.Emissions, func(m abi.Emission) bool { return m.Kind == abi.Error }) {
		return e.answer.apply(e.batch.Emissions) // the error counts and what stands beside it doesn't
	}
	left := maxPace
	for i, m := range e.batch.Emissions {
		if m.Kind == abi.Wait {
			d := min(left, time.Duration(m.At)*time.Millisecond)
			left -= d
			if err := e.pause(ctx, d); err != nil {
				return err
			}
			continue
		}
		if err := e.answer.apply(e.batch.Emissions[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// pause waits in the middle of an answer, of which the client gets what there is.
// Nothing needs its body any more.
func (e *exchange) pause(ctx context.Context, d time.Duration) error {
	e.asked, e.refs = nil, nil
	e.http.ReleaseBody()
	if err := e.answer.flush(); err != nil {
		return err
	}
	return e.sleep(ctx, d)
}

// step sends one request and takes its answer.
func (e *exchange) step(ctx context.Context, r upstream.Request) error {
	e.sent = true
	e.close()
	r.Memory = e.memory
	res, err := e.provider.send(ctx, r)
	if err != nil {
		return e.unreachable(err)
	}
	e.response = res
	r.Body = nil
	e.memory.Drop(e.held)
	e.held = 0
	if e.refs == nil {
		e.forgetRequest() // a further step could refer to nothing in it
	}
	if res.Whole() {
		body, err := res.Body()
		if err != nil {
			return err
		}
		short, content, err := e.abridged(body)
		if err != nil {
			return err
		}
		failed, err := e.adapter.Response(ctx, abi.Chat, res.Status, e.state, res.Head(), short, &e.batch)
		err = e.answered(ctx, failed, err, content)
		e.close() // was read to its end, and may be large
		return err
	}
	// An answer in events is the exchange's last: nothing needs the client's body
	// for the rest of a stream, which may be long.
	e.forgetRequest()
	return e.events(ctx, res)
}

// forgetRequest gives up the client's body and what was made of it, when nothing
// that follows can need them.
func (e *exchange) forgetRequest() {
	if e.asked == nil {
		return
	}
	e.memory.Drop(int64(e.asked.Size()))
	e.asked, e.refs = nil, nil
	e.http.ReleaseBody()
}

// unreachable adds to the error of an upstream that isn't there what its adapter
// says to do about it.
func (e *exchange) unreachable(err error) error {
	var told *fault.Error
	needs := e.provider.needs(e.target.Model)
	if !errors.As(err, &told) || told.Kind != fault.Unsent && told.Kind != fault.UnsentSlow || needs == "" {
		return err
	}
	helpful := *told
	helpful.Text += " To use this model, " + needs + "."
	return &helpful
}

// events takes the frames of a stream until it ends or the adapter says that
// nothing more comes.
func (e *exchange) events(ctx context.Context, res *upstream.Response) error {
	for {
		if !res.Buffered() {
			if err := e.answer.flush(); err != nil {
				return err
			}
		}
		frame, err := res.Next()
		switch {
		case err == io.EOF:
			return e.event(ctx, abi.FlagEnd, nil, nil)
		case err != nil:
			return err
		case rules.IsDone(frame.Data):
			e.ended = true
			return e.event(ctx, abi.FlagDone, nil, nil)
		case len(frame.Data) == 0:
			continue // "data:" alone is a sign of life and states nothing
		}
		if err := e.event(ctx, 0, frame.Name, frame.Data); err != nil || e.ended {
			return err
		}
	}
}

func (e *exchange) event(ctx context.Context, flags int, name, data []byte) error {
	short, content, err := e.abridged(data)
	if err != nil {
		return err
	}
	failed, err := e.adapter.Event(ctx, abi.Chat, flags, e.state, name, short, &e.batch)
	if err := e.answered(ctx, failed, err, content); err != nil {
		return err
	}
	if e.ended {
		e.answer.endMark()
	}
	return nil
}

// abridged gives a part of the upstream's answer as the adapter gets it: without
// long strings, unless it wants them.
func (e *exchange) abridged(part []byte) (short []byte, content *long.Content, err error) {
	if e.plain {
		return part, nil, nil
	}
	return long.Take(part, e.memory)
}

// answered takes what the adapter made of a part of the upstream's answer. err and
// failed are how the call ended, content is what was kept from the adapter.
func (e *exchange) answered(ctx context.Context, failed bool, err error, content *long.Content) error {
	if content != nil {
		defer content.Done(e.memory)
		defer e.batch.Reset() // or it keeps all of the answer
	}
	if err == nil {
		if err := content.PutBack(e.batch.Emissions, e.memory); err != nil {
			return e.misplaced(err)
		}
	}
	if err := e.took(ctx, failed, err); err != nil {
		return err
	}
	return e.answer.apply(e.batch.Emissions)
}

// misplaced is the error for references to long content that can't be followed.
func (e *exchange) misplaced(err error) error {
	var full *memory.Error
	if errors.As(err, &full) {
		return err
	}
	return &fault.Error{Kind: fault.Adapter, Code: "adapter_error", Cause: err, Text: fmt.Sprintf("The adapter of provider '%s' made an answer that can't be put together.", e.provider.name)}
}

// took takes out of the batch what is the host's and not the client's: the
// state and the next request. err and failed are how the call ended.
func (e *exchange) took(ctx context.Context, failed bool, err error) error {
	if err != nil {
		return e.broken(ctx, err)
	}
	size := int64(0)
	for _, m := range e.batch.Emissions {
		if m.Kind == abi.Body {
			size += int64(len(m.Data))
		}
	}
	if err := e.memory.Hold(size); err != nil {
		return err
	}
	e.held += size
	body := make([]byte, 0, size)
	for _, m := range e.batch.Emissions {
		e.bytes += int64(len(m.Data))
		switch m.Kind {
		case abi.Error:
			// The answer makes the error of it, and counts the usage beside it. Nothing
			// is sent for a call that failed, not even behind a complete answer, which
			// takes no notice of an error.
			e.next = nil
			return nil
		case abi.State:
			e.state = append(e.state[:0], m.Data...)
		case abi.End:
			e.ended = true
		case abi.Wait:
			e.wait = max(minWait, time.Duration(m.At)*time.Millisecond)
		case abi.Request:
			e.next = &upstream.Request{Head: append([]byte(nil), m.Data...), Framing: abi.Framing(m.At)}
		case abi.Body:
			body = append(body, m.Data...)
		}
	}
	if failed {
		return &fault.Error{Kind: fault.Adapter, Code: "adapter_error", Text: fmt.Sprintf("The adapter of provider '%s' failed without a reason.", e.provider.name)}
	}
	if e.bytes > int64(e.provider.config.Limits.StreamOutput) {
		return &fault.Error{Kind: fault.Adapter, Code: "adapter_error", Text: fmt.Sprintf("The answer of provider '%s' is larger than its limits.stream_output allows.", e.provider.name)}
	}
	if e.next == nil {
		return nil
	}
	if e.refs != nil {
		e.refs.Hold = func(bytes int64) error {
			err := e.memory.Hold(bytes)
			if err == nil {
				e.held += bytes
			}
			return err
		}
		if body, err = e.refs.Expand(body); err != nil {
			return &fault.Error{Kind: fault.Adapter, Code: "adapter_error", Cause: err, Text: fmt.Sprintf("The adapter of provider '%s' made a request that can't be sent.", e.provider.name)}
		}
	}
	e.next.Body = body
	return nil
}

// broken is what a client learns of a call that broke.
func (e *exchange) broken(ctx context.Context, err error) error {
	var call *wasm.CallError
	var paused *wasm.PausedError
	var full *memory.Error
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, wasm.ErrNoMemory):
		return api.Busy(err)
	case errors.As(err, &full):
		return err
	case errors.Is(err, wasm.ErrBusy):
		return &fault.Error{Kind: fault.Full, Code: "busy", RetryAfter: time.Second, Cause: err, Text: "Kai is busy; try again in a moment."}
	case errors.As(err, &paused):
		return &fault.Error{
			Kind: fault.Unready, Code: "adapter_paused", RetryAfter: time.Duration(paused.Left.Milliseconds()+1) * time.Millisecond,
			Cause: err,
			Text:  fmt.Sprintf("The adapter of provider '%s' failed repeatedly and is paused; Kai's log says why.", e.provider.name),
		}
	case errors.As(err, &call) && call.Kind == wasm.TooLarge && e.sent:
		return &fault.Error{
			Kind: fault.Upstream, Code: "upstream_error",
			Cause: err,
			Text:  fmt.Sprintf("The answer of provider '%s' is larger than its limits.input allows, even without the long texts and pictures that Kai keeps back.", e.provider.name),
		}
	case errors.As(err, &call) && call.Kind == wasm.TooLarge:
		return &fault.Error{
			Kind:  fault.TooLarge,
			Cause: err,
			Text:  fmt.Sprintf("The request is too large for the adapter of provider '%s', even without the long texts and images that Kai keeps back: limits.input allows less.", e.provider.name),
		}
	}
	return &fault.Error{Kind: fault.Adapter, Code: "adapter_error", Cause: err, Text: fmt.Sprintf("The adapter of provider '%s' failed; Kai's log says why.", e.provider.name)}
}

// outOfMemory makes of an error for want of memory what a client is told. It is no
// sign of the upstream's health.
func (e *exchange) outOfMemory(err error) error {
	var full *memory.Error
	var known *fault.Error
	switch {
	case !errors.As(err, &full), errors.As(err, &known) && known.Kind == fault.Full:
		return err
	case full.Share == "":
		return api.Busy(err)
	}
	return &fault.Error{
		Kind: fault.Share, Code: "out_of_memory",
		Cause: err,
		Text:  fmt.Sprintf("Provider '%s' may hold no more memory (limits.share), which this request or its answer needs. Try again when fewer run, or ask for less.", e.provider.name),
	}
}

// meter notes the tokens for the log.
func (e *exchange) meter(u stream.Usage) {
	e.http.Record.PromptTokens, e.http.Record.CompletionTokens = int(u.Prompt), int(u.Completion)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
