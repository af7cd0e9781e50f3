package responses

import (
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

func TestWhatClientsDoAboutAFailure(t *testing.T) {
	for name, tc := range map[string]struct {
		err  fault.Error
		code string
		text string // default: the error's
	}{
		"a conversation that is too long":             {err: fault.Error{Kind: fault.Context, Code: "context_length_exceeded", Text: "Too long."}, code: "context_length_exceeded"},
		"too many requests":                           {err: fault.Error{Kind: fault.Rate, Text: "Slow down.", RetryAfter: 1500 * time.Millisecond}, code: "rate_limit_exceeded", text: "Slow down. Please try again in 1.5s."},
		"too many requests for a minute":              {err: fault.Error{Kind: fault.Rate, Text: "Slow down.", RetryAfter: time.Minute}, code: "rate_limit_exceeded", text: "Slow down. Please try again in 60s."},
		"too many requests for part of a ms":          {err: fault.Error{Kind: fault.Rate, Text: "Slow down.", RetryAfter: 1500*time.Millisecond + 1}, code: "rate_limit_exceeded", text: "Slow down. Please try again in 1.501s."},
		"too many requests, and nobody says how long": {err: fault.Error{Kind: fault.Rate, Text: "Slow down."}, code: "rate_limit_exceeded"},
		"a text that says how long":                   {err: fault.Error{Kind: fault.Rate, Text: "Please Try again in 20ms.", RetryAfter: time.Second}, code: "rate_limit_exceeded"},
		"a 429 of another kind":                       {err: fault.Error{Kind: fault.Upstream, OwnStatus: 429, Text: "m"}, code: "rate_limit_exceeded"},
		"a quota that is used up":                     {err: fault.Error{Kind: fault.Quota, Code: "insufficient_quota", Text: "m", RetryAfter: time.Second}, code: "insufficient_quota"},
		"a rule about content":                        {err: fault.Error{Kind: fault.Policy, Code: "content_policy_violation", Text: "m"}, code: "invalid_prompt"},
		"a request that the provider refuses":         {err: fault.Error{Kind: fault.Refused, OwnStatus: 422, Text: "m"}, code: "invalid_prompt"},
		"a request that is not allowed":               {err: fault.Error{Kind: fault.Forbidden, Text: "m"}, code: "invalid_prompt"},
		"a conflict that may be over":                 {err: fault.Error{Kind: fault.Refused, OwnStatus: 409, Text: "m"}, code: "server_error"},
		"a provider without room":                     {err: fault.Error{Kind: fault.Busy, Code: "overloaded", Text: "m", RetryAfter: time.Second}, code: "server_is_overloaded"},
		"a provider that says so itself":              {err: fault.Error{Kind: fault.Busy, Code: "slow_down", Text: "m"}, code: "slow_down"},
		"a rule of OpenAI's":                          {err: fault.Error{Kind: fault.Refused, OwnStatus: 400, Code: "cyber_policy", Text: "m"}, code: "cyber_policy"},
		"a picture that can't be read":                {err: fault.Error{Kind: fault.Refused, OwnStatus: 400, Code: "image_parse_error", Text: "m"}, code: "image_parse_error"},
		"a search that took too long":                 {err: fault.Error{Kind: fault.Slow, Code: "vector_store_timeout", Text: "m"}, code: "vector_store_timeout"},
		"a code that nobody knows":                    {err: fault.Error{Kind: fault.Upstream, Code: "novel", Text: "m"}, code: "server_error"},
		"a gateway without room":                      {err: fault.Error{Kind: fault.Full, Code: "busy", Text: "m"}, code: "server_error"},
		"a provider that broke":                       {err: fault.Error{Kind: fault.Upstream, Code: "upstream_error", Text: "m"}, code: "server_error"},
		"a provider that is slow":                     {err: fault.Error{Kind: fault.Slow, Text: "m"}, code: "server_error"},
		"the gateway's own mistake":                   {err: fault.Error{Text: "m"}, code: "server_error"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.text == "" {
				tc.text = tc.err.Text
			}
			if code, text := failureCode(&tc.err), failureText(&tc.err); code != tc.code || text != tc.text {
				t.Errorf("got %s, %q, want %s, %q", code, text, tc.code, tc.text)
			}
		})
	}
}
