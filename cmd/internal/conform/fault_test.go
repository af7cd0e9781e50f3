package conform

import (
	"strings"
	"testing"
)

func TestOptionProblems(t *testing.T) {
	const schema = `a?: string, n?: int`
	for name, tc := range map[string]struct {
		options, says string // "" for none
	}{
		"nothing":                  {`{}`, ""},
		"JSON's own escapes":       {`{"a": "x\/y \ud83d\ude00 \u0000 \"q\" \\"}`, ""},
		"a reference is none":      {`{"a": "${HOME}"}`, ""},
		"one that is not allowed":  {`{"b": 1}`, "options.b: unknown key"},
		"one of another kind":      {`{"n": "x"}`, "options.n: "},
		"a list":                   {`[1]`, "options: must be a mapping"},
		"no JSON":                  {`{a: 1}`, "options.json is not JSON: "},
		"one that is given twice":  {`{"n": 1, "n": 2}`, "options.n: is given twice"},
		"one with an escaped name": {`{"\u006e": "x"}`, "options.n: "},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(optionProblems([]byte(tc.options), schema), "; ")
			if (got == "") != (tc.says == "") || !strings.Contains(got, tc.says) {
				t.Errorf("optionProblems(%s) = %q, want %q", tc.options, got, tc.says)
			}
		})
	}
}
