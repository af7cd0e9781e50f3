package sdk

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestReaderGoesIntoValues(t *testing.T) {
	const body = ` {"a":{"b":[1,{"c":"x"}],"d":2},"e":[[],[3]],"f":null,"g":"h"} `
	var got strings.Builder
	items := func(r *Reader) {
		for list := r.Array(); r.Next(list); {
			got.WriteString(" item ")
			got.Write(r.Value())
		}
	}
	r := NewReader(JSON(body))
	for top := r.Object(); r.Next(top); {
		got.Write(r.Key())
		switch r.Kind() {
		case KindObject:
			for fields := r.Object(); r.Next(fields); {
				got.WriteString(" ")
				got.Write(r.Key())
				if r.Kind() == KindArray {
					items(&r)
				}
				got.WriteString("=")
				got.Write(r.Value()) // of what was gone into there is none
			}
		case KindArray:
			for lists := r.Array(); r.Next(lists); {
				items(&r)
			}
		case KindNull:
			items(&r)
		}
		got.WriteString("; ")
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	const want = `a b item 1 item {"c":"x"}= d=2; e item 3; f; g; `
	if got.String() != want {
		t.Errorf("the Reader saw\n%s, want\n%s", got.String(), want)
	}
	if r.Value() != nil || r.Kind() != KindAbsent || r.Object() != 0 {
		t.Errorf("after its end the Reader has the value %q of kind %d", r.Value(), r.Kind())
	}
}

func TestReaderPassesWalksThatWereLeftEarly(t *testing.T) {
	r := NewReader(JSON(`{"a":{"x":[1,[],2,{"y":3}],"z":{}},"b":7}`))
	top := r.Object()
	r.Next(top)
	a := r.Object()
	r.Next(a)
	x := r.Array()
	r.Next(x)
	if !r.Next(top) || string(r.Key()) != "b" {
		t.Fatalf("after walks that were left early comes %q, want b; Err() = %v", r.Key(), r.Err())
	}
	if r.Next(x) || r.Next(a) {
		t.Error("a walk goes on that was over")
	}
	if string(r.Value()) != "7" || r.Next(top) || r.Err() != nil {
		t.Errorf("the value of b = %q, Err() = %v", r.Value(), r.Err())
	}
}

func TestReaderOfNothing(t *testing.T) {
	for _, in := range []string{"", " ", "null", " null\n", "{}", " { } "} {
		r := NewReader(JSON(in))
		if top := r.Object(); r.Next(top) || r.Err() != nil {
			t.Errorf("%q has fields, or Err() = %v", in, r.Err())
		}
	}
	for in, want := range map[string]string{
		`"a"`: "expected an object", `[]`: "expected an object", `{"a":"b"}`: "expected an object", `{"a":`: "it ends too early",
		`{"a":]`: "expected an object", `null x`: "something follows the value", `{} {}`: "something follows the value",
	} {
		r := NewReader(JSON(in))
		for top := r.Object(); r.Next(top); {
			if inner := r.Object(); inner != 0 {
				t.Errorf("%s: there is an object", in)
			}
		}
		if err := r.Err(); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: Err() = %v, want %s", in, err, want)
		}
	}
}

func TestReaderFindsWhatIsBroken(t *testing.T) {
	for _, in := range []string{`{"a":{"b":}}`, `{"a":{"b":1]}`, `{"a":{"b"}}`, `{"a":{`, `{"a":{}`, `{"a":{"b":"\x"},"c":1}`, `{"a":{} 1}`, `{"a":{"b":[}}`} {
		for name, do := range map[string]func(*Reader){
			"passed": func(*Reader) {},
			"taken":  func(r *Reader) { r.Value() },
			"gone into": func(r *Reader) {
				for f := r.Object(); r.Next(f); {
					r.Value()
				}
			},
			"left early": func(r *Reader) { r.Next(r.Object()) },
		} {
			r := NewReader(JSON(in))
			for top := r.Object(); r.Next(top); {
				do(&r)
			}
			if r.Err() == nil || r.Value() != nil || r.Kind() != KindAbsent || r.Object() != 0 {
				t.Errorf("%s, %s: Err() = %v, Value() = %q", in, name, r.Err(), r.Value())
			}
		}
	}
}

