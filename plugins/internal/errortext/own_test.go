package errortext

import (
	"testing"

	"github.com/kai-gateway/kai/sdk"
)

// TestOwn: nothing that an upstream said stands in an error's own words, not even a part of it.
func TestOwn(t *testing.T) {
	for name, tc := range map[string]struct{ message, said, before, want string }{
		"nothing was said":           {"The server is away.", "", "", "The server is away."},
		"behind a colon":             {"The server refuses it: no", "no", "", "The server refuses it."},
		"with advice behind it":      {"It has no account: pay first Check the key.", "pay first", "", "It has no account. Check the key."},
		"a part of it":               {"There is no model 'secret'.", "model 'secret' not found", "", ""},
		"a part of it, told besides": {"There is no model 'secret'.", "model 'secret' not found", "There is no such model.", "There is no such model."},
		"twice":                      {"secret: secret", "secret", "", ""},
		"a name alone":               {"Provider: secret", "secret", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if e := Own(&sdk.Error{Message: tc.message, Own: tc.before}, tc.said); e.Own != tc.want {
				t.Errorf("Own = %q, want %q", e.Own, tc.want)
			}
		})
	}
}

func TestLacksOperation(t *testing.T) {
	for said, want := range map[string]bool{
		"The model does not support Embeddings API":                                                           true,
		"This server does not support embeddings. Start it with `--embeddings`":                               true,
		"This is a chat model and not supported in the v1/completions endpoint.":                              true,
		"models/x is not found for API version v1beta, or is not supported for embedContent. Call ListModels": true,
		"This model is not supported in the v1/images/generations endpoint.":                                  true,
		"This model is not supported in the v1/audio/speech endpoint.":                                        true,
		"No endpoints found that support embeddings for x":                                                    true,
		"The model does not support embeddings of more than 512 dimensions":                                   false,
		"This model does not support completions longer than 4096 tokens":                                     false,
		"This model does not support scores below zero":                                                       false,
		"You said: 'it does not support embeddings'":                                                          false,
	} {
		if got := LacksOperation(said); got != want {
			t.Errorf("LacksOperation(%q) = %v", said, got)
		}
	}
}

func TestIsTooLong(t *testing.T) {
	for said, want := range map[string]bool{
		"`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 200 `max_new_tokens`": true,
		"`max_new_tokens` must be <= 512. Given: 600":                                                              false, // of the answer alone
	} {
		if got := IsTooLong(said); got != want {
			t.Errorf("IsTooLong(%q) = %v", said, got)
		}
	}
}
