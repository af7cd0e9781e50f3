package demo_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kai-gateway/kai/plugins/demo"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/sdktest"
)

func TestTranscripts(t *testing.T) {
	sdktest.Run(t, demo.Plugin(), "../../testdata/transcripts/demo/*.txtar")
}

// answer is what a client would put together of the demo's emissions.
type answer struct {
	text, arguments, finish string
	usage                   struct {
		Completion int `json:"completion_tokens"`
	}
	failed bool
}

func ask(t testing.TB, body string) answer {
	t.Helper()
	var a answer
	demo.Plugin().Call(sdk.Input{Request: &sdk.Request{Op: abi.Chat, Body: sdk.JSON(body)}}, func(kind, _ int32, p []byte) {
		switch abi.Kind(kind) {
		case abi.Text:
			if !utf8.Valid(p) {
				t.Errorf("the text %q is cut within a character", p)
			}
			a.text += string(p)
		case abi.ToolArgs:
			if !utf8.Valid(p) {
				t.Errorf("the arguments %q are cut within a character", p)
			}
			a.arguments += string(p)
		case abi.Finish:
			a.finish = string(p)
		case abi.Error:
			a.failed = true
		case abi.Usage:
			if err := json.Unmarshal(p, &a.usage); err != nil {
				t.Errorf("usage %s: %v", p, err)
			}
		}
	})
	return a
}

func TestInstances(t *testing.T) {
	for name, tc := range map[string]struct {
		schema, want string
	}{
		"no schema":                        {`null`, `{}`},
		"an empty schema is a string":      {`{"type":"object","properties":{"a":{}}}`, `{"a":"Rome"}`},
		"without required all properties":  {`{"properties":{"a":{"type":"null"},"b":{"type":"boolean"}}}`, `{"a":null,"b":true}`},
		"what is not required is left out": {`{"properties":{"a":{"type":"null"},"b":{}},"required":["a"]}`, `{"a":null}`},
		"default comes before examples":    {`{"properties":{"a":{"examples":[1],"default":2},"b":{"examples":[3]}}}`, `{"a":2,"b":3}`},
		"allOf with one reference":         {`{"allOf":[{"$ref":"#/definitions/a~1b"}],"definitions":{"a/b":{"type":"array","items":{"type":"integer"}}}}`, `[7]`},
		"a reference to nowhere":           {`{"$ref":"https://example.com/schema"}`, `"Rome"`},
		"a reference to itself":            {`{"$ref":"#"}`, `null`},
		"tuples":                           {`{"type":"array","prefixItems":[{"type":"integer"},{"type":"boolean"}]}`, `[7,true]`},
		"an array that must stay empty":    {`{"type":"array","items":{},"maxItems":0}`, `[]`},
		"more items than anybody needs":    {`{"type":"array","items":{"type":"null"},"minItems":1000000000}`, `[` + strings.Repeat("null,", 15) + `null]`},
		"a number within bounds":           {`{"type":"number","maximum":5}`, `5`},
		"a number below a bound":           {`{"type":"integer","exclusiveMaximum":5}`, `4`},
		"a number above a bound":           {`{"type":"integer","exclusiveMinimum":9}`, `10`},
		"a number out of all proportion":   {`{"type":"integer","minimum":1e300}`, `1`},
		"a string that must be longer":     {`{"type":"string","minLength":6}`, `"Rome.."`},
		"a string that must be shorter":    {`{"type":"string","maxLength":1}`, `"R"`},
		"a tree ends":                      {`{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#"}}},"required":["kids"]}`, `{"kids":[{"kids":[{"kids":[]}]}]}`},
		"a type that may be null":          {`{"type":["null","string"]}`, `"Rome"`},
		"only null":                        {`{"type":["null"]}`, `null`},
	} {
		t.Run(name, func(t *testing.T) {
			a := ask(t, `{"messages":[{"role":"user","content":"I saw 7 hills in Rome today"}],
				"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":`+tc.schema+`}}}`)
			if a.text != tc.want {
				t.Errorf("instance of %s\n got %s\nwant %s", tc.schema, a.text, tc.want)
			}
		})
	}
}

func TestUsageCountsWhatMaxTokensCuts(t *testing.T) {
	a := ask(t, `{"messages":[{"role":"user","content":"hi"}],"max_tokens":3}`)
	if a.usage.Completion != 3 || a.finish != abi.FinishLength || len(strings.Fields(a.text)) != 3 {
		t.Errorf("max_tokens 3 gave %q, finish %s, %d tokens", a.text, a.finish, a.usage.Completion)
	}
	whole := ask(t, `{"messages":[{"role":"user","content":"hi"}]}`)
	a = ask(t, `{"messages":[{"role":"user","content":"hi"}],"max_tokens":100000}`)
	if a.text != whole.text || a.finish != abi.FinishStop {
		t.Errorf("a bound that is not reached gave %q, finish %s", a.text, a.finish)
	}
}

// FuzzRequest holds that any body is answered, and with JSON where it must be.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `{"messages":[{"role":"user","content":"What is 2 in Oslo?"}],"tools":[{"function":{"name":"a_b","parameters":{"properties":{"x":{"type":"integer"}}}}}]}`,
		`{"messages":[{"role":"tool","content":"x"}],"response_format":{"type":"json_object"},"stop":["x"],"n":3,"max_tokens":2}`,
		`{"response_format":{"type":"json_schema","json_schema":{"schema":{"anyOf":[{"$ref":"#"}]}}}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		a := ask(t, body)
		if (a.finish == "") != a.failed {
			t.Errorf("finish %q, failed %v", a.finish, a.failed)
		}
		if json.Valid([]byte(body)) && a.finish == abi.FinishToolCalls && !jsonTexts(a.arguments) {
			t.Errorf("the arguments are not JSON: %s", a.arguments)
		}
	})
}

// jsonTexts reports whether s is JSON texts one after the other.
func jsonTexts(s string) bool {
	d := json.NewDecoder(strings.NewReader(s))
	for d.More() {
		var v any
		if d.Decode(&v) != nil {
			return false
		}
	}
	return true
}
