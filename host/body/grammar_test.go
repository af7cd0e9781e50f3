package body

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestFieldsAreFoundByTheirNames holds the index against a search through all names.
func TestFieldsAreFoundByTheirNames(t *testing.T) {
	var many []Field // enough for names that begin their search at the same slot
	for i := range 200 {
		many = append(many, Field{Name: strings.Repeat("x", i%23) + fmt.Sprint(i), Place: Place(i)})
	}
	plain := Grammar{Places: append([]Node{
		Top:   {Fields: []Field{{Name: "model", Place: Model}, {Name: "", Place: First}, {Name: "model", Place: First}}, Other: First},
		Model: {Fields: many},
	}, NodesOfIDs(First)...)}
	plain.Folds = true
	names := []string{
		"", "model", "models", "nodel", "id", "file_id", "file_ids", "container", "container_id", "temperature", "\x00", "é", "Model", "FILE_ID", "É", "ſtream",
		"a", "ab", "abc", "abcd", "vector_store_ids", "vector_store_jds", "previous_response_id", "previous_respoNse_id", "previous_respomse_id",
	}
	for _, f := range many {
		names = append(names, f.Name, "y"+f.Name)
	}
	for _, known := range [][]string{nil, {"model", "temperature", "é"[:0], "ab"}} {
		plain.Known = known
		indexed := plain.Indexed()
		for p := range Place(len(plain.Places) + 1) {
			for _, name := range names {
				if got, want := indexed.field(p, []byte(name)), placeOf(&plain, p, name); got != want {
					t.Errorf("field %q of place %d is place %d, want %d", name, p, got, want)
				}
			}
		}
	}
}

// placeOf is Grammar.field by other means.
func placeOf(g *Grammar, p Place, name string) Place {
	if int(p) >= len(g.Places) {
		return Elsewhere
	}
	for _, name := range []string{name, string(Fold([]byte(name)))} {
		if i := slices.IndexFunc(g.Places[p].Fields, func(f Field) bool { return f.Name == name }); i >= 0 {
			return g.Places[p].Fields[i].Place
		}
	}
	return g.Places[p].Other
}

func TestAGrammarKnowsFoldedNames(t *testing.T) {
	for name, known := range map[string][]string{"a capital": {"Model"}, "too many": make([]string, 256)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			Grammar{Known: known}.Indexed()
		}()
	}
}

func TestAReaderIsToldOfWhatItAsksFor(t *testing.T) {
	const b = `{"a":[],"b":1,"c":"x","d":{"e":{},"f":["y",null]}}`
	for name, tc := range map[string]struct {
		only Interest
		want []string
	}{
		"everything": {0, []string{
			"begin 3", "end 3", "3 []", "3 1", `3 "x"`, "begin 3", "begin 3", "3 {}", "end 3", "begin 3", `3 "y"`, "3 null", "end 3", "end 3",
			`3 {"e":{},"f":["y",null]}`,
		}},
		"strings":        {Strings, []string{`3 "x"`, `3 "y"`}},
		"other values":   {Others, []string{"3 []", "3 1", "3 {}", "3 null", `3 {"e":{},"f":["y",null]}`}},
		"where they end": {Bounds, []string{"begin 3", "end 3", "begin 3", "begin 3", "end 3", "begin 3", "end 3", "end 3"}},
	} {
		g := Grammar{Places: []Node{Top: {Other: First}, Model: {}, First: {Other: First, Element: First, Only: tc.only}}}.Indexed()
		var r told
		if err := new(Doc).Scan([]byte(b), &g, &r); err != nil {
			t.Fatal(err)
		}
		for i, word := range r { // without where it is
			word = word[:strings.LastIndexByte(word, ' ')]
			r[i] = strings.TrimSuffix(word, " at")
		}
		if !slices.Equal(r, tc.want) {
			t.Errorf("%s: the reader is told %q, want %q", name, r, tc.want)
		}
	}
}
