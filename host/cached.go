package host

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/admin"
	"github.com/kai-gateway/kai/host/cache"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/host/sse"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// caching says which answers are kept under a configuration, by alias; nil: none are. Aliases
// whose answers are not kept are not in it.
type caching struct {
	store    cache.Store
	scope    string // as the configuration has it
	maxEntry int    // bytes
	aliases  map[string]config.ModelCache
}

func (h *Host) cachingOf(c *config.Config) *caching {
	if !c.Cache.Enabled {
		return nil
	}
	k := &caching{store: h.cache, scope: c.Cache.Scope, maxEntry: int(c.Cache.MaxEntry), aliases: map[string]config.ModelCache{}}
	if h.shared != nil && c.Cache.Shared {
		k.store = &sharedAnswers{h.shared, h.cache, h.memory, &h.unsent, k.maxEntry}
	}
	for _, m := range c.Models {
		if !m.Cache.Off {
			k.aliases[m.Alias] = m.Cache
		}
	}
	return k
}

// cacheSize is how many bytes of answers may be kept.
func (h *Host) cacheSize(c *config.Config) int64 {
	if !c.Cache.Enabled {
		return 0
	}
	return min(int64(c.Cache.Size), h.memory.Max()/4)
}

// cacheUse is how a request uses the cache.
type cacheUse struct {
	key      cache.Key
	ttl      time.Duration
	maxEntry int
	found    []cache.Part // the answer; nil: there is none
	age      time.Duration
	recorder *cache.Recorder // of the answer that is being made
}

// The header that says whether an answer was kept, and that asks for one that may be.
const (
	cacheHeader = "X-Kai-Cache"
	cacheHit    = "hit"
	cacheMiss   = "miss"
)

// lookUpCache looks for a kept answer to the request, if it is one whose answers are kept. It
// comes before the request takes anything of the limits. Whatever goes wrong here, the
// request goes on without the cache.
//
// Requests that could pass as they are take no part, because the provider's own API says
// more than facts can. Requests that name what a provider keeps take no part, either.
func (c *call) lookUpCache(ctx context.Context) {
	all := c.gateway.caching
	if all == nil || c.native != nil || c.request.Untranslated != nil || len(c.request.IDs) > 0 {
		return
	}
	rule, ok := all.aliases[c.plan.Alias]
	asked := c.http.Request.Header
	noCache, noStore := cacheControl(asked)
	if !ok || noStore || rule.When == "asked" && !strings.EqualFold(asked.Get(cacheHeader), "use") {
		return
	}
	switch c.request.Op {
	case abi.Chat, abi.Completions, abi.Embeddings:
	default:
		return
	}
	who := key.PrincipalFrom(ctx)
	k := &cacheUse{ttl: time.Duration(rule.TTL), maxEntry: all.maxEntry}
	if k.key, ok = c.cacheKey(ctx, &who, all.scope, rule.When); !ok {
		return
	}
	c.cacheUse = k
	if !noCache {
		c.findCached(ctx, k)
	}
	if k.found != nil {
		return
	}
	c.noteCache(cacheMiss)
}

// findCached looks for the answer.
func (c *call) findCached(ctx context.Context, k *cacheUse) {
	e, ok := c.gateway.caching.store.Get(ctx, k.key)
	if !ok {
		return
	}
	// A reload may have made ttl shorter, and the clocks of gateways that share answers may
	// differ.
	if k.age = max(0, c.gateway.now().Sub(e.Created)); k.age >= k.ttl {
		return
	}
	// A stream holds all that is made of it until its end, and what others keep was copied.
	if c.memory.Hold(cache.ReadBytes(e.Value)+2*int64(len(e.Value))) == nil {
		k.found, _ = cache.Read(e.Value) // nil if it is broken
	}
}

// noteCache tells the client and the record whether the answer was kept.
func (c *call) noteCache(result string) {
	c.header(cacheHeader, result)
	c.http.Record.Cache = result
}

// countCached counts what the cache did for a request.
func (h *Host) countCached(result string) {
	switch result {
	case cacheHit:
		h.hits.Add(1)
	case cacheMiss:
		h.misses.Add(1)
	}
}

// cacheState is how the cache is doing, for the admin listener; nil: there is none.
func (g *generation) cacheState() *admin.Cache {
	if g.caching == nil {
		return nil
	}
	h := g.host
	entries, bytes := h.cache.Held()
	return &admin.Cache{
		Entries: int64(entries), Memory: admin.Use{Used: bytes, Max: h.cacheSize(g.config)},
		Requests: map[string]int64{cacheHit: h.hits.Load(), cacheMiss: h.misses.Load()},
	}
}

// cacheControl reads what the header Cache-Control of a client says.
func cacheControl(h http.Header) (noCache, noStore bool) {
	for _, line := range h.Values("Cache-Control") {
		for word := range strings.SplitSeq(line, ",") {
			switch strings.ToLower(strings.TrimSpace(word)) {
			case "no-cache":
				noCache = true
			case "no-store":
				noStore = true
			}
		}
	}
	return noCache, noStore
}

