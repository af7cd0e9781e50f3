package host

import (
	"context"
	"errors"
	"time"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/responses"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/memory"
)

// responsesOptions say what requests of the Responses API may refer to.
func (g *generation) responsesOptions() responses.Options {
	return responses.Options{Store: g.remembered(), MaxBody: g.host.maxBody(g.config)}
}

// remembered returns the store of what clients of the Responses API refer to; nil if nothing
// is remembered.
func (g *generation) remembered() responses.Store {
	if g.config.Responses.Memory == 0 {
		return nil
	}
	if g.host.shared != nil {
		return &sharedResponses{g.host.shared, g.host.responses, time.Duration(g.config.Responses.TTL), int(g.config.Responses.Memory) / 4}
	}
	return g.host.responses
}

// getResponse answers GET /v1/responses/{id} with a response that is remembered, or that its
// provider keeps.
func (g *generation) getResponse(ctx context.Context, x *api.Exchange) error {
	if x.Request.URL.Query().Get("stream") == "true" {
		return &fault.Error{
			Kind: fault.Invalid, Code: "unsupported_parameter", Param: "stream",
			Text: "stream: not supported: Kai remembers responses, and not their events; leave it out",
		}
	}
	body, err := responses.Find(ctx, g.remembered(), key.PrincipalFrom(ctx).Name, x.Parameter())
	if fault.KindOf(err) == fault.NotFound {
		return g.askKeeper(ctx, x, "GET", "", err)
	}
	if err != nil {
		return err
	}
	if err := x.Memory.Hold(int64(len(body))); err != nil { // it may be forgotten while the client reads
		return api.Busy(err)
	}
	return x.JSON(200, body)
}

// listInput answers GET /v1/responses/{id}/input_items with what such a response was asked.
func (g *generation) listInput(ctx context.Context, x *api.Exchange) error {
	body, err := responses.Input(ctx, g.remembered(), key.PrincipalFrom(ctx).Name, x.Parameter(), x.Request.URL.Query(), x.Memory)
	full, noRoom := errors.AsType[*memory.Error](err)
	switch {
	case noRoom:
		return api.Busy(full)
	case fault.KindOf(err) == fault.NotFound:
		return g.askKeeper(ctx, x, "GET", responses.InputItems, err)
	case err != nil:
		return err
	}
	return x.JSON(200, body)
}

// deleteResponse answers DELETE /v1/responses/{id}: the response is forgotten.
func (g *generation) deleteResponse(ctx context.Context, x *api.Exchange) error {
	body, err := responses.Delete(ctx, g.remembered(), key.PrincipalFrom(ctx).Name, x.Parameter())
	if fault.KindOf(err) == fault.NotFound {
		return g.askKeeper(ctx, x, "DELETE", "", err)
	}
	if err != nil {
		return err
	}
	return x.JSON(200, body)
}

// cancelResponse answers POST /v1/responses/{id}/cancel. Only background responses can be
// cancelled, and there are none.
func (g *generation) cancelResponse(ctx context.Context, x *api.Exchange) error {
	caller := key.PrincipalFrom(ctx).Name
	_, err := responses.Find(ctx, g.remembered(), caller, x.Parameter())
	if fault.KindOf(err) == fault.NotFound {
		if _, _, err := g.keeperOf(ctx, caller, x.Parameter(), err); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	return &fault.Error{
		Kind: fault.Invalid, Code: "unsupported_operation",
		Text: "Only a response that was asked for with background can be cancelled, and Kai takes no such request. An answer ends when its client closes the connection.",
	}
}

// keeperOf returns the upstream that stores something of the caller's, and the alias that
// the caller had asked for. The error is missing if there is no such thing, or says that
// this can't be told.
func (g *generation) keeperOf(ctx context.Context, caller, id string, missing error) (upstream, alias string, err error) {
	var upstreams []string
	for _, p := range g.order {
		upstreams = append(upstreams, upstreamID(p.config))
	}
	unread := g.host.fetchID(ctx, caller, id, upstreams)
	for _, upstream := range upstreams {
		if alias, ok := g.host.storedIDs.alias(caller, id, upstream); ok {
			return upstream, alias, nil
		}
	}
	if unread != nil {
		return "", "", dialect.NotRead(unread)
	}
	return "", "", missing
}

// askKeeper asks the provider that stores something of the caller's. What is another
// caller's doesn't exist for this one.
//
//   - part: which part of it; "": all
//   - missing: the error if there is no such thing
func (g *generation) askKeeper(ctx context.Context, x *api.Exchange, method, part string, missing error) error {
	caller, id := key.PrincipalFrom(ctx).Name, x.Parameter()
	upstream, alias, err := g.keeperOf(ctx, caller, id, missing)
	if err != nil {
		return err
	}
	x.Record.ForModel = true
	k := responses.StoredRequest{Method: method, ID: id, Part: part, Query: responses.StoredQuery(x.Request.URL.Query()), Model: alias}
	err = g.answer(ctx, x, nil, responses.ParseStored(k), 0)
	if err == nil && method == "DELETE" {
		g.host.forgetID(ctx, caller, id, upstream)
	}
	return err
}