func TestReaderGoes512Deep(t *testing.T) {
	for depth, ok := range map[int]bool{511: true, 512: true, 513: false} {
		r := NewReader(JSON(strings.Repeat(`[`, depth) + strings.Repeat(`]`, depth)))
		top := r.Array()
		for in := top; r.Next(in); {
			in = r.Array()
		}
		for r.Next(top) {
		}
		if err := r.Err(); (err == nil) != ok || !ok && !strings.Contains(err.Error(), "512 deep") {
			t.Errorf("%d arrays inside one another: Err() = %v", depth, err)
		}
	}
}

func TestReaderDoesNotAllocate(t *testing.T) {
	var kept struct{ content, done JSON }
	message := func(r *Reader) {
		for m := r.Object(); r.Next(m); {
			if string(r.Key()) == "content" {
				kept.content = r.Value()
			}
		}
	}
	n := testing.AllocsPerRun(100, func() {
		r := NewReader(ollamaLine)
		for top := r.Object(); r.Next(top); {
			switch string(r.Key()) {
			case "message":
				message(&r)
			case "done":
				kept.done = r.Value()
			}
		}
	})
	if n != 0 || string(kept.content) != `" Hello"` || string(kept.done) != "false" {
		t.Errorf("reading makes %v allocations and finds %q, %q", n, kept.content, kept.done)
	}
}

// FuzzReader holds a Reader that takes values, goes into them, passes them or leaves them early,
// as acts says, against encoding/json.
func FuzzReader(f *testing.F) {
	for _, in := range []string{
		`{"a":{"b":[1,{"c":"x\n"}],"\u0064":2},"e":[[],[3]],"f":null,"g":"h"}`, `[{"a":{"a":{"a":[[[{}]]]}}},true,-1.5e3]`,
		`{"a":{"b":}}`, `[[[1,]]]`, `{"a":[{"b":1]}}`, ` [ { } , [ ] ] x`, `{"a":{"b":"` + "\x1f" + `"}}`, `[1 2]`, `{"a":{"b" 1}}`, `"x"`, `null`, ``,
		strings.Repeat("[", 513) + strings.Repeat("]", 513),
	} {
		for _, acts := range []string{"", "\x01", "\x02", "\x02\x01\x00\x03\x04", "\x03\x02", "\x02\x02\x04", "\x03"} {
			f.Add([]byte(in), []byte(acts))
		}
	}
	f.Fuzz(func(t *testing.T, in, acts []byte) {
		valid := json.Valid(in) && depthOf(in) <= maxDepth
		w := walker{t: t, acts: acts, r: NewReader(in)}
		if k := w.r.Kind(); k != KindObject && k != KindArray {
			return
		}
		left := w.walk(in, valid)
		if err := w.r.Err(); !left && (err == nil) != valid {
			t.Errorf("reading %q: Err() = %v, encoding/json says valid = %t", in, err, json.Valid(in))
		}
	})
}

type walker struct {
	t    *testing.T
	r    Reader
	acts []byte
	n    int
}

func (w *walker) act() byte {
	if len(w.acts) == 0 {
		return 0
	}
	w.n++
	return w.acts[(w.n-1)%len(w.acts)] % 5
}

// walk goes into the current value, which is in, and compares it if it is valid. It reports
// whether it left the walk early.
func (w *walker) walk(in JSON, valid bool) (left bool) {
	dec := json.NewDecoder(bytes.NewReader(in))
	dec.Token()
	isObject := w.r.Kind() == KindObject
	var inside Depth
	if isObject {
		inside = w.r.Object()
	} else {
		inside = w.r.Array()
	}
	for w.r.Next(inside) {
		var want json.RawMessage
		if valid {
			if isObject {
				key, _ := dec.Token()
				if got := string([]rune(string(w.r.Key()))); got != key {
					w.t.Fatalf("a key of %q = %q, want %q", in, got, key)
				}
			}
			if err := dec.Decode(&want); err != nil {
				w.t.Fatalf("%q has too many values: %v", in, err)
			}
		}
		kind := w.r.Kind()
		switch act := w.act(); {
		case act == 0:
		case act == 4:
			return true
		case act >= 2 && (kind == KindObject || kind == KindArray):
			if left := w.walk(JSON(want), valid); !left && w.r.Value() != nil {
				w.t.Errorf("what was gone into is still there: %q", w.r.Value())
			}
		default:
			if got := w.r.Value(); valid && !bytes.Equal(got, want) {
				w.t.Errorf("Value() = %q, want %q", got, want)
			}
		}
	}
	if valid && (dec.More() || w.r.Err() != nil) {
		w.t.Errorf("the walk over %q ended early, or with %v", in, w.r.Err())
	}
	return false
}
