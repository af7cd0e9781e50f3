package errortext

import (
	"strings"

	"github.com/kai-gateway/kai/sdk"
)

// What adapters say, at the beginning of a sentence or behind the server's name, of messages that
// are too long, and of a server that has nothing at the path of chat completions.
const (
	TooLong = "The messages are longer than the model's context"
	NoChat  = "has no chat completions at this place"
)

// Instead says of an error that is in terms of chat what it means for another operation. That
// there is nothing at the operation's place means that the server doesn't have it.
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
	nothing := strings.Contains(e.Own, NoChat)
	inTerms(e, param, tooLong, what)
	if nothing {
		e.Status, e.Type, e.Code, e.Param, e.NoRetry = 400, sdk.InvalidRequest, "unsupported_operation", "model", false
		e.Message = strings.Replace(e.Message, " Check the provider's base_url", " If it should have, check the provider's base_url", 1)
	}
	return e
}

func inTerms(e *sdk.Error, param, tooLong, what string) {
	if e.Param == "messages" {
		e.Param = param
	}
	for _, text := range []*string{&e.Message, &e.Own} {
		*text = strings.Replace(*text, TooLong, tooLong, 1)
		*text = strings.Replace(*text, NoChat, "has no "+what+" at this place", 1)
	}
}

// InCompletions is Instead for completions.
func InCompletions(err error) error {
	return Instead(err, "prompt", "The prompt and the answer are longer than the model's context", "completions")
}

// InEmbeddings is Instead for embeddings.
func InEmbeddings(err error) error {
	return Instead(err, "input", "The input is longer than the model takes", "embeddings")
}

// InResponses says of an error that is in terms of chat what it means for the Responses API.
func InResponses(err error) error {
	if e, ok := err.(*sdk.Error); ok {
		inTerms(e, "input", "The input is longer than the model's context", "Responses API")
	}
	return err
}
