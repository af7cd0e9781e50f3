package passed

import (
	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// answer is what the provider answered, with the alias as the name of the model.
type answer struct {
	*facts.Result
	info dialect.Info
	out  []byte
}

var _ dialect.Answer = (*answer)(nil)

func newAnswer(i dialect.Info) *answer {
	a := &answer{info: i}
	a.Result = facts.TakeResult(a.take)
	return a
}

// take keeps a RESULT.
func (a *answer) take(data []byte) *fault.Error {
	out, err := a.info.Memory.Grow(a.out, len(data)+6*len(a.info.Model)+len(`""`))
	if err != nil {
		return outOfMemory(err)
	}
	a.out = appendAs(out, data, a.info.Model)
	return nil
}

func outOfMemory(err error) *fault.Error {
	return &fault.Error{Kind: fault.Share, Code: "out_of_memory", Cause: err, Text: "Kai has no memory left for the answer."}
}

// appendAs appends an answer, JSON, with the alias in place of the model that it names, if
// it names one.
func appendAs(dst, answer []byte, alias string) []byte {
	done := 0
	for f := body.FieldsOf(answer); f.Next(); {
		if string(f.Key()) == "model" && f.Kind() == sdk.KindString {
			dst = facts.AppendString(append(dst, answer[done:f.At()]...), alias)
			done = f.At() + len(f.Value())
		}
	}
	return append(dst, answer[done:]...)
}

// Apply adds the emissions of one adapter call, and appends nothing. The error is a
// *fault.Error.
func (a *answer) Apply(dst []byte, ems []abi.Emission) ([]byte, error) {
	return dst, a.Result.Apply(ems)
}

// EndMark does nothing: without a RESULT there is no answer.
func (*answer) EndMark() {}

// Sent does nothing: the answer is appended once.
func (*answer) Sent(bool) {}

// End appends the answer. The error is a *fault.Error if there was no RESULT.
func (a *answer) End(dst []byte) ([]byte, error) {
	if _, err := a.Result.End(); err != nil {
		return dst, err
	}
	if len(dst) == 0 {
		return a.out, nil // it may be large
	}
	return append(dst, a.out...), nil
}
