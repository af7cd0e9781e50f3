package long

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

// filler makes a body large enough to be looked at.
var filler = `"` + strings.Repeat("x ", minString) + `"`

func bodyOf(value string) []byte {
	return []byte(`{"a":` + value + `,"filler":[` + strings.TrimSuffix(strings.Repeat(filler+",", minBody/minString), ",") + `]}`)
}

// token returns the token that stands for the value of a.
func token(t *testing.T, short []byte) string {
	t.Helper()
	var v struct{ A string }
	if err := json.Unmarshal(short, &v); err != nil {
		t.Fatalf("the short body is no JSON: %v", err)
	}
	return v.A
}

func TestTake(t *testing.T) {
	text := strings.Repeat("a", minString+1)
	for name, tc := range map[string]struct {
		value string // of a
		taken string // what is behind its token; "": it stays
	}{
		"a long string":                {`"` + text + `"`, text},
		"one with escapes":             {`"\"\\` + text + `\n\u00e9"`, `\"\\` + text + `\n\u00e9`},
		"one that ends in a backslash": {`"` + text + `\\"`, text + `\\`},
		"one beyond ASCII":             {`"é` + text + `"`, "é" + text},
		"a whole character":            {`"` + text + `\ud83d\ude00"`, text + `\ud83d\ude00`},
		"half a character":             {`"\ud83d` + text + `\ude00"`, `\ufffd` + text + `\ufffd`},
		"a data: URL":                  {`"data:image/png;base64,` + text + `"`, text},
		"another data: URL":            {`"data:,` + text + `"`, "data:," + text},
		"a short string":               {`"` + text[1:] + `"`, ""},
		"a short data: URL":            {`"data:image/png;base64,` + text[1:] + `"`, ""},
		"a key":                        {`{"` + text + `" : 1}`, ""},
		"a control character":          {`"` + text + "\t\"", ""},
		"bytes that are not UTF-8":     {`"` + text + "\xff\"", ""},
		"an escape that is none":       {`"` + text + `\x"`, ""},
		"half an escape":               {`"` + text + `\u12"`, ""},
	} {
		body := bodyOf(tc.value)
		short, c, err := Take(bytes.Clone(body), nil)
		if err != nil || c == nil {
			t.Fatalf("%s: Take = %v, %v", name, c, err)
		}
		if tc.taken == "" {
			if !bytes.Contains(short, []byte(tc.value)) {
				t.Errorf("%s: %.60s is not in the short body", name, tc.value)
			}
			continue
		}
		_, tok, found := strings.Cut(token(t, short), tokenStart)
		if !found {
			t.Errorf("%s: no token in %.80s", name, short)
			continue
		}
		got, err := c.expand(abi.Emission{Kind: abi.Text, Raw: true, Data: []byte(tokenStart + tok)}, nil)
		if err != nil || string(got) != tc.taken {
			t.Errorf("%s: its token stands for %.60q, %v", name, got, err)
		}
		if len(short) > len(body)/4 {
			t.Errorf("%s: the short body has %d bytes of %d", name, len(short), len(body))
		}
	}
}

func TestTakeLeavesAlone(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":              "",
		"a small body":         `{"a":"` + strings.Repeat("a", minBody-10) + `"}`,
		"short strings":        "[" + strings.Repeat(`"abc",`, minBody/6) + `"abc"]`,
		"a string without end": `{"a":"` + strings.Repeat("a", minBody),
		"no JSON":              strings.Repeat("a", 2*minBody),
	} {
		if short, c, err := Take([]byte(body), nil); err != nil || c != nil || string(short) != body {
			t.Errorf("%s: Take = %d bytes of %d, %v, %v", name, len(short), len(body), c, err)
		}
	}
}

