package body

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

const longText = 1 << 10

var long = strings.Repeat("x", longText+1)

// The places of the tests' grammar.
const (
	atMessages = First + iota
	atMessage
	atContent
	atPart
)

// testGrammar has the content of messages, a text or a list of texts.
var testGrammar = Grammar{
	Needs: "messages",
	Known: []string{"model", "messages", "stream", "top_k", "max_tokens", "tools"},
	Places: []Node{
		Top:        {Fields: []Field{{"model", Model}, {"messages", atMessages}}},
		atMessages: {Element: atMessage},
		atMessage:  {Fields: []Field{{"content", atContent}}},
		atContent:  {Element: atPart},
	},
}.Indexed()

// longTexts takes long texts out.
type longTexts struct{}

func (longTexts) Begin(Place, int) {}
func (longTexts) End(Place, int)   {}

func (longTexts) Value(_ Place, b []byte, value Span, _ int) Span {
	if b[value.From] == '"' && value.To-value.From-2 > longText {
		return Span{value.From + 1, value.To - 1}
	}
	return Span{}
}

func scan(b []byte) (*Doc, error) {
	d := &Doc{}
	err := d.Scan(b, &testGrammar, longTexts{})
	return d, err
}

// parse scans a body and completes it.
func parse(t *testing.T, b string) *Doc {
	t.Helper()
	d, err := scan([]byte(b))
	if err != nil {
		t.Fatal(err)
	}
	d.Mend(nil)
	return d
}

