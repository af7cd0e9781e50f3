package messages_test

import (
	"testing"

	"github.com/kai-gateway/kai/host/dialect/messages"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

func TestCount(t *testing.T) {
	result := func(s string) calls { return calls{call(on(abi.Result, s))} }
	for name, tc := range map[string]struct {
		in   calls
		want string
		kind fault.Kind
	}{
		"a count":              {in: result(`{"input_tokens": 403}`), want: `{"input_tokens":403}`},
		"beside other fields":  {in: result(`{"x":[],"input_tokens":403.0,"y":1}`), want: `{"input_tokens":403}`},
		"nothing":              {in: calls{call()}, kind: fault.Upstream},
		"an error":             {in: calls{call(on(abi.Error, `{"status":404,"code":"unsupported_operation","message":"m"}`))}, kind: fault.RefusedOperation},
		"no count":             {in: result(`{"input_tokens":"many"}`), kind: fault.Adapter},
		"less than nothing":    {in: result(`{"input_tokens":-1}`), kind: fault.Adapter},
		"a number that is it":  {in: result(`403`), kind: fault.Adapter},
		"a count, then broken": {in: append(result(`{"input_tokens":1}`), call(on(abi.Error, `{"message":"m"}`))), want: `{"input_tokens":1}`},
	} {
		got, err := answered(messages.NewCount(info), tc.in)
		if got != tc.want || (err == nil) != (tc.want != "") || err != nil && fault.KindOf(err) != tc.kind {
			t.Errorf("%s: got %q, %v, want %q or a failure of kind %v", name, got, err, tc.want, tc.kind)
		}
	}
}
