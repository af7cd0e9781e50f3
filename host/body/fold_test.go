package body

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
			_, err := scan([]byte("{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]," + tc.field + "}"))
			var e *fault.Error
			if !errors.As(err, &e) {
				t.Fatalf("a scan with %s: error = %v, want an *fault.Error", tc.field, err)
			}
			if e.Kind != fault.Invalid || e.Param != tc.param || !strings.HasPrefix(e.Text, tc.param+": ") || !strings.Contains(e.Text, tc.want) {
				t.Errorf("a scan with %s: error = %v %q %q, want 400 %q with %q", tc.field, e.Kind, e.Param, e.Text, tc.param, tc.want)
			}
		})
	}
}

func TestNamesOfOthersPass(t *testing.T) {
	for _, field := range []string{
		`"safetySettings":[]`, `"topK":1,"top_k":1`, `"Wish":1`, `"models ":[]`, `"":1`, `"max-tokens":1`, `"maxTokens":1`, `"straße":1,"strasse":2`,
	} {
		if _, err := scan([]byte("{\"messages\":[]," + field + "}")); err != nil {
			t.Errorf("a scan with %s: %v", field, err)
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
			if a, b := Fold([]byte(string(r))), Fold([]byte(string(other))); !bytes.Equal(a, b) {
				t.Errorf("Fold(%q) = %q and Fold(%q) = %q, want the same", r, a, other, b)
			}
		}
	}
	var v struct{ Task, Stream string }
	if err := json.Unmarshal([]byte(`{"TAS\u212a":"a","ſtream":"b"}`), &v); err != nil || v.Task != "a" || v.Stream != "b" {
		t.Errorf("encoding/json read %+v (%v): it folds otherwise than Fold", v, err)
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
		once := Fold(slices.Clone(name))
		if twice := Fold(slices.Clone(once)); !bytes.Equal(once, twice) {
			t.Errorf("Fold(%q) = %q, and of that %q", name, once, twice)
		}
		if len(once) > len(name) {
			t.Errorf("Fold(%q) = %q, which is longer", name, once)
		}
		before, _, _ := bytes.Cut(name, []byte{0})
		if !bytes.EqualFold(before, once) {
			t.Errorf("Fold(%q) = %q, which EqualFold calls another name", name, once)
		}
	})
}
