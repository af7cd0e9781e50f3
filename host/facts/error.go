package facts

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

// DecodeError turns the payload of an ERROR emission into the error that the client gets.
// If the status is not that of an error, the provider has failed, and it becomes 502. A
// missing message is replaced by one that says so.
func DecodeError(payload []byte) *fault.Error {
	var e struct {
		Status       int    `json:"status"`
		Type         string `json:"type"`
		Code         string `json:"code"`
		Param        string `json:"param"`
		Message      string `json:"message"`
		RetryAfterMS int64  `json:"retry_after_ms"`
		NoRetry      bool   `json:"no_retry"`
		Own          string `json:"own"`
	}
	// A field of a wrong type is skipped; the others are still filled in.
	err := json.Unmarshal(payload, &e)
	if e.Status < 400 || e.Status > 599 {
		e.Status = 502
	}
	if e.Message == "" {
		e.Message = "The provider reported an error without a message."
	}
	failed := &fault.Error{
		Kind: fault.FromAdapter(e.Status, e.Code), Type: e.Type, Code: e.Code, Param: e.Param, Text: e.Message, Foreign: true, NoRetry: e.NoRetry, Own: e.Own, Cause: err,
		RetryAfter: time.Duration(min(max(e.RetryAfterMS, 0), math.MaxInt64/int64(time.Millisecond))) * time.Millisecond,
	}
	if failed.HTTPStatus() != e.Status {
		failed.OwnStatus = e.Status
	}
	return failed
}

// protocolError is the error for an adapter that broke the protocol.
func protocolError(format string, args ...any) *fault.Error {
	return &fault.Error{
		Kind: fault.Adapter, Code: "adapter_error",
		Text: "The provider's adapter broke its protocol: " + fmt.Sprintf(format, args...) + ".",
	}
}

// namelessError is the error for a tool call that never got a name.
func namelessError() *fault.Error {
	return &fault.Error{
		Kind: fault.Upstream, Code: "upstream_error",
		Text: "The model called a tool without naming it. The request may be repeated.",
	}
}

// lateError is the error for content that comes after the finish reason is final.
func lateError() *fault.Error {
	return &fault.Error{
		Kind: fault.Upstream, Code: "upstream_error",
		Text: "The provider went on after the end of its answer.",
	}
}

// incompleteError is the error for an answer that ended without a FINISH.
func incompleteError() *fault.Error {
	return &fault.Error{
		Kind: fault.Upstream, Code: "upstream_error",
		Text: "The provider ended its answer before it was complete.",
	}
}

// tooManyError is the error for an object with too many fields.
func tooManyError(what string) *fault.Error {
	return protocolError("more than %d fields in %s", maxFields, what)
}

// tooLargeError is the error for an answer of which more than max bytes would be kept.
func tooLargeError(max int) *fault.Error {
	return &fault.Error{
		Kind: fault.Upstream, Code: "upstream_error",
		Text: fmt.Sprintf("The provider's answer is larger than %d MiB, the most that Kai keeps of one. Ask for less at a time, or for a stream.", max>>20),
	}
}

// memoryError is the error for an answer that would need too much memory.
func memoryError(err error) *fault.Error {
	return &fault.Error{Kind: fault.Share, Code: "out_of_memory", Cause: err, Text: "Kai has no memory left for the answer."}
}
