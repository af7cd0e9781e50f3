package long

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

func TestTakeNumbers(t *testing.T) {
	numbers := "[0.5, -1e-7," + strings.Repeat("1,", 500) + "\n1]"
	packed := strings.Repeat("AB+/", 300)
	for name, tc := range map[string]struct {
		value string // of a
		want  string // what the adapter gets of it; @ is a token
	}{
		"numbers":                    {numbers, `"@"`},
		"one number":                 {"[1]", `"@"`},
		"numbers in an array":        {"[" + numbers + ", " + numbers + "]", `["@", "@"]`},
		"base64":                     {`"` + packed + `"`, `"@"`},
		"base64 with escapes":        {`"\/` + packed + `=="`, `"@"`},
		"short base64":               {`"AAAAPw=="`, `"AAAAPw=="`},
		"a long text":                {`"` + strings.Repeat("a text. ", 1000) + `"`, `"` + strings.Repeat("a text. ", 1000) + `"`},
		"a long key":                 {`{"` + packed + `": 1}`, `{"` + packed + `": 1}`},
		"an empty array":             {"[]", "[]"},
		"a text with brackets":       {`"[1,2]\"[3]"`, `"[1,2]\"[3]"`},
		"something among numbers":    {`[1,"2"]`, `[1,"2"]`},
		"an array among numbers":     {`[1,[2]]`, `[1,"@"]`},
		"an object among numbers":    {`[1,{"a":[2]}]`, `[1,{"a":"@"}]`},
		"true":                       {`[true]`, `[true]`},
		"numbers that are none":      {`[1e999]`, `"@"`},
		"words that are numbers":     {`[NaN,1]`, `[NaN,1]`},
		"an array that does not end": {"[1,2", "[1,2"},
	} {
		t.Run(name, func(t *testing.T) {
			body := []byte(`{"a":` + tc.value + `,"n":1}`)
			if strings.HasSuffix(name, "does not end") {
				body = body[:5+len(tc.value)]
			}
			short, c, err := TakeNumbers(bytes.Clone(body), nil)
			if err != nil {
				t.Fatal(err)
			}
			got := string(short)
			if c != nil {
				for n := range c.spans {
					got = strings.Replace(got, tokenStart+string(c.nonce)+":"+string(rune('0'+n))+"@", "@", 1)
				}
			}
			want := strings.Replace(string(body), tc.value, tc.want, 1)
			if got != want {
				t.Errorf("the adapter gets %.100s, want %.100s", got, want)
			}
			ems := []abi.Emission{{Kind: abi.Result, Data: short}}
			if err := c.PutBack(ems, nil); err != nil || string(ems[0].Data) != string(body) {
				t.Errorf("what is put back is %.100s, %v; want %.100s", ems[0].Data, err, body)
			}
		})
	}
}

func TestPutBackRefusesNumbersInText(t *testing.T) {
	short, c, err := TakeNumbers([]byte(`[1,2]`), nil)
	if err != nil {
		t.Fatal(err)
	}
	tok := strings.Trim(string(short), `"`)
	for name, data := range map[string]string{
		"no quotes":            tok,
		"text before it":       `"a` + tok + `"`,
		"text behind it":       `"` + tok + `a"`,
		"a quote that is none": `\` + tok + `"`,
	} {
		if err := c.PutBack([]abi.Emission{{Kind: abi.Result, Data: []byte(data)}}, nil); err == nil {
			t.Errorf("%s: %s was put back", name, data)
		}
	}
}

// FuzzTakeNumbers holds that what is taken out of JSON leaves JSON, and comes back as it was.
func FuzzTakeNumbers(f *testing.F) {
	for _, s := range []string{`{"a":[1,2],"b":["[1]",-0.5e7]}`, `[[1],[ 2 , 3 ]]`, `["\"[1]"]`, `[1`, `"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		short, c, err := TakeNumbers(bytes.Clone(body), nil)
		if err != nil {
			t.Fatal(err)
		}
		if json.Valid(body) && !json.Valid(short) {
			t.Fatalf("%q became %q", body, short)
		}
		ems := []abi.Emission{{Kind: abi.Result, Data: short}}
		if err := c.PutBack(ems, nil); json.Valid(body) && (err != nil || !bytes.Equal(ems[0].Data, body)) {
			t.Fatalf("%q came back as %q, %v", body, ems[0].Data, err)
		}
	})
}
