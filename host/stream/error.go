package stream

import (
	"encoding/json"
	"math"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

// DecodeError makes of the payload of an ERROR emission the error that the
// client gets. A status that is no HTTP error is 502, since what failed then is
// the provider; a missing message is replaced by one that says so.
func DecodeError(payload []byte) *fault.Error {
	var e struct {
		Status       int    `json:"status"`
		Type         string `json:"type"`
		Code         string `json:"code"`
		Param        string `json:"param"`
		Message      string `json:"message"`
		RetryAfterMS int64  `json:"retry_after_ms"`
		NoRetry      bool   `json:"no_retry"`
	}
	// A field of another type is skipped and the others are still filled in.
	err := json.Unmarshal(payload, &e)
	if e.Status < 400 || e.Status > 599 {
		e.Status = 502
	}
	if e.Message == "" {
		e.Message = "The provider reported an error without a message."
	}
	failed := &fault.Error{
		Kind: fault.FromAdapter(e.Status, e.Code), Type: e.Type, Code: e.Code, Param: e.Param, Text: e.Message, NoRetry: e.NoRetry, Cause: err,
		RetryAfter: time.Duration(min(max(e.RetryAfterMS, 0), math.MaxInt64/int64(time.Millisecond))) * time.Millisecond,
	}
	if failed.HTTPStatus() != e.Status {
		failed.Status = e.Status
	}
	return failed
}
