package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestJSONKind(t *testing.T) {
	for in, want := range map[string]Kind{
		"":            KindAbsent,
		" \n":         KindAbsent,
		"x":           KindAbsent,
		"null":        KindNull,
		"true":        KindBool,
		" false":      KindBool,
		"-1":          KindNumber,
		"7":           KindNumber,
		`"a"`:         KindString,
		"[1]":         KindArray,
		"\t{\"a\":1}": KindObject,
	} {
		if got := JSON(in).Kind(); got != want {
			t.Errorf("JSON(%q).Kind() = %d, want %d", in, got, want)
		}
	}
}

func TestJSONInt(t *testing.T) {
	for in, want := range map[string]struct {
		value int64
		ok    bool
	}{
		"0":                        {0, true},
		"-0":                       {0, true},
		"0.000e99999999999999999":  {0, true},
		" 42 ":                     {42, true},
		"-42":                      {-42, true},
		"1.0":                      {1, true},
		"1e2":                      {100, true},
		"1E+2":                     {100, true},
		"1.50e1":                   {15, true},
		"1200e-2":                  {12, true},
		"1201e-2":                  {0, false},
		"0.1":                      {0, false},
		"0.01e2":                   {1, true},
		"100000000000000000000e-5": {1e15, true},
		"9223372036854775807":      {9223372036854775807, true},
		"9223372036854775807.000":  {9223372036854775807, true},
		"9223372036854775808":      {0, false},
		"-9223372036854775808":     {-9223372036854775808, true},
		"-9223372036854775809":     {0, false},
		"1e19":                     {0, false},
		"1e999999999999999999":     {0, false},
		"1e-999999999999999999":    {0, false},
		"01":                       {0, false},
		"00":                       {0, false},
		"2015":                     {2015, true},
		"999999999999999999":       {999999999999999999, true},
		"12a":                      {0, false},
		"1.":                       {0, false},
		"+1":                       {0, false},
		`"1"`:                      {0, false},
		"null":                     {0, false},
		"":                         {0, false},
	} {
		got, ok := JSON(in).Int()
		if ok != want.ok || got != want.value {
			t.Errorf("JSON(%q).Int() = %d, %t, want %d, %t", in, got, ok, want.value, want.ok)
		}
	}
}

func TestJSONFloat(t *testing.T) {
	for in, want := range map[string]struct {
		value float64
		ok    bool
	}{
		"0.7":      {0.7, true},
		" -1.5e3 ": {-1500, true},
		"1e999":    {0, false},
		"0x1p4":    {0, false},
		"inf":      {0, false},
		"1_0":      {0, false},
		"":         {0, false},
	} {
		got, ok := JSON(in).Float()
		if ok != want.ok || got != want.value {
			t.Errorf("JSON(%q).Float() = %v, %t, want %v, %t", in, got, ok, want.value, want.ok)
		}
	}
}

func TestJSONStr(t *testing.T) {
	for name, tc := range map[string]struct {
		in, want string
		notOK    bool
	}{
		"plain":                         {in: `"hello"`, want: "hello"},
		"empty":                         {in: `""`, want: ""},
		"white space around":            {in: " \"a\"\n", want: "a"},
		"short escapes":                 {in: `"\"\\\/\b\f\n\r\t"`, want: "\"\\/\b\f\n\r\t"},
		"code units":                    {in: `"\u0041\u00e9\u20AC"`, want: "Aé€"},
		"surrogate pair":                {in: `"\ud83d\ude00"`, want: "😀"},
		"lone surrogates":               {in: `"\ud83d-\ude00"`, want: "\ufffd-\ufffd"},
		"surrogate before another unit": {in: `"\ud83d\u0041"`, want: "\ufffdA"},
		"invalid UTF-8":                 {in: "\"a\xff\xfeb\"", want: "a\ufffd\ufffdb"},
		"invalid UTF-8 and an escape":   {in: "\"\xe2\\n\"", want: "\ufffd\n"},
		"not a string":                  {in: `12`, notOK: true},
		"not closed":                    {in: `"abc`, notOK: true},
		"a quote alone":                 {in: `"`, notOK: true},
		"two strings":                   {in: `"a" "b"`, notOK: true},
		"control character":             {in: "\"a\nb\"", notOK: true},
		"unknown escape":                {in: `"\x"`, notOK: true},
		"absent":                        {in: ``, notOK: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := JSON(tc.in).Str()
			if ok == tc.notOK || got != tc.want {
				t.Errorf("JSON(%q).Str() = %q, %t, want %q, %t", tc.in, got, ok, tc.want, !tc.notOK)
			}
			appended, ok := JSON(tc.in).AppendStr([]byte("> "))
			if want := "> " + tc.want; ok == tc.notOK || string(appended) != want {
				t.Errorf("JSON(%q).AppendStr = %q, %t, want %q, %t", tc.in, appended, ok, want, !tc.notOK)
			}
		})
	}
}

