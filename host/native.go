package host

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/wasm/modfile"
)

// readNative reads the request as it came, if some target may take it so, and finds where
// what it names is kept. size is that of the client's body. The error is a *fault.Error.
func (c *call) readNative(size int64) error {
	r := c.request
	if r.Native == nil || !slices.ContainsFunc(c.plan.Targets, c.mayPass) {
		return r.Untranslated
	}
	if err := c.memory.Hold(2 * size); err != nil {
		return api.Busy(err)
	}
	n, err := r.Native()
	c.memory.Drop(2 * size)
	if err != nil {
		return err
	}
	if err := c.memory.Hold(n.Size); err != nil {
		return api.Busy(err)
	}
	r.Size += n.Size
	for _, id := range n.IDs {
		keeper := ""
		if id != "" { // of more ids than anybody looks at
			keeper = c.gateway.host.made.keeper(c.caller, id, c.plan.Targets)
		}
		if keeper == "" || c.keeper != "" && c.keeper != keeper {
			if r.Untranslated != nil {
				return n.Unknown
			}
			return nil // what it names is nothing to others, so that it can be translated
		}
		c.keeper = keeper
	}
	c.native = n
	if c.asked == nil {
		c.asked = n.Body(func(string) bool { return false })
	}
	c.info.Made = func(id string) { c.gateway.host.made.note(c.caller, id, c.asking) }
	return nil
}

// mayPass reports whether a target may take the request as it came, as far as is known
// before its adapter was loaded.
func (c *call) mayPass(t route.Target) bool {
	known := c.gateway.providers[t.Provider].described()
	return t.Native && (known.Provider == "" || known.Serves(c.request.NativeOp, t.Options))
}

// nativeAt reports whether the request goes to a target as it came, if its adapter says
// that of itself.
func (c *call) nativeAt(t *route.Target, known modfile.Profile) bool {
	return c.native != nil && t.Native && known.Serves(c.request.NativeOp, t.Options) && (c.keeper == "" || c.keeper == t.Upstream)
}

// thinking is the wish that a model refuses in the words of the client's API, so that its
// requests are translated, which says it in words that the model knows.
const thinking = "native thinking"

// pass asks a target that speaks the client's API. refused, of the outcome, says that it
// has to be asked in translation.
func (c *call) pass(ctx context.Context, p *provider, target route.Target, last bool, begin func(native bool) answer) outcome {
	w := wish{target.Model, thinking}
	field := c.request.Wish
	if !p.adapter.Manifest().Profile().Serves(c.request.Op, target.Options) {
		field = "" // it can't be translated for this target
	}
	if field != "" && p.refused.refuses(w) {
		return outcome{refused: true}
	}
	c.noteWay(true)
	o := c.ask(ctx, &attempt{
		provider: p, target: target, op: c.request.NativeOp, native: true, last: last, wish: field, answer: begin(true),
	})
	if o.refused = o.refused && ctx.Err() == nil; o.refused {
		if e, _ := errors.AsType[*fault.Error](o.err); e.Code == codeUnsupported {
			p.refused.add(w)
		}
	}
	return o
}

// noteWay notes for the log which way the request goes.
func (c *call) noteWay(native bool) {
	if c.request.NativeOp != 0 {
		c.http.Record.Native = &native
	}
}

// withHeaders adds to the options of an adapter those of the client's headers that it gets,
// a JSON object, as the member "client_headers".
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
