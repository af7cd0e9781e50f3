package body

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kai-gateway/kai/sdk"
)

// walked writes all that walks over a value and what is in it find.
func walked(out []byte, v sdk.JSON) []byte {
	switch v.Kind() {
	case sdk.KindObject:
		for f := FieldsOf(v); f.Next(); {
			out = walked(append(append(out, f.Key()...), '='), f.Value())
		}
		return append(out, '}')
	case sdk.KindArray:
		for e := ElementsOf(v); e.Next(); {
			out = walked(append(out, '-'), e.Value())
		}
		return append(out, ']')
	}
	return append(append(out, v...), ';')
}

// entered is walked by walks that go into the value of another one.
func entered(out []byte, in *walk) []byte {
	switch in.Kind() {
	case sdk.KindObject:
		for f := in.Fields(); f.Next(); {
			out = entered(append(append(out, f.Key()...), '='), &f.walk)
		}
		return append(out, '}')
	case sdk.KindArray:
		for e := in.Elements(); e.Next(); {
			out = entered(append(out, '-'), &e.walk)
		}
		return append(out, ']')
	}
	return append(append(out, in.Value()...), ';')
}

// enteredIn is entered for a value in a list.
func enteredIn(v []byte) []byte {
	list := ElementsOf(slices.Concat([]byte("[ "), v, []byte("]")))
	if !list.Next() {
		return nil
	}
	return entered(nil, &list.walk)
}

// iterated is walked by sdk's iterators.
func iterated(out []byte, v sdk.JSON) []byte {
	switch v.Kind() {
	case sdk.KindObject:
		for it := sdk.Object(v); it.Next(); {
			out = iterated(append(append(out, it.Key()...), '='), it.Value())
		}
		return append(out, '}')
	case sdk.KindArray:
		for it := sdk.Array(v); it.Next(); {
			out = iterated(append(out, '-'), it.Value())
		}
		return append(out, ']')
	}
	return append(append(out, bytes.TrimSpace(v)...), ';')
}

// skipped writes what a walk tells of the fields.
func skipped(object []byte) (out []byte) {
	for f := FieldsOf(object); f.Next(); {
		out = append(append(append(out, f.Key()...), '='), f.Value()...)
	}
	return out
}

var walks = []string{
	`{}`, ` { } `, `{"a":1}`, "{\n\"a\" : 1 ,\r\n\t\"b\" : \"x\" }",
	`{"a":{},"b":[],"c":[{}],"d":{"e":[1,2,{"f":null}]},"g":true}`,
	`{"a":"\"","b":"\\","c":"\\\"","d":"\\\\","e":"}{][,:","\"":"]","\u0061":1}`,
	`{"a":[[[[[["x"]]]]]],"b":-1.5e10,"c":"é\ud83d\ude00"}`,
	`{"a":[ 1 , "x" , [ ] , { } ] , "b" : { "c" : [ ] } }`,
}

func TestWalk(t *testing.T) {
	for _, object := range walks {
		got := walked(nil, []byte(object))
		if want := iterated(nil, []byte(object)); !bytes.Equal(got, want) {
			t.Errorf("the walk over %s found %s, want %s", object, got, want)
		}
		if inside := enteredIn([]byte(object)); !bytes.Equal(inside, got) {
			t.Errorf("walks into the values of %s found %s, want %s", object, inside, got)
		}
		var want []byte
		for it := sdk.Object([]byte(object)); it.Next(); {
			want = append(append(append(want, it.Key()...), '='), it.Value()...)
		}
		if got := skipped([]byte(object)); !bytes.Equal(got, want) {
			t.Errorf("the fields of %s are %s, want %s", object, got, want)
		}
	}
	left := 0
	for e := ElementsOf([]byte(`[[1,[2],3] , {"a":{"b":4},"c":5},[[]],{}]`)); e.Next(); left++ {
		if inside := e.Elements(); inside.Next() { // and is left after its first element
			if deeper := inside.Fields(); deeper.Next() {
				t.Error("a number has fields")
			}
		}
		if inside := e.Fields(); inside.Next() {
			deeper := inside.Fields()
			deeper.Next()
		}
	}
	if left != 4 {
		t.Errorf("with walks inside that were left early, a list of 4 has %d elements", left)
	}
	for _, other := range []string{``, ` `, `1`, `"x"`, `null`, `[1]`} {
		if f := FieldsOf([]byte(other)); f.Next() {
			t.Errorf("%q has the field %q", other, f.Key())
		}
	}
	for _, other := range []string{``, `1`, `{"a":1}`} {
		if e := ElementsOf([]byte(other)); e.Next() {
			t.Errorf("%q has the element %q", other, e.Value())
		}
	}
}