func TestJSONRawStrIsNotDecoded(t *testing.T) {
	got, ok := JSON(` "a\nb" `).RawStr()
	if !ok || string(got) != `a\nb` {
		t.Errorf(`RawStr() = %q, %t, want a\nb, true`, got, ok)
	}
}

func TestJSONGet(t *testing.T) {
	v := JSON(`{"a":1, "b\u0062":[2], "a":3, "n":null} `)
	for key, want := range map[string]string{"a": "1", "bb": "[2]", "n": "null", "c": ""} {
		if got := v.Get(key); string(got) != want {
			t.Errorf("Get(%q) = %q, want %q", key, got, want)
		}
	}
	for _, other := range []string{"", "null", "[1]", `{"b" 1,"a":1}`} {
		if got := JSON(other).Get("a"); got != nil {
			t.Errorf("JSON(%q).Get = %q, want absent", other, got)
		}
	}
}

func TestIteratorsOfNothing(t *testing.T) {
	for _, in := range []string{"", " ", "null", " null\n", "{}", " { } "} {
		if it := Object(JSON(in)); it.Next() || it.Err() != nil {
			t.Errorf("Object(%q) has fields or Err() = %v", in, it.Err())
		}
	}
	for _, in := range []string{"", "null", "[]", "[\n]"} {
		if it := Array(JSON(in)); it.Next() || it.Err() != nil {
			t.Errorf("Array(%q) has elements or Err() = %v", in, it.Err())
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	deep := strings.Repeat("[", 513)
	for name, tc := range map[string]struct {
		in, want string
		offset   int
	}{
		"truncated key":         {`{"abc`, "it ends too early", 5},
		"no colon":              {`{"a" 1}`, "expected a colon after the key", 5},
		"truncated after key":   {`{"a"`, "it ends too early", 4},
		"no value":              {`{"a":}`, "expected a value", 5},
		"no comma":              {`{"a":1 "b":2}`, "expected a comma or the end of the object", 7},
		"comma at the end":      {`{"a":1,}`, "expected a key in quotes", 7},
		"wrong bracket":         {`{"a":[1}}`, "expected a comma or the end of the array", 7},
		"wrong bracket, object": {`{"a":{"b":1]}`, "expected a comma or the end of the object", 11},
		"trailing bytes":        {`{"a":1} x`, "something follows the value", 8},
		"half a literal":        {`{"a":tru`, "it ends too early", 8},
		"misspelt literal":      {`{"a":trux}`, "expected true, false or null", 5},
		"leading zero":          {`{"a":01}`, "expected a comma or the end of the object", 6},
		"fraction of nothing":   {`{"a":1.}`, "malformed number", 7},
		"control character":     {"{\"a\":\"x\ny\"}", "control character in a string", 7},
		"bad escape":            {`{"a":"\x"}`, "malformed escape in a string", 7},
		"bad code unit":         {`{"a":"\u12G4"}`, "malformed escape in a string", 10},
		"not an object":         {`"abc"`, "expected an object", 0},
		"half a null":           {`nul`, "it ends too early", 3},
		"too deep":              {`{"a":` + deep, "nested more than 512 deep", 5 + 511},
	} {
		t.Run(name, func(t *testing.T) {
			it := Object(JSON(tc.in))
			for it.Next() {
			}
			var err *SyntaxError
			if !errors.As(it.Err(), &err) {
				t.Fatalf("Object(%q): Err() = %v, want a *SyntaxError", tc.in, it.Err())
			}
			if err.Message != tc.want || err.Offset != tc.offset {
				t.Errorf("Object(%q): Err() = %v, want %q at byte %d", tc.in, err, tc.want, tc.offset)
			}
			if it.Next() || it.Value() != nil {
				t.Errorf("Object(%q) goes on after its error", tc.in)
			}
		})
	}
}

func TestValidNestsTo512(t *testing.T) {
	for _, pair := range []string{"[]", "{}"} {
		left, right := pair[:1], pair[1:]
		if left == "{" {
			left = `{"a":`
		}
		for depth, ok := range map[int]bool{511: true, 512: true, 513: false} {
			in := strings.Repeat(left, depth-1) + pair + strings.Repeat(right, depth-1)
			if err := JSON(in).Valid(); (err == nil) != ok {
				t.Errorf("%d times %s: Valid() = %v", depth, left, err)
			}
		}
	}
}

func TestIteratorsDoNotAllocate(t *testing.T) {
	var text, names []byte
	n := testing.AllocsPerRun(100, func() {
		text, names = text[:0], names[:0]
		for it := Object(ollamaLine); it.Next(); {
			names = append(names, it.Key()...)
			if it.Value().Kind() == KindObject {
				text, _ = it.Value().Get("content").AppendStr(text)
			}
		}
	})
	if n != 0 {
		t.Errorf("a walk over an object makes %v allocations, want 0", n)
	}
	if string(text) != " Hello" {
		t.Errorf("content = %q", text)
	}
}

// TestGetOfLargeValues: whether a key is looked for at first or not, the result is the same.
func TestGetOfLargeValues(t *testing.T) {
	slow := func(v JSON, key string) JSON {
		for it := Object(v); it.Next(); {
			if string(it.Key()) == key {
				return it.Value()
			}
		}
		return nil
	}
	text := strings.Repeat("some text, ", largeValue/10)
	keys := []string{"top_k", "_", "a_b_c", "plain", "", "x_\\", "x_/", "x_\u00e4", "x_\n", "reasoning_effort"}
	for name, fields := range map[string]string{
		"none":                           ``,
		"some":                           `"top_k":1,"_":2,"plain":3,"":4,"x_\\\\":5,"x_\/":6,"x_\u00e4":7,"x_\n":8`,
		"escaped":                        `"top\u005fk":1,"\u005f":2,"pl\u0061in":3`,
		"in the beginning of others":     `"top_kk":1,"atop_k":2,"__":3,"a_b":4,"reasoning_effor":5`,
		"as a value":                     `"a":"top_k","b":"_"`,
		"further in":                     `"a":{"top_k":1,"reasoning_effort":2}`,
		"behind backslashes":             `"a":"\\\\u005f\\","b":"\"top_k\"","c":"\\_"`,
		"behind an escaped quote":        `"a":"\"","reasoning_effort":"low"`,
		"after underscores that are not": `"a":"____________________ top_ k","a_b_c":9,"x":"_"`,
	} {
		for _, v := range []string{`{` + fields + `,"z":"` + text + `"}`, `{"z":"` + text + `",` + fields + `}`, `{"z":"` + text + `\n\\` + text + `",` + fields + `} `} {
			v = strings.NewReplacer("{,", "{", ",}", "}").Replace(v)
			for _, key := range keys {
				if got, want := JSON(v).Get(key), slow(JSON(v), key); string(got) != string(want) {
					t.Errorf("%s: Get(%q) = %s, want %s", name, key, got, want)
				}
				for end := range len(v) {
					if got, want := JSON(v[:end]).Get(key), slow(JSON(v[:end]), key); string(got) != string(want) {
						t.Fatalf("%s, cut after %d bytes: Get(%q) = %s, want %s", name, end, key, got, want)
					}
				}
			}
		}
	}
}

func TestAppendQuote(t *testing.T) {
	for in, want := range map[string]string{
		"":                      `""`,
		"plain":                 `"plain"`,
		"é😀\u2028":              "\"é😀\u2028\"",
		"a\"b\\c/":              `"a\"b\\c/"`,
		"\b\f\n\r\t\x00\x1f":    `"\b\f\n\r\t\u0000\u001f"`,
		"bad \xff\xfe UTF\xe2-": "\"bad \ufffd\ufffd UTF\ufffd-\"",
	} {
		if got := AppendQuote([]byte("x"), in); string(got) != "x"+want {
			t.Errorf("AppendQuote(%q) = %s, want %s", in, got[1:], want)
		}
	}
}

// TestAppendQuoteWherever: a character is written in the same way wherever it stands, although
// several are looked at together.
func TestAppendQuoteWherever(t *testing.T) {
	for c := range 256 {
		alone := string(AppendQuote(nil, string([]byte{byte(c)})))
		alone = alone[1 : len(alone)-1]
		for before := range 18 {
			for _, around := range []string{"a", " ", "~", "!", "#", "[", "]", "\x7f"} {
				in := strings.Repeat(around, before) + string([]byte{byte(c)}) + strings.Repeat(around, 17-before)
				want := `"` + strings.Repeat(around, before) + alone + strings.Repeat(around, 17-before) + `"`
				if got := string(AppendQuote(nil, in)); got != want {
					t.Fatalf("AppendQuote(%q) = %s, want %s", in, got, want)
				}
			}
		}
	}
}

func TestAppendUnquoteKeepsWhatIsNoEscape(t *testing.T) {
	if got := AppendUnquote(nil, []byte(`a\x\u12\n\`)); string(got) != "a\\x\\u12\n\\" {
		t.Errorf("AppendUnquote = %q", got)
	}
}

func TestWriter(t *testing.T) {
	var w Writer
	build := func() {
		w.Reset(w.Bytes()[:0])
		w.Object()
		w.Key("model").String("granite4:tiny-h")
		w.Key("q\"").RawString([]byte(`a\nb`))
		w.Key("messages").Array()
		w.Object()
		w.End()
		w.Raw(JSON(`{"role":"user"}`))
		w.Array()
		w.End()
		w.End()
		w.Key("none").Raw(nil)
		w.Key("n").Int(-7)
		w.Key("f").Float(0.25)
		w.Key("inf").Float(1 / zero)
		w.Key("list").Array()
		w.Bool(true)
		w.Null()
		w.Bool(false)
		w.End()
		w.End()
	}
	build()
	const want = `{"model":"granite4:tiny-h","q\"":"a\nb","messages":[{},{"role":"user"},[]],` +
		`"none":null,"n":-7,"f":0.25,"inf":null,"list":[true,null,false]}`
	if got := string(w.Bytes()); got != want {
		t.Errorf("Writer wrote\n%s, want\n%s", got, want)
	}
	if n := testing.AllocsPerRun(100, build); n != 0 {
		t.Errorf("a Writer with a buffer makes %v allocations, want 0", n)
	}
}

var zero float64

func TestWriterPanics(t *testing.T) {
	for name, misuse := range map[string]func(w *Writer){
		"End without a beginning": func(w *Writer) { w.End() },
		"65 open arrays": func(w *Writer) {
			for range 65 {
				w.Array()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			misuse(new(Writer))
		})
	}
}

// FuzzJSON holds everything JSON says of some bytes against encoding/json.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"model":"x","messages":[{"role":"user","content":"hi \u00e9\ud83d\ude00"}],"n":1.0}`,
		`[1,-0.5e+3,1e2,12345678901234567890,true,false,null,"",{}]`,
		`{"a":{"b":[[],{"c":{}}]},"a":2,"\u0061":3}`,
		"\"\xff\\ud800\\udc00\\ud800x\"",
		" [ 1 , 2 ] ", "[1,]", "{\"a\"", "01", "1.", "-", "nul", "\"\x1f\"", `"\u12"`, "[}", `{"a":1]`,
		strings.Repeat("[", 513) + strings.Repeat("]", 513),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		valid := json.Valid(in) && depthOf(in) <= maxDepth
		if err := JSON(in).Valid(); (err == nil) != valid {
			t.Fatalf("Valid() = %v, encoding/json says valid = %t", err, json.Valid(in))
		}
		if valid {
			compare(t, JSON(in))
			return
		}
		// Walking over broken input must end, and say so. Get finds what a walk finds.
		seen := map[string]bool{}
		for it := Object(in); it.Next(); {
			key := string(it.Key())
			if got := JSON(in).Get(key); !seen[key] && !bytes.Equal(got, it.Value()) {
				t.Errorf("JSON(%q).Get(%q) = %q, want %q", in, key, got, it.Value())
			}
			seen[key] = true
		}
		if got := JSON(in).Get("a"); got != nil && !seen["a"] {
			t.Errorf("JSON(%q).Get(%q) = %q, and a walk finds no such key", in, "a", got)
		}
		it := Array(in)
		for it.Next() {
		}
		if JSON(in).Kind() == KindArray && it.Err() == nil {
			t.Errorf("Array finds no error in invalid JSON %q", in)
		}
		AppendUnquote(nil, in)
	})
}

// depthOf counts how deep brackets nest in valid JSON.
func depthOf(in []byte) int {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(in); i++ {
		switch c := in[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}

func compare(t *testing.T, v JSON) {
	t.Helper()
	_, isBool := v.Bool()
	_, isString := v.Str()
	_, isFloat := v.Float()
	switch v.Kind() {
	case KindAbsent:
		t.Fatalf("valid JSON %q is absent", v)
	case KindBool:
		var want bool
		mustUnmarshal(t, v, &want)
		if got, _ := v.Bool(); got != want {
			t.Errorf("JSON(%q).Bool() = %t", v, got)
		}
	case KindString:
		var want string
		mustUnmarshal(t, v, &want)
		if got, ok := v.Str(); !ok || got != want {
			t.Errorf("JSON(%q).Str() = %q, %t, want %q", v, got, ok, want)
		}
		var again string
		mustUnmarshal(t, AppendQuote(nil, want), &again)
		if again != want {
			t.Errorf("AppendQuote(%q) reads back as %q", want, again)
		}
	case KindNumber:
		compareNumber(t, v)
	case KindArray:
		var want []json.RawMessage
		mustUnmarshal(t, v, &want)
		var n int
		it := Array(v)
		for ; it.Next(); n++ {
			if n < len(want) && !bytes.Equal(it.Value(), want[n]) {
				t.Errorf("element %d of %q = %q, want %q", n, v, it.Value(), want[n])
			}
			compare(t, it.Value())
		}
		if n != len(want) || it.Err() != nil {
			t.Errorf("Array(%q) has %d elements, Err() = %v, want %d", v, n, it.Err(), len(want))
		}
	case KindObject:
		compareObject(t, v)
	}
	if isBool != (v.Kind() == KindBool) || isString != (v.Kind() == KindString) || isFloat && v.Kind() != KindNumber {
		t.Errorf("JSON(%q) has values of other kinds than %d", v, v.Kind())
	}
}

func compareNumber(t *testing.T, v JSON) {
	t.Helper()
	text := string(v.trim())
	want, err := strconv.ParseFloat(text, 64)
	if got, ok := v.Float(); ok != (err == nil) || ok && got != want {
		t.Errorf("JSON(%q).Float() = %v, %t, want %v, %v", v, got, ok, want, err)
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 5 {
		return // math/big would build a number of that many digits
	}
	exact, _ := new(big.Rat).SetString(text)
	wantOK := exact.IsInt() && exact.Num().IsInt64()
	if got, ok := v.Int(); ok != wantOK || ok && got != exact.Num().Int64() {
		t.Errorf("JSON(%q).Int() = %d, %t, want %s, %t", v, got, ok, exact, wantOK)
	}
}

func compareObject(t *testing.T, v JSON) {
	t.Helper()
	// A json.Decoder gives the keys in order and with their duplicates.
	dec := json.NewDecoder(bytes.NewReader(v))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	it := Object(v)
	for it.Next() {
		token, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			t.Fatal(err)
		}
		key := string([]rune(string(it.Key())))
		if key != token {
			t.Errorf("key %q of %q, want %q", key, v, token)
		}
		if !bytes.Equal(it.Value(), raw) {
			t.Errorf("value of %q in %q = %q, want %q", key, v, it.Value(), raw)
		}
		if !seen[string(it.Key())] {
			if got := v.Get(string(it.Key())); !bytes.Equal(got, raw) {
				t.Errorf("JSON(%q).Get(%q) = %q, want %q", v, it.Key(), got, raw)
			}
		}
		seen[string(it.Key())] = true
		compare(t, it.Value())
	}
	if dec.More() || it.Err() != nil {
		t.Errorf("Object(%q) ends early or with %v", v, it.Err())
	}
}

func mustUnmarshal(t *testing.T, v []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(v, into); err != nil {
		t.Fatalf("encoding/json: %v in %q", err, v)
	}
}

// ollamaLine is a line of Ollama's stream, of the usual length.
var ollamaLine = JSON(`{"model":"granite4:tiny-h","created_at":"2026-11-20T10:11:12.123456789Z",` +
	`"message":{"role":"assistant","content":" Hello"},"done":false}`)

func BenchmarkOllamaLine(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(ollamaLine)))
	for b.Loop() {
		var content []byte
		r := NewReader(ollamaLine)
		for top := r.Object(); r.Next(top); {
			switch string(r.Key()) {
			case "message":
				for message := r.Object(); r.Next(message); {
					if string(r.Key()) == "content" {
						content, _ = r.Value().Inside()
					}
				}
			case "done":
				r.Value().Bool()
			}
		}
		if len(content) != 6 {
			b.Fatal("no content")
		}
	}
}

func BenchmarkValidLongString(b *testing.B) {
	v := JSON(slices.Concat([]byte(`"`), bytes.Repeat([]byte("All work and no play. "), 10_000), []byte(`"`)))
	b.SetBytes(int64(len(v)))
	for b.Loop() {
		if v.Valid() != nil {
			b.Fatal("not valid")
		}
	}
}

func TestTrimSpaceEnd(t *testing.T) {
	for inside, want := range map[string]string{
		``: ``, ` `: ``, `a`: `a`, `a `: `a`, `a \n\t\r `: `a`, `a\\n`: `a\\n`, `a\\\n`: `a\\`, `\u00a0`: ``, `a\u3000\u000c`: `a`,
		"a\u00a0\u2003": `a`, `a\u0041`: `a\u0041`, `a\"`: `a\"`, `\\u0020`: `\\u0020`, `\\\u0020`: `\\`, "a\xff": "a\xff", ` a`: ` a`,
	} {
		if got := TrimSpaceEnd([]byte(inside)); string(got) != want {
			t.Errorf("TrimSpaceEnd(%q) = %q, want %q", inside, got, want)
		}
	}
}

func TestEmpty(t *testing.T) {
	for in, want := range map[string]bool{
		"": true, " ": true, "null": true, "false": true, "0": true, "-0.0": true, "0e5": true, `""`: true, "{}": true, "[]": true,
		" { } ": true, `{"a":null,"b":[0,""]}`: true, "[null]": true, `{"a":{"b":{"c":false}}}`: true,
		"true": false, "1": false, `" "`: false, `"a"`: false, `{"a":1}`: false, "[true]": false, "x": false, "1e999": false,
		`{"a":`: false, "[null": false, `[[[[[[[[[[[]]]]]]]]]]]`: false,
	} {
		if got := JSON(in).Empty(); got != want {
			t.Errorf("JSON(%q).Empty() = %v, want %v", in, got, want)
		}
	}
}
