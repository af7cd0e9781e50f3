package body

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk"
)

// idsOnly reads the ids of a body, and nothing else.
type idsOnly struct{ IDs }

func (*idsOnly) Begin(Place, int) {}
func (*idsOnly) End(Place, int)   {}

func (r *idsOnly) Value(at Place, b []byte, value Span, _ int) Span {
	r.Note(at-First, sdk.JSON(value.Of(b)))
	return Span{}
}

var idsGrammar = Grammar{
	Folds:  true,
	Places: append([]Node{Top: {Other: First + AnyPlace}, Model: {}}, NodesOfIDs(First)...),
}.Indexed()

// TestIDsAreFoundWhereverTheyStand, however they are written, and each once.
func TestIDsAreFoundWhereverTheyStand(t *testing.T) {
	for b, want := range map[string][]string{
		`{"a":{"file_id":"f1"},"b":[[{"x":{"container_id":"c1"}}]]}`:            {"f1", "c1"},
		`{"a":{"f\u0069le_id":"f\u0031"}}`:                                      {"f1"},
		`{"a":{"file_ids":["f1","f2","f1"]},"b":{"vector_store_ids":["v1"]}}`:   {"f1", "f2", "v1"},
		`{"a":{"container":"c1"},"b":{"container":{"id":"c2","type":"auto"}}}`:  {"c1", "c2"},
		`{"a":{"container":{"file_ids":["f1"]},"id":"nobody's"}}`:               {"f1"},
		`{"a":{"file_id":1,"file_ids":"f1","container":null},"b":"file_id"}`:    {"f1"},
		`{"a":{"container":["c1",{"id":"c2","x":"y"}],"file_id":{"id":"f1"}}}`:  {"c1", "c2", "f1"},
		`{"a":{"File_ID":"f1"},"b":{"\u212anowledge_ID":"k1","x_File_ID":"x"}}`: {"f1", "k1"},
		`{"a":{"url":"ms://f1","b":["https://example.com/files/a"]}}`:           {"ms://f1"},
		`{"a":{"cachedContent":"cachedContents/c1","Other":{"VALUE":"x"}}}`:     {"cachedContents/c1"},
		`{"a":{"file_id":""}}`: nil,
	} {
		var r idsOnly
		if err := new(Doc).Scan([]byte(b), &idsGrammar, &r); err != nil {
			t.Fatal(err)
		}
		if got := r.All(); !slices.Equal(got, want) {
			t.Errorf("%s has the ids %q, want %q", b, got, want)
		}
		if got := visited([]byte(b)); !slices.Equal(got, want) {
			t.Errorf("in %s, the ids %q are visited, want %q", b, got, want)
		}
	}
}

// TestIDsAreFoundAsDeepAsTheyMayStand: as deep as a scan accepts them.
func TestIDsAreFoundAsDeepAsTheyMayStand(t *testing.T) {
	for _, around := range [][2]string{{`{"a":`, "}"}, {"[", "]"}} {
		for _, depth := range []int{2, 64, 65, maxDepth} {
			inner := depth - 2 // besides the top level and the object with the id
			b := []byte(`{"a":` + strings.Repeat(around[0], inner) + `{"file_id":"f1"}` + strings.Repeat(around[1], inner) + "}")
			var r idsOnly
			if err := new(Doc).Scan(bytes.Clone(b), &idsGrammar, &r); err != nil {
				t.Fatal(err)
			}
			if got := visited(b); len(got) != 1 || !slices.Equal(got, r.All()) || sdk.JSON(b).Valid() != nil {
				t.Errorf("%d deep in %q, %q are visited, and a scan finds %q", depth, around, got, r.All())
			}
		}
	}
}

// TestMoreIDsThanAnybodyLooksAt end in one that is nobody's.
func TestMoreIDsThanAnybodyLooksAt(t *testing.T) {
	var s IDs
	for i := range maxIDs + 10 {
		s.Add(fmt.Sprint("id", i))
	}
	if all := s.All(); len(all) != maxIDs+1 || all[maxIDs] != "" || all[0] != "id0" {
		t.Errorf("%d ids, the last of which is %q", len(all), all[len(all)-1])
	}
}

// visited returns the ids that Visit finds.
func visited(b []byte) []string {
	var ids IDs
	Visit(b, &idsGrammar, func(at Place, v sdk.JSON) { ids.Note(at-First, v) }, nil)
	return ids.All()
}

// FuzzVisit: what a scan finds is visited, and nothing else, whatever the bytes are.
func FuzzVisit(f *testing.F) {
	for _, b := range []string{
		`{"a":{"file_id":"f1"},"b":[[{"x":{"container_id":"c1"}}]]}`, ` { "a" : { "f\u0069le_id" : "f" , "x" : [ ] } , "file_ids" : [ "a" , { } , "b" ] } `,
		`{"file_id":"a","container":{"id":"b","container":"c"},"n":[1,true,null]}`, `{"a":[`, `{"file_id":`, `{"a`, `[]`, `"`,
	} {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := visited(b)
		var r idsOnly
		if new(Doc).Scan(bytes.Clone(b), &idsGrammar, &r) != nil || bytes.Contains(b, []byte(`\u`)) {
			return // half a character is mended by a scan
		}
		if !slices.Equal(got, r.All()) {
			t.Errorf("in %q, %q are visited, and a scan finds %q", b, got, r.All())
		}
	})
}
