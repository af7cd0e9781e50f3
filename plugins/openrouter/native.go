package openrouter

import (
	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/plugins/internal/openaichat"
	"github.com/kai-gateway/kai/plugins/internal/passing"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// OpenRouter has two more APIs:
// https://openrouter.ai/docs/api/reference/responses/overview (in beta) and
// https://openrouter.ai/docs/api/api-reference/anthropic-messages/create-messages
var others = passing.Dialect{Name: "OpenRouter", Failure: func(op abi.Op, head sdk.Head, e sdk.JSON) error {
	return inTerms(op, failure(0, head, e))
}}

// state is what is remembered between the events of a stream.
type state struct {
	openaichat.State
	Usage passing.Usage // of a message that passes
}

// inTerms returns an error that is in terms of chat in those of another API.
func inTerms(op abi.Op, err error) error {
	if op == abi.Responses {
		return errortext.InResponses(err)
	}
	return err
}

// passOn sends a request of another API as the client wrote it, with the options that say who
// asks, and which models and providers may be asked. OpenRouter keeps no responses.
func passOn(r *sdk.Request, out *sdk.Out) error {
	up := sdk.Upstream{Path: "/messages", Framing: abi.Whole, Body: r.Body}
	o := readOptions(r.Options)
	if r.Op == abi.Responses {
		up.Path = "/responses"
		if id := r.Body.Get("previous_response_id"); id.Kind() == sdk.KindString {
			return &sdk.Error{
				Status: 400, Type: sdk.InvalidRequest, Code: "previous_response_not_found", Param: "previous_response_id",
				Message: "previous_response_id: OpenRouter keeps no responses; send the whole conversation in input",
			}
		}
	} else {
		client := r.Options.Get("client_headers")
		up.Headers = []string{passing.Version(client)}
		if beta, _ := client.Get("anthropic-beta").Str(); beta != "" {
			up.Headers = append(up.Headers, "anthropic-beta: "+beta)
		}
		o = o.without("reasoning") // which is chat's and that of Responses
	}
	if r.Stream {
		up.Framing = abi.SSE
	}
	if o.any {
		up.Headers = append(up.Headers, o.headers...)
		up.Body = o.addMissing(r.Body)
	}
	out.Send(up)
	return nil
}

// passed passes on a whole answer of another API. Where it isn't, the gateway translates.
func passed(r *sdk.Response, s *state, out *sdk.Out) error {
	if r.Status >= 200 && r.Status <= 299 {
		return others.Whole(r, &s.Usage, out)
	}
	return inTerms(r.Op, passing.Unserved(refused(r), r.Status, "There is no "+r.Op.String()+" API below the provider's base_url, and this request can't be translated into a chat completion. "+
		"Is base_url right? Else set the option "+r.Op.String()+" to false."))
}
