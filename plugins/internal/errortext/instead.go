package errortext

import (
	"strings"

	"github.com/kai-gateway/kai/sdk"
)

// Instead says of an error that is in terms of chat what it means for another operation.
//
//   - param: the field of a request that is what the messages are in a chat
//   - tooLong: how a sentence begins that says that something is too long
//   - what: what there is none of at a place
//   - result: err itself, which is changed if it is a *sdk.Error
func Instead(err error, param, tooLong, what string) error {
	e, ok := err.(*sdk.Error)
	if !ok {
		return err
	}
	if e.Param == "messages" {
		e.Param = param
	}
	e.Message = strings.Replace(e.Message, "The messages are longer than the model's context", tooLong, 1)
	e.Message = strings.Replace(e.Message, "has no chat completions at this place", "has no "+what+" at this place", 1)
	return e
}

// InCompletions is Instead for completions.
func InCompletions(err error) error {
	return Instead(err, "prompt", "The prompt and the answer are longer than the model's context", "completions")
}

// InResponses is Instead for the Responses API.
func InResponses(err error) error {
	return Instead(err, "input", "The input is longer than the model's context", "Responses API")
}

// InEmbeddings is Instead for embeddings.
func InEmbeddings(err error) error {
	return Instead(err, "input", "The input is longer than the model takes", "embeddings")
}
