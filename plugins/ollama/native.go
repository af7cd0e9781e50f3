package ollama

import (
	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/plugins/internal/passing"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Ollama imitates two more APIs, from 0.13.3 and 0.14 on. Their errors are the same, but for
// their form.
var others = passing.Dialect{Name: "Ollama", Failure: failure}

// failure explains an error within an answer.
func failure(_ abi.Op, _ sdk.Head, e sdk.JSON) error {
	text, _ := e.Get("message").Str()
	if e.Kind() == sdk.KindString {
		text, _ = e.Str()
	}
	code, _ := e.Get("code").Str()
	status := passing.StatusOf(code)
	if status == 0 {
		status = 500
	}
	return explain(status, text, "", &state{})
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
func passed(r *sdk.Response, s *state, out *sdk.Out) error {
	if r.Status >= 200 && r.Status <= 299 {
		return others.Whole(r, &s.Usage, out)
	}
	plain := *r
	if message := sdk.JSON(r.Body).Get("error").Get("message"); message.Kind() == sdk.KindString {
		var w sdk.Writer
		w.Object()
		w.Key("error").Raw(message)
		w.End()
		plain.Body = w.Bytes()
	}
	err := passing.Unserved(failed(&plain, &state{}), r.Status, tooOld(r.Op))
	if r.Op == abi.Responses {
		return errortext.InResponses(err)
	}
	return err
}

// tooOld says that the server has nothing where an API should be.
func tooOld(op abi.Op) string {
	since := "0.14"
	if op == abi.Responses {
		since = "0.13.3"
	}
	return "This Ollama has no /v1/" + op.String() + ", and this request can't be translated into a chat: Ollama has that API since version " + since +
		". Update it, or set the option " + op.String() + " to false. base_url must be the root of the server."
}
