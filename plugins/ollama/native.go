package ollama

import (
	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/plugins/internal/passing"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Ollama imitates two more APIs, from 0.13.3 and 0.14 on. Their errors are the same, but for
// their form.
var others = passing.Dialect{Name: "Ollama", Failure: broken}

// broken explains an error within an answer.
func broken(_ abi.Op, _ sdk.Head, e sdk.JSON) error {
	text, _ := e.Get("message").Str()
	if e.Kind() == sdk.KindString {
		text, _ = e.Str()
	}
	return explain(500, text, "", &state{})
}

// passOn sends a request of another API as the client wrote it. Ollama takes a
// previous_response_id and ignores it: the model would have forgotten the conversation.
func passOn(r *sdk.Request, out *sdk.Out) error {
	up := sdk.Upstream{Path: "/v1/messages", Framing: abi.Whole, Body: r.Body}
	if r.Op == abi.Responses {
		up.Path = "/v1/responses"
		if id := r.Body.Get("previous_response_id"); id.Kind() == sdk.KindString {
			e := refuse("previous_response_id", "previous_response_id: Ollama keeps no responses; send the whole conversation in input")
			e.Code = "previous_response_not_found"
			return e
		}
	}
	if r.Stream {
		up.Framing = abi.SSE
	}
	out.Send(up)
	return nil
}

// passed passes on a whole answer of another API. A server without it makes the gateway
// translate.
func passed(r *sdk.Response, out *sdk.Out) error {
	if r.Status >= 200 && r.Status <= 299 {
		return others.Whole(r, out)
	}
	plain := *r
	if message := sdk.JSON(r.Body).Get("error").Get("message"); message.Kind() == sdk.KindString {
		var w sdk.Writer
		w.Object()
		w.Key("error").Raw(message)
		w.End()
		plain.Body = w.Bytes()
	}
	err := passing.Unserved(failed(&plain, &state{}), r.Status)
	if r.Op == abi.Responses {
		return errortext.InResponses(err)
	}
	return err
}