func TestScanNotesTheModel(t *testing.T) {
	for body, want := range map[string]string{
		`{"model":"a"}`:                        `"a"`,
		`{ "x":1 , "model" : "a\"b" , "y":2 }`: `"a\"b"`,
		`{"mod\u0065l":null}`:                  `null`,
		`{"model":[{"model":1}],"a":[]}`:       `[{"model":1}]`,
		`{"model":{},"a":{}}`:                  `{}`,
		`{"a":{"model":"x"}}`:                  ``,
		`{}`:                                   ``,
	} {
		out, err := scan([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := body[out.model.From:out.model.To]; got != want {
			t.Errorf("model of %s = %q, want %q", body, got, want)
		}
	}
}

func TestScanErrors(t *testing.T) {
	for name, tc := range map[string]struct{ body, want string }{
		"nothing":                        {"", "the request body is empty: send a JSON object with the field messages"},
		"only white space":               {" \n", "the request body is empty: send a JSON object with the field messages"},
		"no object":                      {"\n [1]", "the request body must be a JSON object: line 2, column 2: expected '{'"},
		"form data":                      {"model=x", "the request body must be a JSON object: line 1, column 1: expected '{'"},
		"an object that ends early":      {"{\n\"a\": 1", "the request body is not valid JSON: line 2, column 7: the body ends here; expected ',' or '}' behind a value"},
		"a string that ends early":       {`{"a":"bc`, "the request body is not valid JSON: line 1, column 9: the body ends here; expected '\"' at the end of a string"},
		"a comma at the end":             {`{"a":1,}`, "the request body is not valid JSON: line 1, column 8: expected a key in double quotes"},
		"a comma at the end of an array": {`{"a":[1,]}`, "the request body is not valid JSON: line 1, column 9: expected a value"},
		"a key without quotes":           {`{a:1}`, "the request body is not valid JSON: line 1, column 2: expected a key in double quotes"},
		"no colon":                       {`{"a" 1}`, "the request body is not valid JSON: line 1, column 6: expected ':' behind a key"},
		"no comma":                       {`{"é":["é" 1]}`, "the request body is not valid JSON: line 1, column 11: expected ',' or ']' behind a value"},
		"Python's None":                  {`{"a":None}`, "the request body is not valid JSON: line 1, column 6: expected a value"},
		"a misspelt literal":             {`{"a":nil}`, "the request body is not valid JSON: line 1, column 6: expected a value; words other than true, false and null need quotes"},
		"a number that ends early":       {`{"a":1.}`, "the request body is not valid JSON: line 1, column 8: expected a digit"},
		"a line end in a string":         {"{\"a\":\"b\nc\"}", `the request body is not valid JSON: line 1, column 8: a control character in a string; write \n for a line end, \u00XX for others`},
		"a wrong escape":                 {`{"a":"\x41"}`, `the request body is not valid JSON: line 1, column 7: a backslash that begins no escape of JSON; write \\ for itself`},
		"a wrong code unit":              {`{"a":"\u12x4"}`, `the request body is not valid JSON: line 1, column 11: expected four hexadecimal digits behind \u`},
		"two objects":                    {`{} {}`, "the request body is not valid JSON: line 1, column 4: something follows the object; send one object"},
		"Latin-1":                        {"{\"a\":\"caf\xe9\"}", `the request body is not UTF-8: line 1, column 10: send text as UTF-8 or as \u escapes`},
		"Latin-1 in a key":               {"{\"caf\xe9\":1}", `the request body is not UTF-8: line 1, column 6: send text as UTF-8 or as \u escapes`},
		"too deep":                       {`{"a":` + strings.Repeat("[", 512), "the request body is not valid JSON: line 1, column 517: nested more than 512 deep; flatten the request"},
		"a long name":                    {`{"` + strings.Repeat("a", 4097) + `":1}`, "line 1, column 2: a name of more than 4096 bytes at the top level"},
		"a field twice":                  {"{\"model\":\"a\",\n\"mod\\u0065l\":\"b\"}", "model: line 2, column 1: a second field of the same name at the top level, whatever the case of its letters: send each field once"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := scan([]byte(tc.body))
			var e *fault.Error
			if !errors.As(err, &e) {
				t.Fatalf("scan(%q) error = %v, want an *fault.Error", tc.body, err)
			}
			if e.Text != tc.want || e.Kind != fault.Invalid || e.Code != "" {
				t.Errorf("scan(%.40q) error = %v %q\n%s, want\n%s", tc.body, e.Kind, e.Code, e.Text, tc.want)
			}
			if wantParam := map[bool]string{true: "model"}[name == "a field twice"]; e.Param != wantParam {
				t.Errorf("scan(%.40q) param = %q, want %q", tc.body, e.Param, wantParam)
			}
		})
	}
}

func TestScanFindsDuplicatesAmongMany(t *testing.T) {
	body := func(n int, last string) []byte {
		var b bytes.Buffer
		b.WriteString(`{"a":{"b":1,"b":2},`)
		for i := range n {
			fmt.Fprintf(&b, `"field%d":%d,`, i, i)
		}
		fmt.Fprintf(&b, `%q:0}`, last)
		return b.Bytes()
	}
	for _, n := range []int{1, 22, 23, 24, 25, 1000} {
		if _, err := scan(body(n, "last")); err != nil {
			t.Errorf("%d fields: %v", n, err)
		}
		for _, twice := range []string{"a", "field0", fmt.Sprint("field", n-1)} {
			if _, err := scan(body(n, twice)); err == nil || !strings.Contains(err.Error(), "second field") {
				t.Errorf("%d fields and %s again: error = %v", n, twice, err)
			}
		}
	}
	if _, err := scan(body(maxFields, "last")); err == nil || !strings.Contains(err.Error(), "more than 1024 fields") {
		t.Errorf("too many fields: error = %v", err)
	}
}

func TestScanOfBombs(t *testing.T) {
	const size = 32 << 20
	for _, unit := range []string{"[", `{"a":`, `{"a":[`, `{"a":1,`, `{"":{},`, "{", `"`, `{"a":"\`, "\x00", "{\n"} {
		body := []byte(strings.Repeat(unit, size/len(unit)))
		if _, err := scan(body); err == nil {
			t.Errorf("32 MiB of %q: no error", unit)
		}
		if _, err := scan(slices.Concat([]byte(`{"a":`), body)); err == nil {
			t.Errorf("32 MiB of %q in an object: no error", unit)
		}
	}
}

func TestScanAllocatesNothing(t *testing.T) {
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"Grüße"}],"stream":true}`)
	var d Doc
	if n := testing.AllocsPerRun(100, func() { d.Scan(body, &testGrammar, longTexts{}) }); n != 0 {
		t.Errorf("scan makes %v allocations, want 0", n)
	}
}

// FuzzScan holds the scan and what is built on it against encoding/json. In the
// input, LONG stands for content that is just long and FITS for content that is
// not, so that the fuzzer need not find them.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`{"model":"a","messages":[{"role":"user","content":"LONG"}],"stream":true}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"LONG"},{"type":"image_url","image_url":{"url":"data:image/png;base64,LONG"}}]}],"model":null}`,
		`{"messages":[{"content":["LONG","FITS",["LONG"],{"content":"LONG"}]}]}`,
		`{"a":[1,-2.5e+3,true,false,null,{"b":[]}],"\u0061":"\ud83d\ude00"}`,
		" { } ", "{\"é\":\"\xff\"}", `{"a":01}`, `{"a":1}x`, `[`, `{"model":{"a":["LONG"]},"model ":1}`,
		`{"a":` + strings.Repeat("[", 511) + strings.Repeat("]", 511) + "}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		body := bytes.ReplaceAll(in, []byte("LONG"), []byte(long))
		body = bytes.ReplaceAll(body, []byte("FITS"), []byte(long[1:]))
		out, err := scan(body)
		want, ok := plainScan(body)
		if (err == nil) != ok {
			t.Fatalf("scan(%q) error = %v, want accepted = %t", in, err, ok)
		}
		if !ok {
			return
		}
		if out.model != want.model || !slices.Equal(out.long, want.long) {
			t.Fatalf("scan(%q) = %v, want %v", in, out, want)
		}
		checkBodies(t, body, out)
	})
}

