package responses

import (
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

func TestWhoAsksTooOftenIsToldWhenToAskAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		err  fault.Error
		want time.Duration
	}{
		"a rate limit":                   {fault.Error{Kind: fault.Rate, Code: "rate_limit_exceeded"}, 5 * time.Second},
		"a rate limit by its status":     {fault.Error{Kind: fault.Refused, OwnStatus: 429}, 5 * time.Second},
		"a rate limit that says it":      {fault.Error{Kind: fault.Rate, RetryAfter: time.Second}, time.Second},
		"an account that is used up":     {fault.Error{Kind: fault.Quota, Code: "insufficient_quota"}, 0},
		"another status":                 {fault.Error{Kind: fault.Busy}, 0},
		"a rate limit with other status": {fault.Error{Kind: fault.Rate, OwnStatus: 503}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := tc.err
			if got := Dialect().Translate(&tc.err); got.RetryAfter != tc.want {
				t.Errorf("a repeat is allowed after %v, want %v", got.RetryAfter, tc.want)
			}
			if tc.err != before {
				t.Error("the error itself was changed")
			}
		})
	}
}
