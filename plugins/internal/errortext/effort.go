package errortext

import "github.com/kai-gateway/kai/sdk"

// RefusedEffort makes e say that the model refuses the client's reasoning_effort. The
// gateway repeats a request without it, if thinking was no more than a wish.
//
//   - value: the model takes other efforts
func RefusedEffort(e *sdk.Error, value bool) {
	e.Param, e.Code = "reasoning_effort", "unsupported_parameter"
	if value {
		e.Code = "unsupported_value"
	}
}
