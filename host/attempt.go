package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/long"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/request"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/upstream"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/exchange"
)

// attempt asks one target. It may take several steps, each a request to the upstream
// and its answer. It is made anew for each target and keeps nothing of another one.
type attempt struct {
	call     *call
	provider *provider
	adapter  Adapter
	target   route.Target
	answer   answer
	last     bool // no other target can be asked

	plain     bool          // the adapter wants long content as it is
	refs      *request.Refs // long content of the request, which stays with the host
	exchange  exchange.Exchange
	batch     wasm.Batch // what the last call of the adapter stated
	bytes     int64      // stated so far
	held      int64      // counted for the body of the next request
	sent      bool       // something was sent upstream
	finalStep bool       // no further step can refer to the client's request
	committed bool       // the client may have seen content: no other target can answer

	response *upstream.Response // the last one, open
}

// outcome is how an attempt ended. Whether another target may be asked after it is
// the matter of err's kind, but not once the answer was committed.
type outcome struct {
	err       error // nil: the answer is complete
	committed bool
}

// run takes the attempt to its end: nil when the adapter and the upstream have said
// all they had to say.
func (a *attempt) run(ctx context.Context) error {
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
			return nil // whatever broke behind the end is nobody's loss
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// request asks the adapter what to send for the client's request.
func (a *attempt) request(ctx context.Context) (exchange.Turn, error) {
	asked := a.call.asked
	a.plain = a.adapter.Manifest().Profile().PlainContent
	size := asked.Len(a.plain)
	if err := a.call.memory.Hold(size); err != nil {
		return exchange.Turn{}, err
	}
	var body []byte
	if a.plain {
		body = asked.Body(a.target.Model)
	} else {
		body, a.refs = asked.Short(a.target.Model)
	}
	failed, err := a.adapter.Request(ctx, abi.Chat, asked.Stream, a.target.Options, body, &a.batch)
	a.call.memory.Drop(size)
	t, err := a.take(ctx, failed, err)
	switch {
	case err != nil:
		return exchange.Turn{}, err
	case !t.Send:
		return exchange.Turn{}, a.spread(ctx)
	}
	return t, a.apply(a.batch.Emissions)
}

// maxPace is how long the WAITs of an answer without upstream may take together.
const maxPace = time.Hour

// spread applies an answer that needed no upstream. It came from one call, but a
// client that asked for a stream wants to see it in pieces, at the pace that the
// adapter sets.
func (a *attempt) spread(ctx context.Context) error {
	a.finalStep = true
	if slices.ContainsFunc(a.batch.Emissions, func(m abi.Emission) bool { return m.Kind == abi.Error }) {
		return a.apply(a.batch.Emissions) // the error counts and what stands beside it doesn't
	}
	left := maxPace
	for i, m := range a.batch.Emissions {
		if m.Kind == abi.Wait {
			d := min(left, time.Duration(m.At)*time.Millisecond)
			left -= d
			if err := a.pause(ctx, d); err != nil {
				return err
			}
			continue
		}
		if err := a.apply(a.batch.Emissions[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// pause waits in the middle of an answer, of which the client gets what there is.
func (a *attempt) pause(ctx context.Context, d time.Duration) error {
	a.releaseRequest()
	if err := a.answer.flush(); err != nil {
		return err
	}
	return a.call.sleep(ctx, d)
}

// step sends one request and takes its answer.
func (a *attempt) step(ctx context.Context, t exchange.Turn) (exchange.Turn, error) {
	a.sent = true
	a.close()
	res, err := a.provider.send(ctx, upstream.Request{Head: t.Head, Body: t.Body, Framing: t.Framing, Memory: a.call.memory})
	if err != nil {
		return exchange.Turn{}, a.unreachable(err)
	}
	a.response = res
	t.Body = nil
	a.call.memory.Drop(a.held)
	a.held = 0
	if a.refs == nil {
		a.finalStep = true // a further step could refer to nothing in the request
		a.releaseRequest()
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
	short, content, err := a.abridged(body)
	if err != nil {
		return exchange.Turn{}, err
	}
	failed, err := a.adapter.Response(ctx, abi.Chat, res.Status, a.exchange.State, res.Head(), short, &a.batch)
	t, err = a.answered(ctx, failed, err, content)
	a.close() // was read to its end, and may be large
	return t, err
}

// events takes the frames of a stream until it ends or the adapter says that
// nothing more comes.
func (a *attempt) events(ctx context.Context, res *upstream.Response) error {
	for {
		if !res.Buffered() {
			if err := a.answer.flush(); err != nil {
				return err
			}
		}
		frame, err := res.Next()
		switch {
		case err == io.EOF:
			return a.event(ctx, abi.FlagEnd, nil, nil)
		case err != nil:
			return err
		}
		flags, pass := a.exchange.Frame(frame.Data)
		switch {
		case !pass:
			continue
		case flags == abi.FlagDone:
			frame.Name, frame.Data = nil, nil
		}
		if err := a.event(ctx, flags, frame.Name, frame.Data); err != nil || a.exchange.Ended {
			return err
		}
	}
}

func (a *attempt) event(ctx context.Context, flags int, name, data []byte) error {
	short, content, err := a.abridged(data)
	if err != nil {
		return err
	}
	failed, err := a.adapter.Event(ctx, abi.Chat, flags, a.exchange.State, name, short, &a.batch)
	if _, err := a.answered(ctx, failed, err, content); err != nil {
		return err
	}
	if a.exchange.Ended {
		a.answer.endMark()
	}
	return nil
}

// abridged gives a part of the upstream's answer as the adapter gets it: without
// long strings, unless it wants them.
func (a *attempt) abridged(part []byte) (short []byte, content *long.Content, err error) {
	if a.plain {
		return part, nil, nil
	}
	return long.Take(part, a.call.memory)
}

// answered takes what the adapter made of a part of the upstream's answer. err and
// failed are how the call ended, content is what was kept from the adapter.
func (a *attempt) answered(ctx context.Context, failed bool, err error, content *long.Content) (exchange.Turn, error) {
	if content != nil {
		defer content.Done(a.call.memory)
		defer a.batch.Reset() // or it keeps all of the answer
	}
	if err == nil {
		if err := content.PutBack(a.batch.Emissions, a.call.memory); err != nil {
			return exchange.Turn{}, a.misplaced(err)
		}
	}
	t, err := a.take(ctx, failed, err)
	if err != nil {
		return exchange.Turn{}, err
	}
	return t, a.apply(a.batch.Emissions)
}

// misplaced is the error for references to long content that can't be followed.
func (a *attempt) misplaced(err error) error {
	var full *memory.Error
	if errors.As(err, &full) {
		return err
	}
	return a.failed(err, "The adapter of provider '%s' made an answer that can't be put together.", a.provider.name)
}

// apply adds emissions to the answer. The first content commits it.
func (a *attempt) apply(ems []abi.Emission) error {
	if err := a.answer.apply(ems); err != nil {
		return err
	}
	if !a.committed && slices.ContainsFunc(ems, commits) {
		a.committed = a.answer.commit()
		a.releaseRequest()
	}
	return nil
}

// commits reports whether an emission is content: once a client may have seen it, no
// other target's answer can take its place. Usage, extra fields and what a provider
// wants back are not.
func commits(m abi.Emission) bool {
	switch m.Kind {
	case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.ToolArgs, abi.ToolExtra, abi.ToolSignature:
		return len(m.Data) > 0
	case abi.Logprobs, abi.Finish:
		return true
	}
	return false
}

// take takes out of the batch what is the host's and not the client's: the state and
// the next request. err and failed are how the call ended.
func (a *attempt) take(ctx context.Context, failed bool, err error) (exchange.Turn, error) {
	if err != nil {
		return exchange.Turn{}, a.broken(ctx, err)
	}
	body, err := a.room()
	if err != nil {
		return exchange.Turn{}, err
	}
	for _, m := range a.batch.Emissions {
		a.bytes += int64(len(m.Data))
	}
	t, err := a.exchange.Take(a.batch.Emissions, body)
	if err != nil {
		return exchange.Turn{}, a.failed(err, "Provider '%s' needed more than %d requests for one answer.", a.provider.name, exchange.MaxRequests)
	}
	switch {
	case t.Failed:
		return t, nil // the answer makes the error of it, and counts the usage beside it
	case failed:
		return exchange.Turn{}, a.failed(nil, "The adapter of provider '%s' failed without a reason.", a.provider.name)
	case a.bytes > int64(a.provider.config.Limits.StreamOutput):
		return exchange.Turn{}, a.failed(nil, "The answer of provider '%s' is larger than its limits.stream_output allows.", a.provider.name)
	case !t.Send:
		return t, nil
	}
	t.Head = bytes.Clone(t.Head) // the batch's is overwritten by the next call
	t.Body, err = a.expand(t.Body)
	return t, err
}

// room gives a buffer, counted, for the BODY emissions of the batch.
func (a *attempt) room() ([]byte, error) {
	size := int64(0)
	for _, m := range a.batch.Emissions {
		if m.Kind == abi.Body {
			size += int64(len(m.Data))
		}
	}
	if size == 0 {
		return nil, nil
	}
	if err := a.call.memory.Hold(size); err != nil {
		return nil, err
	}
	a.held += size
	return make([]byte, 0, size), nil
}

// expand puts the client's long content back into the body of a request.
func (a *attempt) expand(body []byte) ([]byte, error) {
	if a.refs == nil {
		return body, nil
	}
	a.refs.Hold = func(bytes int64) error {
		err := a.call.memory.Hold(bytes)
		if err == nil {
			a.held += bytes
		}
		return err
	}
	body, err := a.refs.Expand(body)
	if err != nil {
		return nil, a.failed(err, "The adapter of provider '%s' made a request that can't be sent.", a.provider.name)
	}
	return body, nil
}

// releaseRequest gives up the client's request when neither this attempt nor another
// one can need it.
func (a *attempt) releaseRequest() {
	if a.finalStep && (a.committed || a.last) {
		a.refs = nil
		a.call.forgetRequest()
	}
}

// close lets go of the upstream. It may wait a moment for the end of an answer that
// nobody needs, so that its connection can be used again: what the client is to get
// goes out before.
func (a *attempt) close() {
	if a.response != nil {
		a.response.Close()
		a.response = nil
	}
}

// failed is the error for an adapter that did what it must not.
func (a *attempt) failed(cause error, format string, args ...any) error {
	return &fault.Error{Kind: fault.Adapter, Code: "adapter_error", Cause: cause, Text: fmt.Sprintf(format, args...)}
}

// unreachable adds to the error of an upstream that isn't there what its adapter
// says to do about it.
func (a *attempt) unreachable(err error) error {
	var told *fault.Error
	needs := a.provider.needs(a.target.Model)
	if !errors.As(err, &told) || told.Kind != fault.Unsent && told.Kind != fault.UnsentSlow || needs == "" {
		return err
	}
	helpful := *told
	helpful.Text += " To use this model, " + needs + "."
	return &helpful
}

// needed is what a call with large input ran out of, and the limit that says so.
var needed = map[wasm.FailureKind]string{
	wasm.OutOfFuel: "work (limits.fuel)", wasm.OutOfTime: "time (limits.time)", wasm.OutOfMemory: "memory (limits.memory)",
}

// broken is what a client learns of a call that broke.
func (a *attempt) broken(ctx context.Context, err error) error {
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
			Text:  fmt.Sprintf("The adapter of provider '%s' failed repeatedly and is paused; Kai's log says why.", a.provider.name),
		}
	case errors.As(err, &call) && call.Large && !a.sent:
		return &fault.Error{
			Kind:  fault.TooLarge,
			Cause: err,
			Text:  fmt.Sprintf("The request is too large for the adapter of provider '%s': it needs more %s than a call may have.", a.provider.name, needed[call.Kind]),
		}
	case errors.As(err, &call) && call.Kind == wasm.TooLarge && a.sent:
		return &fault.Error{
			Kind: fault.Upstream, Code: "upstream_error",
			Cause: err,
			Text:  fmt.Sprintf("The answer of provider '%s' is larger than its limits.input allows, even without the long texts and pictures that Kai keeps back.", a.provider.name),
		}
	case errors.As(err, &call) && call.Kind == wasm.TooLarge:
		return &fault.Error{
			Kind:  fault.TooLarge,
			Cause: err,
			Text:  fmt.Sprintf("The request is too large for the adapter of provider '%s', even without the long texts and images that Kai keeps back: limits.input allows less.", a.provider.name),
		}
	}
	return a.failed(err, "The adapter of provider '%s' failed; Kai's log says why.", a.provider.name)
}

// outOfMemory makes of an error for want of memory what a client is told. It is no
// sign of the upstream's health.
func (a *attempt) outOfMemory(err error) error {
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
		Text:  fmt.Sprintf("Provider '%s' may hold no more memory (limits.share), which this request or its answer needs. Try again when fewer run, or ask for less.", a.provider.name),
	}
}