// FuzzWalk: a walk over what Check accepts finds what is there, and one over anything
// else ends.
func FuzzWalk(f *testing.F) {
	for _, object := range walks {
		f.Add([]byte(object))
	}
	f.Add([]byte(`{"a":"`))
	f.Add([]byte(`{"a`))
	f.Add([]byte(`[,,{]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		got := skipped(b)
		n := 0
		for e := ElementsOf(b); e.Next(); n++ {
			e.Value()
		}
		if n > len(b) || len(got) > 4*len(b)+1 {
			t.Fatalf("the walk over %q went on for too long", b)
		}
		if new(Doc).Scan(b, &nothing, nil) != nil {
			enteredIn(b) // which ends
			return
		}
		got = walked(nil, b)
		if inside := enteredIn(b); !bytes.Equal(inside, got) {
			t.Errorf("walks into the values of %q found %q, want %q", b, inside, got)
		}
		if want := iterated(nil, b); !bytes.Equal(got, want) {
			t.Errorf("the walk over %q found %q, want %q", b, got, want)
		}
	})
}

// nothing is a grammar that knows no name.
var nothing = Grammar{}.Indexed()

// TestRescan notes the same as Scan, whatever stands in strings.
func TestRescan(t *testing.T) {
	g := Grammar{Places: []Node{
		Top: {Fields: []Field{{"model", Model}, {"a", First}}}, First: {Element: First + 1}, First + 1: {Fields: []Field{{"t", First + 2}}},
	}}.Indexed()
	for _, b := range []string{
		`{"model":"m","a":[{"t":"x"},{"t":"\"\\"},{"\u0074":"é"},{}]}`, `{}`, `{"mode\u006c":"m"}`, `{"a":[],"b":"\\\""}`,
	} {
		var scanned, rescanned told
		var d, e Doc
		if err := d.Scan([]byte(b), &g, &scanned); err != nil {
			t.Fatal(err)
		}
		if err := e.Rescan([]byte(b), &g, &rescanned); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(scanned) != fmt.Sprint(rescanned) || string(d.Model()) != string(e.Model()) {
			t.Errorf("%s: scanned %v, rescanned %v", b, scanned, rescanned)
		}
	}
	for _, b := range []string{`{"a":"`, `{"a`, `{"a":1,"a":2}`, `{"a":[}`, `[]`, ``, `{} {}`, `{"a":tru}`} {
		if err := new(Doc).Rescan([]byte(b), &g, &told{}); err == nil {
			t.Errorf("%s is accepted", b)
		}
	}
}

// told is what a scan tells.
type told []string

func (r *told) Begin(at Place, i int) { *r = append(*r, fmt.Sprint("begin ", at, " at ", i)) }
func (r *told) End(at Place, i int)   { *r = append(*r, fmt.Sprint("end ", at, " at ", i)) }

func (r *told) Value(at Place, b []byte, value Span, key int) Span {
	*r = append(*r, fmt.Sprintf("%d %s %d", at, value.Of(b), key))
	return Span{}
}

// TestStringEndIsThatOfAWalkByteByByte: whatever stands in it, a string ends at the first quote
// that no backslash takes for itself.
func TestStringEndIsThatOfAWalkByteByByte(t *testing.T) {
	plain := func(b []byte, i int) int {
		for ; i < len(b); i++ {
			switch b[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return 0
	}
	r := rand.New(rand.NewPCG(1, 2))
	const bytes = "aaaaaaaaaa\"\\\\nué\x00\xff"
	for range 20_000 {
		b := make([]byte, r.IntN(200))
		for i := range b {
			if b[i] = 'x'; r.IntN(4) == 0 {
				b[i] = bytes[r.IntN(len(bytes))]
			}
		}
		from := r.IntN(len(b) + 1)
		if got, want := StringEnd(b, from), plain(b, from); got != want {
			t.Fatalf("StringEnd(%q, %d) = %d, want %d", b, from, got, want)
		}
	}
}
