package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/buffer"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/long"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/record"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/upstream"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/exchange"
)

// attempt asks one target. It may take several steps, each of them a request to the
// upstream and its answer. Each target gets a new attempt, which knows nothing of
// earlier ones. It belongs to the request's goroutine; close must be called at its end.
type attempt struct {
	call       *call
	provider   *provider
	adapter    Adapter
	target     route.Target
	answer     answer
	op         abi.Op // what the adapter is asked for
	native     bool   // the request goes there as it is, and so does the answer to the client
	last       bool   // no other target will be asked
	wish       string // a field of the request that the upstream may refuse; "": none
	translates bool   // if the upstream serves no native requests at all, it gets this one in translation
	without    string // a field that is left out; "": none

	plain      bool       // the adapter wants long content itself, not tokens
	refs       *body.Refs // the request's long content, for which the adapter got tokens
	exchange   exchange.Exchange
	form       dialect.Form  // what the next request sends instead of a body of the adapter's; nil: there is none
	part       dialect.Body  // the part of the request that is being answered; nil: all of it
	more       bool          // parts of it follow
	batch      wasm.Batch    // the emissions of the adapter's last call
	frames     wasm.Frames   // events that were read and not given to the adapter yet
	named      uint32        // a bit for each of them, the first the lowest: it has a name, which is its type
	bytes      int64         // of payloads that the adapter emitted so far
	held       int64         // bytes counted for the body of the next upstream request
	bodyOwner  *buffer.Owner // of that body; nil: it belongs to Go's collector
	sent       bool          // something was sent upstream
	status     int           // of the upstream's last answer; 0: there was none
	accepted   bool          // the upstream began to answer, and did not say that it failed
	finalStep  bool          // no further step can refer to the client's request
	hasContent bool          // there was content: the request will not be sent again without its wish
	committed  bool          // the client may have seen content: no other target can answer

	response *upstream.Response // the last one, as long as it is open

	firstToken *time.Timer // ends the attempt if no content comes in time; nil: any time will do
}

// outcome is how an attempt ended. Another target may be asked if the answer was not
// committed and err's kind allows it.
type outcome struct {
	err       error // nil: the answer is complete
	status    int   // of the upstream's last answer; 0: there was none
	committed bool
	refused   bool  // the upstream refuses what the client merely wishes
	tokens    int64 // that it used; below 0: nobody knows
	usage     record.Usage
	calls     record.Calls
	uncertain bool      // the provider may have done more than usage has
	first     time.Time // when the client got the first content of a stream; zero: it got none
}

// run takes the attempt to its end. The error is nil if the adapter and the upstream both
// came to their end. Whether the answer is complete is then for answer.end to say. If the
// request has more inputs than the adapter takes at once, it is sent in parts, one after
// the other.
func (a *attempt) run(ctx context.Context) error {
	r := a.call.request
	left := r.Inputs
	size := left
	if most := a.adapter.Manifest().Profile().MaxInputs[a.op.String()]; most > 0 && most < left {
		size = most
	}
	if r.InputsAtOnce > 0 {
		size = min(size, r.InputsAtOnce)
	}
	for from := 0; ; from += size {
		n := min(size, left)
		left -= n
		if a.more = left > 0; n < r.Inputs {
			a.part = r.Part(from, n)
		}
		if err := a.answer.part(n); err != nil {
			return err
		}
		if err := a.runPart(ctx); err != nil || !a.more {
			return err
		}
	}
}

