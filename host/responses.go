package host

import (
	"context"

	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/responses"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/key"
)

// parseResponses returns what reads requests of the Responses API.
func (g *generation) parseResponses() dialect.Parse {
	return responses.Parse(responses.Options{Store: g.remembered(), MaxBody: g.host.maxBody(g.config)})
}

// remembered is what clients of the Responses API refer to; nil if nothing is remembered.
func (g *generation) remembered() responses.Store {
	if g.config.Responses.Memory == 0 {
		return nil
	}
	return g.host.responses
}

// getResponse answers GET /v1/responses/{id} with a response that is remembered.
func (g *generation) getResponse(ctx context.Context, x *api.Exchange) error {
	if x.Request.URL.Query().Get("stream") == "true" {
		return &fault.Error{
			Kind: fault.Invalid, Code: "unsupported_parameter", Param: "stream",
			Text: "stream: not supported: Kai remembers responses, and not their events; leave it out",
		}
	}
	body, err := responses.Find(ctx, g.remembered(), key.PrincipalFrom(ctx).Name, x.Parameter())
	if err != nil {
		return err
	}
	return x.JSON(200, body)
}

// deleteResponse answers DELETE /v1/responses/{id}: the response is forgotten.
func (g *generation) deleteResponse(ctx context.Context, x *api.Exchange) error {
	body, err := responses.Delete(ctx, g.remembered(), key.PrincipalFrom(ctx).Name, x.Parameter())
	if err != nil {
		return err
	}
	return x.JSON(200, body)
}