// TestPutBack: in each kind of emission the content stands as that kind has it.
func TestPutBack(t *testing.T) {
	long := strings.Repeat("a", minString)
	inside := long + `\"b\\c\n\/`
	var text string
	json.Unmarshal([]byte(`"`+inside+`"`), &text)
	quoted, _ := json.Marshal(inside)
	nested := string(quoted[1 : len(quoted)-1])
	short, c, err := Take(bodyOf(`"`+inside+`"`), nil)
	if err != nil {
		t.Fatal(err)
	}
	tok := token(t, short)
	for name, tc := range map[string]struct {
		kind     abi.Kind
		raw      bool
		in, want string
	}{
		"raw text":                     {abi.Text, true, "%", inside},
		"raw text around it":           {abi.Reasoning, true, "a%b%c", "a" + inside + "b" + inside + "c"},
		"plain text":                   {abi.Text, false, "a%", "a" + text},
		"a plain refusal":              {abi.Refusal, false, "%", text},
		"a signature":                  {abi.Signature, false, "%", text},
		"a raw signature":              {abi.ToolSignature, true, "%", inside},
		"fields":                       {abi.DeltaExtra, false, `{"a":"data:image/png;base64,%"}`, `{"a":"data:image/png;base64,` + inside + `"}`},
		"reasoning":                    {abi.ReasoningDetail, false, `{"a":["%","%"]}`, `{"a":["` + inside + `","` + inside + `"]}`},
		"a body":                       {abi.Body, false, `{"a":"%"}`, `{"a":"` + inside + `"}`},
		"arguments in a string":        {abi.ToolArgs, true, "%", inside},
		"their beginning":              {abi.ToolArgs, true, `{\"a\":1}%`, `{\"a\":1}` + inside},
		"arguments decoded":            {abi.ToolArgs, false, "%", text},
		"arguments that are an object": {abi.ToolArgs, false, `{"a\"":"b\\","c":"%"}`, `{"a\"":"b\\","c":"` + inside + `"}`},
		"such an object quoted":        {abi.ToolArgs, true, `{\"a\\\"\":\"%\"}`, `{\"a\\\"\":\"` + nested + `\"}`},
		"an error stays":               {abi.Error, false, `{"message":"%"}`, `{"message":"%"}`},
		"a state stays":                {abi.State, false, "%", "%"},
		"another text":                 {abi.Text, false, tokenStart + strings.Repeat("0", 32) + ":0@", tokenStart + strings.Repeat("0", 32) + ":0@"},
	} {
		ems := []abi.Emission{{Kind: tc.kind, Raw: tc.raw, Data: []byte(strings.ReplaceAll(tc.in, "%", tok))}}
		if err := c.PutBack(ems, nil); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := tc.want
		if tc.kind == abi.Error || tc.kind == abi.State {
			want = strings.ReplaceAll(want, "%", tok)
		}
		if got := string(ems[0].Data); got != want {
			t.Errorf("%s: %s, want %s", name, tail(got), tail(want))
		}
	}
}

// tail shortens a text to what differs.
func tail(s string) string { return fmt.Sprintf("%.30q … %q", s, s[max(0, len(s)-60):]) }

func TestPutBackRefuses(t *testing.T) {
	short, c, err := Take(bodyOf(`"`+strings.Repeat("a", minString+1)+`"`), nil)
	if err != nil {
		t.Fatal(err)
	}
	tok := token(t, short)
	nonce := string(c.nonce)
	for name, data := range map[string]string{
		"the nonce alone":            nonce,
		"a token without its start":  tok[1:],
		"a token without its end":    tok[:len(tok)-1],
		"a number that is not there": tokenStart + nonce + ":999@",
		"no number":                  tokenStart + nonce + ":@",
		"a long number":              tokenStart + nonce + ":00000000@",
		"a negative number":          tokenStart + nonce + ":-1@",
		"content beyond the limit":   strings.Repeat(tok, 2000),
	} {
		fresh := *c
		if err := fresh.PutBack([]abi.Emission{{Kind: abi.Text, Data: []byte(data)}}, nil); err == nil {
			t.Errorf("%s was put back", name)
		}
	}
	// The limit is of all emissions together.
	ems := slices.Repeat([]abi.Emission{{Kind: abi.Text, Data: []byte(tok)}}, 2000)
	if err := c.PutBack(ems, nil); err == nil {
		t.Error("content was put back 2000 times")
	}
}

// FuzzTake holds that a body that is put back as a whole is what it was, but for
// halves of characters, and that what is taken can stand in a string.
func FuzzTake(f *testing.F) {
	f.Add(`"abc"`, `\"`)
	f.Add(`{"a":"b`, `\ud83d`)
	f.Add(`\`, `"`)
	f.Fuzz(func(t *testing.T, before, in string) {
		body := []byte(before + `"` + strings.Repeat(in+strings.Repeat("y", 100), 60) + `"` + string(bodyOf("1")))
		whole := bytes.Clone(body)
		short, c, err := Take(body, nil)
		if err != nil || c == nil {
			return
		}
		for _, s := range c.spans {
			literal := slices.Concat([]byte(`"`), c.body[s.from:s.to], []byte(`"`))
			var text string
			if err := json.Unmarshal(literal, &text); err != nil {
				t.Fatalf("%.80q can't stand in a string: %v", literal, err)
			}
		}
		got, err := c.expand(abi.Emission{Kind: abi.DeltaExtra, Data: short}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, body) || json.Valid(whole) && !sameJSON(t, got, whole) {
			t.Fatalf("%.80q became %.80q", whole, got)
		}
	})
}

func sameJSON(t *testing.T, a, b []byte) bool {
	var x, y any
	json.Unmarshal(a, &x)
	json.Unmarshal(b, &y)
	return fmt.Sprint(x) == fmt.Sprint(y)
}

func BenchmarkTake(b *testing.B) {
	for name, value := range map[string]string{
		"picture": strings.Repeat("iVBORw0KGgo", 2<<20),
		"text":    strings.Repeat(`All work and no play.\n`, 400_000),
	} {
		body := []byte(`{"a":"` + value + `"}`)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, c, _ := Take(body, nil); c == nil {
					b.Fatal("nothing was taken")
				}
			}
		})
	}
}
