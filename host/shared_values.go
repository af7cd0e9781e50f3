package host

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/dialect/responses"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/shared"
)

// sharedResponses remembers things for clients of the Responses API, for all gateways of a
// fleet. What the store can't take is remembered here.
type sharedResponses struct {
	store *shared.Client
	here  *responses.Memory
	ttl   time.Duration
	most  int // bytes of one value
}

var _ responses.Store = (*sharedResponses)(nil)

func responseName(owner, key string) string { return "response\n" + owner + "\n" + key }

// Digest is [responses.Store].
func (s *sharedResponses) Digest(value []byte) string { return s.store.Digest(value) }

// Get is [responses.Store].
func (s *sharedResponses) Get(ctx context.Context, owner string, keys []string) ([][]byte, error) {
	here, err := s.here.Get(ctx, owner, keys)
	if err != nil {
		return nil, err
	}
	var names []string
	for i, key := range keys {
		if here[i] == nil {
			names = append(names, responseName(owner, key))
		}
	}
	there, err := s.store.Get(ctx, names, s.ttl)
	if err != nil {
		return nil, err
	}
	for i := range keys {
		if here[i] == nil {
			here[i], there = there[0], there[1:]
		}
	}
	return here, nil
}

// Put is [responses.Store].
func (s *sharedResponses) Put(ctx context.Context, owner string, entries []responses.Entry) error {
	values := make([]shared.Value, 0, len(entries))
	for _, e := range entries {
		if len(e.Value) <= s.most {
			values = append(values, shared.Value{Name: responseName(owner, e.Key), Value: e.Value})
		}
	}
	// A client that has its answer may be gone.
	if s.store.Put(context.WithoutCancel(ctx), values, s.ttl) != nil {
		return s.here.Put(ctx, owner, entries)
	}
	return nil
}

// Delete is [responses.Store].
func (s *sharedResponses) Delete(ctx context.Context, owner string, keys []string) error {
	if err := s.here.Delete(ctx, owner, keys); err != nil {
		return err
	}
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = responseName(owner, key)
	}
	return s.store.Delete(ctx, names)
}

// storedIDTTL is how long all gateways know whose something is that a provider stores,
// after it was last asked for.
const storedIDTTL = 30 * 24 * time.Hour

func storedIDName(upstream, id string) string { return "made\n" + upstream + "\n" + id }

// noteID remembers that the answer of an upstream told an id to a caller, who had asked for
// an alias, here and for other gateways.
func (h *Host) noteID(caller, id, upstream, alias string) {
	if !h.storedIDs.note(caller, id, upstream, alias) || h.shared == nil {
		return
	}
	v := shared.Value{Name: storedIDName(upstream, id), Value: []byte(caller + "\n" + alias)}
	h.shared.Later(func(ctx context.Context) {
		_ = h.shared.PutNew(ctx, v, storedIDTTL) // else only this gateway knows
	})
}

// fetchID asks other gateways which of some upstreams stores what a caller names, unless
// that is known here. The error says that they can't be asked: the thing may be the
// caller's.
func (h *Host) fetchID(ctx context.Context, caller, id string, upstreams []string) error {
	if h.shared == nil || len(id) > maxStoredIDLen || slices.ContainsFunc(upstreams, func(u string) bool { return h.storedIDs.has(caller, id, u) }) {
		return nil
	}
	names := make([]string, len(upstreams))
	for i, u := range upstreams {
		names[i] = storedIDName(u, id)
	}
	values, err := h.shared.Get(ctx, names, storedIDTTL)
	if err != nil {
		return err
	}
	for i, v := range values {
		if who, alias, ok := strings.Cut(string(v), "\n"); ok && who == caller {
			h.storedIDs.note(caller, id, upstreams[i], alias)
		}
	}
	return nil
}

// forgetID forgets an id of a caller's, here and at other gateways.
func (h *Host) forgetID(ctx context.Context, caller, id, upstream string) {
	h.storedIDs.forget(caller, id, upstream)
	if h.shared != nil {
		_ = h.shared.Delete(ctx, []string{storedIDName(upstream, id)}) // the provider doesn't have it any more in any case
	}
}

// upstreamsOf returns the upstreams of targets, each once.
func upstreamsOf(targets []route.Target) (all []string) {
	for i := range targets {
		if u := targets[i].Upstream; !slices.Contains(all, u) {
			all = append(all, u)
		}
	}
	return all
}
