package dialect

import (
	"strconv"

	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/sdk/abi"
)

// count is how many tokens a request has.
type count struct {
	*facts.Result
	before string
}

// NewCount makes a whole answer that is an object whose last field is a count of tokens. before
// is the object up to the number.
func NewCount(i Info, before string) Answer {
	return count{facts.NewResult(facts.Options{Memory: i.Memory, MaxHeld: i.MaxHeld}), before}
}

// Apply adds the emissions of one adapter call, and appends nothing. The error is a
// *fault.Error.
func (c count) Apply(dst []byte, ems []abi.Emission) ([]byte, error) { return dst, c.Result.Apply(ems) }

// EndMark does nothing: without a RESULT there is no answer.
func (count) EndMark() {}

// Sent does nothing: the count is appended once.
func (count) Sent(bool) {}

// End appends the object. The error is a *fault.Error if the RESULT is missing, or is no
// count.
func (c count) End(dst []byte) ([]byte, error) {
	n, err := c.Tokens()
	if err != nil {
		return dst, err
	}
	return append(strconv.AppendInt(append(dst, c.before...), n, 10), '}'), nil
}