// runPart takes a part of the request to the end of its answer.
func (a *attempt) runPart(ctx context.Context) error {
	a.exchange, a.finalStep = exchange.Exchange{}, false
	next, err := a.request(ctx)
	if err != nil {
		return err
	}
	for next.Send {
		if err := a.call.sleep(ctx, next.Wait); err != nil {
			return err
		}
		next, err = a.step(ctx, next)
		if err != nil && a.answer.complete() && ctx.Err() == nil {
			return nil // the answer was complete; what failed after it doesn't matter
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errNoToken ends an attempt whose first content didn't come in time.
var errNoToken = errors.New("no content in time")

// runInTime runs the attempt, and ends it if a streamed answer has no content within the
// target's time. Keep-alives and heads are no content.
func (a *attempt) runInTime(ctx context.Context) error {
	if a.target.FirstToken <= 0 || !a.call.request.Stream {
		return a.run(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a.firstToken = time.AfterFunc(a.target.FirstToken, func() { cancel(errNoToken) })
	defer a.firstToken.Stop()
	err := a.run(ctx)
	if err != nil && !a.committed && context.Cause(ctx) == errNoToken {
		return &fault.Error{
			Kind: fault.Slow, Code: "upstream_timeout", Cause: err,
			Text: fmt.Sprintf("Provider '%s' said nothing within %v (timeouts.first_token).", a.provider.name, a.target.FirstToken),
		}
	}
	return err
}

// request gives the adapter the client's request and returns what to send upstream for
// it. If the adapter answers without an upstream, that answer is applied.
func (a *attempt) request(ctx context.Context) (exchange.Turn, error) {
	asked, err := a.requestBody()
	if err != nil {
		return exchange.Turn{}, err
	}
	a.plain = a.adapter.Manifest().Profile().PlainContent
	size := asked.Len(a.plain)
	if a.without != "" || a.part != nil {
		size += asked.Len(false) // it was copied
	}
	if err := a.call.memory.Hold(size); err != nil {
		return exchange.Turn{}, err
	}
	var text []byte
	if a.plain {
		text = asked.Body(a.target.Model)
	} else {
		text, a.refs = asked.Short(a.target.Model)
	}
	failed, err := a.adapter.Request(ctx, a.op, a.call.request.Stream, a.target.Options, text, &a.batch)
	a.call.memory.Drop(size)
	t, err := a.takeTurn(ctx, a.batch.Emissions, failed, err)
	switch {
	case err != nil:
		return exchange.Turn{}, err
	case !t.Send:
		return exchange.Turn{}, a.applyPaced(ctx)
	}
	if len(t.Body) == 0 {
		a.form, _ = asked.(dialect.Form)
	}
	return t, a.apply(a.batch.Emissions)
}

// requestBody returns the client's request in the form for the adapter.
func (a *attempt) requestBody() (asked dialect.Body, err error) {
	if a.native {
		mine := func(id string) bool { return a.call.gateway.host.storedIDs.has(a.call.caller, id, a.target.Upstream) }
		return a.call.native.Body(a.adapter.Manifest().Profile().Takes, mine), nil
	}
	if asked = a.part; asked == nil {
		asked = a.call.body
	}
	if form := a.call.request.Form; form != nil {
		if asked, err = form(a.adapter.Manifest().Profile().Takes); err != nil {
			return nil, err
		}
	}
	if a.without != "" {
		asked = asked.Without(a.without)
	}
	return asked, nil
}

// step sends one request upstream and takes its answer. It returns the next request, if
// the adapter wants another one.
func (a *attempt) step(ctx context.Context, t exchange.Turn) (exchange.Turn, error) {
	a.sent = true
	a.close()
	up := upstream.Request{Head: t.Head, Body: t.Body, Framing: t.Framing, Memory: a.call.memory, Trace: a.call.trace}
	if a.bodyOwner != nil {
		up.Sent, a.bodyOwner = a.bodyOwner.Release, nil
	}
	if a.op == abi.Embeddings || a.op == abi.Images {
		up.BodyLimit = maxLarge
	}
	if a.form != nil {
		var pieces [][]byte
		up.ContentType, pieces = a.form.Form(a.target.Model)
		up.Body, up.Rest, a.form = pieces[0], pieces[1:], nil
	}
	res, err := a.provider.send(ctx, up)
	if err != nil {
		return exchange.Turn{}, a.withSetup(err)
	}
	a.response, a.status, a.accepted = res, res.Status, res.Status < 300
	t.Body = nil
	a.call.memory.Drop(a.held)
	a.held = 0
	if a.refs == nil {
		a.finalStep = true // no further step can use anything of the request
		a.releaseRequest()
	}
	if res.Bytes() {
		return exchange.Turn{}, a.pass(res)
	}
	if !res.Whole() {
		// An answer in events is the attempt's last step.
		a.finalStep = true
		a.releaseRequest()
		return exchange.Turn{}, a.events(ctx, res)
	}
	body, err := res.Body()
	if err != nil {
		return exchange.Turn{}, err
	}
	short, content, err := a.shortenWhole(res.Status, body)
	if err != nil {
		return exchange.Turn{}, err
	}
	a.receive(nil, body, true)
	failed, err := a.adapter.Response(ctx, a.op, res.Status, a.exchange.State, res.Head(), short, &a.batch)
	t, err = a.applyAnswer(ctx, failed, err, content)
	a.close() // it was read to its end, and its buffer may be large
	return t, err
}

// shorten takes the long strings out of a part of the upstream's answer, unless the
// adapter wants them. content is what was taken out; nil: nothing.
func (a *attempt) shorten(part []byte) (short []byte, content *long.Content, err error) {
	if a.plain {
		return part, nil, nil
	}
	return long.Take(part, a.call.memory)
}

// maxLarge is how many bytes a provider's answer may have that is mostly numbers or pictures.
const maxLarge = 128 << 20

// shortenWhole is shorten for a whole answer. If the answer has vectors, these are taken out
// instead.
func (a *attempt) shortenWhole(status int, answer []byte) (short []byte, content *long.Content, err error) {
	if a.op == abi.Embeddings && status < 300 {
		return long.TakeNumbers(answer, a.call.memory)
	}
	return a.shorten(answer)
}

// applyAnswer applies what the adapter made of a part of the upstream's answer. failed
// and err are how the call ended; content is what shorten took out.
func (a *attempt) applyAnswer(ctx context.Context, failed bool, err error, content *long.Content) (exchange.Turn, error) {
	if content != nil {
		defer content.Done(a.call.memory)
		defer a.batch.Reset() // else it would keep the content alive
	}
	if err == nil {
		if err := content.PutBack(a.batch.Emissions, a.call.memory); err != nil {
			return exchange.Turn{}, a.contentError(err)
		}
	}
	return a.applyTurn(ctx, a.batch.Emissions, failed, err)
}

// applyTurn applies emissions of a call, which ended as failed and err say.
func (a *attempt) applyTurn(ctx context.Context, ems []abi.Emission, failed bool, err error) (exchange.Turn, error) {
	t, err := a.takeTurn(ctx, ems, failed, err)
	if err != nil {
		return exchange.Turn{}, err
	}
	return t, a.apply(ems)
}

// contentError is the error for an answer whose long content could not be put back.
func (a *attempt) contentError(err error) error {
	var full *memory.Error
	if errors.As(err, &full) {
		return err
	}
	return a.adapterError(err, "The adapter of provider '%s' made an answer that can't be put together.", a.provider.name)
}

// apply adds emissions to the answer. The first content commits it.
func (a *attempt) apply(ems []abi.Emission) error {
	if err := a.answer.apply(ems); err != nil {
		return err
	}
	a.call.spoken.add(ems)
	a.call.details.add(ems)
	if !a.committed && slices.ContainsFunc(ems, commits) {
		a.hasContent = true
		a.committed = a.answer.commit()
		if a.firstToken != nil {
			a.firstToken.Stop()
		}
		a.releaseRequest()
	}
	return nil
}

// commits reports whether an emission is content. Once a client may have seen content, no
// other target's answer can replace it. Usage, extra fields and what a provider wants back
// are not content.
func commits(m abi.Emission) bool {
	switch m.Kind {
	case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.ToolArgs, abi.ToolExtra, abi.ToolSignature:
		return len(m.Data) > 0
	case abi.Pass:
		return m.At == abi.PassContent
	case abi.Logprobs, abi.Finish:
		return true
	}
	return false
}

// takeTurn takes the state and the next request out of a call's emissions, which are for
// the host and not for the client. failed and err are how the call ended.
func (a *attempt) takeTurn(ctx context.Context, ems []abi.Emission, failed bool, err error) (exchange.Turn, error) {
	if err != nil {
		return exchange.Turn{}, a.callError(ctx, err)
	}
	body, err := a.bodyBuffer(ems)
	if err != nil {
		return exchange.Turn{}, err
	}
	for _, m := range ems {
		a.bytes += int64(len(m.Data))
	}
	t, err := a.exchange.Take(ems, body)
	if err != nil {
		return exchange.Turn{}, a.adapterError(err, "Provider '%s' needed more than %d requests for one answer.", a.provider.name, exchange.MaxRequests)
	}
	switch {
	case t.Failed:
		a.accepted = false
		return t, nil // apply returns the ERROR, and counts the usage beside it
	case failed:
		return exchange.Turn{}, a.adapterError(nil, "The adapter of provider '%s' failed without a reason.", a.provider.name)
	case a.bytes > int64(a.provider.config.Limits.StreamOutput):
		return exchange.Turn{}, a.adapterError(nil, "The answer of provider '%s' is larger than its limits.stream_output allows.", a.provider.name)
	case !t.Send:
		return t, nil
	}
	t.Head = bytes.Clone(t.Head) // the batch's is overwritten by the next call
	t.Body, err = a.restoreContent(t.Body)
	return t, err
}

// bodyBuffer returns a buffer for the BODY emissions of a call. It is counted.
func (a *attempt) bodyBuffer(ems []abi.Emission) ([]byte, error) {
	size := int64(0)
	for _, m := range ems {
		if m.Kind == abi.Body {
			size += int64(len(m.Data))
		}
	}
	if size == 0 {
		return nil, nil
	}
	return a.room(int(size))
}

// room returns an empty slice with room for size bytes, for the body of the next upstream
// request, and sets bodyOwner to its owner. The bytes are counted.
func (a *attempt) room(size int) (b []byte, err error) {
	if err := a.call.memory.Hold(int64(size)); err != nil {
		return nil, err
	}
	a.held += int64(size)
	b, a.bodyOwner = a.call.gateway.host.buffers.Lend(size)
	return b, nil
}

// restoreContent puts the client's long content back into the body of an upstream
// request.
func (a *attempt) restoreContent(body []byte) ([]byte, error) {
	if a.refs == nil {
		return body, nil
	}
	short := a.bodyOwner
	a.refs.Room = a.room
	body, err := a.refs.Expand(body)
	if err != nil {
		return nil, a.adapterError(err, "The adapter of provider '%s' made a request that can't be sent.", a.provider.name)
	}
	if a.bodyOwner != short {
		short.Release() // the body was copied out of it
	}
	return body, nil
}

// releaseRequest drops the client's request if neither this attempt nor another one can
// need it any more.
func (a *attempt) releaseRequest() {
	if a.finalStep && !a.more && (a.committed || a.last) && (a.hasContent || a.wish == "") && (a.accepted || !a.translates) {
		a.refs = nil
		a.call.forgetRequest()
	}
}

// close closes the upstream's answer, if one is open. It may wait a moment for the end of
// the answer, so that the connection can be reused. What the client should get must be
// flushed before.
func (a *attempt) close() {
	if a.response != nil {
		a.response.Close()
		a.response = nil
	}
}
