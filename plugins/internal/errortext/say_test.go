package errortext

import (
	"testing"

	"github.com/kai-gateway/kai/sdk"
)

// TestSay: nothing that an upstream said stands in an error's own words.
func TestSay(t *testing.T) {
	for name, tc := range map[string]struct{ lead, said, advice, message, own string }{
		"nothing was said": {"The server is away", "", "", "The server is away.", "The server is away."},
		"behind a colon":   {"The server refuses it", "no.", "", "The server refuses it: no.", "The server refuses it."},
		"with advice":      {"It has no account", "Pay first.", " Check the key.", "It has no account: Pay first. Check the key.", "It has no account. Check the key."},
	} {
		t.Run(name, func(t *testing.T) {
			if e := Say(&sdk.Error{Message: "before", Own: "before"}, tc.lead, tc.said, tc.advice); e.Message != tc.message || e.Own != tc.own {
				t.Errorf("got %q and %q, want %q and %q", e.Message, e.Own, tc.message, tc.own)
			}
		})
	}
	for word, want := range map[string]string{"SAFETY": "SAFETY.", "": "", "two words": ""} {
		if got := Reason(word); got != want {
			t.Errorf("Reason(%q) = %q, want %q", word, got, want)
		}
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
