package messages

import (
	"strconv"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// count is how many tokens a request has.
type count struct{ *facts.Result }

func newCount(i dialect.Info) dialect.Answer {
	return count{facts.NewResult(facts.Options{Memory: i.Memory, MaxHeld: i.MaxHeld})}
}

// Apply adds the emissions of one adapter call, and appends nothing. The error is a
// *fault.Error.
func (c count) Apply(dst []byte, ems []abi.Emission) ([]byte, error) { return dst, c.Result.Apply(ems) }

// EndMark does nothing: without a RESULT there is no answer.
func (count) EndMark() {}

// Sent does nothing: the count is appended once.
func (count) Sent(bool) {}

// End appends the count, {"input_tokens":123}. The error is a *fault.Error for a RESULT
// that is missing, or none.
func (c count) End(dst []byte) ([]byte, error) {
	result, err := c.Result.End()
	if err != nil {
		return dst, err
	}
	n, ok := sdk.JSON(result).Get("input_tokens").Int()
	if !ok || n < 0 {
		return dst, &fault.Error{Kind: fault.Adapter, Code: "adapter_error", Text: "The provider's adapter broke its protocol: a RESULT that counts no tokens."}
	}
	return append(strconv.AppendInt(append(dst, `{"input_tokens":`...), n, 10), '}'), nil
}
