package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/kai-gateway/kai/host/fault"
)

func (s *server) listModels(ctx context.Context, x *Exchange) error {
	return x.JSON(http.StatusOK, x.dialect.AppendModels(nil, s.Models(ctx)))
}

// getModel finds a model by an ID that may contain slashes, percent-encoded or not.
func (s *server) getModel(ctx context.Context, x *Exchange) error {
	id := x.Parameter()
	if id == "" {
		return s.unknownPath(x.Request)
	}
	m, ok := s.Model(ctx, id)
	if !ok {
		return &fault.Error{
			Kind: fault.NotFound, Code: "model_not_found",
			Param: "model",
			Text:  "Model '" + fault.Shown(id, fault.MaxShown) + "' not found" + s.Suggest(ctx, id),
		}
	}
	return x.JSON(http.StatusOK, x.dialect.AppendModel(nil, m))
}

// answer answers with v as JSON. It is for the small answers of the gateway itself.
func (x *Exchange) answer(status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return x.JSON(status, b)
}
