package seal

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/fault"
)

// sealed seals any text, whether it is JSON or not.
func sealed(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return Prefix + base64.RawURLEncoding.EncodeToString(b.Bytes())
}

func raw(texts ...string) (all []json.RawMessage) {
	for _, text := range texts {
		all = append(all, json.RawMessage(text))
	}
	return all
}

// TestRoundTrip: what is sealed opens to the same.
func TestRoundTrip(t *testing.T) {
	for name, tc := range map[string]struct{ in, want Content }{
		"nothing":           {},
		"reasoning details": {in: Content{Details: raw(`{"type":"reasoning.text","text":"…","signature":"S"}`, `{"type":"reasoning.encrypted","data":"D"}`)}},
		"a message's extra": {in: Content{Message: json.RawMessage(`{"extra_content":{"google":{"thought_signature":"S"}}}`)}},
		"calls' extras":     {in: Content{Calls: map[string]json.RawMessage{"b": json.RawMessage(`{"extra_content":{"b":1}}`), "a\"\n": json.RawMessage(`{"extra_content":{}}`)}}},
		"everything at once": {in: Content{
			Details: raw(`{}`), Message: json.RawMessage(`{"extra_content":{}}`), Calls: map[string]json.RawMessage{"c": json.RawMessage(`{"extra_content":{}}`)},
		}},
		"only extras of the allow-list": {
			in: Content{
				Message: json.RawMessage(`{"role":"system","content":"x","extra_content":{"a":1},"annotations":[]}`),
				Calls:   map[string]json.RawMessage{"c": json.RawMessage(`{"function":{"name":"rm"}}`), "d": json.RawMessage(`{"id":"e","extra_content":{}}`)},
			},
			want: Content{Message: json.RawMessage(`{"extra_content":{"a":1}}`), Calls: map[string]json.RawMessage{"d": json.RawMessage(`{"extra_content":{}}`)}},
		},
		"no extra that is not an object": {in: Content{Message: json.RawMessage(`{"extra_content":"x"}`)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := Seal(tc.in)
			got, ours, err := open(s)
			if !ours || err != nil {
				t.Fatalf("Open(%q) = %v, %v, want true, nil", s, ours, err)
			}
			want := tc.want
			if isEmpty(want) && !strings.HasPrefix(name, "no") {
				want = tc.in
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("Open gives %q, want %q", got, want)
			}
			if isEmpty(got) != (s == Prefix) {
				t.Errorf("what is sealed as %q is empty: %v", s, isEmpty(got))
			}
			if again := Seal(got); again != s {
				t.Errorf("sealed again it is %q, want %q", again, s)
			}
		})
	}
}

// TestOpenTakesOnlyWhatItKnows: what a client makes up sets nothing else.
func TestOpenTakesOnlyWhatItKnows(t *testing.T) {
	for name, tc := range map[string]struct {
		plain string
		want  Content
	}{
		"other fields":                 {plain: `{"role":"system","content":"x","rd":[{}]}`, want: Content{Details: raw(`{}`)}},
		"details that are no object":   {plain: `{"rd":[1,"x",null,[{}],{"a":1}]}`, want: Content{Details: raw(`{"a":1}`)}},
		"details that are no array":    {plain: `{"rd":{"a":1}}`},
		"extras that are no object":    {plain: `{"msg":[1],"calls":{"c":"x","d":null}}`},
		"calls that are no object":     {plain: `{"calls":[{"extra_content":{}}]}`},
		"the last of a repeated key":   {plain: `{"rd":[{"a":1}],"rd":[{"a":2}]}`, want: Content{Details: raw(`{"a":2}`)}},
		"the last of a repeated extra": {plain: `{"msg":{"extra_content":{"a":1},"extra_content":{"a":2},"extra_content":3}}`, want: Content{Message: json.RawMessage(`{"extra_content":{"a":2}}`)}},
		"a name in escapes":            {plain: `{"msg":{"extra\u005fcontent":{}}}`, want: Content{Message: json.RawMessage(`{"extra_content":{}}`)}},
		"space around it":              {plain: " {\"rd\":[ {} ]}\n", want: Content{Details: raw(`{}`)}},
		"the deepest that is taken":    {plain: `{"rd":[{"a":` + strings.Repeat("[", maxDepth-3) + strings.Repeat("]", maxDepth-3) + `}]}`, want: Content{Details: raw(`{"a":` + strings.Repeat("[", maxDepth-3) + strings.Repeat("]", maxDepth-3) + `}`)}},
	} {
		t.Run(name, func(t *testing.T) {
			got, ours, err := open(sealed(t, tc.plain))
			if !ours || err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("Open of %s = %q, %v, %v, want %q, true, nil", tc.plain, got, ours, err, tc.want)
			}
		})
	}
}

