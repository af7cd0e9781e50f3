package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/wasm"
)

// adapterError is the error for an adapter that broke its contract.
func (a *attempt) adapterError(cause error, format string, args ...any) error {
	return &fault.Error{Kind: fault.Adapter, Code: "adapter_error", Cause: cause, Text: fmt.Sprintf(format, args...)}
}

// withSetup adds to the error for an upstream that can't be reached what its adapter says
// must be done first.
func (a *attempt) withSetup(err error) error {
	var told *fault.Error
	needs := a.provider.needs(a.target.Model)
	if !errors.As(err, &told) || told.Kind != fault.Unsent && told.Kind != fault.UnsentSlow || needs == "" {
		return err
	}
	helpful := *told
	if a.call.request.Model == "" {
		helpful.Text += " The request names no model, so it is for the default one, '" + a.call.plan.Alias + "'."
	}
	helpful.Text += " To use this model, " + needs + "."
	return &helpful
}

// needed says what a call with a large input ran out of, and which limit says how much
// there is.
var needed = map[wasm.FailureKind]string{
	wasm.OutOfFuel: "work (limits.fuel)", wasm.OutOfTime: "time (limits.time)", wasm.OutOfMemory: "memory (limits.memory)",
}

// callError returns what the client gets for a guest call that did not succeed.
func (a *attempt) callError(ctx context.Context, err error) error {
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
			Kind: fault.TooLarge, Code: "request_too_large",
			Cause: err,
			Text: fmt.Sprintf("The request is too large for the adapter of provider '%[1]s', even without the long texts and images that Kai keeps back: providers.%[1]s.limits.input allows %[2]d bytes.",
				a.provider.name, int64(a.provider.config.Limits.Input)),
		}
	}
	return a.adapterError(err, "The adapter of provider '%s' failed; Kai's log says why.", a.provider.name)
}

// memoryError turns a *memory.Error into what the client gets, which says nothing about the
// upstream's health. Other errors stay as they are.
func (a *attempt) memoryError(err error) error {
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
