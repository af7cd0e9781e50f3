package errortext

import (
	"errors"
	"testing"

	"github.com/kai-gateway/kai/sdk"
)

func TestInsteadOfChat(t *testing.T) {
	for name, tc := range map[string]struct {
		say  func(error) error
		from sdk.Error
		want sdk.Error
	}{
		"a prompt that is too long": {
			InCompletions, sdk.Error{Param: "messages", Message: "The messages are longer than the model's context: 9 tokens"},
			sdk.Error{Param: "prompt", Message: "The prompt and the answer are longer than the model's context: 9 tokens"},
		},
		"no completions": {
			InCompletions, sdk.Error{Message: "The provider has no chat completions at this place."}, sdk.Error{Message: "The provider has no completions at this place."},
		},
		"no embeddings": {
			InEmbeddings, sdk.Error{Message: "The provider has no chat completions at this place."}, sdk.Error{Message: "The provider has no embeddings at this place."},
		},
		"nothing at their place": {
			InEmbeddings, sdk.Error{Status: 502, Type: sdk.ServerError, Code: "upstream_error", NoRetry: true, Message: "The provider has no chat completions at this place: Not Found. Check the provider's base_url: it mostly ends in /v1.", Own: "The provider has no chat completions at this place."},
			sdk.Error{Status: 400, Type: sdk.InvalidRequest, Code: "unsupported_operation", Param: "model", Message: "The provider has no embeddings at this place: Not Found. If it should have, check the provider's base_url: it mostly ends in /v1.", Own: "The provider has no embeddings at this place."},
		},
		"a server that says it of itself": {
			InEmbeddings, sdk.Error{Status: 502, NoRetry: true, Message: "The provider failed: it has no chat completions at this place.", Own: "The provider failed."},
			sdk.Error{Status: 502, NoRetry: true, Message: "The provider failed: it has no embeddings at this place.", Own: "The provider failed."},
		},
		"nothing at the place of the Responses API": {
			InResponses, sdk.Error{Status: 502, Code: "upstream_error", NoRetry: true, Message: "The provider has no chat completions at this place."},
			sdk.Error{Status: 502, Code: "upstream_error", NoRetry: true, Message: "The provider has no Responses API at this place."},
		},
		"a text that is too long": {
			InEmbeddings, sdk.Error{Param: "messages", Message: "The messages are longer than the model's context."}, sdk.Error{Param: "input", Message: "The input is longer than the model takes."},
		},
		"what is the same everywhere": {
			InEmbeddings, sdk.Error{Param: "model", Message: "The provider is busy."}, sdk.Error{Param: "model", Message: "The provider is busy."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got *sdk.Error
			if err := tc.say(&tc.from); !errors.As(err, &got) || *got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
	other := errors.New("another error")
	if InCompletions(other) != other || InCompletions(nil) != nil {
		t.Error("an error that is none of the SDK's was changed")
	}
}
