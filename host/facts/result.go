package facts

import (
	"bytes"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Result is what is known of the answer of an operation other than chat, which is one
// RESULT. Usage may come before it, beside it and after it. The rules for ERROR are
// those of an [Answer]. Only one goroutine may use it at a time.
type Result struct {
	data   []byte // nil: it has not come
	usage  usage
	ledger ledger
	max    int                            // bytes of data
	taker  func(data []byte) *fault.Error // gets the RESULT instead; nil: it is kept
}

// NewResult returns a Result whose RESULT has not come yet.
func NewResult(o Options) *Result {
	if o.MaxHeld <= 0 {
		o.MaxHeld = defaultMaxHeld
	}
	return &Result{max: o.MaxHeld, ledger: ledger{grant: o.Memory}}
}

// TakeResult returns a Result that keeps nothing. While Apply runs, it gives the RESULT to
// take, whose error Apply returns. End returns an empty RESULT.
func TakeResult(take func(data []byte) *fault.Error) *Result { return &Result{taker: take} }

// Apply adds the emissions of one adapter call.
//
//   - error: a *fault.Error: the adapter's ERROR, a breach of the protocol, or too
//     little memory. Only Usage may be called after it. Once the RESULT came after an
//     adapter call, errors of later ones are dropped.
func (r *Result) Apply(ems []abi.Emission) error {
	done := r.data != nil
	var failed *fault.Error
	for i := range ems {
		e := &ems[i]
		var err *fault.Error
		switch e.Kind {
		case abi.Usage:
			err = r.usage.merge(e)
		case abi.Error:
			err = DecodeError(e.Data)
		case abi.Result:
			if failed == nil {
				err = r.take(e.Data)
			}
		}
		if failed == nil && !done {
			failed = err
		}
	}
	if failed != nil {
		return failed
	}
	return nil
}

// take keeps the RESULT.
func (r *Result) take(data []byte) *fault.Error {
	switch {
	case r.data != nil:
		return protocolError("a second RESULT")
	case r.taker != nil:
		r.data = []byte{}
		return r.taker(data)
	case len(data) > r.max:
		return tooLargeError(r.max)
	}
	if err := r.ledger.grant.Hold(int64(len(data))); err != nil {
		return memoryError(err)
	}
	r.data = bytes.Clone(data)
	return nil
}

// Tokens returns the count in a RESULT such as {"input_tokens":123}. The error is a
// *fault.Error if there was none, or if it counts nothing.
func (r *Result) Tokens() (int64, error) {
	result, err := r.End()
	if err != nil {
		return 0, err
	}
	n, ok := sdk.JSON(result).Get("input_tokens").Int()
	if !ok || n < 0 {
		return 0, &fault.Error{Kind: fault.Adapter, Code: "adapter_error", Text: "The provider's adapter broke its protocol: a RESULT that counts no tokens."}
	}
	return n, nil
}

// Complete reports whether nothing is missing, even if the upstream's connection broke.
func (r *Result) Complete() bool { return r.data != nil }

// Usage returns what the answer cost so far, complete or not.
func (r *Result) Usage() Usage { return r.usage.summary() }

// End returns the RESULT: JSON, on one line. The error is a *fault.Error if there was
// none.
func (r *Result) End() ([]byte, error) {
	if r.data == nil {
		return nil, incompleteError()
	}
	return r.data, nil
}
