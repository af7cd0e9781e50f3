package api

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/julienschmidt/httprouter"
)

// model is an alias as OpenAI's API shows a model.
type model struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func modelOf(alias string) model { return model{ID: alias, Object: "model", OwnedBy: "kai"} }

func (s *server) listModels(x *Exchange, _ httprouter.Params) error {
	aliases := s.Models(x.Request.Context())
	list := struct {
		Object string  `json:"object"`
		Data   []model `json:"data"`
	}{Object: "list", Data: make([]model, len(aliases))}
	for i, alias := range aliases {
		list.Data[i] = modelOf(alias)
	}
	return x.answer(http.StatusOK, list)
}

// getModel finds a model by an ID that may hold slashes, percent-encoded or not.
func (s *server) getModel(x *Exchange, params httprouter.Params) error {
	id := params.ByName("id")[1:]
	if id == "" {
		return unknownPath(x.Request)
	}
	if !slices.Contains(s.Models(x.Request.Context()), id) {
		return &fault.Error{
			Kind: fault.NotFound, Code: "model_not_found",
			Param: "model",
			Text:  "Model '" + printable(id, maxShown) + "' not found" + s.Suggest(x.Request.Context(), id),
		}
	}
	return x.answer(http.StatusOK, modelOf(id))
}

// answer writes v as JSON, for the small answers of the gateway itself.
func (x *Exchange) answer(status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return x.JSON(status, b)
}
