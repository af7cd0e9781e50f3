package facts

import (
	"testing"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

func TestResult(t *testing.T) {
	on := func(kind abi.Kind, data string) abi.Emission { return abi.Emission{Kind: kind, Data: []byte(data)} }
	result := on(abi.Result, `{"input_tokens":3}`)
	usage := on(abi.Usage, `{"prompt_tokens":3}`)
	failure := on(abi.Error, `{"status":429,"message":"later"}`)
	for name, tc := range map[string]struct {
		calls [][]abi.Emission
		want  string
		kind  fault.Kind // of the failure, if want is empty
		usage int64
	}{
		"one call states it":                      {calls: [][]abi.Emission{{result}}, want: `{"input_tokens":3}`},
		"usage comes before it":                   {calls: [][]abi.Emission{{usage}, {result}}, want: `{"input_tokens":3}`, usage: 3},
		"usage comes after it":                    {calls: [][]abi.Emission{{result}, {usage}}, want: `{"input_tokens":3}`, usage: 3},
		"a later failure spoils nothing":          {calls: [][]abi.Emission{{result}, {failure}}, want: `{"input_tokens":3}`},
		"a later one replaces nothing":            {calls: [][]abi.Emission{{result}, {on(abi.Result, "1")}}, want: `{"input_tokens":3}`},
		"none comes":                              {calls: [][]abi.Emission{{}}, kind: fault.Upstream},
		"two in one call break the protocol":      {calls: [][]abi.Emission{{result, result}}, kind: fault.Adapter},
		"an error counts more than one beside it": {calls: [][]abi.Emission{{result, failure, usage}}, kind: fault.Rate, usage: 3},
		"it may be too large":                     {calls: [][]abi.Emission{{on(abi.Result, `"0123456789012345678901234567890123456789"`)}}, kind: fault.Upstream},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewResult(Options{MaxHeld: 40})
			var err error
			for _, ems := range tc.calls {
				if err = r.Apply(ems); err != nil {
					break
				}
			}
			var got []byte
			if err == nil {
				if complete := r.Complete(); complete != (tc.want != "") {
					t.Errorf("Complete() = %v", complete)
				}
				got, err = r.End()
			}
			if string(got) != tc.want || (err != nil) != (tc.want == "") || err != nil && fault.KindOf(err) != tc.kind {
				t.Errorf("got %q, %v, want %q or a failure of kind %v", got, err, tc.want, tc.kind)
			}
			if n := r.Usage().Prompt; n != tc.usage {
				t.Errorf("%d tokens of the prompt are counted, want %d", n, tc.usage)
			}
		})
	}
}
