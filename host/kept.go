package host

import (
	"cmp"
	"context"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/route"
)

// keeperOf finds the upstream that keeps what the caller names.
//
//   - keeper: "" if nobody remembers any of it, which is fine where there are no other
//     callers, and for a key that may name all that an account keeps
//   - before: the tokens of the conversation that ends with it; 0: unknown, or none
//   - ok: all of it is the caller's, and at one upstream
func (c *call) keeperOf(ctx context.Context, ids []string) (keeper string, before int64, ok bool) {
	made := &c.gateway.host.made
	for _, id := range ids {
		at := ""
		if id != "" { // of more ids than anybody looks at
			c.gateway.host.recall(ctx, c.caller, id, upstreamsOf(c.plan.Targets))
			at = made.keeper(c.caller, id, c.plan.Targets)
		}
		switch {
		case at == "" && (c.gateway.alone() || key.PrincipalFrom(ctx).Trusted):
			continue
		case at == "" || keeper != "" && keeper != at:
			return "", 0, false
		}
		keeper = at
		before = max(before, made.weight(c.caller, id, at))
	}
	return keeper, before, true
}

// keeperOfNative finds the upstream that keeps what a request names as it came. keeper is "" if
// nobody keeps any of it.
//
//   - error: a *fault.Error: it names what is not the caller's, or it refers to what nobody keeps
//     and can't be translated
func (c *call) keeperOfNative(ctx context.Context, n *dialect.Native) (keeper string, before int64, err error) {
	keeper, before, ok := c.keeperOf(ctx, n.IDs)
	if !ok {
		return "", 0, n.Unknown
	}
	at, tokens, ok := c.keeperOf(ctx, n.Refs)
	switch {
	case ok && (at == "" || keeper == "" || at == keeper):
		return cmp.Or(at, keeper), max(before, tokens), nil
	case len(n.IDs) > 0: // a translation would lose them
		return "", 0, n.Unknown
	case c.request.Untranslated != nil:
		return "", 0, n.Lost
	}
	return "", 0, nil
}

// alone reports whether there is one caller only, on this machine, who has no key. What the
// account keeps is then that caller's, whoever made it.
func (g *generation) alone() bool { return !g.config.Auth.Enabled && g.host.loopback.Load() }

// readNamed finds where what the request names in its chat form is kept, and from then on
// remembers what the answer names. The error is a *fault.Error if something of it is not the
// caller's.
func (c *call) readNamed(ctx context.Context) error {
	if c.request.NativeOp == 0 {
		c.info.Made = c.made
	}
	if len(c.request.IDs) == 0 {
		return nil
	}
	keeper, _, ok := c.keeperOf(ctx, c.request.IDs)
	if !ok {
		return dialect.NotKept()
	}
	c.keeper = keeper
	return nil
}

// mayLearn reports whether the request may be sent to a target in translation: what it names is
// kept there, or it names nothing. What can be named only natively would be lost.
func (c *call) mayLearn(t *route.Target) bool {
	if c.native != nil && len(c.native.IDs) > 0 {
		return false
	}
	return len(c.request.IDs) == 0 || c.keeper == "" || c.keeper == t.Upstream
}

// made remembers the id of something that the upstream keeps which is being asked: the answer
// tells it the caller.
func (c *call) made(id string) {
	if c.asking == "" {
		return // a kept answer tells it once more
	}
	c.named = cmp.Or(c.named, id)
	c.gateway.host.note(c.caller, id, c.asking, cmp.Or(c.request.Model, c.plan.Alias))
}
