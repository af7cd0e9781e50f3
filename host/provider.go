package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/upstream"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/sdk/abi"
)

// provider is one upstream with the adapter that speaks its language, and what is
// known of both. It may outlive the configuration that it was made for: see
// providers.
type provider struct {
	name    string
	config  config.Provider
	adapter Adapter
	profile modfile.Profile // from the manifest, if that can be read without running the module; else empty
	now     func() time.Time
	share   *memory.Share // this provider's part of the memory; outlives the configuration

	once   sync.Once
	client *upstream.Client // nil for an adapter without an upstream
	err    error            // why there is no client

	refused wishes      // what its models refuse, of what clients merely wish
	failed  atomic.Bool // the last request didn't reach the upstream
	retired atomic.Bool // the current generation has another provider in its place

	identity identity // what a reload must leave as it is to keep the provider
	refs     int      // of generations; providers' mutex guards it
}

func newProvider(id identity, adapter Adapter, share *memory.Share, profile modfile.Profile, now func() time.Time) *provider {
	return &provider{
		identity: id,
		name:     id.config.Name,
		config:   id.config,
		profile:  profile,
		now:      now,
		share:    share,
		adapter:  adapter,
	}
}

// prepare waits until the provider can be asked, for at most wait. The error is a
// *fault.Error or the cause of ctx's end.
func (p *provider) prepare(ctx context.Context, wait time.Duration) error {
	if p.config.Unset != "" {
		return &fault.Error{
			Kind: fault.Unusable, Code: "provider_not_configured",
			Text: fmt.Sprintf("Provider '%s' has no API key: set the environment variable %s and start Kai again.", p.name, p.config.Unset),
		}
	}
	switch err := p.adapter.Wait(ctx, wait); {
	case err == nil:
	case ctx.Err() != nil:
		return err
	case errors.Is(err, wasm.ErrNotReady):
		return &fault.Error{
			Kind: fault.Unready, Code: "adapter_loading", RetryAfter: 5 * time.Second,
			Cause: err,
			Text:  fmt.Sprintf("The adapter of provider '%s' is still being prepared; try again in a few seconds.", p.name),
		}
	default:
		return &fault.Error{
			Kind: fault.Unusable, Code: "adapter_error",
			Cause: err,
			Text:  fmt.Sprintf("The adapter of provider '%s' could not be loaded; Kai's log says why.", p.name),
		}
	}
	p.once.Do(p.connect)
	return p.err
}

// described returns what is known of the adapter before it has to be asked: nothing, if the
// module must run for that and has not run yet.
func (p *provider) described() modfile.Profile {
	if ready, err := p.adapter.Status(); ready && err == nil {
		return p.adapter.Manifest().Profile()
	}
	return p.profile
}

// serves refuses an operation that the adapter, which is loaded, does not have for a
// model with these options. Another target may have it.
func (p *provider) serves(op abi.Op, options []byte) error {
	if p.adapter.Manifest().Profile().Serves(op, options) {
		return nil
	}
	e := &fault.Error{
		Kind: fault.Unusable, Code: "adapter_error",
		Text: fmt.Sprintf("The adapter of provider '%s' answers no %s.", p.name, operations[op]),
	}
	if op == abi.Count {
		e.Kind, e.Code = fault.NoCount, "unsupported_operation"
		e.Text = fmt.Sprintf("Provider '%s' cannot count tokens. The usage of its answers says what they took.", p.name)
	}
	return e
}

// operations are people's words for operations.
var operations = map[abi.Op]string{
	abi.Chat: "chat completions", abi.Completions: "completions", abi.Embeddings: "embeddings", abi.Moderations: "moderations", abi.Rerank: "rerank", abi.Images: "images", abi.Speech: "speech", abi.Transcriptions: "transcriptions", abi.Models: "lists of models", abi.CompactResponses: "compactions",
}

// abilities says what a model can do if it has an operation that only some providers have.
var abilities = map[abi.Op]string{
	abi.Completions: "complete text", abi.Embeddings: "make embeddings", abi.Moderations: "judge content", abi.Rerank: "rank documents", abi.Images: "make images", abi.Speech: "speak", abi.Transcriptions: "transcribe", abi.CompactResponses: "compact a conversation",
}

// checkRouting refuses a request that would choose another model, provider or account at
// the upstream than the configuration does, unless the client's key may do that.
func (p *provider) checkRouting(ctx context.Context, asked dialect.Body) error {
	if key.PrincipalFrom(ctx).Routes {
		return nil
	}
	routing := p.adapter.Manifest().Profile().Routing
	at := asked.Asks(routing.Fields, routing.Tools)
	if at == "" {
		return nil
	}
	return &fault.Error{
		Kind:  fault.Forbidden,
		Param: at,
		Text:  at + ": would choose models or providers at the upstream, which only keys with provider_routing may do. Leave it out, set it in the gateway's configuration, or use such a key.",
	}
}

// connect makes the client, once the adapter is loaded: only its manifest says in which
// header the secret goes.
func (p *provider) connect() {
	c := p.config
	if c.BaseURL == "" {
		return
	}
	o := upstream.Options{
		Provider: p.name, BaseURL: c.BaseURL, Usual: p.adapter.Manifest().Profile().DefaultBaseURL, Proxy: c.Proxy,
		Connect: time.Duration(c.Timeouts.Connect), FirstByte: time.Duration(c.Timeouts.FirstByte), Idle: time.Duration(c.Timeouts.Idle),
		Now:       p.now,
		LineLimit: int(c.Limits.Input), HTTPVersion: string(c.HTTP),
	}
	if a := p.adapter.Manifest().Profile().Auth; a.Header != "" && !c.APIKey.IsZero() {
		key := c.APIKey.Reveal()
		o.Secret = upstream.Secret{Header: a.Header, Value: a.Value(key), Key: key}
	}
	if p.client, p.err = upstream.New(o); p.err != nil {
		p.err = fmt.Errorf("provider %s: %w", p.name, p.err)
	} else if p.retired.Load() {
		p.client.Retire()
	}
}

// send sends a request upstream, and notes for /health whether there was an answer.
func (p *provider) send(ctx context.Context, r upstream.Request) (*upstream.Response, error) {
	if p.client == nil {
		return nil, &fault.Error{
			Kind: fault.Adapter, Code: "adapter_error",
			Text: fmt.Sprintf("The adapter of provider '%s' wants to send a request, but the provider has no base_url.", p.name),
		}
	}
	res, err := p.client.Do(ctx, r)
	var full *memory.Error
	if ours := errors.As(err, &full) || err != nil && fault.KindOf(err) == fault.Adapter; ctx.Err() == nil && !ours {
		p.failed.Store(err != nil)
	}
	return res, err
}

// retire makes requests that still run close their connections when they end, because
// nothing would use them again.
func (p *provider) retire() {
	p.retired.Store(true)
	if ready, _ := p.adapter.Status(); !ready {
		return
	}
	p.once.Do(p.connect)
	if p.client != nil {
		p.client.Retire()
	}
}

func (p *provider) close() {
	p.adapter.Close()
	if p.client != nil {
		p.client.Close()
	}
}
