package exchange

import (
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

func TestWhichFramesMayJoin(t *testing.T) {
	for name, tc := range map[string]struct {
		op         abi.Op
		name, data string
		want       bool
	}{
		"without a name":                   {abi.Chat, "", `{"a":1}`, true},
		"nothing":                          {abi.Chat, "", ``, false},
		"an end mark":                      {abi.Chat, "", `[DONE]`, false},
		"too long a one":                   {abi.Chat, "", strings.Repeat("x", abi.MaxFrame+1), false},
		"with a name":                      {abi.Chat, "x", `{"type":"x"}`, false},
		"with a name that the data has":    {abi.Responses, "x.delta", `{"type":"x.delta","a":1}`, true},
		"the same of the Messages API":     {abi.Messages, "x", `{"type":"x"}`, true},
		"with another one":                 {abi.Responses, "x", `{"type":"x.delta"}`, false},
		"with the beginning of it":         {abi.Responses, "x.delta", `{"type":"x"}`, false},
		"with one that the data has later": {abi.Responses, "x", `{"a":1,"type":"x"}`, false},
		"with a name and nothing else":     {abi.Responses, "x", `{"type":"x`, false},
		"with one that is too long":        {abi.Responses, "x", `{"type":"x","a":"` + strings.Repeat("x", abi.MaxFrame) + `"}`, false},
	} {
		if got := MayJoin(tc.op, []byte(tc.name), []byte(tc.data)); got != tc.want {
			t.Errorf("a frame %s: %v", name, got)
		}
	}
}
