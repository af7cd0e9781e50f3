package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/kai-gateway/kai/host/fault"
)

// model is an alias as OpenAI's API shows a model.
type model struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func modelOf(alias string) model { return model{ID: alias, Object: "model", OwnedBy: "kai"} }

func (s *server) listModels(ctx context.Context, x *Exchange) error {
	aliases := s.Models(ctx)
	list := struct {
		Object string  `json:"object"`
		Data   []model `json:"data"`
	}{Object: "list", Data: make([]model, len(aliases))}
	for i, alias := range aliases {
		list.Data[i] = modelOf(alias)
	}
	return x.answer(http.StatusOK, list)
}

// getModel finds a model by an ID that may contain slashes, percent-encoded or not.
func (s *server) getModel(ctx context.Context, x *Exchange) error {
	id := x.parameter
	if id == "" {
		return s.unknownPath(x.Request)
	}
	if !slices.Contains(s.Models(ctx), id) {
		return &fault.Error{
			Kind: fault.NotFound, Code: "model_not_found",
			Param: "model",
			Text:  "Model '" + printable(id, maxShown) + "' not found" + s.Suggest(ctx, id),
		}
	}
	return x.answer(http.StatusOK, modelOf(id))
}

// answer answers with v as JSON. It is for the small answers of the gateway itself.
func (x *Exchange) answer(status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return x.JSON(status, b)
}
