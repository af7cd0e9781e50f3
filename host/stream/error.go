package stream

import (
	"encoding/json"

	"github.com/kai-gateway/kai/sdk"
)

// DecodeError makes of the payload of an ERROR emission the error that the
// client gets. A status that is no HTTP error is 502, since what failed then is
// the provider; a missing message is replaced by one that says so.
func DecodeError(payload []byte) *sdk.Error {
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
	return &sdk.Error{
		Status:       e.Status,
		Type:         e.Type,
		Code:         e.Code,
		Param:        e.Param,
		Message:      e.Message,
		RetryAfterMS: max(e.RetryAfterMS, 0),
		NoRetry:      e.NoRetry,
		Err:          err,
	}
}
