package request

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/kai-gateway/kai/host/fault"
)

// TestNoNameIsReadAsAnother sends fields that some upstream would take for one
// that Kai reads or sets. Kelvin's sign and the long s are the letters beyond ASCII
// that fold to one of it.
func TestNoNameIsReadAsAnother(t *testing.T) {
	for name, tc := range map[string]struct {
		field string // beside messages
		param string
		want  string
	}{
		"a capital, alone":             {`"Model":"secret"`, "Model", "line 1, column 46: some servers read this field as model: send it as model or leave it out"},
		"a capital, behind":            {`"model":"a","MODEL":"secret"`, "MODEL", "as model"},
		"a capital, before":            {`"moDel":"secret","model":"a"`, "moDel", "as model"},
		"stream":                       {`"Stream":true`, "Stream", "as stream"},
		"a long s":                     {`"ſtream":true`, "ſtream", "as stream"},
		"Kelvin's sign":                {`"top_\u212a":1`, "top_\u212a", "as top_k"},
		"escaped":                      {`"\u004dodel":"secret"`, "Model", "as model"},
		"a NUL and more":               {`"model\u0000x":"secret"`, "model\x00x", "as model"},
		"a NUL at the end":             {`"model\u0000":"secret"`, "model\x00", "as model"},
		"a limit":                      {`"Max_Tokens":1000000`, "Max_Tokens", "as max_tokens"},
		"tools":                        {`"Tools":[]`, "Tools", "as tools"},
		"unknown ones that are equal":  {`"Wish":1,"wiſh":2`, "wiſh", "a second field of the same name"},
		"unknown ones, equal to a NUL": {`"wish\u0000a":1,"wish\u0000b":2`, "wish\x00b", "a second field of the same name"},
		"unknown ones beyond ASCII":    {`"Ünïcode":1,"üNÏCODE":2`, "üNÏCODE", "a second field of the same name"},
		"final and other sigmas":       {`"σ":1,"ς":2`, "ς", "a second field of the same name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseChat([]byte(withField(tc.field)))
			var e *fault.Error
			if !errors.As(err, &e) {
				t.Fatalf("ParseChat with %s: error = %v, want an *fault.Error", tc.field, err)
			}
			if e.Kind != fault.Invalid || e.Param != tc.param || !strings.HasPrefix(e.Text, tc.param+": ") || !strings.Contains(e.Text, tc.want) {
				t.Errorf("ParseChat with %s: error = %v %q %q, want 400 %q with %q", tc.field, e.Kind, e.Param, e.Text, tc.param, tc.want)
			}
		})
	}
}

func TestNamesOfOthersPass(t *testing.T) {
	for _, field := range []string{
		`"safetySettings":[]`, `"topK":1,"top_k":1`, `"Wish":1`, `"models ":[]`, `"":1`, `"max-tokens":1`, `"maxTokens":1`, `"straße":1,"strasse":2`,
	} {
		if _, err := ParseChat([]byte(withField(field))); err != nil {
			t.Errorf("ParseChat with %s: %v", field, err)
		}
	}
}

// TestFoldIsThatOfGo holds fold against what encoding/json takes for one field,
// for every letter there is.
func TestFoldIsThatOfGo(t *testing.T) {
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if !unicode.IsLetter(r) {
			continue
		}
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			if a, b := fold([]byte(string(r))), fold([]byte(string(other))); !bytes.Equal(a, b) {
				t.Errorf("fold(%q) = %q and fold(%q) = %q, want the same", r, a, other, b)
			}
		}
	}
	var v struct{ Task, Stream string }
	if err := json.Unmarshal([]byte(`{"TAS\u212a":"a","ſtream":"b"}`), &v); err != nil || v.Task != "a" || v.Stream != "b" {
		t.Errorf("encoding/json read %+v (%v): it folds otherwise than fold", v, err)
	}
}

func TestAsks(t *testing.T) {
	fields, tools := []string{"models", "providerOptions"}, []string{"openrouter:"}
	for name, tc := range map[string]struct{ field, want string }{
		"nothing":                {`"temperature":1,"x":2`, ""},
		"a field":                {`"x":1,"models":["a"]`, "models"},
		"null":                   {`"models":null`, "models"},
		"another case":           {`"MODELſ":[]`, "models"},
		"escaped":                {`"mode\u006cs":[]`, "models"},
		"camel case":             {`"providerOptions":{}`, "providerOptions"},
		"and in lower case":      {`"provideroptions":{}`, "providerOptions"},
		"a field further down":   {`"metadata":{"models":1}`, ""},
		"a function":             {`"tools":[{"type":"function","function":{"name":"openrouter:x"}}]`, ""},
		"another tool":           {`"tools":[{"type":"web_search"}]`, ""},
		"a tool":                 {`"tools":[{"type":"function","function":{"name":"f"}},{"type":"openrouter:advisor"}]`, "tools[1].type"},
		"a tool, escaped":        {`"tools":[{"type":"openrouter\u003aadvisor"}]`, "tools[0].type"},
		"a tool, in capitals":    {`"tools":[{"type":"OpenRouter:advisor"}]`, "tools[0].type"},
		"a type beside another":  {`"tools":[{"type":"function","function":{"name":"f"},"type":"openrouter:advisor"}]`, "tools[0].type"},
		"a Type beside the type": {`"tools":[{"type":"function","function":{"name":"f"},"Type":"openrouter:advisor"}]`, "tools[0].type"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := ParseChat([]byte(withField(tc.field)))
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Asks(fields, tools); got != tc.want {
				t.Errorf("Asks(%v, %v) of %s = %q, want %q", fields, tools, tc.field, got, tc.want)
			}
			if got := c.Asks(nil, nil); got != "" {
				t.Errorf("Asks for nothing of %s = %q", tc.field, got)
			}
		})
	}
}

// FuzzFold checks that names which are equal without regard to case fold to the
// same, and that folding is stable.
func FuzzFold(f *testing.F) {
	for _, s := range []string{"model", "MODEL", "ſtream", "top_\u212a", "\x00", "a\x00b", "ΣΑΣ", "ǅ", "\U0010ffff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := []byte(strings.ToValidUTF8(s, "\ufffd"))
		once := fold(slices.Clone(name))
		if twice := fold(slices.Clone(once)); !bytes.Equal(once, twice) {
			t.Errorf("fold(%q) = %q, and of that %q", name, once, twice)
		}
		if len(once) > len(name) {
			t.Errorf("fold(%q) = %q, which is longer", name, once)
		}
		before, _, _ := bytes.Cut(name, []byte{0})
		if !bytes.EqualFold(before, once) {
			t.Errorf("fold(%q) = %q, which EqualFold calls another name", name, once)
		}
	})
}
