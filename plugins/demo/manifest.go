// Package demo is an adapter without an upstream. It makes its own answers, with text, tool
// calls and JSON of the right shape, so that an application can be built and tested against
// the gateway offline.
//
// It is for development. It makes its answers from the request by fixed rules, which
// README.md lists. So the same request gets the same answer.
package demo

import (
	"errors"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Plugin returns the adapter.
func Plugin() *sdk.Plugin { return sdk.New(manifest, adapter{}) }

// adapter keeps no state, because an exchange is a single call.
type adapter struct{}

var _ sdk.Adapter[struct{}] = adapter{}

var manifest = sdk.Manifest{
	Name:         "demo",
	Version:      "1.0.0",
	License:      "Apache-2.0",
	Homepage:     "https://github.com/kai-gateway/kai/tree/main/plugins/demo",
	Provider:     "demo",
	Ops:          []abi.Op{abi.Chat, abi.Completions, abi.Embeddings, abi.Count},
	Capabilities: []string{"streaming", "tools", "vision", "structured_output"},
	MaxInputs:    []sdk.MaxInputs{{Op: abi.Completions, N: 1}, {Op: abi.Embeddings, N: maxTexts}},
	PlainContent: true, // it repeats what was asked
	KnowsModels:  true,
	Options:      options,
}

// options is what the adapter can be configured with, in CUE.
const options = `
// How long each word takes: milliseconds, or text such as "200ms" or "2s"; at most
// a minute. Without it 15 ms pass between the words of a stream, and a whole answer
// is there at once.
delay?: (int & >=0 & <=60000) | =~"^[0-9]{1,5}(ms|s)$"
`

var errNoUpstream = errors.New("the demo adapter has no upstream that could answer")

// Response is never called: there is no upstream.
func (adapter) Response(*sdk.Response, *struct{}, *sdk.Out) error { return errNoUpstream }

// Event is never called: there is no upstream.
func (adapter) Event(*sdk.Event, *struct{}, *sdk.Out) error { return errNoUpstream }
