// Package tokencount states the answer of the operation count.
package tokencount

import (
	"strconv"

	"github.com/kai-gateway/kai/sdk"
)

// State states v as a count. It reports false, and states nothing, if v can't be one.
func State(v sdk.JSON, out *sdk.Out) bool {
	n, ok := v.Int()
	if !ok || n < 0 {
		return false
	}
	b := append(make([]byte, 0, 48), `{"input_tokens":`...)
	out.Result(append(strconv.AppendInt(b, n, 10), '}'))
	return true
}
