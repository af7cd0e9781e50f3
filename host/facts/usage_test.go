package facts

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

func TestDetailsOfUsage(t *testing.T) {
	for name, tc := range map[string]struct {
		stated []string
		want   Usage
	}{
		"none": {[]string{`{"prompt_tokens":3,"completion_tokens":2}`}, Usage{Prompt: 3, Completion: 2, Total: 5, Known: true}},
		"all, in several objects": {
			[]string{
				`{"prompt_tokens":1000,"prompt_tokens_details":{"cached_tokens":500}}`,
				`{"completion_tokens":7,"completion_tokens_details":{"reasoning_tokens":"4"},"prompt_tokens_details":{"cached_tokens":600,"cache_write_tokens":100}}`,
			},
			Usage{Prompt: 1000, Completion: 7, Total: 1007, Known: true, Cached: 600, CacheWrite: 100, Reasoning: 4},
		},
		"null": {[]string{`{"prompt_tokens":3,"prompt_tokens_details":null,"completion_tokens_details":{"reasoning_tokens":null}}`}, Usage{Prompt: 3, Total: 3, Known: true}},
		"no counts": {
			[]string{`{"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":-1,"cache_write_tokens":[]},"completion_tokens_details":7}`},
			Usage{Prompt: 3, Total: 3, Known: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := New(Options{})
			for _, s := range tc.stated {
				if _, err := a.Apply([]abi.Emission{{Kind: abi.Usage, Data: []byte(s)}}); err != nil {
					t.Fatal(err)
				}
			}
			if got := a.Usage(); got != tc.want {
				t.Errorf("Usage() = %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestUsageOfParts(t *testing.T) {
	one := Usage{Prompt: 1, Completion: 2, Total: 3, Known: true, Cached: 4, CacheWrite: 5, Reasoning: 6, Cost: 7, Priced: true, Stated: 8}
	if got, want := one.Plus(one), (Usage{Prompt: 2, Completion: 4, Total: 6, Known: true, Cached: 8, CacheWrite: 10, Reasoning: 12, Cost: 14, Priced: true, Stated: 16}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := one.Plus(Usage{}); got != (Usage{Prompt: 1, Completion: 2, Total: 3, Known: true, Cached: 4, CacheWrite: 5, Reasoning: 6, Cost: 7, Stated: 8}) {
		t.Errorf("with a part that says nothing it is %+v", got)
	}
}

// TestObjectsKeepFewPiecesOfMemory: the fields of an object are in two.
func TestObjectsKeepFewPiecesOfMemory(t *testing.T) {
	raw := []byte(` { "prompt_tokens" : 9, "completion_tokens":10 ,"total_tokens":"19","cost":7.35e-06, "list": [ 1 ,2 ], "\u0061\n": {"b":1} }`)
	const want = `,"prompt_tokens":9,"completion_tokens":10,"total_tokens":19,"cost":7.35e-06,"list":[1 ,2],"a\n":{"b":1}`
	if n := testing.AllocsPerRun(100, func() { new(Object).mergeLeaves(raw[:90], 1) }); n > 2 {
		t.Errorf("%v pieces of memory for one object, want 2", n)
	}
	var o Object
	for range 3 {
		if !o.mergeLeaves(raw, 1) || string(o.AppendTo(nil)) != want {
			t.Errorf("the object is %s, want %s", o.AppendTo(nil), want)
		}
		longer := bytes.ReplaceAll(raw, []byte("9"), []byte("123456789012345"))
		if !o.mergeLeaves(longer, 1) || !bytes.Contains(o.AppendTo(nil), []byte(`"prompt_tokens":123456789012345,"completion_tokens":10,"total_tokens":1123456789012345,`)) {
			t.Errorf("with longer values it is %s", o.AppendTo(nil))
		}
		o.Reset()
		if err := o.Merge(abi.ChunkExtra, []byte(`{"other_and_longer":"than before","x":1}`), []string{"x"}); err != nil || string(o.AppendTo(nil)) != `,"other_and_longer":"than before"` {
			t.Errorf("afterwards it is %s, %v", o.AppendTo(nil), err)
		}
		o.Reset()
	}
}

// TestObjectsHoldNoMoreThanIsCounted, but for a few times as much: the memory for a field is more
// than its text.
func TestObjectsHoldNoMoreThanIsCounted(t *testing.T) {
	var nested, deep []string
	for i := range 60 {
		nested = append(nested, fmt.Sprintf(`"k%d":{"x":"%s"}`, i, strings.Repeat(":", 64)))
		deep = append(deep, fmt.Sprintf(`"k%d":{"x":%s}`, i, strings.Repeat(`{"a":`, 20)+"1"+strings.Repeat("}", 20)))
	}
	for name, raw := range map[string]string{
		"colons in a text":                  `{"x":"` + strings.Repeat(":", 1000) + `"}`,
		"colons in texts of nested objects": "{" + strings.Join(nested, ",") + "}",
		"objects deeper than they are kept": "{" + strings.Join(deep, ",") + "}",
		"colons in a key":                   `{"prompt_tokens":1,"completion_tokens":2,"x":{"` + strings.Repeat(":", 1000) + `":1}}`,
	} {
		grant := memory.New(memory.Options{Limit: 64 << 20}).Grant()
		a := New(Options{Memory: &grant})
		if _, err := a.Apply([]abi.Emission{{Kind: abi.Usage, Data: []byte(raw)}}); err != nil {
			t.Fatal(err)
		}
		if held, counted := a.usage.rest.Size(), grant.Used(); int64(held) > 8*counted {
			t.Errorf("%s: %d bytes are held, and %d are counted", name, held, counted)
		}
	}
}

func TestCountsBehindTooManyDetailsCount(t *testing.T) {
	many := []byte("{")
	for i := range maxFields + 1 {
		many = fmt.Appendf(many, `"d%d":1,`, i)
	}
	a := New(Options{})
	if _, err := a.Apply([]abi.Emission{{Kind: abi.Usage, Data: append(many, `"prompt_tokens":7}`...)}}); err == nil {
		t.Error("a usage of too many fields is taken")
	}
	if got := a.Usage().Prompt; got != 7 {
		t.Errorf("the prompt has %d tokens, want 7", got)
	}
}

func TestStringsAreQuotedWhateverIsInThem(t *testing.T) {
	for s, want := range map[string]string{
		"": `""`, "id": `"id"`, "chatcmpl-0123456789": `"chatcmpl-0123456789"`, `a "b"`: `"a \"b\""`, "é\n12345678": `"é\n12345678"`, "\xff1234567": `"` + "\uFFFD" + `1234567"`,
	} {
		if got := string(AppendString(nil, s)); got != want {
			t.Errorf("%q is %s, want %s", s, got, want)
		}
	}
}
