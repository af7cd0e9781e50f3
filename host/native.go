package host

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/sdk/abi"
)

// readNative reads the request as it came, if some target may take it so, and finds where
// the things are stored that it names. size is that of the client's body. The error is a
// *fault.Error.
func (c *call) readNative(ctx context.Context, size int64) error {
	r := c.request
	if r.Native == nil || !slices.ContainsFunc(c.plan.Targets, c.mayPass) {
		return c.untranslated(ctx)
	}
	if err := c.memory.Hold(2 * size); err != nil {
		return api.Busy(err)
	}
	n, err := r.Native()
	c.memory.Drop(2 * size)
	switch {
	case err != nil:
		return err
	case n == nil:
		return r.Untranslated
	}
	if err := c.memory.Hold(n.Size); err != nil {
		return api.Busy(err)
	}
	r.Size += n.Size
	keeper, before, err := c.keeperOfNative(ctx, n)
	switch {
	case err != nil:
		return err
	case keeper == "" && len(n.IDs) == 0 && len(n.Refs) > 0 && r.Untranslated == nil:
		return nil // no provider knows what it refers to, so it is translated
	}
	c.native, c.keeper, c.storedTokens = n, keeper, before
	if c.body == nil {
		c.body = n.Body(func(string) bool { return false }, anything)
	}
	c.info.NoteID = c.noteID
	c.info.Upstream = func() string { return c.http.Record.UpstreamModel }
	return nil
}

// anything accepts every name.
func anything(string) bool { return true }

// mayPass reports whether a target may take the request as it came, as far as that is known
// before its adapter is loaded.
func (c *call) mayPass(t route.Target) bool {
	known := c.gateway.providers[t.Provider].described()
	return t.Native && (known.Provider == "" || c.gateway.speaks(c.request.NativeOp, &t, known))
}

// speaks reports whether a target is asked natively in an API of clients, if its adapter
// has this profile. Many servers have OpenAI's chat completions but no Responses API, or
// one that loses more than a translation does. So the Responses API is used only where
// OpenAI itself answers, or where the configuration asks for it.
func (g *generation) speaks(op abi.Op, t *route.Target, known modfile.Profile) bool {
	return known.Serves(op, t.Options) && (op == abi.Messages || op == abi.CountMessages || t.NativeAsked || !slices.Contains(known.Ops, op.String()) ||
		isAt(g.providers[t.Provider].config.BaseURL, known.DefaultBaseURL))
}

// isAt reports whether a base_url leads to the host of home, or to one below its name, such
// as the host of a region.
func isAt(base, home string) bool {
	scheme, host := splitURL(base)
	ours, name := splitURL(home)
	return name != "" && scheme == ours && (host == name || strings.HasSuffix(host, "."+name))
}

// splitURL returns the scheme of a URL, and its host with its port, if it has one.
func splitURL(u string) (scheme, host string) {
	scheme, rest, _ := strings.Cut(strings.ToLower(u), "://")
	host, _, _ = strings.Cut(rest, "/")
	return scheme, host
}

// nativeAt reports whether the request goes to a target as it came, if the target's adapter
// has this profile.
func (c *call) nativeAt(t *route.Target, known modfile.Profile) bool {
	return c.native != nil && t.Native && c.gateway.speaks(c.request.NativeOp, t, known) && (c.keeper == "" || c.keeper == t.Upstream)
}

// What a model can refuse natively. Such requests are translated from then on.
const (
	thinking = "native thinking" // thinking in the words of the client's API; a translation says it in words that the model knows
	passage  = "native passage " // with an operation: everything, it isn't served in the client's API
)

// pass asks a target that speaks the client's API. refused, of the outcome, says that it
// has to be asked in translation.
func (c *call) pass(ctx context.Context, p *provider, target route.Target, last bool, begin func(native bool) answer) outcome {
	thinks, passes := wish{target.Model, thinking}, wish{target.Model, passage + c.request.NativeOp.String()}
	field := c.request.Wish
	translates := c.request.Untranslated == nil && c.mayTranslate(&target) && p.adapter.Manifest().Profile().Serves(c.request.Op, target.Options)
	if !translates {
		field = ""
	}
	if field != "" && p.refused.refuses(thinks) || translates && p.refused.refuses(passes) {
		return outcome{refused: true}
	}
	answer := begin(true)
	if answer == nil {
		return outcome{refused: true}
	}
	c.noteNative(true)
	c.firstID = ""
	o := c.ask(ctx, &attempt{
		provider: p, target: target, op: c.request.NativeOp, native: true, last: last, wish: field, translates: translates, answer: answer,
	})
	if o.err == nil && o.tokens > 0 {
		c.gateway.host.storedIDs.setTokens(c.caller, c.firstID, target.Upstream, o.tokens)
	}
	kind := fault.KindOf(o.err)
	switch {
	case ctx.Err() != nil:
		o.refused = false // nobody waits for a translation
	case o.refused && kind == fault.RefusedField:
		p.refused.add(thinks)
	case translates && !o.committed && c.body != nil && kind == fault.RefusedOperation:
		o.refused = true
		p.refused.add(passes)
		c.gateway.log.LogAttrs(ctx, slog.LevelWarn, "the provider doesn't serve the API natively; requests for this model are translated from now on",
			slog.String("provider", p.name), slog.String("upstream_model", target.Model), slog.String("operation", c.request.NativeOp.String()))
	}
	return o
}

// noteNative notes for the log whether the request goes natively or in translation.
func (c *call) noteNative(native bool) {
	if c.request.NativeOp != 0 {
		c.http.Record.Native = &native
	}
}

// withHeaders adds those of the client's headers that an adapter gets, a JSON object, to
// its options, as the member "client_headers".
func withHeaders(options, headers []byte) []byte {
	if headers == nil {
		return options
	}
	out := append([]byte(`{"client_headers":`), headers...)
	if rest := strings.TrimPrefix(strings.TrimSpace(string(options)), "{"); len(strings.TrimSpace(rest)) > 1 {
		return append(append(out, ','), rest...)
	}
	return append(out, '}')
}