// cacheKey is the key of the request's answer: who asks, what is asked, and which targets are
// asked. ok is false if the answer must not be kept.
//
// The targets are those of the first tier that this caller may be led to, since only their
// answers are kept. An adapter without an upstream may name all models that the caller may
// use. The key also says whether this caller may choose models at the upstream.
func (c *call) cacheKey(ctx context.Context, who *key.Principal, scope, when string) (k cache.Key, ok bool) {
	h := cache.NewHash()
	h.Text(scopeOf(who, scope))
	h.Text(strconv.FormatBool(who.Routes))
	h.Text(c.plan.Alias)
	h.Text(c.request.Op.String())
	h.Number(c.request.Inputs)
	h.Number(c.request.InputsAtOnce)
	targets, cold := 0, true
	first := c.plan.FirstTier()
	for i := range first {
		t := &first[i]
		if !mayLeadTo(who, t) {
			continue
		}
		targets++
		p := c.gateway.providers[t.Provider]
		h.Text(t.Provider)
		h.Text(p.config.BaseURL)
		h.Bytes(p.identity.digest[:])
		h.Text(t.Model)
		if p.config.BaseURL == "" {
			h.Bytes(c.gateway.withModels(ctx, t.Options))
		} else {
			h.Bytes(t.Options)
		}
		cold = cold && isZero(sdk.JSON(t.Options).Get("temperature"))
	}
	h.Number(targets)
	temperature, ok := c.hashBody(h)
	switch {
	case !ok || targets == 0:
		return k, false
	case when == "deterministic" && c.request.Op != abi.Embeddings:
		if temperature.Kind() == sdk.KindAbsent || temperature.Kind() == sdk.KindNull {
			ok = cold
		} else {
			ok = isZero(temperature)
		}
	}
	return h.Key(), ok
}

// isZero reports whether a value is the number 0.
func isZero(v sdk.JSON) bool {
	x, ok := v.Float()
	return ok && x == 0
}

// scopeOf names the group of callers that share answers.
func scopeOf(who *key.Principal, scope string) string {
	switch {
	case scope == "all":
		return scope
	case scope == "group" && len(who.Groups) > 0:
		return "group " + who.Groups[0]
	}
	return "key " + who.Name
}

// hashBody adds the request to the hash: in the form for all adapters and, if there is
// another one, in the form for an adapter that takes every extension. ok is false if there
// is no memory for that.
func (c *call) hashBody(h *cache.Hash) (temperature sdk.JSON, ok bool) {
	bodies := []dialect.Body{c.body}
	if form := c.request.Form; form != nil {
		full, err := form(func(string) bool { return true })
		if err != nil {
			return nil, false
		}
		bodies = append(bodies, full)
		defer form(func(string) bool { return false }) // Fault speaks of the form that was asked for last
	}
	for _, body := range bodies {
		size := body.Len(false)
		if c.memory.Hold(size) != nil {
			return nil, false
		}
		short, refs := body.Short("")
		var err error
		temperature, err = h.Members(short, refs.Pieces)
		c.memory.Drop(size)
		if err != nil {
			return nil, false
		}
	}
	h.Number(len(bodies))
	return temperature, true
}

// respond answers with what is kept, or else asks the targets.
func (c *call) respond(ctx context.Context, begin func(native bool) answer) error {
	k := c.cacheUse
	if k == nil {
		return c.attempts(ctx, begin)
	}
	if k.found != nil {
		before := c.memory.Used()
		err := c.replay(begin(false))
		if err == nil || errors.Is(err, sse.ErrGone) || ctx.Err() != nil {
			return err
		}
		// The kept answer can't be given in this API. Nothing of it was sent.
		c.memory.Drop(c.memory.Used() - before)
		c.noteCache(cacheMiss)
		k.found = nil
		if err := c.readmit(ctx); err != nil {
			return err
		}
	}
	return c.attempts(ctx, func(native bool) answer {
		k.recorder = cache.NewRecorder(c.memory, k.maxEntry)
		return &recordedAnswer{begin(native), k.recorder}
	})
}

// replay answers with what is kept. If it fails, nothing was sent, unless the error says
// that the client is gone.
func (c *call) replay(a answer) error {
	c.remember()
	for _, part := range c.cacheUse.found {
		if err := a.part(part.Inputs); err != nil {
			return err
		}
		if err := a.apply(part.Emissions); err != nil {
			return err
		}
		if part.Ended {
			a.EndMark()
		}
	}
	r := c.http.Record
	r.Provider, r.UpstreamModel, r.Cost.Known = "", "", c.gateway.prices != nil // it costs nothing
	c.header("Age", strconv.FormatInt(int64(c.cacheUse.age/time.Second), 10))
	c.noteCache(cacheHit)
	return a.end()
}

// keep keeps the answer of an attempt that succeeded, if it is worth it: complete, counted
// by its provider, and from a target that was asked first.
func (c *call) keep(ctx context.Context, target *route.Target, o *outcome) {
	k := c.cacheUse
	first := func(t route.Target) bool { return t.ID == target.ID }
	if k == nil || o.tokens < 0 || o.usage.Estimated || c.http.Record.Instead != "" || !slices.ContainsFunc(c.plan.FirstTier(), first) {
		return
	}
	if value, ok := k.recorder.Value(); ok {
		c.gateway.caching.store.Put(ctx, k.key, cache.Entry{Value: value, Created: c.gateway.now()}, k.ttl)
	}
}

// recordedAnswer is an answer that is also recorded, so that it can be kept.
type recordedAnswer struct {
	answer
	recorder *cache.Recorder
}

func (a *recordedAnswer) part(inputs int) error {
	a.recorder.Part(inputs)
	return a.answer.part(inputs)
}

func (a *recordedAnswer) apply(ems []abi.Emission) error {
	err := a.answer.apply(ems)
	if err != nil {
		a.recorder.GiveUp()
		return err
	}
	a.recorder.Add(ems)
	return nil
}

func (a *recordedAnswer) pass(contentType string, piece []byte, flush bool) error {
	a.recorder.GiveUp()
	return a.answer.pass(contentType, piece, flush)
}

func (a *recordedAnswer) EndMark() {
	a.recorder.Ended()
	a.answer.EndMark()
}
