package quoted

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"
)

// FuzzMendHalves holds that nothing but halves changes, and that none stays.
func FuzzMendHalves(f *testing.F) {
	for _, s := range []string{`\ud83d`, `a\ud83d\ude00`, `\\ud83d`, `\ude00\ud83d`, `\"\ud83d\\`, `\\\\ud83d\\ude00`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		literal := []byte(`"` + s + `"`)
		if !json.Valid(literal) {
			return
		}
		var before string
		json.Unmarshal(literal, &before) // which reads a half as U+FFFD
		got := bytes.Clone(literal)
		MendHalves(got, `\`, false)
		var after string
		if err := json.Unmarshal(got, &after); err != nil || after != before {
			t.Fatalf("%s became %s, which reads as %q, not %q", literal, got, after, before)
		}
		for i := 0; i+6 <= len(got); i++ {
			if got[i] != '\\' {
				continue
			}
			if first := surrogateAt(got[i:], `\`); first == 0 {
				i++
			} else if second := surrogateAt(got[i+6:], `\`); utf16.DecodeRune(first, second) == 0xfffd {
				t.Fatalf("%s still has half a character: %s", literal, got)
			} else {
				i += 11
			}
		}
		// As JSON that stands in a string it must come to the same.
		inner, _ := json.Marshal(string(literal))
		MendHalves(inner, `\\`, false)
		var twice string
		if err := json.Unmarshal(inner, &twice); err != nil || twice != string(got) && !strings.ContainsAny(s, "<>&\u2028\u2029\ufffd") && strings.ToValidUTF8(s, "") == s {
			t.Fatalf("in a string %s became %s, want %s", literal, twice, got)
		}
	})
}