// checkBodies checks Body, Short and Expand of a body that scan accepts.
func checkBodies(t *testing.T, body []byte, out *Doc) {
	t.Helper()
	const name = "up\"stream/modèle"
	c := out
	c.Mend(nil)
	whole := c.Body(name)
	var before, after map[string]json.RawMessage
	if json.Unmarshal(body, &before) != nil || json.Unmarshal(whole, &after) != nil {
		t.Fatalf("Body of %q is no JSON object: %q", body, whole)
	}
	if got, _ := sdk.JSON(after["model"]).Str(); got != name {
		t.Errorf("the model of %q is %q", whole, after["model"])
	}
	delete(before, "model")
	delete(after, "model")
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("Body changes more than the model: %q, was %q", whole, body)
	}
	short, refs := c.Short(name)
	most := len(whole)
	for _, content := range out.long {
		most -= content.To - content.From - 64
	}
	if !json.Valid(short) || len(short) > most {
		t.Errorf("Short = %q, want at most %d bytes of JSON", short, most)
	}
	if (refs != nil) != (len(out.long) > 0) {
		t.Errorf("Short gives refs %v for %d long contents", refs, len(out.long))
	}
	if again, err := refs.Expand(short); err != nil || !bytes.Equal(again, whole) {
		t.Errorf("Expand(Short) = %q, %v, want %q", again, err, whole)
	}
}

// plainScan is scan by other means. Of the Doc it gives model and long.
func plainScan(body []byte) (Doc, bool) {
	if !json.Valid(body) || !utf8.Valid(body) || bytes.TrimLeft(body, " \t\r\n")[0] != '{' || deepest(body) > maxDepth {
		return Doc{}, false
	}
	w := walker{dec: json.NewDecoder(bytes.NewReader(body)), body: body, keys: map[string]bool{}}
	w.dec.UseNumber()
	w.value("")
	return w.out, len(w.keys) == w.fields && w.fields <= maxFields && !w.wrong
}

func deepest(body []byte) int {
	depth, deepest := 0, 0
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

// walker walks over valid JSON. It writes a path as its keys in quotes and []
// for elements: no key can be taken for another path.
type walker struct {
	dec    *json.Decoder
	body   []byte
	fields int // of the top level
	keys   map[string]bool
	wrong  bool // a name is one that is refused
	out    Doc
}

func (w *walker) value(path string) {
	from := int(w.dec.InputOffset())
	from += len(w.body[from:]) - len(bytes.TrimLeft(w.body[from:], " \t\r\n:,"))
	token, _ := w.dec.Token()
	switch token {
	case json.Delim('{'):
		for w.dec.More() {
			from := int(w.dec.InputOffset())
			from += len(w.body[from:]) - len(bytes.TrimLeft(w.body[from:], " \t\r\n,"))
			key, _ := w.dec.Token()
			if path == "" {
				name := Fold([]byte(key.(string)))
				w.fields++
				w.keys[string(name)] = true
				w.wrong = w.wrong || slices.Contains(testGrammar.Known, string(name)) && string(name) != key || int(w.dec.InputOffset())-from-2 > maxName
			}
			w.value(path + strconv.Quote(key.(string)))
		}
		w.dec.Token()
	case json.Delim('['):
		for w.dec.More() {
			w.value(path + "[]")
		}
		w.dec.Token()
	}
	at := Span{from, int(w.dec.InputOffset())}
	if path == `"model"` {
		w.out.model = at
	}
	if _, ok := token.(string); !ok {
		return
	}
	at = Span{at.From + 1, at.To - 1}
	switch path {
	case `"messages"[]"content"`, `"messages"[]"content"[]`:
		if at.To-at.From > longText {
			w.out.long = append(w.out.long, at)
		}
	}
}

// TestHalvesOfCharacters: half a character becomes U+FFFD where it stands, and
// nothing else changes.
func TestHalvesOfCharacters(t *testing.T) {
	for in, want := range map[string]string{
		`a\ud83d\ude00b`: `a\ud83d\ude00b`, `\uD83D\uDE00`: `\uD83D\uDE00`, `\ud83d`: `\ufffd`, `\ud83d b`: `\ufffd b`, `\ude00`: `\ufffd`,
		`\ud83d\ud83d\ude00`: `\ufffd\ud83d\ude00`, `\ude00\ud83d`: `\ufffd\ufffd`, `\ud83d\n`: `\ufffd\n`, `\\ud83d`: `\\ud83d`,
		`\\\ud83d`: `\\\ufffd`, `\ud7ff\ue000`: `\ud7ff\ue000`, `\ud83d\u0041`: `\ufffd\u0041`, `\ud800\udfff`: `\ud800\udfff`,
	} {
		const body = `{"%":["%"],"messages":[{"role":"user","content":"%"}]}`
		c, err := scan([]byte(strings.ReplaceAll(body, "%", in)))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		want := `{"model":"m",` + strings.ReplaceAll(body, "%", want)[1:]
		if got := string(c.Body("m")); got != want {
			t.Errorf("%s in a body: %s, want %s", in, got, want)
		}
	}
	if _, err := scan([]byte(`{"messages":[{"role":"user","content":"\ud83d\udexx"}]}`)); err == nil {
		t.Error("an escape with other digits was taken")
	}
}