// TestOpenIgnores what is foreign or broken.
func TestOpenIgnores(t *testing.T) {
	whole := Seal(Content{Details: raw(`{"type":"reasoning.text","text":"some text"}`)})
	for name, s := range map[string]string{
		"nothing":                       "",
		"OpenAI's":                      "gAAAAABo…",
		"foreign of any size":           strings.Repeat("A", MaxSealed+1),
		"the prefix in upper case":      strings.ToUpper(whole),
		"no base64":                     "kai1.%%%",
		"base64 of the other alphabet":  "kai1.+/+/",
		"no deflate":                    "kai1." + base64.RawURLEncoding.EncodeToString([]byte("plain text")),
		"cut off":                       whole[:len(whole)-4],
		"no JSON":                       sealed(t, `{"rd":[{]}`),
		"JSON that is not an object":    sealed(t, `["rd"]`),
		"something behind the object":   sealed(t, `{"rd":[{}]}{}`),
		"not UTF-8":                     sealed(t, "{\"rd\":[{\"text\":\"\xff\"}]}"),
		"deeper than a request may":     sealed(t, `{"rd":[{"a":`+strings.Repeat("[", maxDepth-2)+strings.Repeat("]", maxDepth-2)+`}]}`),
		"deeper than a parser may":      sealed(t, strings.Repeat(`{"a":`, 400_000)),
		"a later version of the format": "kai2." + whole[len(Prefix):],
	} {
		t.Run(name, func(t *testing.T) {
			if c, ours, err := open(s); ours || err != nil || !isEmpty(c) {
				t.Errorf("Open(%.40q) = %q, %v, %v, want nothing, false, nil", s, c, ours, err)
			}
		})
	}
}

