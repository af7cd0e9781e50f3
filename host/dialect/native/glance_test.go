package native

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestGlance: what providers write is read in one pass, and anything else not at all.
func TestGlance(t *testing.T) {
	for data, want := range map[string]struct {
		kind string
		text int
	}{
		`{"type":"response.output_text.delta","content_index":0,"delta":" gateway","logprobs":[],"sequence_number":12}`: {"response.output_text.delta", 8},
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"é\n\u00e9"},"novel":-1.5e+3}`:     {"content_block_delta", 10},
		`{"delta":{"partial_json":"{}","type":"x"},"type":"y"}`:                                                         {"y", 2},
		`{"type":"a.done","text":"abc"}`:                                    {"a.done", 0},
		`{"type":"a","item":{"a":{},"encrypted_content":"abcd"}}`:           {"a", 4},
		`{"type":"a","delta":{"text":"a"},"delta":"abc"}`:                   {"a", 1},
		`{"type":1,"type":"b","a":[[{"type":"c"}],true,false,null,0.1,-0]}`: {"", 0},
		`{}`: {"", 0},
	} {
		g, ok := glanceAt([]byte(data))
		if !ok || string(g.kind) != want.kind || g.text(g.kind, []byte(data)) != want.text {
			t.Errorf("%s: %v %q %d, want %v", data, ok, g.kind, g.text(g.kind, []byte(data)), want)
		}
	}
	for _, data := range []string{
		``, `[]`, `1`, `{"a":1} `, ` {"a":1}`, `{"a": 1}`, `{"a":1,}`, `{"a":[1,]}`, `{"a":}`, `{"a"}`, `{1:2}`, `{"a":1]`, `{"a":[1}`, `{"a":01}`, `{"a":1.}`, `{"a":-}`, `{"a":1e}`,
		`{"a":tru}`, `{"a":"\x"}`, `{"a":"\u12"}`, "{\"a\":\"\n\"}", "{\"a\":\"\xff\"}", `{"\u0061":1}`, `{"a":1}{`, `{"a":1`, `{"a":"b`, `{`, `{"a":` + strings.Repeat("[", deepest) + strings.Repeat("]", deepest) + `}`,
	} {
		if _, ok := glanceAt([]byte(data)); ok {
			t.Errorf("%s is read at a glance", data)
		}
	}
}

// FuzzGlance: what is read at a glance is JSON on one line and in UTF-8, and the same is found in
// it as by looking for each thing.
func FuzzGlance(f *testing.F) {
	for _, seed := range []string{
		`{"type":"response.output_text.delta","delta":" gateway","logprobs":[]}`, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"é"}}`,
		`{"item":{"encrypted_content":"x"},"type":"y","delta":{"thinking":"a","partial_json":"b"}}`, `{"a":[[1,{"b":null}],-1.5e3,"\u00e9"]}`, `{"delta":1,"delta":"x"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, ok := glanceAt(data)
		if !ok {
			return
		}
		if !json.Valid(data) || !utf8.Valid(data) || strings.ContainsAny(string(data), "\r\n") {
			t.Fatalf("%q is read at a glance", data)
		}
		name := g.kind
		if name == nil {
			name = []byte("message")
		}
		if want := Type(data); string(name) != string(want) {
			t.Errorf("%q has the type %q, want %q", data, name, want)
		}
		if got, want := g.text(name, data), textIn(name, data); got != want {
			t.Errorf("%q has %d bytes of text, want %d", data, got, want)
		}
	})
}
