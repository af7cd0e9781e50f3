package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/plugins/anthropic"
	"github.com/kai-gateway/kai/plugins/demo"
	"github.com/kai-gateway/kai/plugins/gemini"
	"github.com/kai-gateway/kai/plugins/ollama"
	"github.com/kai-gateway/kai/plugins/openai"
	"github.com/kai-gateway/kai/plugins/openrouter"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// linked is a shipped adapter that is linked into this program, to measure what the sandbox
// costs. It has none of the sandbox's guarantees: its emissions are not checked, and a panic
// in it ends the process.
type linked struct {
	manifest modfile.Manifest
	plugins  sync.Pool // of *sdk.Plugin, each of which runs one call at a time
	err      error
}

// adapter returns a shipped adapter without a sandbox.
func adapter(p config.Provider) host.Adapter {
	plugin := map[string]func() *sdk.Plugin{
		"anthropic": anthropic.Plugin, "demo": demo.Plugin, "gemini": gemini.Plugin,
		"ollama": ollama.Plugin, "openai": openai.Plugin, "openrouter": openrouter.Plugin,
	}[p.Plugin]
	if plugin == nil {
		return &linked{err: fmt.Errorf("plugin %s is not linked into this gateway", p.Plugin)}
	}
	a := &linked{plugins: sync.Pool{New: func() any { return plugin() }}}
	a.err = json.Unmarshal(plugin().Manifest.AppendJSON(nil), &a.manifest)
	return a
}

func (a *linked) Wait(context.Context, time.Duration) error { return a.err }
func (a *linked) Status() (bool, error)                     { return a.err == nil, a.err }
func (a *linked) Manifest() modfile.Manifest                { return a.manifest }
func (a *linked) Paused() time.Duration                     { return 0 }
func (a *linked) Close()                                    {}

func (a *linked) Request(_ context.Context, op abi.Op, stream bool, options, body []byte, out *wasm.Batch) (bool, error) {
	return a.call(sdk.Input{Request: &sdk.Request{Op: op, Stream: stream, Options: options, Body: body}}, out), nil
}

func (a *linked) Response(_ context.Context, op abi.Op, status int, state, head, body []byte, out *wasm.Batch) (bool, error) {
	return a.call(sdk.Input{Response: &sdk.Response{Op: op, Status: status, Head: head, Body: body}, State: state}, out), nil
}

func (a *linked) Event(_ context.Context, op abi.Op, flags int, state, name, data []byte, out *wasm.Batch) (bool, error) {
	return a.call(sdk.Input{State: state, Event: &sdk.Event{
		Op: op, Name: name, Data: data, End: flags&abi.FlagEnd != 0, Done: flags&abi.FlagDone != 0,
	}}, out), nil
}

func (a *linked) call(in sdk.Input, out *wasm.Batch) (failed bool) {
	p := a.plugins.Get().(*sdk.Plugin)
	defer a.plugins.Put(p)
	out.Reset()
	return p.Call(in, func(kind, at int32, data []byte) {
		out.Append(abi.Emission{Kind: abi.Kind(kind &^ abi.Raw), Raw: kind&abi.Raw != 0, At: at}, data)
	}) != nil
}
