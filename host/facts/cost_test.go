package facts

import (
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

func TestTheProvidersOwnCost(t *testing.T) {
	for usage, want := range map[string]int64{
		`{"cost":0.00014}`: 140_000, `{"cost":1.4e-4}`: 140_000, `{"cost":"0.5"}`: 500_000_000, `{"cost":0}`: 0,
		`{"cost":0.1}`: 100_000_000, `{"cost":0.0000000001}`: 1, `{"cost":0.123456789}`: 123_456_789,
		`{"prompt_tokens":1}`: -1, `{"cost":-1}`: -1, `{"cost":null}`: -1, `{"cost":"a lot"}`: -1, `{"cost":{"total":1}}`: -1, `{"cost":1e300}`: -1, `{"cost":[1]}`: -1,
	} {
		r := NewResult(Options{})
		if err := r.Apply([]abi.Emission{{Kind: abi.Usage, Data: []byte(usage)}}); err != nil {
			t.Fatal(err)
		}
		got := r.Usage()
		if got.Priced != (want >= 0) || got.Cost != max(0, want) {
			t.Errorf("the cost of %s is %d, %t; want %d", usage, got.Cost, got.Priced, want)
		}
	}
}
