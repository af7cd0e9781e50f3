package host

import (
	"cmp"
	"context"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/route"
)

// storage is where that is kept what a request names.
type storage struct {
	at      string // the upstream; "": nobody remembers any of it
	tokens  int64  // the tokens of the conversation that ends with it; 0: unknown, or none
	unknown bool   // some of it is not the caller's, or nobody knows it
	unread  error  // why that can't be told of some of it; nil: it can
	apart   bool   // it is at several upstreams
}

// keeperOf finds the upstream that keeps what the caller names. What nobody remembers is not unknown
// where there are no other callers, and for a key that may name all that an account keeps.
func (c *call) keeperOf(ctx context.Context, ids []string) (k storage) {
	stored := &c.gateway.host.storedIDs
	for _, id := range ids {
		at := ""
		if id != "" { // of more ids than anybody looks at
			unread := c.gateway.host.fetchID(ctx, c.caller, id, upstreamsOf(c.plan.Targets))
			k.unread = cmp.Or(k.unread, unread)
			at = stored.keeper(c.caller, id, c.plan.Targets)
		}
		if at == "" {
			k.unknown = k.unknown || !c.gateway.alone() && !key.PrincipalFrom(ctx).Trusted
			continue
		}
		k = k.merge(storage{at: at, tokens: stored.tokens(c.caller, id, at)})
	}
	return k
}

// merge returns where both are kept.
func (k storage) merge(other storage) storage {
	return storage{
		at: cmp.Or(k.at, other.at), tokens: max(k.tokens, other.tokens), unknown: k.unknown || other.unknown, unread: cmp.Or(k.unread, other.unread),
		apart: k.apart || other.apart || k.at != "" && other.at != "" && k.at != other.at,
	}
}

// err returns why nobody can be asked, a *fault.Error, if that is so: unknown, that it is apart, or
// that it can't be told.
func (k storage) err(unknown error) error {
	switch {
	case k.unknown && k.unread != nil:
		return dialect.NotRead(k.unread)
	case k.unknown:
		return unknown
	case k.apart:
		return dialect.KeptApart()
	}
	return nil
}

// keeperOfNative finds the upstream that keeps what a request names as it came. keeper is "" if
// nobody keeps any of it.
//
//   - error: a *fault.Error: it names what is not the caller's, or it refers to what nobody keeps
//     and can't be translated
func (c *call) keeperOfNative(ctx context.Context, n *dialect.Native) (keeper string, before int64, err error) {
	named := c.keeperOf(ctx, n.IDs)
	if err := named.err(n.Unknown); err != nil {
		return "", 0, err
	}
	all := named.merge(c.keeperOf(ctx, n.Refs))
	switch {
	case !all.unknown && !all.apart:
		return all.at, all.tokens, nil
	case len(n.IDs) > 0: // a translation would lose them
		return "", 0, all.err(n.Unknown)
	case c.request.Untranslated != nil:
		return "", 0, all.err(n.Lost)
	}
	return "", 0, nil
}

// alone reports whether there is one caller only, on this machine, who has no key. What the
// account keeps is then that caller's, whoever made it.
func (g *generation) alone() bool { return !g.config.Auth.Enabled && g.host.loopback.Load() }

// findNamed finds where what the request names in its chat form is kept, and from then on
// remembers what the answer names. The error is a *fault.Error if something of it is not the
// caller's.
func (c *call) findNamed(ctx context.Context) error {
	if c.request.NativeOp == 0 {
		c.info.NoteID = c.noteID
	}
	if len(c.request.IDs) == 0 {
		return nil
	}
	named := c.keeperOf(ctx, c.request.IDs).merge(storage{at: c.keeper})
	if err := named.err(dialect.NotKept()); err != nil {
		return err
	}
	c.keeper = named.at
	return nil
}

// mayTranslate reports whether the request may be sent to a target in translation: what it names is
// kept there, or it names nothing. What can be named only natively would be lost.
func (c *call) mayTranslate(t *route.Target) bool {
	if c.native != nil && len(c.native.IDs) > 0 {
		return false
	}
	return len(c.request.IDs) == 0 || c.keeper == "" || c.keeper == t.Upstream
}

// noteID remembers the id of something that the upstream keeps which is being asked: the answer
// tells it the caller.
func (c *call) noteID(id string) {
	if c.asking == "" {
		return // a kept answer tells it once more
	}
	c.named = cmp.Or(c.named, id)
	c.gateway.host.noteID(c.caller, id, c.asking, cmp.Or(c.request.Model, c.plan.Alias))
}