// TestOpenRefuses what is ours and too large.
func TestOpenRefuses(t *testing.T) {
	bomb := sealed(t, `{"rd":[{"text":"`+strings.Repeat("a", MaxOpen)+`"}]}`)
	if len(bomb) > MaxSealed {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	for name, tc := range map[string]struct{ s, want string }{
		"sealed": {Prefix + strings.Repeat("A", MaxSealed), "sealed content that is more than 256 KiB: send it as the answer had it, or leave it out"},
		"open":   {bomb, "sealed content that opens to more than 4096 KiB: send it as the answer had it, or leave it out"},
	} {
		t.Run(name, func(t *testing.T) {
			_, ours, err := open(tc.s)
			var e *fault.Error
			if !errors.As(err, &e) || ours || e.Kind != fault.Invalid || e.Text != tc.want {
				t.Errorf("Open = %v, %+v, want false and %q", ours, err, tc.want)
			}
		})
	}
}

// open is Open with all the room that one content may need.
func open(s string) (Content, bool, error) {
	room := MaxOpen
	return Open(s, &room)
}

// TestOpenTakesRoom: all that is opened counts, also of what is broken or is not kept, so
// that the whole request costs no more than that.
func TestOpenTakesRoom(t *testing.T) {
	const size = 1 << 20
	fill := strings.Repeat("a", size)
	for name, s := range map[string]string{
		"a detail":                   sealed(t, `{"rd":[{"text":"`+fill+`"}]}`),
		"a field that nobody takes":  sealed(t, `{"x":"`+fill+`"}`),
		"details that are no object": sealed(t, `{"rd":["`+fill+`"]}`),
		"no JSON":                    sealed(t, fill),
		"cut off":                    sealed(t, fill+fill)[:1400],
	} {
		t.Run(name, func(t *testing.T) {
			room := 3 * size
			var err error
			tries := 0
			for ; err == nil && tries < 10; tries++ {
				_, _, err = Open(s, &room)
			}
			e, _ := errors.AsType[*fault.Error](err)
			if e == nil || e.Kind != fault.Invalid || e.Text != noRoom || tries > 4 {
				t.Errorf("%d contents were opened, then %v", tries, err)
			}
			if _, ours, err := Open(Prefix, &room); !ours || err != nil {
				t.Errorf("what is empty needs room: %v, %v", ours, err)
			}
		})
	}
}

// TestSealGivesUpWhatOpenRefuses: otherwise the client's next request would fail, and
// every one after it.
func TestSealGivesUpWhatOpenRefuses(t *testing.T) {
	random := make([]byte, 2*MaxSealed)
	for i := range random {
		random[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[rand.IntN(62)]
	}
	for name, text := range map[string]string{
		"too large when it is sealed": string(random),
		"too large when it is open":   strings.Repeat("a", MaxOpen),
	} {
		t.Run(name, func(t *testing.T) {
			if got := Seal(Content{Details: raw(`{"text":"` + text + `"}`)}); got != Prefix {
				t.Errorf("Seal gives %d bytes, want the prefix alone", len(got))
			}
		})
	}
	largest := Content{Details: raw(`{"text":"` + strings.Repeat("a", MaxOpen-len(`{"rd":[{"text":""}]}`)) + `"}`)}
	if got, ours, err := open(Seal(largest)); !ours || err != nil || !reflect.DeepEqual(got, largest) {
		t.Errorf("the largest content does not come back: %v, %v", ours, err)
	}
}

// FuzzOpen: whatever a client sends, what is taken of it is valid, and seals to the
// same again.
func FuzzOpen(f *testing.F) {
	f.Add("kai1.", false)
	f.Add("gAAAA", false)
	f.Add(`{"rd":[{"type":"reasoning.text"}],"msg":{"extra_content":{}},"calls":{"c":{"extra_content":{}}}}`, true)
	f.Add(`{"rd":[[[[`, true)
	f.Fuzz(func(t *testing.T, s string, pack bool) {
		if pack {
			s = sealed(t, s)
		}
		c, ours, err := open(s)
		if !ours {
			if !isEmpty(c) {
				t.Fatalf("Open(%q) is not ours and gives %q", s, c)
			}
			return
		}
		if err != nil {
			t.Fatalf("Open(%q) is ours and gives %v", s, err)
		}
		for _, d := range c.Details {
			if !json.Valid(d) || d[0] != '{' {
				t.Errorf("a detail is %q", d)
			}
		}
		again, ours, err := open(Seal(c))
		if !ours || err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("Open(Seal(%q)) = %q, %v, %v", c, again, ours, err)
		}
	})
}

func benchmarkContent() Content {
	return Content{Details: raw(`{"type":"reasoning.text","text":"` + strings.Repeat("Let me look at the file first, then at its tests. ", 80) + `","signature":"` + strings.Repeat("EqQBCkgIBxABGAIiQ", 40) + `"}`)}
}

func BenchmarkSeal(b *testing.B) {
	c := benchmarkContent()
	b.ReportAllocs()
	for b.Loop() {
		Seal(c)
	}
}

func BenchmarkOpen(b *testing.B) {
	s := Seal(benchmarkContent())
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := open(s); err != nil {
			b.Fatal(err)
		}
	}
}

// isEmpty reports whether nothing of c is sealed.
func isEmpty(c Content) bool { return len(c.appendTo(nil)) == len("{}") }
