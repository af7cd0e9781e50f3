package host

import (
	"cmp"
	"context"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/route"
)

// storage says where the things are stored that a request names.
type storage struct {
	at      string // the upstream; "": nobody remembers any of them
	tokens  int64  // of the conversation that ends with one of them; 0: unknown, or none
	unknown bool   // some of them are not the caller's, or nobody knows them
	unread  error  // why that can't be told of some of them; nil: it can
	apart   bool   // they are at several upstreams
}

// keeperOf finds the upstream that stores what the caller names. What nobody remembers is
// unknown, unless there are no other callers, or the key may name all that an account
// stores.
func (c *call) keeperOf(ctx context.Context, ids []string) (k storage) {
	stored := &c.gateway.host.storedIDs
	for _, id := range ids {
		at := ""
		if id != "" { // "" stands for all ids beyond those that are looked at
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

// merge returns where the things of both are stored.
func (k storage) merge(other storage) storage {
	return storage{
		at: cmp.Or(k.at, other.at), tokens: max(k.tokens, other.tokens), unknown: k.unknown || other.unknown, unread: cmp.Or(k.unread, other.unread),
		apart: k.apart || other.apart || k.at != "" && other.at != "" && k.at != other.at,
	}
}

// err returns why nobody can be asked, a *fault.Error, or nil: unknown, or that the things
// are apart, or that it can't be told where they are.
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

// keeperOfNative finds the upstream that stores what a request names as it came. keeper is
// "" if nobody stores any of it.
//
//   - error: a *fault.Error: the request names what is not the caller's, or it refers to
//     what nobody stores and can't be translated
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

// alone reports whether there is only one caller, on this machine, who has no key.
// Everything that an account stores is then that caller's, whoever it was stored for.
func (g *generation) alone() bool { return !g.config.Auth.Enabled && g.host.loopback.Load() }

// findNamed finds where the things are stored that the request names in its chat form, and
// from then on has the ids noted that the answer names. The error is a *fault.Error if
// something of it is not the caller's.
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

// mayTranslate reports whether the request may be sent to a target in translation: the
// target stores what it names, or it names nothing. What can be named only natively would
// be lost.
func (c *call) mayTranslate(t *route.Target) bool {
	if c.native != nil && len(c.native.IDs) > 0 {
		return false
	}
	return len(c.request.IDs) == 0 || c.keeper == "" || c.keeper == t.Upstream
}

// noteID remembers the id of something that the upstream being asked stores, because the
// answer tells it to the caller.
func (c *call) noteID(id string) {
	if c.upstream == "" {
		return // a kept answer tells it again
	}
	c.firstID = cmp.Or(c.firstID, id)
	c.gateway.host.noteID(c.caller, id, c.upstream, cmp.Or(c.request.Model, c.plan.Alias))
}
