package conform

import (
	"strings"
	"testing"
)

// TestOptionProblems: a wrong option is reported where it stands in the transcript's file.
func TestOptionProblems(t *testing.T) {
	const schema = `a?: string, n?: int`
	for name, tc := range map[string]struct {
		options, says string // "" for none
	}{
		"nothing":                       {`{}`, ""},
		"JSON's own escapes":            {`{"a": "x\/y \ud83d\ude00 \u0000 \"q\" \\"}`, ""},
		"a reference is none":           {`{"a": "${HOME}"}`, ""},
		"lines, tabs and a lone colon":  {"{\r\n\t\"a\"\n\t:\n\"x\"\n\t,\n\t\"n\": 1\n\t}\n", ""},
		"one that is not allowed":       {`{"b": 1}`, "a.txtar:7:2: options.b: unknown key"},
		"one of another kind":           {`{"n": "x"}`, "a.txtar:7:7: options.n: "},
		"one on a line of its own":      {"{\n  \"a\": \"x\",\n  \"n\": \"y\"\n}\n", "a.txtar:9:8: options.n: "},
		"one behind a tab":              {"{\n\t\"n\": \"y\"}", "a.txtar:8:7: options.n: "},
		"one behind a shorter escape":   {`{"a": "\ud83d\ude00", "n": "y"}`, "a.txtar:7:28: options.n: "},
		"a list":                        {`[1]`, "a.txtar:7:1: options: must be a mapping"},
		"no JSON":                       {`{a: 1}`, "a.txtar:7:2: options.json is not JSON: "},
		"no JSON on its second line":    {"{\"a\": \"x\",\n  n: 1}", "a.txtar:8:3: options.json is not JSON: "},
		"JSON that ends early":          {"{\"a\":\n", "a.txtar:7:6: options.json is not JSON: "},
		"one that is given twice":       {`{"n": 1, "n": 2}`, "a.txtar:7:10: options.n: is given twice, on line 7 and on line 7"},
		"one that is given twice apart": {"{\"n\": 1,\n\"n\": 2}", "a.txtar:8:1: options.n: is given twice, on line 7 and on line 8"},
		"one with an escaped name":      {`{"\u006e": "x"}`, "a.txtar:7:12: options.n: "},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(optionProblems("a.txtar", 7, []byte(tc.options), schema), "; ")
			if (got == "") != (tc.says == "") || !strings.HasPrefix(got, tc.says) {
				t.Errorf("optionProblems(%s) = %q, want %q", tc.options, got, tc.says)
			}
		})
	}
}
