package native

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/dialect"
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
		`{"type":"a.done","text":"abc"}`:                                    {"a.done", -1},
		`{"type":"a","item":{"a":{},"encrypted_content":"abcd"}}`:           {"a", 4},
		`{"type":"a","delta":{"text":"a"},"delta":"abc"}`:                   {"a", 1},
		`{"type":1,"type":"b","a":[[{"type":"c"}],true,false,null,0.1,-0]}`: {"", -1},
		`{}`: {"", -1},
	} {
		var s shape
		e, ok := s.read([]byte(data))
		if !ok || string(e.kind) != want.kind || e.said != want.text {
			t.Errorf("%s: %v %q %d, want %v", data, ok, e.kind, e.said, want)
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

// TestShapes: an event that differs from the one before where earlier ones did is read without
// looking at the rest again, and never taken for something that it isn't.
func TestShapes(t *testing.T) {
	const first, second = `{"type":"a","delta":"x","id":"same","n":1}`, `{"type":"a","delta":"yz","id":"same","n":22}`
	for data, want := range map[string]struct {
		matches, ok bool
		said        int
	}{
		`{"type":"a","delta":"","id":"same","n":0}`:                   {true, true, 0},
		`{"type":"a","delta":"a\"b\u00e9","id":"same","n":3}`:         {true, true, 10},
		`{"type":"a","delta":"x","id":"other","n":4}`:                 {false, true, 1},
		`{"type":"b","delta":"x","id":"same","n":4}`:                  {false, true, 1},
		`{"type":"a","delta":"x","id":"same","n":-4}`:                 {false, true, 1},
		`{"type":"a","delta":"x","id":"same","n":1.5}`:                {false, true, 1},
		`{"type":"a","delta":"x","id":"same","n":null}`:               {false, true, 1},
		`{"type":"a","delta":1,"id":"same","n":4}`:                    {false, true, -1},
		`{"type":"a","delta":"x","id":"same","n":04}`:                 {false, false, 0},
		`{"type":"a","delta":"x","id":"same","n":4`:                   {false, false, 0},
		`{"type":"a","delta":"x","id":"same","n":}`:                   {false, false, 0},
		`{"type":"a","delta":"x","id":"same","n":4}}`:                 {false, false, 0},
		`{"type":"a","delta":"x`:                                      {false, false, 0},
		"{\"type\":\"a\",\"delta\":\"\xff\",\"id\":\"same\",\"n\":4}": {false, false, 0},
	} {
		var s shape
		for _, before := range []string{first, second} {
			if _, ok := s.read([]byte(before)); !ok {
				t.Fatal(before)
			}
		}
		if _, ok := s.match([]byte(data)); ok != want.matches {
			t.Errorf("that %s has the same shape is %v", data, ok)
		}
		if e, ok := s.read([]byte(data)); ok != want.ok || ok && e.said != want.said {
			t.Errorf("%s: %v, %d bytes, want %v", data, ok, e.said, want)
		}
	}
}

// FuzzEvents: whatever came before, what is read so is JSON on one line and in UTF-8, and the same
// is found in it as by looking for each thing.
func FuzzEvents(f *testing.F) {
	seeds := []string{
		`{"type":"response.output_text.delta","delta":" gateway","logprobs":[],"n":1}`, `{"type":"response.output_text.delta","delta":"","logprobs":[],"n":12}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"é"}}`, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`,
		`{"item":{"encrypted_content":"x"},"type":"y","delta":{"thinking":"a","partial_json":"b"}}`, `{"a":[[1,{"b":null}],-1.5e3,"\u00e9"]}`, `{"delta":1,"delta":"x"}`,
		`{"type":"x","id":"i","item":{"type":"made","file_id":"f"}}`, `{"type":"x","item_id":"model","delta":"id","a":{"model":"up"}}`,
	}
	for i, seed := range seeds {
		f.Add([]byte(seed), []byte(seeds[(i+1)%len(seeds)]), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, first, second, third []byte) {
		var s shape
		for _, data := range [][]byte{first, second, third, first, third} {
			e, ok := s.read(data)
			if _, again := glanceAt(data); again != ok {
				t.Fatalf("%q is read: %v, and alone: %v", data, ok, again)
			}
			if !ok {
				continue
			}
			if !json.Valid(data) || !utf8.Valid(data) || strings.ContainsAny(string(data), "\r\n") {
				t.Fatalf("%q is read", data)
			}
			name := e.kind
			if name == nil {
				name = []byte("message")
			}
			if want := Type(data); string(name) != string(want) {
				t.Errorf("%q has the type %q, want %q", data, name, want)
			}
			if want := textIn(name, data); e.said >= 0 && e.said != want {
				t.Errorf("%q has %d bytes of text, want %d", data, e.said, want)
			}
			var made, making []string
			info := dialect.Info{Model: "m", Upstream: func() string { return "up" }}
			info.NoteID = func(id string) { made = append(made, id) }
			plain := Reading{Form: &telling, Info: info}
			info.NoteID = func(id string) { making = append(making, id) }
			read := Reading{Form: &telling, Info: info}
			if got, want := plain.AppendEvent(nil, data, true), read.Append(nil, data); string(got) != string(want) || !slices.Equal(made, making) {
				t.Errorf("%q becomes %q and tells %q; each field looked at, %q and %q", data, got, made, want, making)
			}
		}
	})
}
